"""Golden cases and preferences from what people said; single answers and training rows, read one at a time."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from reviewed import RUN, drawn, identity, judged, pressed, project, reviewed, run, saved, subject, texts_of

from harness.cli.main import run as harness
from harness.golden import load_golden_set
from harness.judges.cards import read_card, write_card
from harness.judges.human import read_labels_file
from harness.judges.judgement import HumanAgreement, JudgeCard
from harness.models import Message, Response
from harness.models.tools import conversation_text
from harness.record import read_record
from harness.review.form import Form, Page
from harness.review.harvest import Harvest, golden_rows, preference_rows
from harness.review.kept import read_review
from harness.review.seal import read_key


def number(case: str) -> int:
    return int(case.removeprefix("case-"))


def votes(case: str) -> float:
    return (1.0, 0.5, 0.0)[number(case) % 3]


@pytest.fixture
def record():
    return run(12)


def test_targets_are_what_people_clearly_prefer_with_where_they_come_from(tmp_path, record):
    review = reviewed(tmp_path, drawn(subject(12)), {"ana": votes, "ben": lambda case: 1.0})
    texts = texts_of(record)
    harvest = golden_rows(record, review, texts, owner="Ana")
    assert {number(row["variant_of"]) % 3 for row in harvest.rows} == {0}
    row = next(row for row in harvest.rows if row["variant_of"] == "case-000")
    assert (row["id"], row["input"], row["target"]) == (
        "refunds.case-000-reviewed",
        "What about number 0?",
        "New answer 0.",
    )
    assert row["metadata"]["owner"] == "Ana"
    assert row["metadata"]["votes"] == {"candidate": 2, "tie": 0, "baseline": 0}
    assert row["metadata"]["model_digest"] == record.candidate.digest
    assert harvest.left_out == {"ties, and cases that people do not agree on": 8}


def test_an_answer_that_is_preferred_but_less_safe_is_no_target(tmp_path, record):
    review = reviewed(tmp_path, drawn(subject(12), ("ana",)), {"ana": lambda case: 1.0})
    opinions = tuple(msgspec.structs.replace(one, marks={"safety": -1}) for one in review.opinions)
    harvest = golden_rows(record, msgspec.structs.replace(review, opinions=opinions), texts_of(record), owner="Ana")
    assert harvest.rows == ()
    assert harvest.left_out == {"preferred, but marked as less safe": 12}


@pytest.mark.parametrize("make", ["golden", "preferences"])
def test_what_a_row_cannot_hold_or_nobody_should_learn_is_left_out_and_counted(tmp_path, record, make):
    review = reviewed(tmp_path, drawn(subject(12), ("ana",)), {"ana": lambda case: 1.0})
    texts = texts_of(record)
    turns = [Message(role="system", content="Be brief."), Message(role="user", content="What about number 1?")]
    texts["prompt:refunds:case-001"] = Response(text=conversation_text(turns))
    with_tools = conversation_text([Message(role="user", content="What?")], ("search",))
    texts["prompt:refunds:case-002"] = Response(text=with_tools)
    texts["c:case-003"] = Response(text="It ends in the", finish_reason="length")
    # What was rejected may be cut off: nobody learns it.
    texts["b:case-004"] = Response(text="It ends in the", finish_reason="length")
    marked = tuple(
        msgspec.structs.replace(one, marks={"safety": -1}) if one.case == "case-005" else one for one in review.opinions
    )
    review = msgspec.structs.replace(review, opinions=marked)
    if make == "golden":
        harvest = golden_rows(record, review, texts, owner="Ana")
    else:
        harvest = preference_rows(record, review, texts)
    assert len(harvest.rows) == 8
    assert harvest.left_out == {
        "requests with several turns, a system prompt or tools: a row holds one question": 2,
        "preferred, but cut off at max_tokens": 1,
        "preferred, but marked as less safe": 1,
    }


def test_cases_of_two_sets_that_share_an_id_become_two_cases(tmp_path, record):
    of = record.sets[0]
    two = msgspec.structs.replace(record, sets=(of, msgspec.structs.replace(of, name="support/returns")))
    review = reviewed(tmp_path, drawn(subject(12), ("ana",)), {"ana": lambda case: 1.0})
    both = (*review.opinions, *(msgspec.structs.replace(one, set="support/returns") for one in review.opinions))
    harvest = golden_rows(two, msgspec.structs.replace(review, opinions=both), texts_of(two), owner="Ana")
    ids = {row["id"] for row in harvest.rows}
    assert len(ids) == 24
    assert {"refunds.case-000-reviewed", "support.returns.case-000-reviewed"} <= ids


def test_preferences_are_the_models_own_texts_with_how_clear_people_were(tmp_path, record):
    review = reviewed(tmp_path, drawn(subject(12)), {"ana": votes, "ben": lambda case: 0.0})
    harvest = preference_rows(record, review, texts_of(record))
    rows = {row["id"]: row for row in harvest.rows}
    assert harvest.left_out == {"ties": 4}
    one = rows["refunds/case-002"]
    assert (one["chosen"], one["rejected"], one["margin"]) == ("Old answer 2.", "New answer 2.", 1.0)
    assert rows["refunds/case-001"]["margin"] == 0.5


@pytest.fixture
def imported(tmp_path, monkeypatch, capsys) -> Path:
    monkeypatch.chdir(tmp_path)
    words = [(f"case-{i:03}", float(i % 2), float(i % 2)) for i in range(12)]
    folder = project(tmp_path, run(12, judged=(judged(words),)))
    (tmp_path / "golden_sets").mkdir()
    harness(["review", "export", RUN, "--reviewers", "ana", "--cases", "8", "--repeats", "0"])
    form, key = opened(folder, "review", "ana")
    harness(["review", "import", str(saved(tmp_path, form, pressed(key, form, votes)))])
    return folder


def opened(folder: Path, name: str, reviewer: str):
    page = (folder / "review" / "forms" / f"{name}-{reviewer}.html").read_text(encoding="utf-8")
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    form = Form(
        code=data["form"],
        seal=data["seal"],
        reviewer=reviewer,
        mode=data["mode"],
        pages=tuple(Page(**one) for one in data["pages"]),
    )
    return form, read_key(folder / "review" / f"{name}.key.json")


def test_the_new_golden_set_can_be_read_and_is_never_overwritten(imported, tmp_path, capsys):
    command = ["review", "to-golden", RUN, "--set", "reviewed", "--owner", "Ana"]
    assert harness(command) == 0
    golden = load_golden_set(tmp_path / "golden_sets" / "reviewed.jsonl", root=tmp_path / "golden_sets")
    assert golden.cases
    assert all(case.metadata["owner"] == "Ana" for case in golden.cases)
    assert harness(command) == 4
    assert "not overwritten" in capsys.readouterr().err


def test_a_golden_set_is_never_written_outside_the_golden_sets(imported, tmp_path, capsys):
    assert harness(["review", "to-golden", RUN, "--set", "../outside", "--owner", "Ana"]) == 4
    assert "lies outside golden_sets" in capsys.readouterr().err
    assert not (tmp_path / "outside.jsonl").exists()
    assert harness(["review", "to-golden", RUN, "--set", "support/inside", "--owner", "Ana"]) == 0
    assert (tmp_path / "golden_sets" / "support" / "inside.jsonl").exists()


def test_a_golden_set_that_cannot_be_read_is_not_left_behind(imported, tmp_path, monkeypatch, capsys):
    def bad(*_, **__):
        return Harvest(
            rows=({"id": "x", "input": "a", "target": "b"}, {"id": "x", "input": "c", "target": "d"}), left_out={}
        )

    monkeypatch.setattr("harness.review.harvest.golden_rows", bad)
    assert harness(["review", "to-golden", RUN, "--set", "reviewed", "--owner", "Ana"]) == 4
    assert "'x'" in capsys.readouterr().err
    assert list((tmp_path / "golden_sets").iterdir()) == []


def test_an_empty_spreadsheet_replaces_no_review(imported, capsys):
    before = read_review(imported)
    assert harness(["review", "import", str(imported / "review" / "forms" / "review-ana.csv")]) == 4
    assert "no page is answered" in capsys.readouterr().err
    assert read_review(imported) == before


def test_preferences_come_with_a_warning_of_the_leak(imported, tmp_path, capsys):
    assert harness(["review", "to-preferences", RUN, "--out", "pairs.jsonl"]) == 0
    assert "Trained on, they measure nothing any more" in capsys.readouterr().out
    rows = [json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text().splitlines()]
    assert {"prompt", "chosen", "rejected", "margin"} <= set(rows[0])


def test_no_folder_is_made_for_a_path_that_leads_nowhere(imported, tmp_path, capsys):
    assert harness(["review", "to-preferences", RUN, "--out", "nowhere/deep/pairs.jsonl"]) == 4
    assert "there is no folder nowhere/deep. Make it" in capsys.readouterr().err
    assert harness(["review", "export", RUN, "--single", "--reviewers", "ana", "--to", "nowhere/deep/forms"]) == 4
    assert "there is no folder nowhere/deep" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()
    assert harness(["review", "export", RUN, "--single", "--reviewers", "ana", "--to", "forms"]) == 0
    assert (tmp_path / "forms" / "single-ana.html").is_file()


def test_a_run_that_nobody_read_gives_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    project(tmp_path, run(4))
    assert harness(["review", "to-golden", RUN, "--set", "x", "--owner", "Ana"]) == 4
    assert "no review was imported" in capsys.readouterr().err


def test_labels_are_kept_for_the_judges_card(imported, tmp_path):
    labels = read_labels_file(imported / "review" / "labels.jsonl")
    assert {row.rater for row in labels} == {"ana"}
    assert labels[0].a.startswith("New answer")
    assert labels[0].input.startswith("What about number")


def test_a_judge_with_a_card_gets_peoples_agreement_on_it(imported, tmp_path, capsys):
    record = read_record(imported)
    folder = tmp_path / ".harness" / "judges"
    judge = record.judged[0].judge
    bare = JudgeCard(
        judge=judge, created="", harness_version="", probes_digest="", fit=True, faults=(), lines=(), human=None
    )
    write_card(folder, bare)
    form, key = opened(imported, "review", "ana")
    harness(["review", "import", str(saved(tmp_path, form, pressed(key, form, votes)))])
    card = read_card(folder, judge.digest)
    assert card is not None
    assert card.human is not None
    assert card.human.raters == 1
    # Whoever starts over takes it off again: nothing counts what was set aside.
    capsys.readouterr()
    assert harness(["review", "export", RUN, "--reviewers", "ben", "--replace"]) == 0
    assert f"card of {judge.name}: agreement with people removed" in capsys.readouterr().out
    assert read_card(folder, judge.digest) == bare


def test_agreement_that_other_people_gave_since_stays_on_the_judges_card(imported, tmp_path):
    folder = tmp_path / ".harness" / "judges"
    judge = read_record(imported).judged[0].judge
    human = HumanAgreement(pairs=9, raters=3, observed=0.5)
    card = JudgeCard(
        judge=judge, created="", harness_version="", probes_digest="", fit=True, faults=(), lines=(), human=human
    )
    write_card(folder, card)
    assert harness(["review", "export", RUN, "--reviewers", "ben", "--replace"]) == 0
    assert read_card(folder, judge.digest) == card


def test_single_answers_are_rated_by_themselves(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    record = run(8, baseline=None)
    folder = project(tmp_path, record)
    assert harness(["review", "export", RUN, "--single", "--reviewers", "ana", "--repeats", "0"]) == 0
    form, key = opened(folder, "single", "ana")
    assert {page.right for page in form.pages} == {None}
    file = saved(tmp_path, form, {page.id: str(1 + i % 5) for i, page in enumerate(form.pages)})
    capsys.readouterr()
    assert harness(["review", "import", str(file)]) == 0
    assert "mean rating, 1 to 5: 2.625" in capsys.readouterr().out
    assert read_review(folder) is None
    assert read_review(folder, "review-single.json") is not None
    assert key.mode == "single"


def test_training_rows_can_be_audited(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.harness]\n")
    rows = [{"prompt": f"Say {i}.", "completion": f"{i}"} for i in range(30)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert harness(["review", "export", "train.jsonl", "--data", "10", "--reviewers", "ana", "--repeats", "0"]) == 0
    (folder,) = (tmp_path / "reports").iterdir()
    form, _ = opened(folder, "rows", "ana")
    assert len(form.pages) == 10
    file = saved(tmp_path, form, {page.id: "2" if i < 2 else "1" for i, page in enumerate(form.pages)})
    capsys.readouterr()
    assert harness(["review", "import", str(file)]) == 0
    assert "not to be learned: 2 of 10 rows" in capsys.readouterr().out
    assert harness(["review", "status"]) == 0


@pytest.mark.parametrize("given", ["README.md", "golden.jsonl", "20260102-030405-triage-2", "."])
def test_what_is_no_training_file_is_told_what_to_name(tmp_path, monkeypatch, capsys, given):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.harness]\n")
    (tmp_path / "README.md").write_text("# Title\n")
    (tmp_path / "golden.jsonl").write_text('{"id": "a", "input": "x"}\n')
    assert harness(["review", "export", given, "--data", "5", "--reviewers", "ana"]) == 4
    told = capsys.readouterr().err
    assert told.startswith(f"harness: error: {given}:")
    assert "With --data, name a training file: JSONL" in told
    assert "recipe" not in told
    assert not (tmp_path / "reports").exists()


def test_only_one_kind_of_review_at_a_time(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    project(tmp_path, run(4))
    assert harness(["review", "export", RUN, "--single", "--adjudicate", "--reviewers", "ana"]) == 4
    assert harness(["review", "export", RUN, "--reviewers", "ana", "--overlap", "120%"]) == 4
    assert "between 0 and 100%" in capsys.readouterr().err


def test_a_run_without_baseline_has_no_pairs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    project(tmp_path, run(4, baseline=None, candidate=identity("triage@2", "c")))
    assert harness(["review", "export", RUN, "--reviewers", "ana"]) == 4
    assert "Use --single" in capsys.readouterr().err
