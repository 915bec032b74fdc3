"""A record of a real blocked run, written by version 0.1.0: it must be read, decided and rendered for as long as there
is a later version."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest

from harness.cli.main import run as command_line
from harness.gate import decide
from harness.record import read_record, read_texts
from harness.report.html import REPORT_FILE
from harness.store import Store

KEPT = Path(__file__).resolve().parents[1] / "records" / "triage-no-replay"


def test_it_can_still_be_read_with_all_its_texts() -> None:
    record = read_record(KEPT)
    texts = read_texts(KEPT, record)
    assert (record.version, record.harness_version) == (1, "0.1.0")
    assert [len(one.cases) for one in record.sets] == [205, 252, 100, 0, 70, 70]
    answered = [key for of in record.sets for case in of.cases for keys in case.answers.values() for key in keys]
    assert len(answered) > 500
    assert all(key in texts for key in answered)
    assert texts["prompt:retention/general:capital-of-japan"].text == "Name the capital city of Japan."


def test_it_is_still_decided_as_on_its_day() -> None:
    record = read_record(KEPT)
    verdict = decide(record, record.policy)
    assert verdict.status == "FAIL"
    assert [(c.name, c.status) for c in verdict.criteria] == [
        ("red lines", "PASS"),
        *[("alarm", "FAIL")] * 5,
        ("not worse", "FAIL"),
        *[("target", "PASS")] * 2,
        ("suite", "FAIL"),
    ]
    assert "at least 35.4 points are lost; 10 points = 55.7 of your 557 cases are allowed" in verdict.criteria[6].reason


def test_it_is_decided_and_rendered_again_after_the_store_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.harness]\nlanguage = "zh"\n')
    folder = tmp_path / "reports" / "run"
    shutil.copytree(KEPT, folder)
    monkeypatch.chdir(tmp_path)
    with Store(tmp_path / ".harness" / "store.sqlite"):
        assert (tmp_path / ".harness").is_dir()
    shutil.rmtree(tmp_path / ".harness")

    assert command_line(["gate", "--record", "reports/run"]) == 1
    assert "retention/choices -28.3 points (-76 +18 of 205)" in capsys.readouterr().out
    (folder / REPORT_FILE).unlink(missing_ok=True)
    assert command_line(["report", "reports/run"]) == 0
    page = (folder / REPORT_FILE).read_text(encoding="utf-8")
    assert '<html lang="zh-CN">' in page
    assert "triage-no-replay@1 不能发布" in page.replace("<bdi>", "").replace("</bdi>", "")
    assert "The capital city of Japan is Tokyo." in page, "the answers come from the record's own texts"
    (tmp_path / "pyproject.toml").write_text("[tool.harness]\n")
    assert command_line(["report", "reports/run/record.json"]) == 0
    assert "must not ship" in (folder / REPORT_FILE).read_text(encoding="utf-8")
    assert not (tmp_path / ".harness").exists(), "neither asked for a store"


def test_without_its_texts_the_page_has_every_number_and_says_that_it_has_no_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(KEPT / "record.json", tmp_path)
    assert command_line(["report", "record.json"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == ["index.html", "summary.md"]
    assert printed.err.startswith("harness: warning: texts.json.gz: not there")
    page = (tmp_path / REPORT_FILE).read_text(encoding="utf-8")
    assert "texts.json.gz was not beside record.json when this page was written" in page
    assert "28.3" in page
    assert command_line(["report", "record.json", "--csv", "cases.csv"]) == 0
    assert len((tmp_path / "cases.csv").read_text(encoding="utf-8").splitlines()) > 1000


def test_a_page_that_may_be_the_last_copy_of_the_answers_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(KEPT / "record.json", tmp_path)
    (tmp_path / REPORT_FILE).write_text("with answers")
    for _ in range(2):
        assert command_line(["report", "record.json"]) == 0
    assert "kept as index.before.html" in capsys.readouterr().err
    assert (tmp_path / "index.before.html").read_text() == "with answers"


def test_texts_of_another_run_are_still_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(KEPT / "record.json", tmp_path)
    (tmp_path / "texts.json.gz").write_bytes(gzip.compress(b"{}"))
    assert command_line(["report", "record.json"]) == 4
    assert "these are not the texts of run" in capsys.readouterr().err
    assert not (tmp_path / REPORT_FILE).exists()
