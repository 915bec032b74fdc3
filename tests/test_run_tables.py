"""A run as a table: a row for each case, model and sample; text stays text."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import msgspec
import pytest

from harness.cli.main import run as command_line
from harness.errors import RecordError
from harness.models import Response, Timing
from harness.record import TABLE_COLUMNS, read_record, read_texts
from harness.tables import write_csv, write_parquet

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "report"))

from example_records import golden, run, texts_of  # noqa: E402
from hostile import HOSTILE  # noqa: E402

BLOCKED = HERE / "records" / "triage-no-replay"

TOLD = [("a", 1.0, 0.5, "old a", "new a"), ("b", None, 1.0, "", "new b")]


def example():
    one = golden("refunds", TOLD)
    first = msgspec.structs.replace(
        one.cases[0], tags=("late", "zh"), answers={"candidate": ("k1", "k2"), "baseline": ("k3",)}, samples=2
    )
    record = run(msgspec.structs.replace(one, cases=(first, *one.cases[1:])), root=None)
    texts = texts_of({"refunds": TOLD}) | {
        "k1": Response(text="right", prompt_tokens=9, completion_tokens=3, timing=Timing(seconds=1.5, together=1)),
        "k2": Response(text="wrong", prompt_tokens=9, completion_tokens=4, finish_reason="length"),
    }
    return record, texts


def test_a_row_for_each_case_model_and_sample_with_scores_tags_tokens_and_time():
    record, texts = example()
    frame = record.to_frame(texts)
    assert tuple(frame.columns) == TABLE_COLUMNS
    rows = frame.to_dict("records")
    assert [(r["case"], r["role"], r["sample"], r["score"]) for r in rows] == [
        ("a", "candidate", 0, 0.5),
        ("a", "candidate", 1, 0.5),
        ("a", "baseline", 0, 1.0),
        ("b", "candidate", 0, 1.0),
    ]
    first = rows[0]
    assert (first["run"], first["set"], first["place"]) == (record.run_id, "refunds", "golden_sets/refunds.jsonl:1")
    assert (first["model"], first["tags"], first["red_line"]) == ("triage@2", "late zh", False)
    assert (first["prompt_tokens"], first["completion_tokens"], first["seconds"]) == (9, 3, 1.5)
    assert [r["cut_off"] for r in rows[:2]] == [False, True]
    assert rows[1]["answer"] == "wrong"


def test_without_texts_the_scores_are_all_there_is():
    record, _ = example()
    frame = record.to_frame()
    assert len(frame) == 4
    assert frame["answer"].isna().all()
    assert frame["score"].tolist() == [0.5, 0.5, 1.0, 1.0]


def test_the_shares_of_the_table_are_the_rates_of_the_report():
    record = read_record(BLOCKED)
    frame = record.to_frame(read_texts(BLOCKED, record))
    rates = frame[frame["sample"] == 0].groupby(["set", "role"])["score"].sum()
    assert rates["retention/choices", "baseline"] == 139
    assert rates["retention/choices", "candidate"] == 81
    assert rates["triage", "candidate"] == 64


def test_pandas_is_named_where_it_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(RecordError, match=r"pip install 'finetune-harness\[tables\]'"):
        example()[0].to_frame()


def test_csv_needs_no_pandas_and_is_read_back_by_a_spreadsheet(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    record, texts = example()
    file = tmp_path / "cases.csv"
    assert write_csv(file, record, texts) == 4
    assert file.read_bytes().startswith(b"\xef\xbb\xbf")
    with file.open(encoding="utf-8-sig", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [row["answer"] for row in rows] == ["right", "wrong", "", "new b"]
    assert rows[2]["prompt_tokens"] == ""
    assert [f.name for f in file.parent.iterdir()] == ["cases.csv"]


FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n=1", "＝1", "=cmd|' /C calc'!A0", "\x1b[31m=1")


@pytest.mark.parametrize("text", [*FORMULAS, *HOSTILE], ids=range(len(FORMULAS) + 41))
def test_no_cell_is_a_formula_or_commands_a_terminal(tmp_path, text):
    told = [("a", 1.0, 0.0, text, text)]
    one = golden("refunds", told)
    one = msgspec.structs.replace(
        one, name=text, cases=(msgspec.structs.replace(one.cases[0], case=text, tags=(text,)),)
    )
    texts = {"c:refunds:a": Response(text=text), "b:refunds:a": Response(text=text)}
    write_csv(tmp_path / "x.csv", run(one), texts)
    with (tmp_path / "x.csv").open(encoding="utf-8-sig", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert len(rows) == 3
    for row in rows:
        for column in ("set", "case", "tags", "answer"):
            assert not row[column].lstrip(" \n").startswith(("=", "+", "-", "@", "\t", "\r", "＝"))
            assert not any(char in row[column] for char in "\x1b\x00\x07\u202e")
    if text.isprintable() and not text.lstrip().startswith(("=", "+", "-", "@", "＝")):
        assert rows[0]["answer"] == text


def test_parquet_keeps_every_text_as_it_is(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    told = [(f"case-{i}", 1.0, 0.0, "old", text) for i, text in enumerate(HOSTILE)]
    record = run(golden("refunds", told))
    assert write_parquet(tmp_path / "x.parquet", record, texts_of({"refunds": told})) == 3 * len(HOSTILE)
    frame = pandas.read_parquet(tmp_path / "x.parquet")
    assert frame[frame["role"] == "candidate"]["answer"].tolist() == list(HOSTILE)


def test_pyarrow_is_named_where_it_is_not_installed(tmp_path, monkeypatch):
    record, texts = example()

    def refused(*_, **__):
        raise ImportError("Unable to find a usable engine")

    monkeypatch.setattr("pandas.DataFrame.to_parquet", refused)
    with pytest.raises(RecordError, match="Parquet needs pyarrow, which is not installed"):
        write_parquet(tmp_path / "x.parquet", record, texts)
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_tables_and_leaves_the_report_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command_line(["report", str(BLOCKED), "--csv", "cases.csv", "--parquet", "cases.parquet"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("cases.csv: ")
    assert said[0].split()[1:] == said[1].split()[1:]
    assert not (BLOCKED / "index.html").exists()


def test_a_table_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match=r"file/cases.csv: cannot be written \(Not a directory\)"):
        write_csv(tmp_path / "file" / "cases.csv", read_record(BLOCKED), {})
