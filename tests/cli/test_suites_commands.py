"""`harness suites`: what it prints without a model, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli.main import run

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
