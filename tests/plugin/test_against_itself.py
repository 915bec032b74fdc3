"""`--aa`: the baseline in both roles, never a verdict; later runs show the floor beside their margins."""

from __future__ import annotations

import json

import pytest

from harness.cli.main import run


@pytest.fixture
def wavering(project):
    """A baseline that answers two of forty cases otherwise when it is asked again."""
    project.facts(40)
    reference = project.model("base")
    file = project.path / "base.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    for row in rows[3:5]:
        row["again"] = ["I forgot."]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return reference


def test_the_baseline_is_asked_twice_and_there_is_no_verdict(project, wavering):
    result = project.run("suites", f"--model={project.model('cand')}", f"--baseline={wavering}", "--aa=again")
    assert project.generated(result) == 80
    result.stdout.fnmatch_lines(["partial run: no verdict (the baseline was asked against itself*"])
    record = project.record()
    assert record.candidate.label == f"{wavering} (asked again)"
    assert record.candidate.digest == record.baseline.digest
    assert [case.case for case in record.sets[0].cases if case.candidate != case.baseline] == ["fact-ad", "fact-ae"]


def test_without_a_baseline_there_is_nobody_to_ask_again(project):
    result = project.run("suites", f"--model={project.model('cand')}", "--aa=again")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*there is no baseline to ask again*"])


def test_gate_aa_keeps_the_floor_and_the_next_run_shows_it(project, wavering, monkeypatch, capsys):
    monkeypatch.chdir(project.path)
    assert run(["gate", "--aa", "--baseline", wavering]) == 0
    shown = capsys.readouterr().out
    assert f"{wavering} (asked again): 2 of 40 cases flip, 2 texts differ" in shown
    assert "unstable: fact-ad (1 of 1), fact-ae (1 of 1)" in shown
    assert "noise floor, guards: 2 of 40 flip (5 points); margin 10" in shown
    assert not (project.path / "reports").exists()
    assert [p.name for p in (project.path / ".harness").iterdir() if p.name.startswith("aside-")] == []

    models = [f"--model={project.model('cand')}", f"--baseline={wavering}"]
    project.run("suites", *models).stdout.fnmatch_lines(
        ["*note: noise floor, guards: 2 of 40 flip (5 points); margin 10"]
    )
    other = [models[0], f"--baseline={project.model('newer')}"]
    project.run("suites", *other).stdout.fnmatch_lines([f"*noise floor is stale (measured on {wavering})*"])
    project.golden("facts", project.cases[1:])
    project.run("suites", *models).stdout.fnmatch_lines(["*noise floor of facts is stale (the set changed since)*"])


def test_an_a_a_run_that_breaks_keeps_no_floor(project, monkeypatch, capsys):
    reference = project.model("base")
    (project.path / "base.jsonl").write_text('{"id": "fact-aa", "output": "x"}\n')
    monkeypatch.chdir(project.path)
    assert run(["gate", "--aa", "--baseline", reference]) == 11
    told = capsys.readouterr().err
    assert "the A/A run (again): " in told
    assert "no answer for case" in told
    assert "So there is no floor." in told
    assert not (project.path / ".harness" / "noise").exists()


def test_an_a_a_run_without_a_record_says_what_pytest_said(project, wavering, monkeypatch, capsys):
    (project.path / "suites" / "conftest.py").write_text("import nowhere_at_all\n")
    monkeypatch.chdir(project.path)
    assert run(["gate", "--aa", "--baseline", wavering]) == 4
    told = capsys.readouterr().err
    assert "No module named 'nowhere_at_all'" in told
    assert "the A/A run (again) left no record (pytest ended with 4): no floor." in told


def test_aa_decides_nothing_so_it_takes_no_record(project, monkeypatch, capsys):
    monkeypatch.chdir(project.path)
    assert run(["gate", "--aa", "--record", "x"]) == 4
    assert "leave --record, --policy, --summary, --judge and --max-cost out" in capsys.readouterr().err
