"""Pairing by case id: nothing is dropped in silence, and one id is one question."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import HarnessError, Invalid, ScoreFileError
from harness.gate import decide
from harness.policy import GatePolicy
from harness.scorefiles.comparison import comparison_record
from harness.scorefiles.pairing import pair
from harness.scorefiles.reading import read_scores
from harness.scorefiles.values import Columns


@pytest.fixture
def sides(tmp_path, monkeypatch):
    """Writes two tables and reads them."""
    monkeypatch.chdir(tmp_path)

    def write(ours: str, theirs: str, columns: Columns | None = None):
        Path("a.csv").write_text(ours, encoding="utf-8")
        Path("b.csv").write_text(theirs, encoding="utf-8")
        return tuple(read_scores(Path(name), columns or Columns()) for name in ("a.csv", "b.csv"))

    return write


def record_of(ours, theirs, pairing, **policy):
    return comparison_record(
        ours, theirs, pairing, GatePolicy(**policy), run_id="r", created="c", harness_version="0", arguments=()
    )


def test_cases_are_paired_by_id_in_whatever_order_they_stand(sides):
    ours, theirs = sides("id,score\na,1\nb,0\nc,1\n", "id,score\nc,0\na,1\nb,1\n")
    (one,) = pair(ours, theirs).sets
    assert [(a.id, a.share, b.share) for a, b in one.pairs] == [("a", 1, 1), ("b", 0, 1), ("c", 1, 0)]
    assert one.name == "scores"


def test_missing_pairs_are_an_error_that_names_them(sides):
    ours, theirs = sides("id,score\na,1\nb,0\nonly-a,1\n", "id,score\na,1\nb,\nonly-b,1\n")
    with pytest.raises(Invalid) as told:
        pair(ours, theirs)
    assert str(told.value) == (
        "set 'scores': 1 of 3 cases are not in b.csv: only-a; set 'scores': 1 of 3 cases are not in a.csv: only-b; "
        "set 'scores': 1 of 3 cases have no score in b.csv: b (no score at b.csv:3). A missing pair is never dropped "
        "in silence: score these cases, or leave them out with --missing drop, which counts and shows them."
    )


def test_dropped_pairs_are_counted_in_the_verdict(sides):
    ours, theirs = sides("id,score\na,1\nb,0\nonly-a,1\n", "id,score\na,1\nb,0\nonly-b,1\n")
    pairing = pair(ours, theirs, missing="drop")
    record, _ = record_of(ours, theirs, pairing)
    assert [case.case for case in record.sets[0].cases] == ["a", "b"]
    assert decide(record, record.policy).notes[:2] == (
        "left out: set 'scores': 1 of 3 cases are not in b.csv: only-a",
        "left out: set 'scores': 1 of 3 cases are not in a.csv: only-b",
    )


def test_dropping_everything_leaves_nothing_to_judge(sides):
    ours, theirs = sides("id,score\na,1\n", "id,score\nb,1\n")
    with pytest.raises(Invalid, match="no case has a score on both sides"):
        pair(ours, theirs, missing="drop")


def test_many_missing_ids_are_named_up_to_a_point_and_counted(sides):
    ours, theirs = sides("id,score\n" + "".join(f"q{i},1\n" for i in range(50)), "id,score\nq0,0\n")
    with pytest.raises(Invalid, match=r"49 of 50 cases are not in b\.csv: q1, .*q20 and 29 more"):
        pair(ours, theirs)


def test_one_id_for_two_questions_is_refused(sides):
    ours, theirs = sides("id,score,prompt\na,1,What is 1+1?\n", "id,score,prompt\na,0,What is 2+2?\n")
    with pytest.raises(Invalid, match=r"1 of 1 ids mean another question in b\.csv than in a\.csv: a"):
        pair(ours, theirs)


def test_a_copy_of_the_same_file_is_refused(sides):
    ours, theirs = sides("id,score\na,1\n", "id,score\na,1\n")
    with pytest.raises(Invalid, match="the same, byte for byte"):
        pair(ours, theirs)


def test_sets_are_chosen_by_name_and_an_unknown_one_is_told(sides):
    ours, theirs = sides("id,set,score\na,x/1,1\nb,y,1\n", "id,set,score\na,x/1,0\nc,y,1\n")
    assert [one.name for one in pair(ours, theirs, sets=["x/*"]).sets] == ["x/1"]
    with pytest.raises(ScoreFileError, match="--set: unknown set 'z'"):
        pair(ours, theirs, sets=["z"])


def test_a_set_that_one_side_lacks_is_missing(sides):
    ours, theirs = sides("id,set,score\na,x,1\nb,y,1\n", "id,set,score\na,x,0\n")
    with pytest.raises(Invalid, match=r"set 'y' \(1 cases\) is not in b\.csv"):
        pair(ours, theirs)


def test_clusters_are_one_unit_each(sides):
    rows = "".join(f"q{i},p{i // 4},{{}}\n" for i in range(40))
    ours, theirs = sides(
        "id,cluster,score\n" + rows.format(*[1] * 40), "id,cluster,score\n" + rows.format(*[0, 1] * 20)
    )
    record, _ = record_of(ours, theirs, pair(ours, theirs))
    compared = decide(record, record.policy).sets[0].against_baseline
    assert compared is not None
    assert (compared.n, compared.n_clusters) == (40, 10)


def test_a_regression_fails_and_names_its_cases(sides):
    ours, theirs = sides(
        "id,score\n" + "".join(f"q{i},{int(i >= 12)}\n" for i in range(60)),
        "id,score\n" + "".join(f"q{i},1\n" for i in range(60)),
    )
    record, _ = record_of(ours, theirs, pair(ours, theirs), margin=0.02)
    verdict = decide(record, record.policy)
    assert verdict.status == "FAIL"
    assert verdict.sets[0].ratchet == tuple(f"q{i}" for i in range(12))


def test_byte_identical_answers_are_the_same_answers(sides):
    ours, theirs = sides("id,score,answer\na,1,yes\nb,0,no\n", "id,answer,score\na,yes,1\nb,no,0\n")
    record, _ = record_of(ours, theirs, pair(ours, theirs))
    verdict = decide(record, record.policy)
    assert (verdict.status, verdict.sets[0].same_answers) == ("PASS", True)


def test_without_answers_equal_scores_are_judged_by_their_number(sides):
    ours, theirs = sides("id,score\na,1\nb,0\n", "id,score\nb,0\na,1\n")
    record, _ = record_of(ours, theirs, pair(ours, theirs))
    assert decide(record, record.policy).status == "INCONCLUSIVE"


def test_a_folder_of_tables_is_one_set_for_each_file(tmp_path):
    for side, score in (("new", 1), ("old", 0)):
        for name in ("refunds", "sums"):
            file = tmp_path / side / f"{name}.csv"
            file.parent.mkdir(exist_ok=True)
            file.write_text(f"id,score\na,{score}\n")
    ours, theirs = (read_scores(tmp_path / side, Columns()) for side in ("new", "old"))
    assert [one.name for one in pair(ours, theirs).sets] == ["refunds", "sums"]
    assert (ours.label, theirs.label) == ("new", "old")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gone.csv", None, "there is no such file or folder"),
        ("scores.xlsx", "PK", "no scores of single cases stand in such a file"),
        ("scores.json", "[1, 2]", "no scores of single cases stand in such a file"),
        ("empty/", None, "no scores in this folder"),
    ],
)
def test_what_cannot_be_read_is_told_with_what_can(tmp_path, name, content, said):
    path = tmp_path / name
    if name.endswith("/"):
        path.mkdir()
    elif content is not None:
        path.write_text(content)
    with pytest.raises(HarnessError, match=said):
        read_scores(path, Columns())
