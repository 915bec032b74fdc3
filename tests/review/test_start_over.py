"""Forms sent out anew with --replace: nothing of the earlier export counts, and nothing of it is lost."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path

import pytest
from reviewed import RUN, answered, project, run

from harness.cli.main import run as harness
from harness.record import read_record
from harness.review.kept import read_review, review_for
from harness.review.returned import _Saved, _signature

EXPORT = ["review", "export", RUN, "--reviewers", "ana,ben", "--cases", "20", "--overlap", "50%", "--seed", "7"]
AGAIN = ["review", "export", RUN, "--reviewers", "ana,cleo", "--cases", "20", "--overlap", "100%", "--replace"]
AGAIN += ["--seed", "8"]


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
    told = "People, by 2 reviewers, blind"
    assert told in (imported / "summary.md").read_text(encoding="utf-8")
    harness(AGAIN)
    assert told not in (imported / "summary.md").read_text(encoding="utf-8")
    capsys.readouterr()
    assert harness(["gate", "--record", f"reports/{RUN}"]) == 11
    assert "no human review yet: waiting for ana, cleo" in capsys.readouterr().out
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


def renamed(file: Path, form: str) -> Path:
    """The file with another form's code, signed as a page would."""
    table = json.loads(file.read_text(encoding="utf-8")) | {"form": form, "digest": ""}
    table["digest"] = _signature(_Saved(**table))
    file.write_text(json.dumps(table), encoding="utf-8")
    return file


@pytest.mark.parametrize("damaged", [False, True])
def test_only_a_forms_own_code_makes_it_one_of_an_earlier_export(imported, capsys, damaged):
    old = answered(imported, "ben", better)
    code = json.loads(old.read_text(encoding="utf-8"))["form"]
    harness(AGAIN)
    key = aside(imported) / "review.key.json"
    if damaged:
        key.write_bytes(key.read_bytes()[:-30])
    for form in ("", "review", "ben", code[:-1]):
        capsys.readouterr()
        assert harness(["review", "import", str(renamed(old, form))]) == 4
        told = capsys.readouterr().err
        assert "another project or run" in told
        assert "earlier export" not in told
    assert harness(["review", "import", str(renamed(old, code))]) == 4
    assert f"made for an earlier export of run {RUN}" in capsys.readouterr().err


def test_a_key_that_cannot_be_read_stops_nobody_else_and_is_named_where_it_may_be_the_one(imported, capsys):
    old, mine = answered(imported, "ben", better), answered(imported, "ana", better)
    (imported / "review" / "a.key.json").mkdir()
    assert harness(["review", "import", str(mine)]) != 4
    (imported / "review" / "replaced-20260101-000000" / "a.key.json").mkdir(parents=True)
    harness(AGAIN)
    capsys.readouterr()
    assert harness(["review", "import", str(old)]) == 4
    told = capsys.readouterr().err
    assert "a.key.json: cannot be read (Is a directory), and no other key has form" in told
    (imported / "review" / "a.key.json").rmdir()
    assert harness(["review", "import", str(old)]) == 4
    assert f"made for an earlier export of run {RUN}" in capsys.readouterr().err


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


# A policy that hears people, and demands nothing of them, as it is by default.

HEARS = "margin = 0.2\n[tool.harness.gate.review]\nmin_reviewers = 2\nmargin = 0.1\n"
ALL = ["--cases", "20", "--overlap", "100%", "--seed", "9"]


def worse(case: str) -> float:
    return 0.0


def hearing(tmp_path, monkeypatch, want=worse) -> Path:
    """A run whose two reviewers have read everything, under a policy that does not demand it."""
    monkeypatch.chdir(tmp_path)
    folder = project(tmp_path, run(20), HEARS)
    assert harness(["review", "export", RUN, "--reviewers", "ana,ben", *ALL]) == 0
    harness(["review", "import", *(str(answered(folder, name, want)) for name in ("ana", "ben"))])
    return folder


def gated(run_id: str = RUN) -> int:
    return harness(["gate", "--record", f"reports/{run_id}"])


def test_a_peoples_no_that_was_set_aside_is_no_pass_although_no_review_is_demanded(tmp_path, monkeypatch, capsys):
    folder = hearing(tmp_path, monkeypatch)
    assert gated() == 1
    capsys.readouterr()
    assert harness(AGAIN) == 0
    assert "gate: INVALID, without the earlier answers" in capsys.readouterr().out
    assert gated() == 11
    told = capsys.readouterr().out
    assert "no human review yet: waiting for ana, cleo" in told
    assert f"next:   waiting for ana, cleo: harness review status {RUN}" in told
    harness(["review", "import", *(str(answered(folder, name, better)) for name in ("ana", "cleo"))])
    assert gated() == 0


def test_forms_that_nobody_answered_yet_stop_nobody_where_none_are_demanded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    project(tmp_path, run(20), HEARS)
    assert harness(EXPORT) == 0
    assert gated() == 0
    assert harness(AGAIN) == 0
    assert gated() == 0


@pytest.mark.parametrize("lost", ["key", "damaged key", "key of the first forms"])
def test_a_run_that_was_started_over_waits_whatever_became_of_its_keys(tmp_path, monkeypatch, capsys, lost):
    folder = hearing(tmp_path, monkeypatch)
    copy = project(tmp_path, run(20, run_id="copy"), HEARS)
    key = folder / "review" / "review.key.json"
    if lost == "key of the first forms":
        key.unlink()
    assert harness(AGAIN) == 0
    # What another run has of the same answers does not stand in for it either.
    (copy / "review.json").write_bytes((aside(folder) / "review.json").read_bytes())
    if lost == "key":
        key.unlink()
    if lost == "damaged key":
        key.write_bytes(key.read_bytes()[:-30])
    capsys.readouterr()
    assert gated() == 11
    told = capsys.readouterr().out
    if lost == "key of the first forms":
        assert f"next:   waiting for ana, cleo: harness review status {RUN}" in told
    else:
        assert f"next:   harness review export {RUN} --reviewers NAMES" in told
    assert harness(["review", "to-preferences", RUN, "--out", "pairs.jsonl"]) == 4


def test_a_later_run_whose_own_forms_are_out_waits_for_a_review_that_was_started_over(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    later = project(tmp_path, run(20, run_id="later"), HEARS)
    assert harness(["review", "export", "later", "--reviewers", "eve", *ALL]) == 0
    hearing(tmp_path, monkeypatch)
    assert gated("later") == 1
    harness(AGAIN)
    capsys.readouterr()
    assert gated("later") == 11
    assert f"waiting for ana, cleo: harness review status {RUN}" in capsys.readouterr().out
    harness(["review", "import", str(answered(later, "eve", better))])
    review = review_for(later, read_record(later))
    assert review is not None
    assert {reader.name for reader in review.readers} == {"eve"}


@pytest.mark.parametrize("more", [[], ["--replace"]])
def test_a_run_that_lives_on_anothers_review_is_started_over_there(tmp_path, monkeypatch, capsys, more):
    folder = hearing(tmp_path, monkeypatch)
    later = project(tmp_path, run(20, run_id="later"), HEARS)
    before = set((tmp_path / "reports").rglob("*"))
    again = ["review", "export", "later", "--reviewers", "cleo,dora", *ALL, *more]
    for _ in range(2):
        capsys.readouterr()
        assert harness(again) == 4
        told = capsys.readouterr().err
        assert f"what people said of run {RUN} holds for this run too" in told
        assert f"start over there: harness review export {RUN} --reviewers NAMES --replace" in told
        assert set((tmp_path / "reports").rglob("*")) == before
        # Nor can it be walked around once that was started over, and nobody has answered.
        harness(AGAIN)
        before = set((tmp_path / "reports").rglob("*"))
    assert gated("later") == 11
    # Whoever reads one answer at a time says nothing in the gate.
    assert harness(["review", "export", "later", "--single", "--reviewers", "cleo"]) == 0
    assert review_for(later, read_record(later)) == review_for(folder, read_record(folder))


# What was finished is never written over.


def contents(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_form_of_the_same_reviewer_is_kept_and_not_written_over(imported):
    """Somebody may have answered in it: a spreadsheet is filled in where it lies."""
    sheet = imported / "review" / "forms" / "review-ana.csv"
    sheet.write_bytes(sheet.read_bytes() + b"filled in")
    page = (imported / "review" / "forms" / "review-ana.html").read_bytes()
    harness(AGAIN)
    assert (aside(imported) / "review-ana.csv").read_bytes().endswith(b"filled in")
    assert (aside(imported) / "review-ana.html").read_bytes() == page
    assert (imported / "review" / "forms" / "review-ana.html").read_bytes() != page


def test_forms_without_a_key_are_set_aside_too(imported, capsys):
    (imported / "review.json").unlink()
    for key in (imported / "review").glob("*.key.json"):
        key.unlink()
    before = (imported / "review" / "forms" / "review-ben.csv").read_bytes()
    capsys.readouterr()
    assert harness(EXPORT) == 0
    assert "review-ben.csv" in capsys.readouterr().out
    assert (aside(imported) / "review-ben.csv").read_bytes() == before


def test_a_form_in_a_folder_that_is_not_the_runs_own_is_not_written_over(imported, tmp_path, capsys):
    (tmp_path / "sent").mkdir()
    (tmp_path / "sent" / "review-cleo.csv").write_text("filled in", encoding="utf-8")
    before = contents(imported)
    assert harness([*AGAIN, "--to", "sent"]) == 4
    assert "sent/review-cleo.csv is there already, and is not overwritten. Name another --to" in capsys.readouterr().err
    assert contents(imported) == before
    assert [file.name for file in (tmp_path / "sent").iterdir()] == ["review-cleo.csv"]


def test_where_nothing_can_be_set_aside_the_forms_that_are_out_stay(imported, monkeypatch, capsys):
    before = contents(imported)

    def refuse(self: Path, *args: object, **more: object) -> None:
        if self.name.startswith("replaced-"):
            raise PermissionError(13, "Permission denied")
        mkdir(self, *args, **more)

    mkdir = Path.mkdir
    monkeypatch.setattr(Path, "mkdir", refuse)
    assert harness(AGAIN) == 4
    assert "cannot be set aside (Permission denied). Mend its rights." in capsys.readouterr().err
    assert contents(imported) == before


def test_answers_that_lay_there_without_counting_are_kept_when_others_come(imported, tmp_path):
    answers = (imported / "review.json").read_bytes()
    harness(AGAIN)
    (aside(imported) / "review.json").rename(imported / "review.json")
    harness(["review", "import", str(answered(imported, "cleo", better))])
    review = read_review(imported)
    assert review is not None
    assert [reader.name for reader in review.readers] == ["cleo"]
    kept = [file.read_bytes() for file in (imported / "review").glob("replaced-*/review.json")]
    assert kept == [answers]


def test_answers_that_count_nowhere_are_not_sent_out_to_be_settled(imported, tmp_path, capsys):
    settled = answered(imported, "dora", better, export="adjudication")
    answers, key = imported / "review.json", imported / "review" / "adjudication.key.json"
    kept = answers.read_bytes(), key.read_bytes()
    harness(AGAIN)
    answers.write_bytes(kept[0])
    capsys.readouterr()
    assert harness(["review", "export", RUN, "--adjudicate", "--reviewers", "eve"]) == 4
    assert "nothing was imported yet, so nobody disagrees" in capsys.readouterr().err
    key.write_bytes(kept[1])
    assert harness(["review", "import", str(settled)]) == 4
    assert "a review that is not imported yet" in capsys.readouterr().err
    assert answers.read_bytes() == kept[0]


def test_nothing_is_imported_where_the_runs_texts_are_missing(imported, capsys):
    file = answered(imported, "ana", worse)
    (imported / "texts.json.gz").unlink()
    before = contents(imported)
    capsys.readouterr()
    assert harness(["review", "import", str(file)]) == 4
    assert "copy both" in capsys.readouterr().err
    assert contents(imported) == before
