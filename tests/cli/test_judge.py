"""`harness judge`: two files of answers compared, recorded judgements read, and a judge calibrated."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("aiohttp")

sys.path.append(str(Path(__file__).parent.parent / "judges"))

import known
from served import Server, completion

from harness.cli.main import run
from harness.judges.human import LabelledPair, compare_labels
from harness.judges.judgement import Judgement
from harness.judges.probes import load_material
from harness.record import read_record, read_texts
from harness.stats.alternative import alternative_annotator


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def project(server, extra=""):
    Path("pyproject.toml").write_text(
        f'[tool.harness]\njudge = "known"\n[tool.harness.endpoints.tiny]\nurl = "{server.url}"\nmodel = "tiny"\n'
        f'[tool.harness.judges.known]\nmodel = "tiny"\n{extra}',
        encoding="utf-8",
    )


def answers(name, texts, **fields):
    rows = [{"id": f"q{i}", "input": f"Say {i}.", "output": text, **fields} for i, text in enumerate(texts)]
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return name


def only_record():
    folders = sorted(Path("reports").iterdir(), key=lambda folder: folder.stat().st_mtime_ns)
    return folders[-1], read_record(folders[-1])


@pytest.fixture
def longer_judge():
    def behave(prompt, times, seen):
        _, a, b = known.parts(prompt)
        return completion(f"By length.\nVERDICT: {known.better(len(a), len(b))}")

    server = Server(behave)
    project(server, '[tool.harness.gate]\non_unfit_judge = "warn"\n')
    yield server
    server.stop()


def test_two_files_are_compared_with_record_report_and_exit_status(longer_judge, capsys):
    new, old = answers("new.jsonl", ["a longer answer"] * 20), answers("old.jsonl", ["short"] * 20)
    assert run(["judge", "run", new, old]) == 0
    out = capsys.readouterr().out
    assert "PASS: new against old" in out
    assert "warning: the judge known has no card" in out
    assert "40 new calls to known" in out
    folder, record = only_record()
    assert (folder / "index.html").is_file()
    assert record.source == "judged"
    assert len(record.judged[0].judgements) == 20
    texts = read_texts(folder, record)
    assert texts["candidate:q0"].text == "a longer answer"
    assert texts["prompt:answers:q0"].text == "Say 0."
    assert run(["judge", "run", old, new]) == 1
    assert len(longer_judge.seen) == 40, "the same pairs, the same prompts: nothing is asked again"


def test_whether_it_is_not_worse_is_asked_with_a_margin(longer_judge, capsys):
    new, old = answers("new.jsonl", ["same size"] * 200), answers("old.jsonl", ["like size"] * 200)
    assert run(["judge", "run", new, old, "--margin", "0.1"]) == 0
    assert "0 won, 200 tied, 0 lost" in capsys.readouterr().out
    assert only_record()[1].judged[0].criterion == "not worse"
    assert run(["judge", "run", new, old]) == 10


def test_many_pairs_stop_early_and_say_what_was_saved(longer_judge, capsys):
    new, old = answers("new.jsonl", ["a longer answer"] * 320), answers("old.jsonl", ["short"] * 320)
    assert run(["judge", "run", new, old]) == 0
    out = capsys.readouterr().out
    assert "early stop: 10 of 320 pairs judged" in out
    assert "saved: 620 calls" in out
    assert len(longer_judge.seen) == 20
    assert run(["judge", "run", new, old, "--all"]) == 0
    assert len(longer_judge.seen) == 640


def test_without_a_card_the_verdict_is_invalid(longer_judge, capsys):
    project(longer_judge)
    new, old = answers("new.jsonl", ["a longer answer"] * 20), answers("old.jsonl", ["short"] * 20)
    assert run(["judge", "run", new, old]) == 11
    assert "has no card" in capsys.readouterr().out


def test_recorded_judgements_need_no_answers(capsys):
    rows = [
        {"question_id": i, "model_1": "old", "model_2": "new", "g1_winner": "model_1", "g2_winner": "model_2"}
        for i in range(16)
    ]
    rows += [
        {"question_id": 100 + i, "model_1": "old", "model_2": "new", "g1_winner": "tie", "g2_winner": "tie"}
        for i in range(4)
    ]
    Path("judged.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert run(["judge", "run", "--judge=replay:judged.jsonl"]) == 11
    out = capsys.readouterr().out
    assert "INVALID: new against old" in out
    assert "orders disagree: 16 for the answer shown first, 0 for the second" in out
    assert "the judge is position-biased" in out
    assert 'next: recorded judgements have no card: [tool.harness.gate] on_unfit_judge = "warn" lets them decide' in out


def test_recorded_judgements_decide_where_the_policy_lets_them(capsys):
    rows = [{"case": f"q{i}", "first": "candidate", "second": "candidate"} for i in range(40)]
    Path("judged.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    Path("pyproject.toml").write_text('[tool.harness.gate]\non_unfit_judge = "warn"\n', encoding="utf-8")
    assert run(["judge", "run", "--judge=replay:judged.jsonl"]) == 0
    out = capsys.readouterr().out
    assert "warning: the judge replay:judged.jsonl has n" in out
    assert "next:" not in out


def test_a_similarity_is_called_advisory_and_says_what_to_do(capsys):
    new, old = answers("new.jsonl", ["right"] * 40, target="right"), answers("old.jsonl", ["no"] * 40, target="right")
    assert run(["judge", "run", new, old, "--judge=reference"]) == 11
    out = capsys.readouterr().out
    assert "compared by similarity alone (reference): advisory" in out
    assert "nothing was compared" not in out
    assert "next: no verdict rests on a similarity, so this is advisory: name a judge with --judge" in out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["judge", "run"], "no judge is set"),
        (["judge", "run", "a.jsonl", "--judge=reference"], "name both files of answers"),
        (["judge", "run", "--judge=reference"], "must see the answers"),
        (["judge", "run", "a.jsonl", "a.jsonl", "--judge=reference"], "a.jsonl: cannot be read"),
        (["judge", "run", "--judge=replay:no.jsonl"], "there is no file no.jsonl"),
        (["judge", "run", "--judge=nobody"], "unknown judge 'nobody'"),
        (["judge", "run", "--judge=reference", "--margin=0.7"], "lies between 0 and 0.5"),
        (["judge", "run", "--judge=replay:bad.jsonl"], "bad.jsonl:1: first: unknown winner 'nobody'"),
        (["judge", "card", "nobody"], "unknown judge 'nobody'"),
        (["judge", "card", "reference"], "so it has no card"),
        (["judge", "grade", "one.jsonl", "--judge=reference"], "gives no grades"),
    ],
)
def test_what_cannot_be_done_is_told_without_a_traceback(arguments, told, capsys):
    Path("bad.jsonl").write_text('{"case": "a", "first": "nobody", "second": "tie"}\n', encoding="utf-8")
    answers("one.jsonl", ["a"])
    assert run(arguments) == 4
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "told", "status"),
    [
        ("{", "new.jsonl:2: not JSON", 4),
        ('{"id": "q0", "output": "x"}', "new.jsonl:2: 'q0' stands on line 1 already", 4),
        ('{"id": "q1", "outptu": "x"}', "unknown key 'outptu': did you mean 'output'", 4),
        ('{"output": "x"}', "new.jsonl:2: neither an id nor an input", 4),
        ('{"id": "q1", "input": "?", "output": "x", "answer": "y"}', "output and answer mean the same", 4),
        ('{"id": "q9", "input": "?", "output": "x"}', "have no partner, the first 'q9' (line 2)", 11),
    ],
)
def test_a_bad_answer_file_is_named_by_its_line(line, told, status, capsys):
    answers("old.jsonl", ["a"])
    with Path(answers("new.jsonl", ["b"])).open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    assert run(["judge", "run", "new.jsonl", "old.jsonl", "--judge=reference"]) == status
    assert told in capsys.readouterr().err


def test_a_file_that_is_in_neither_place_names_a_place_once(capsys):
    assert run(["judge", "run", "--judge=replay:no.jsonl"]) == 4
    assert f"there is no file no.jsonl in {Path.cwd()}. Name" in capsys.readouterr().err


def test_one_file_of_answers_twice_is_told_as_the_same_answers(capsys):
    same = answers("same.jsonl", ["yes", "no"], target="yes")
    assert run(["judge", "run", same, same, "--judge=reference"]) == 11
    out = capsys.readouterr().out
    assert "candidate and baseline are the same answers" in out
    assert "weights" not in out


def test_files_of_other_tools_are_read():
    Path("new.json").write_text(json.dumps([{"instruction": "Say it.", "output": "it", "generator": "n"}]))
    Path("old.json").write_text(json.dumps([{"instruction": "Say it.", "output": "that", "generator": "o"}]))
    assert run(["judge", "run", "new.json", "old.json", "--judge=reference"]) in (10, 11)
    assert len(only_record()[1].judged[0].judgements) == 1


def test_a_card_is_kept_and_people_are_compared(capsys):
    def behave(prompt, times, seen):
        return completion(f"VERDICT: {known.perfect(*known.parts(prompt), times)}")

    server = Server(behave)
    try:
        project(server)
        rows = []
        for i, one in enumerate(load_material()):
            winner = None if i >= 18 else "a"
            for rater in ("ana", "ben", "cai") if winner else ("ana",):
                said = "b" if winner and rater == "ben" and i % 6 == 0 else winner
                row = {"id": one.id, "input": one.question, "a": one.answer, "b": one.sentences[0], "rater": rater}
                rows.append(row if said is None else {**row, "winner": said})
        Path("human.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        assert run(["judge", "card", "known", "--labels", "human.jsonl"]) == 0
        out = capsys.readouterr().out
        assert "judge known: fit to gate" in out
        assert "the judge agrees with 100.0%" in out
        assert "18 labelled pairs are few" in out
        assert "card: .harness/judges/" in out
        new, old = answers("new.jsonl", ["x"]), answers("old.jsonl", ["x "])
        assert run(["judge", "run", new, old, "--margin=0.05"]) == 0
    finally:
        server.stop()


def test_an_unfit_judge_has_a_card_that_says_so_and_status_1(longer_judge, capsys):
    assert run(["judge", "card", "known"]) == 1
    assert "prefers length" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ('{"id": "p", "input": "?", "a": "1", "b": "3", "winner": "a", "rater": "x"}', "has other texts than above"),
        ('{"id": "p", "input": "?", "a": "1", "b": "2", "winner": "a", "rater": "ana"}', "a second time"),
        ('{"id": "p", "input": "?", "a": "1", "b": "2", "winer": "a"}', "unknown key 'winer': did you mean 'winner'"),
        ('{"id": "p", "input": "?", "a": "1", "b": "2", "winner": "c"}', "Invalid enum value 'c'"),
    ],
)
def test_a_label_that_is_none_is_named_by_its_line(longer_judge, row, told, capsys):
    first = '{"id": "p", "input": "?", "a": "1", "b": "2", "winner": "a", "rater": "ana"}'
    Path("human.jsonl").write_text(f"{first}\n{row}\n", encoding="utf-8")
    assert run(["judge", "card", "known", "--labels", "human.jsonl"]) == 4
    err = capsys.readouterr().err
    assert "human.jsonl:2" in err
    assert told in err


def test_people_and_judge_agree_by_the_published_measures():
    """Cohen's table [[20, 5], [10, 15]]: kappa .4."""
    table = [("a", 1.0)] * 20 + [("a", 0.0)] * 5 + [("b", 1.0)] * 10 + [("b", 0.0)] * 15
    labels = [LabelledPair(id=str(i), input="?", a="1", b="2", winner=w) for i, (w, _) in enumerate(table)]
    judged = {str(i): Judgement(case=str(i), judge="j", score=s) for i, (_, s) in enumerate(table)}
    found = compare_labels(judged, labels)
    assert found.kappa is not None
    assert found.kappa.estimate == pytest.approx(0.4)
    assert found.observed == pytest.approx(0.7)
    assert found.alternative is None
    assert any("needs 3 of them" in note for note in found.notes)


def test_a_judge_that_follows_the_majority_may_stand_in_and_a_contrary_one_may_not():
    words = {i: "a" if i % 2 else "b" for i in range(40)}
    people = {
        name: {i: ("a" if w == "b" else "b") if i % 10 == shift else w for i, w in words.items()}
        for shift, name in enumerate(("ana", "ben", "cai"))
    }
    good = alternative_annotator(words, people)
    assert (good.winning_rate, good.passed) == (1.0, True)
    contrary = alternative_annotator({i: "a" if w == "b" else "b" for i, w in words.items()}, people)
    assert (contrary.winning_rate, contrary.passed) == (0.0, False)
    assert contrary.advantage < 0.5 < 0.9 < good.advantage
