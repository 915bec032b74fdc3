"""`harness store`: what it prints, what it refuses, how it ends."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from harness.cli.main import run
from harness.models import Response
from harness.models.refs import ModelRef
from harness.store import Store

BASE = ModelRef(text="smollm2", label="smollm2", engine="hf", base="/m", base_digest="d" * 64)
GONE = msgspec.structs.replace(BASE, text="triage@1", label="triage@1", adapter="/a", adapter_digest="a" * 64)


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pyproject.toml").write_text("[tool.harness]\n")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / ".harness" / "store.sqlite"
    with Store(path) as opened:
        opened.put_responses({f"b{n}": Response(text="退款") for n in range(3)}, ref=BASE)
        opened.put_responses({"t": Response(text="x")}, ref=GONE)
    return path


def changed(store: Path) -> None:
    with Store(store) as opened:
        opened.database.write(lambda c: c.execute("UPDATE answers SET value = '{}' WHERE key = 'b1'"))


def test_verify_names_a_wrong_row_and_drops_it_when_told(store, capsys):
    assert run(["store", "verify"]) == 0
    assert "4 of 4 rows are as they were written" in capsys.readouterr().out
    changed(store)
    assert run(["store", "verify"]) == 1
    told = capsys.readouterr().out
    assert "wrong: response b1 does not match its digest" in told
    assert "3 of 4 rows" in told
    assert run(["store", "verify", "--drop"]) == 1
    assert run(["store", "verify"]) == 0
    assert "3 of 3 rows" in capsys.readouterr().out.splitlines()[-1]


def test_verify_of_a_broken_file_says_what_follows_and_touches_nothing(store, capsys):
    store.write_bytes(b"garbage" * 1000)
    for journal in store.parent.glob("*-*"):
        journal.unlink()
    assert run(["store", "verify"]) == 1
    assert "damaged (file is not a database)" in capsys.readouterr().out
    assert store.read_bytes() == b"garbage" * 1000


@pytest.mark.parametrize("command", [["verify"], ["stats"], ["prune", "--older-than", "1d"]])
def test_without_a_store_nothing_is_made(store, command, capsys):
    for file in store.parent.iterdir():
        file.unlink()
    assert run(["store", *command]) == 0
    assert "not there; nothing is stored yet" in capsys.readouterr().out
    assert not store.exists()


def test_stats_list_the_models(capsys):
    assert run(["store", "stats"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"4 rows, [\d.]+ kB on disk", told)
    assert re.search(r"smollm2 +d{12} +hf +bfloat16 +3 +0 ", told)
    assert "triage@1" in told


def test_prune_says_what_may_go_or_is_refused(store, capsys):
    assert run(["store", "prune"]) == 4
    assert "--older-than 30d" in capsys.readouterr().err
    assert run(["store", "prune", "--older-than", "soon"]) == 4
    assert "write 30d" in capsys.readouterr().err
    assert run(["store", "prune", "--max-size", "huge"]) == 4
    assert "write 500MB" in capsys.readouterr().err


def test_prune_drops_adapters_that_are_no_longer_registered(store, capsys):
    assert run(["store", "prune", "--unregistered", "--dry-run"]) == 0
    assert "1 rows would go" in capsys.readouterr().out
    assert run(["store", "prune", "--unregistered", "--older-than=8w"]) == 0
    assert "1 rows dropped" in capsys.readouterr().out
    with Store(store) as opened:
        assert opened.responses(["b0", "t"]).keys() == {"b0"}


def test_prune_to_no_size_at_all_empties_the_store(store, capsys):
    assert run(["store", "prune", "--max-size", "0"]) == 0
    assert "4 rows dropped" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "rows"), [([], 4), (["--model=triage@1"], 1), (["--model=smollm2"], 3), (["--model=dddddddd"], 3)]
)
def test_export_and_import_by_model_and_all(store, options, rows, capsys):
    assert run(["store", "export", "answers.gz", *options]) == 0
    assert f"answers.gz: {rows} rows" in capsys.readouterr().out
    for file in store.parent.iterdir():
        file.unlink()
    assert run(["store", "import", "answers.gz"]) == 0
    assert f"{rows} rows verified; {rows} are new, 0 replaced" in capsys.readouterr().out
    assert run(["store", "import", "answers.gz"]) == 0
    assert f"0 are new, 0 replaced another answer, {rows} were here" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export", "x.gz", "--model=nobody"], "no answers of 'nobody'. Models in it: smollm2, triage@1"),
        (["export", "x.gz", "--model=a", "--record=b"], "take one of them"),
        (["export", "x.gz", "--record=reports/none"], "no run record there"),
        (["export", "no/x.gz"], "there is no folder no. Make it"),
        (["import", "none.gz"], "no such file"),
        (["import", "pyproject.toml"], "not a whole gzip file"),
        (["verify", "--record=reports/none"], "no run record there"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(arguments, said, capsys):
    assert run(["store", *arguments]) == 4
    assert said in capsys.readouterr().err
