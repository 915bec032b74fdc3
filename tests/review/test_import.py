"""What comes back: whole, half, edited, twice, from elsewhere, from a spreadsheet. Explained, and nothing lost."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from reviewed import RUN, answered, drawn, form_and_key, pressed, project, reviewed, run, saved, subject

from harness.cli.main import run as harness
from harness.errors import ReviewError
from harness.review.findings import findings
from harness.review.kept import read_review, write_review
from harness.review.opinions import unblind
from harness.review.returned import read_returned
from harness.review.seal import read_key
from harness.review.spreadsheet import write_csv
from harness.review.telling import review_lines


@pytest.fixture
def blinded():
    return drawn(subject(8))


def half(case: str) -> float | None:
    return 1.0 if case < "case-004" else None


def sheet(blinded, folder: Path, edit=None, reviewer: int = 0) -> Path:
    """Ana's CSV with the candidate preferred everywhere; `edit(rows)` may do to it what spreadsheets and people do."""
    form = blinded.forms[reviewer]
    rows = list(csv.reader(io.StringIO(write_csv(form).removeprefix("\ufeff"), newline="")))
    choices = pressed(blinded.key, form, lambda case: 1.0)
    at = next(i for i, title in enumerate(rows[0]) if title.startswith("choice"))
    for row in rows[1:]:
        row[at] = choices[row[1]] or ""
    if edit is not None:
        edit(rows)
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\r\n").writerows(rows)
    path = folder / f"{form.reviewer}.csv"
    path.write_text(stream.getvalue(), encoding="utf-8")
    return path


def test_a_half_filled_file_counts_as_far_as_it_goes(blinded, tmp_path):
    review = reviewed(tmp_path, blinded, {"ana": half})
    assert (review.readers[0].done, review.readers[0].pages) == (4, 8)
    assert review.complete == ()
    assert {one.case for one in review.opinions} == {f"case-00{i}" for i in range(4)}


def test_sides_are_put_back(blinded, tmp_path):
    review = reviewed(tmp_path, blinded, {"ana": lambda case: 1.0, "ben": lambda case: 0.0})
    assert {(one.reviewer, one.score) for one in review.opinions} == {("ana", 1.0), ("ben", 0.0)}
    assert {one.pressed for one in review.opinions} == {"left", "right"}


def test_marks_follow_the_candidate(blinded, tmp_path):
    form = blinded.forms[0]
    file = saved(
        tmp_path,
        form,
        pressed(blinded.key, form, lambda case: 0.5),
        **{page.id: {"marks": {"safety": "1", "fluency": "0"}} for page in form.pages},
    )
    _, opinions = unblind(read_returned(file), blinded.key)
    slots = {slot.case: slot for slot in blinded.key.forms[0].slots}
    for one in opinions:
        assert one.marks == {"safety": 1 if slots[one.case].candidate == "left" else -1, "fluency": 0}


def test_a_file_that_was_edited_after_saving_is_refused(blinded, tmp_path):
    file = saved(tmp_path, blinded.forms[0], pressed(blinded.key, blinded.forms[0], lambda case: 1.0))
    file.write_text(file.read_text().replace('"choice": "1"', '"choice": "2"', 1))
    with pytest.raises(ReviewError, match="changed after the page saved them"):
        read_returned(file)


def test_an_edited_id_is_named_with_the_nearest_and_the_rest_is_kept(blinded, tmp_path):
    def edit(rows):
        rows[2][1] = rows[2][1][:-1] + "q"

    reader, opinions = unblind(read_returned(sheet(blinded, tmp_path, edit)), blinded.key)
    assert len(opinions) == 7
    assert not reader.complete
    assert "its id was changed" in reader.notes[0]
    assert "perhaps" in reader.notes[0]


def test_one_page_answered_in_two_ways_is_refused_and_the_same_twice_is_not(blinded, tmp_path):
    def other(rows):
        at = next(i for i, title in enumerate(rows[0]) if title.startswith("choice"))
        rows.append([*rows[1]])
        rows[-1][at] = "2" if rows[1][at] == "1" else "1"

    with pytest.raises(ReviewError, match="answered twice"):
        read_returned(sheet(blinded, tmp_path, other))
    assert len(read_returned(sheet(blinded, tmp_path, lambda rows: rows.append(rows[1]))).given) == 8


def test_a_spreadsheets_ways_of_writing_are_understood(blinded, tmp_path):
    spelled = {"1": "1.0", "2": " Right", "0": "一样好"}

    def edit(rows):
        at = next(i for i, title in enumerate(rows[0]) if title.startswith("choice"))
        for row in rows[1:]:
            row[at] = spelled[row[at]]
        for row in rows:
            row.reverse()
        rows.append([""] * len(rows[0]))

    _, opinions = unblind(read_returned(sheet(blinded, tmp_path, edit)), blinded.key)
    assert [one.score for one in opinions] == [1.0] * 8


def test_the_digits_of_a_chinese_keyboard_are_digits(blinded, tmp_path):
    wide = {"1": "１", "2": "②", "0": "０．０"}

    def edit(rows):
        at = next(i for i, title in enumerate(rows[0]) if title.startswith("choice"))
        for row in rows[1:]:
            row[at] = wide[row[at]]

    _, opinions = unblind(read_returned(sheet(blinded, tmp_path, edit)), blinded.key)
    assert [one.score for one in opinions] == [1.0] * 8


@pytest.mark.parametrize("mark", ["②", "9", "٣", "well"])
def test_a_mark_that_is_none_is_told_with_its_page(tmp_path, mark):
    blinded = drawn(subject(3, mode="single", name="single"), ("ana",))
    (form,) = blinded.forms
    file = saved(tmp_path, form, {form.pages[1].id: "4"}, **{form.pages[1].id: {"marks": {"safety": mark}}})
    with pytest.raises(ReviewError, match=rf"page {form.pages[1].id}: safety '{mark}' is none of 1, 2, 3, 4, 5"):
        unblind(read_returned(file), blinded.key)


@pytest.mark.parametrize("field", [{"seconds": "12s"}, {"marks": [1]}, {"marks": {"safety": 1}}, {"choice": 1}])
def test_an_answer_of_another_type_is_explained(blinded, tmp_path, field):
    form = blinded.forms[0]
    file = saved(tmp_path, form, pressed(blinded.key, form, lambda case: 1.0))
    table = json.loads(file.read_text())
    table["answers"][0] |= field
    file.write_text(json.dumps(table))
    with pytest.raises(ReviewError, match=r"Expected .* Ask ana to save again"):
        read_returned(file)


def test_a_choice_that_is_none_is_told_with_its_page(blinded, tmp_path):
    def edit(rows):
        rows[1][next(i for i, title in enumerate(rows[0]) if title.startswith("choice"))] = "both"

    with pytest.raises(ReviewError, match=r"ana.csv: page \w+: choice 'both' is none of 0, 1, 2"):
        unblind(read_returned(sheet(blinded, tmp_path, edit)), blinded.key)


def test_texts_that_a_spreadsheet_lost_are_noted(blinded, tmp_path):
    def edit(rows):
        rows[1][3] = rows[1][3][:2]

    reader, _ = unblind(read_returned(sheet(blinded, tmp_path, edit)), blinded.key)
    assert "not as they were sent" in reader.notes[0]
    assert unblind(read_returned(sheet(blinded, tmp_path)), blinded.key)[0].notes == ()


def test_a_reason_in_own_words_is_kept_as_a_comment(blinded, tmp_path):
    def edit(rows):
        at = {title.split(" (")[0]: i for i, title in enumerate(rows[0])}
        rows[1][at["choice"]], rows[1][at["skip"]] = "", "expert"
        rows[2][at["skip"]], rows[2][at["comment"]] = "=my dog ate it", "-5 degrees"

    _, opinions = unblind(read_returned(sheet(blinded, tmp_path, edit)), blinded.key)
    assert [(one.score, one.skip, one.comment) for one in opinions[:2]] == [
        (None, "expert", ""),
        (None, "other", "-5 degrees\n=my dog ate it"),
    ]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("<!doctype html><html>", "the empty form"),
        ("PK\x03\x04....", "Ask for it as CSV"),
        ('{"format": 1}', "not the file that a form saves"),
        ("{", "not the file that a form saves"),
        ("", "no column"),
        ("form,id,choice\r\n", "no rows below the titles"),
        ("form,id,choice\r\na,b,1\r\nc,d,1\r\n", "rows of 2 forms"),
        ("form,id,choice\r\na,,1\r\n", "a row without its id"),
        ("form,id,choice\r\na,b,1,x,y\r\n", "more cells than there are titles"),
    ],
)
def test_a_file_that_is_no_answer_is_explained(tmp_path, data, said):
    file = tmp_path / "x"
    file.write_text(data, encoding="latin-1", newline="")
    with pytest.raises(ReviewError, match=said):
        read_returned(file)


def test_a_review_that_was_changed_by_hand_is_refused(blinded, tmp_path):
    review = reviewed(tmp_path, blinded, {"ana": lambda case: 1.0})
    file = write_review(tmp_path, review)
    assert read_review(tmp_path) == review
    file.write_text(file.read_text().replace('"score": 1.0', '"score": 0.0', 1))
    with pytest.raises(ReviewError, match="changed by hand"):
        read_review(tmp_path)


def test_whoever_always_presses_one_key_or_side_is_reported(tmp_path):
    blinded = drawn(subject(20), ("ana", "ben"))
    found = []
    for form, key in zip(blinded.forms, ("1", "0"), strict=True):
        file = saved(tmp_path, form, {page.id: key for page in form.pages})
        found.append(unblind(read_returned(file), blinded.key))
    from harness.review.opinions import joined

    told = findings(joined(None, blinded.key, found))
    assert "chose answer 1 on 20 of 20 pages" in told.readers[0].doubts[0]
    assert "chose about equal on 20 of 20 pages" in told.readers[1].doubts[0]


# What follows goes through the command line.


@pytest.fixture
def exported(tmp_path, monkeypatch, capsys) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = project(tmp_path, run(20), "[tool.harness.gate.review]\nrequired = true\nmin_reviewers = 2\n")
    assert harness(["review", "export", RUN, "--reviewers", "ana,ben", "--cases", "20", "--overlap", "50%"]) == 0
    capsys.readouterr()
    return folder


def pages_of(exported: Path, name: str, folder: Path, which: slice) -> Path:
    """The file of a reviewer who prefers the candidate on these pages, whichever cases were drawn for them."""
    form, key = form_and_key(exported, name)
    choices = pressed(key, form, lambda case: 1.0)
    to = folder / f"{which.start}-{which.stop}"
    to.mkdir()
    return saved(to, form, {page.id: choices[page.id] for page in form.pages[which]})


def test_two_files_of_one_reviewer_are_refused_and_a_copy_is_not(exported, tmp_path, capsys):
    first = answered(exported, "ana", lambda case: 1.0)
    (tmp_path / "later").mkdir()
    second = answered(exported, "ana", lambda case: 0.0, tmp_path / "later")
    assert harness(["review", "import", str(first), str(second)]) == 4
    assert "ana sent two files that differ" in capsys.readouterr().err
    assert read_review(exported) is None
    second.write_bytes(first.read_bytes())
    assert harness(["review", "import", str(first), str(second)]) == 11
    assert "1 of 2 forms complete, 2 needed" in capsys.readouterr().out


def test_what_comes_later_replaces_and_nothing_that_was_sent_is_lost(exported, tmp_path):
    (tmp_path / "later").mkdir()
    harness(["review", "import", str(answered(exported, "ana", lambda case: 1.0 if case < "case-010" else None))])
    harness(["review", "import", str(answered(exported, "ben", lambda case: 0.5))])
    harness(["review", "import", str(answered(exported, "ana", lambda case: 0.0, tmp_path / "later"))])
    review = read_review(exported)
    assert review is not None
    assert {(one.reviewer, one.score) for one in review.opinions} == {("ana", 0.0), ("ben", 0.5)}
    assert len(list((exported / "review" / "returned").iterdir())) == 3


def test_a_later_file_that_would_lose_answers_is_refused_and_both_counts_are_named(exported, tmp_path, capsys):
    full, less = pages_of(exported, "ana", tmp_path, slice(None)), pages_of(exported, "ana", tmp_path, slice(3))
    harness(["review", "import", str(full)])
    review = read_review(exported)
    assert review is not None
    before, after = len(review.opinions), len(unblind(read_returned(less), form_and_key(exported, "ana")[1])[1])
    capsys.readouterr()
    assert harness(["review", "import", str(less)]) == 4
    told = capsys.readouterr().err
    assert f"ana sent {before} answers before, and this file has {after}: {before - after} of the earlier ones" in told
    assert read_review(exported) == review
    assert harness(["review", "import", str(less), "--replace"]) == 11
    assert f"ana: replaces {before} answers with {after}" in capsys.readouterr().out


def test_a_later_file_as_large_that_answers_other_pages_is_refused_too(exported, tmp_path):
    first, rest = pages_of(exported, "ana", tmp_path, slice(10)), pages_of(exported, "ana", tmp_path, slice(-10, None))
    harness(["review", "import", str(first)])
    before = read_review(exported)
    assert harness(["review", "import", str(rest)]) == 4
    assert read_review(exported) == before


def test_a_later_file_without_the_marks_and_comments_or_the_judgements_is_refused_and_names_what_is_lost(
    exported, tmp_path, capsys
):
    form, key = form_and_key(exported, "ana")
    choices = pressed(key, form, lambda case: 1.0)
    marks = {page.id: {"comment": "unsafe!", "marks": {"safety": choices[page.id]}} for page in form.pages[:3]}
    for name in ("bare", "skipping"):
        (tmp_path / name).mkdir()
    full = saved(tmp_path, form, choices, **marks)
    bare = saved(tmp_path / "bare", form, choices)
    skipping = saved(
        tmp_path / "skipping", form, {}, **{page.id: marks.get(page.id, {}) | {"skip": "other"} for page in form.pages}
    )
    harness(["review", "import", str(full)])
    before, many = read_review(exported), len(form.pages)
    for file, lost in ((bare, "3 marks, 3 comments"), (skipping, f"{many} judgements")):
        capsys.readouterr()
        assert harness(["review", "import", str(file)]) == 4
        assert f"this file has {many}: {lost} would be lost. Nothing was imported" in capsys.readouterr().err
        assert read_review(exported) == before
    assert harness(["review", "import", str(bare), "--replace"]) == 11
    assert f"ana: replaces {many} answers with {many}; lost: 3 marks, 3 comments" in capsys.readouterr().out


def test_an_adjudicators_later_file_adds_and_takes_back_only_with_replace(exported, tmp_path, capsys):
    files = [answered(exported, "ana", lambda case: 1.0), answered(exported, "ben", lambda case: 0.0)]
    harness(["review", "import", *map(str, files)])
    harness(["review", "export", RUN, "--adjudicate", "--reviewers", "dora"])
    form, key = form_and_key(exported, "dora", "adjudication")
    choices = pressed(key, form, lambda case: 1.0)
    first, rest = form.pages[:4], form.pages[4:]
    (tmp_path / "later").mkdir()
    (tmp_path / "last").mkdir()
    harness(["review", "import", str(saved(tmp_path, form, {page.id: choices[page.id] for page in first}))])
    more = saved(tmp_path / "later", form, {page.id: choices[page.id] for page in rest})
    capsys.readouterr()
    assert harness(["review", "import", str(more)]) != 4
    settled = read_review(exported)
    assert settled is not None
    assert len(settled.adjudicated) == len(form.pages)
    back = saved(tmp_path / "last", form, {}, **{page.id: {"skip": "other"} for page in first})
    capsys.readouterr()
    assert harness(["review", "import", str(back)]) == 4
    assert "dora sent 4 answers before, and this file has 4: 4 judgements would be lost" in capsys.readouterr().err
    assert read_review(exported) == settled
    assert harness(["review", "import", str(back), "--replace"]) != 4


def test_a_fuller_file_replaces_and_says_so_and_the_same_file_again_says_nothing(exported, tmp_path, capsys):
    (tmp_path / "later").mkdir()
    first = answered(exported, "ana", lambda case: 1.0 if case < "case-010" else None)
    full = answered(exported, "ana", lambda case: 1.0, tmp_path / "later")
    harness(["review", "import", str(first)])
    capsys.readouterr()
    harness(["review", "import", str(full)])
    assert "ana: replaces " in capsys.readouterr().out
    harness(["review", "import", str(full)])
    assert "replaces" not in capsys.readouterr().out


def test_a_page_that_was_saved_without_an_answer_is_refused(exported, tmp_path, capsys):
    harness(["review", "import", str(answered(exported, "ana", lambda case: 1.0))])
    before = read_review(exported)
    (tmp_path / "later").mkdir()
    empty = answered(exported, "ana", lambda case: None, tmp_path / "later")
    capsys.readouterr()
    assert harness(["review", "import", str(empty), "--replace"]) == 4
    assert "no page is answered. Ask ana to open the form" in capsys.readouterr().err
    assert read_review(exported) == before


def test_files_of_another_run_are_refused(exported, tmp_path, capsys):
    other = project(tmp_path, run(20, run_id="other"))
    assert harness(["review", "export", "other", "--reviewers", "ana"]) == 0
    files = [answered(other, "ana", lambda case: 1.0, tmp_path), answered(exported, "ben", lambda case: 1.0, tmp_path)]
    assert harness(["review", "import", *map(str, files)]) == 4
    assert "answer different reviews" in capsys.readouterr().err
    stranger = drawn(subject(3)).forms[0]
    assert harness(["review", "import", str(saved(tmp_path, stranger, {stranger.pages[0].id: "1"}))]) == 4
    assert "another project or run" in capsys.readouterr().err


def test_forms_are_not_sent_out_twice_by_accident(exported, capsys):
    again = ["review", "export", RUN, "--reviewers", "ana"]
    old = answered(exported, "ben", lambda case: 1.0)
    assert harness(again) == 4
    assert "has forms out already" in capsys.readouterr().err
    assert harness([*again, "--replace"]) == 0
    assert harness(["review", "import", str(old)]) == 4


@pytest.mark.parametrize("bad", [["--rubric", "none.txt"], ["--to", "pyproject.toml"]])
def test_an_export_that_fails_takes_no_key_out_of_use(exported, capsys, bad):
    answers = answered(exported, "ana", lambda case: 1.0)
    before = {file: file.read_bytes() for file in (exported / "review").rglob("*") if file.is_file()}
    assert harness(["review", "export", RUN, "--reviewers", "ana,ben", "--replace", *bad]) == 4
    assert {file: file.read_bytes() for file in (exported / "review").rglob("*") if file.is_file()} == before
    # Nor does one without forms keep the next from being made.
    assert harness(["review", "export", RUN, "--single", "--reviewers", "ana", *bad]) == 4
    assert harness(["review", "export", RUN, "--single", "--reviewers", "ana"]) == 0
    assert harness(["review", "import", str(answers)]) == 11


def test_a_second_export_without_replace_leaves_the_forms_that_are_out(exported):
    page = (exported / "review" / "forms" / "review-ana.html").read_bytes()
    assert harness(["review", "export", RUN, "--reviewers", "ana,ben"]) == 4
    assert (exported / "review" / "forms" / "review-ana.html").read_bytes() == page


def test_a_damaged_key_can_be_replaced(exported):
    file = exported / "review" / "review.key.json"
    damaged = file.read_bytes()[:-30]
    file.write_bytes(damaged)
    assert harness(["review", "export", RUN, "--reviewers", "ana,ben", "--replace"]) == 0
    (aside,) = (exported / "review").glob("replaced-*/review.key.json")
    assert aside.read_bytes() == damaged
    assert read_key(file).name == "review"


def test_comments_cannot_command_the_terminal(exported, capsys):
    form, key = form_and_key(exported, "ana")
    page = form.pages[0].id
    extra = {page: {"comment": "\x1b[2J<b>bold</b>"}}
    file = saved(exported, form, pressed(key, form, lambda case: 1.0), **extra)
    harness(["review", "import", str(file)])
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "<b>bold</b>" in printed


def test_status_says_who_is_still_reading(exported, capsys):
    harness(["review", "import", str(answered(exported, "ana", lambda case: 1.0))])
    capsys.readouterr()
    assert harness(["review", "status"]) == 0
    told = capsys.readouterr().out
    assert "ana: " in told
    assert "complete" in told
    assert "nothing yet" in told
    assert "INVALID review" in told


def test_reviewers_who_disagree_are_settled_by_somebody_else(exported, tmp_path, capsys):
    files = [answered(exported, "ana", lambda case: 1.0), answered(exported, "ben", lambda case: 0.0)]
    harness(["review", "import", *map(str, files)])
    assert "--adjudicate --reviewers NAME" in capsys.readouterr().out
    assert harness(["review", "export", RUN, "--adjudicate", "--reviewers", "ana"]) == 4
    assert "Let somebody else settle it" in capsys.readouterr().err
    assert harness(["review", "export", RUN, "--adjudicate", "--reviewers", "dora"]) == 0
    told = capsys.readouterr().out
    assert "cases: 10 of 20: 10 on which reviewers disagree" in told
    assert "filler" not in told
    form, key = form_and_key(exported, "dora", "adjudication")
    assert len(form.pages) == 10
    again = ["review", "export", RUN, "--adjudicate", "--reviewers", "eve"]
    assert harness(again) == 4
    assert "start over with --replace" in capsys.readouterr().err
    harness(["review", "import", str(saved(tmp_path, form, pressed(key, form, lambda case: 0.0)))])
    review = read_review(exported)
    assert review is not None
    assert len(review.adjudicated) == 10
    told = findings(review)
    assert told.disputed == ()
    # The ten that both read are losses now, and so are the five of ben's own.
    assert len(told.losses) == 15
    assert any("15 lost" in line or "5/0/15" in line for line in review_lines(review, told))
