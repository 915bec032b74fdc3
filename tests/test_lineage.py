"""What the models of a run were made from, and what differs."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.data.formats import Row
from harness.data.learned import KEPT, ROWS_FILE, LearnedRow, learned_row, read_rows, write_rows
from harness.errors import DataError
from harness.lineage import POINTS, Training, compare_rows, read_lineage, training_of
from harness.models import Message


def row(prompt: str, answer: str, where: str = "rows.jsonl:1", kind: Any = "task") -> Row:
    turns = (Message(role="user", content=prompt), Message(role="assistant", content=answer))
    return Row(messages=turns, where=where, kind=kind)


def learned(*rows: tuple[str, str]) -> list[LearnedRow]:
    return [learned_row(row(prompt, answer, f"rows.jsonl:{i}")) for i, (prompt, answer) in enumerate(rows, start=1)]


def version(folder: Path, table: dict[str, Any] | None = None, rows: list[Row] | None = None) -> Path:
    """A version's folder; returns its adapter's."""
    (folder / "adapter").mkdir(parents=True)
    if table is not None:
        (folder / "training.json").write_text(json.dumps(table))
    if rows is not None:
        write_rows(folder, rows)
    return folder / "adapter"


def test_rows_come_back_shortened_with_digests_of_the_whole(tmp_path: Path) -> None:
    long = "x" * (KEPT + 5)
    write_rows(tmp_path, [row("q", long), row("q", long + "!")])
    found = read_rows(tmp_path)
    assert found is not None
    assert found[0].answer == found[1].answer == "x" * KEPT
    assert found[0].answer_digest != found[1].answer_digest
    assert found[0].prompt_digest == found[1].prompt_digest


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_rows(tmp_path / name, [row("q", "答案"), row("r", "b")])
    assert (tmp_path / "a" / ROWS_FILE).read_bytes() == (tmp_path / "b" / ROWS_FILE).read_bytes()


@pytest.mark.parametrize(
    "bad", [b"no gzip", gzip.compress(b'{"where": 1}'), gzip.compress(b"{")], ids=["no gzip", "no row", "no JSON"]
)
def test_a_damaged_file_of_rows_says_what_to_do(tmp_path: Path, bad: bytes) -> None:
    (tmp_path / ROWS_FILE).write_bytes(bad)
    with pytest.raises(DataError, match=r"rows\.jsonl\.gz: damaged"):
        read_rows(tmp_path)


def test_rows_are_added_removed_and_altered_by_their_prompt() -> None:
    before = learned(("kept", "a"), ("altered", "old"), ("removed", "a"))
    after = learned(("altered", "new"), ("kept", "a"), ("added", "a"))
    change = compare_rows(before, after)
    assert (change.added, change.removed, change.altered, change.kept) == (1, 1, 1, 1)
    told = {one.change: (one.prompt, one.before, one.after) for one in change.examples}
    assert told == {
        "added": ("added", None, "a"),
        "removed": ("removed", "a", None),
        "altered": ("altered", "old", "new"),
    }


def test_duplicates_are_paired_one_to_one() -> None:
    change = compare_rows(learned(("q", "a"), ("q", "a"), ("q", "b")), learned(("q", "a"), ("q", "c")))
    assert (change.kept, change.altered, change.removed, change.added) == (1, 1, 1, 0)


def test_a_replayed_prompt_is_not_the_task_row_with_the_same_words() -> None:
    change = compare_rows([learned_row(row("q", "a", kind="replay"))], [learned_row(row("q", "a"))])
    assert (change.added, change.removed, change.kept) == (1, 1, 0)


def test_an_untrained_baseline_has_no_rows(tmp_path: Path) -> None:
    adapter = version(tmp_path / "1", {"recipe": {"lora": {"r": 8}}}, [row("q", "a")])
    found = read_lineage(("t@1", adapter), ("base", None))
    assert found.data is not None
    assert (found.data.added, found.data.kept) == (1, 0)
    assert found.baseline is None
    assert found.candidate is not None
    assert found.candidate.recipe == {"lora.r": "8"}
    assert found.untold == ()


def test_what_is_not_known_is_told_and_never_an_error(tmp_path: Path) -> None:
    foreign = version(tmp_path / "1")
    damaged = version(tmp_path / "2", rows=[row("q", "a")])
    (tmp_path / "2" / "training.json").write_text('{"loss": [{"step": 1')
    found = read_lineage(("foreign", foreign), ("damaged", damaged))
    assert found.candidate is None
    assert found.baseline is None
    assert found.data is None
    assert [why.split(":")[0] for why in found.untold] == ["foreign", "damaged", "foreign"]


def test_a_curve_is_thinned_and_keeps_its_ends() -> None:
    steps = [{"step": i, "loss": 1.0, "rate": 0.1, "norm": 1.0, "tokens": 3} for i in range(1, 5001)]
    found = training_of("t@1", {"loss": steps, "validation": [{"step": 5000, "validation_loss": 0.5}]})
    assert POINTS / 2 < len(found.updates) <= POINTS + 1
    assert (found.updates[0].step, found.updates[-1].step) == (1, 5000)
    assert found.validation == ((5000, 0.5),)


@pytest.mark.parametrize("table", [
    {"recipe": "triage.yaml", "rows": [1], "versions": None, "findings": "none", "seconds": "long"},
    {"loss": [{"step": 1, "loss": None, "rate": 1e-3, "norm": 1.0}, {"step": "two"}, 3], "validation": [{"step": 1}]},
    {"loss": {"step": 1}, "validation": "0.3", "device": None},
])  # fmt: skip
def test_what_a_foreign_training_file_gets_wrong_is_left_out(tmp_path: Path, table: dict[str, Any]) -> None:
    found = read_lineage(("a", version(tmp_path, table, [])), None).candidate
    assert found is not None
    assert (found.updates, found.validation) == ((), ())
    # A record that holds it can be read again.
    assert msgspec.json.decode(msgspec.json.encode(found), type=Training) == found


def test_a_loss_that_was_not_finite_leaves_a_gap_and_the_rest_stands(tmp_path: Path) -> None:
    steps = [{"step": i, "loss": None if i == 2 else 0.5, "rate": 1e-3, "norm": 1.0, "tokens": 9} for i in (1, 2, 3)]
    found = training_of("a", {"loss": steps, "validation": [{"step": 3, "validation_loss": 0.25}]})
    assert [update.step for update in found.updates] == [1, 3]
    assert found.validation == ((3, 0.25),)
