"""`harness suites`: what it prints without a model, and how it ends."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from harness.cli.main import run
from harness.policy import GatePolicy
from harness.record import CaseResult, ModelIdentity, RunRecord, SetResult, write_record

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text('[tool.harness.gate]\nimprove = ["goal"]\n')
    (tmp_path / "golden_sets").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def golden(project: Path, name: str, n: int = 8, **fields: object) -> None:
    rows = []
    for i in range(n):
        word = f"{name}-{chr(97 + i // 26)}{chr(97 + i % 26)}"
        rows.append(
            {"id": word, "input": f"{word}?", "target": f"It is {word}.", "checks": [{"includes": word}]} | fields
        )
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (project / "golden_sets" / f"{name}.jsonl").write_text(text, encoding="utf-8")


def test_sound_sets_end_with_0_and_a_line_each(project, capsys):
    golden(project, "facts")
    golden(project, "goal")
    assert run(["suites", "check"]) == 0
    shown = capsys.readouterr().out
    assert "facts: 8 cases, 8 targets, own 100%, shuffled 0% (chance 0%)" in shown
    assert "2 sets, 16 cases: 0 faults, 0 warnings, 0 unreadable" in shown


def test_a_failed_control_ends_with_1_and_names_file_line_and_code(project, capsys):
    golden(project, "facts", checks=[{"max_words": 9999}])
    golden(project, "goal")
    assert run(["suites", "check"]) == 1
    assert "golden_sets/facts.jsonl:1: T20 fault: 'facts-aa' passes whatever is answered" in capsys.readouterr().out
    assert run(["suites", "check", "goal"]) == 0


def test_a_variant_of_a_case_that_nobody_has_is_a_warning(project, capsys):
    golden(project, "facts")
    golden(project, "goal", n=1, variant_of="fcats-aa")
    golden(project, "more", n=3, variant_of="a-cluster-of-its-own")
    golden(project, "right", n=1, variant_of="facts-aa")
    assert run(["suites", "check"]) == 0
    shown = capsys.readouterr().out
    stray = "goal.jsonl:1: T20 warning: goal-aa is a variant of 'fcats-aa', and no set has such a case."
    assert f"{stray} Did you mean 'facts-aa'?" in shown
    assert shown.count("is a variant of") == 1
    run(["suites", "check", "right"])
    assert "is a variant of" not in capsys.readouterr().out


def test_every_set_that_cannot_be_read_is_told_not_only_the_first(project, capsys):
    golden(project, "facts")
    for name in ("bad", "worse"):
        (project / "golden_sets" / f"{name}.jsonl").write_text('{"id": "x"}\n')
    assert run(["suites", "check"]) == 4
    shown = capsys.readouterr().out
    assert "golden_sets/bad.jsonl:1: " in shown
    assert "golden_sets/worse.jsonl:1: " in shown
    assert "2 unreadable" in shown


def test_a_set_that_nobody_knows_is_told_with_the_nearest(project, capsys):
    golden(project, "facts")
    assert run(["suites", "check", "fact"]) == 4
    assert "did you mean 'facts'" in capsys.readouterr().err


def test_the_sets_that_ship_with_the_project_hold(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert run(["suites", "check"]) == 0
    assert "triage: 70 cases, 70 targets, own 100%, shuffled 0%" in capsys.readouterr().out


def test_power_says_each_set_alone_and_the_pool_with_assumed_flips(project, capsys):
    golden(project, "facts", 120)
    golden(project, "goal", 20)
    assert run(["suites", "power"]) == 0
    shown = capsys.readouterr().out
    assert "no earlier run of these sets: 5 / 10 / 20% flips assumed" in shown
    assert "goal (target)" in shown
    assert "8 points = 9.6 of your 120 cases" in shown  # at 10% flips an equal model passes with 8 points
    assert "All 120 guard cases together at 10% flips: P(PASS | equal)" in shown
    assert "The margin: 5 points = 6 of your 120 cases." in shown


def test_power_says_why_it_counts_fewer_cases_than_the_set_has(project, capsys):
    golden(project, "facts", 20)
    golden(project, "rules", 12, red_line=True)
    golden(project, "triage", 70)
    path = project / "golden_sets" / "triage.jsonl"
    rows = path.read_text().splitlines()
    path.write_text("\n".join([row[:-1] + ', "red_line": true}' for row in rows[:12]] + rows[12:]) + "\n")
    assert run(["suites", "power"]) == 0
    shown = capsys.readouterr().out.splitlines()
    why = 'are judged one by one, and rated only where a test has lane="rate".'
    assert f"triage: 58 of 70 cases: 12 red lines {why}" in shown
    assert f"rules: 0 of 12 cases: 12 red lines {why}" in shown
    assert not any(line.startswith("facts: ") for line in shown)


def test_power_of_a_record_that_is_not_there_is_told(project, capsys):
    golden(project, "facts")
    assert run(["suites", "power", "--record", "nowhere"]) == 4
    assert "nowhere: no run record there" in capsys.readouterr().err


def test_power_measures_flips_on_the_record_of_the_same_sets(project, capsys):
    golden(project, "facts", 20)
    digest = hashlib.sha256((project / "golden_sets" / "facts.jsonl").read_bytes()).hexdigest()
    identity = {"reference": "", "base_digest": "", "adapter_digest": None, "engine": "hf", "dtype": "x"}
    cases = tuple(CaseResult(case=f"c-{i}", line=i, candidate=float(i > 1), baseline=float(i > 0)) for i in range(20))
    record = RunRecord(
        run_id="earlier", created="", harness_version="", arguments=(), root=None, policy=GatePolicy(),
        policy_digest="", candidate=ModelIdentity(label="new", digest="new", **identity), collection_digest="",
        baseline=ModelIdentity(label="old", digest="old", **identity),
        sets=(SetResult(name="facts", path="golden_sets/facts.jsonl", digest=digest, kind="ask", cases=cases),),
    )  # fmt: skip
    write_record(project / "reports" / "earlier", record, {})
    for arguments in ([], ["--record", "reports/earlier"]):
        assert run(["suites", "power", *arguments]) == 0
        shown = capsys.readouterr().out
        assert "flips as in run earlier" in shown
        assert " 20     5%" in shown
