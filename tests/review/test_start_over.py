"""Forms sent out anew with --replace: nothing of the earlier export counts, and nothing of it is lost."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import pytest
from reviewed import RUN, answered, project, run

from harness.cli.main import run as harness
from harness.record import read_record
from harness.review.kept import read_review, review_for

EXPORT = ["review", "export", RUN, "--reviewers", "ana,ben", "--cases", "20", "--overlap", "50%"]
AGAIN = ["review", "export", RUN, "--reviewers", "ana,cleo", "--cases", "20", "--overlap", "100%", "--replace"]


def better(case: str) -> float:
    return 1.0


def differently(case: str) -> float:
    return float(int(case[-1]) % 2)


@pytest.fixture
def imported(tmp_path, monkeypatch, capsys) -> Path:
    """A run whose two reviewers sent everything back; they differ, and dora has a form of what to settle."""
    monkeypatch.chdir(tmp_path)
    asks = "margin = 0.2\n[tool.harness.gate.review]\nrequired = true\nmin_reviewers = 2\nmargin = 0.4\n"
    folder = project(tmp_path, run(20), asks)
    assert harness(EXPORT) == 0
    harness(["review", "import", str(answered(folder, "ana", better)), str(answered(folder, "ben", differently))])
    assert harness(["review", "export", RUN, "--adjudicate", "--reviewers", "dora"]) == 0
    capsys.readouterr()
    return folder


def aside(folder: Path) -> Path:
    (found,) = (folder / "review").glob("replaced-*")
    return found


def test_what_was_imported_before_counts_no_more_and_is_kept(imported, capsys):
    before = (imported / "review.json").read_bytes()
    assert harness(AGAIN) == 0
    told = capsys.readouterr().out
    assert "set aside: " in told
    assert f"now in reports/{RUN}/review/{aside(imported).name}" in told
    assert "gate: INVALID, without the earlier answers" in told
    assert read_review(imported) is None
    assert (aside(imported) / "review.json").read_bytes() == before
    kept = {file.name for file in aside(imported).iterdir()}
    assert {"review.key.json", "adjudication.key.json", "review-ben.html", "adjudication-dora.csv"} <= kept
    assert {file.name for file in (imported / "review" / "forms").iterdir()} == {
        "review-ana.csv",
        "review-ana.html",
        "review-cleo.csv",
        "review-cleo.html",
    }


def test_the_gate_waits_for_the_new_answers_and_then_hears_them_alone(imported, tmp_path, capsys):
    harness(AGAIN)
    capsys.readouterr()
    assert harness(["gate", "--record", f"reports/{RUN}"]) == 11
    assert "no human review yet: waiting for ana, cleo" in capsys.readouterr().out
    assert "5 lost" not in (imported / "summary.md").read_text(encoding="utf-8")
    new = [str(answered(imported, name, better)) for name in ("ana", "cleo")]
    assert harness(["review", "import", *new]) == 0
    review = read_review(imported)
    assert review is not None
    assert {one.reviewer for one in review.opinions} == {"ana", "cleo"}


def test_a_later_run_with_the_same_answers_waits_as_well(imported, tmp_path):
    later = project(tmp_path, run(20, run_id="later"))
    assert review_for(later, read_record(later)) == read_review(imported)
    harness(AGAIN)
    review = review_for(later, read_record(later))
    assert review is not None
    assert (review.run_id, review.invited, review.readers) == (RUN, ("ana", "cleo"), ())


def test_another_runs_review_does_not_stand_in_for_one_that_was_started_over(imported, tmp_path):
    later = project(tmp_path, run(20, run_id="later"))
    (later / "review.json").write_bytes((imported / "review.json").read_bytes())
    harness(AGAIN)
    review = review_for(imported, read_record(imported))
    assert review is not None
    assert review.readers == ()


def test_status_speaks_of_the_new_export_only(imported, capsys):
    harness(AGAIN)
    capsys.readouterr()
    assert harness(["review", "status"]) == 0
    told = capsys.readouterr().out
    assert len(re.findall(r"(?:ana|cleo): 0 of \d+ pages, nothing yet", told)) == 2
    assert "ben" not in told
    assert "adjudication" not in told
    assert "INVALID review: no human review yet: waiting for ana, cleo" in told


def test_answers_of_an_earlier_export_are_refused_with_when_it_was_replaced_and_where_they_lie(
    imported, tmp_path, capsys
):
    (tmp_path / "old").mkdir()
    old = answered(imported, "ben", better, tmp_path / "old")
    settled = answered(imported, "dora", better, tmp_path / "old", export="adjudication")
    harness(AGAIN)
    capsys.readouterr()
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    for file in (old, settled):
        assert harness(["review", "import", str(file)]) == 4
        told = capsys.readouterr().err
        assert f"made for an earlier export of run {RUN}, which was replaced on {today}" in told
        assert "another project" not in told
    assert harness(["review", "import", str(old)]) == 4
    assert f"reports/{RUN}/review/{aside(imported).name}/review.json" in capsys.readouterr().err
    assert read_review(imported) is None


def test_nothing_is_harvested_of_answers_that_were_set_aside(imported, capsys):
    harness(AGAIN)
    capsys.readouterr()
    assert harness(["review", "to-preferences", RUN, "--out", "pairs.jsonl"]) == 4
    told = capsys.readouterr().err
    assert f"no review was imported. Forms of run {RUN} are out: waiting for ana, cleo." in told


def test_starting_over_twice_keeps_both(imported):
    harness(AGAIN)
    harness(["review", "import", str(answered(imported, "ana", better))])
    harness(AGAIN)
    answers = sorted((imported / "review").glob("replaced-*/review.json"))
    assert len(answers) == 2
    assert answers[0].read_bytes() != answers[1].read_bytes()


def test_a_new_adjudication_leaves_what_was_settled(imported, tmp_path, capsys):
    file = answered(imported, "dora", lambda case: 1.0 if case < "case-010" else None, export="adjudication")
    harness(["review", "import", str(file)])
    before = read_review(imported)
    assert before is not None
    assert before.adjudicated
    assert harness(["review", "export", RUN, "--adjudicate", "--reviewers", "eve", "--replace"]) == 0
    assert read_review(imported) == before
    capsys.readouterr()
    assert harness(["review", "import", str(file)]) == 4
    assert "What was imported of that export before still counts" in capsys.readouterr().err


def test_answers_whose_key_is_elsewhere_are_not_written_over_by_accident(imported, capsys):
    for key in (imported / "review").glob("*.key.json"):
        key.unlink()
    assert harness(EXPORT) == 4
    assert "this run has answers already, to forms whose key is not here" in capsys.readouterr().err
    assert harness(AGAIN) == 0
    assert (aside(imported) / "review.json").is_file()


def test_answers_to_other_forms_than_those_that_are_out_count_nowhere(imported):
    """What a version left behind that replaced the key alone."""
    answers = (imported / "review.json").read_bytes()
    harness(AGAIN)
    (imported / "review.json").write_bytes(answers)
    review = review_for(imported, read_record(imported))
    assert review is not None
    assert review.readers == ()
