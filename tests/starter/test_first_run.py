"""A project as `harness init` wrote it, run: with scripted answers, and once on the real model."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from harness.checks import validate
from harness.golden import select_golden_sets
from harness.record import read_record
from harness.starter import plan_project, write_project


@pytest.fixture(params=["en", "zh"])
def folder(request, tmp_path):
    write_project(plan_project(tmp_path / "project", request.param, flips=0.2))
    return tmp_path / "project"


def typed(folder, *words):
    return subprocess.run([sys.executable, "-m", *words], cwd=folder, capture_output=True, text=True)


def script(folder, name, *, knows):
    """A model that answers tickets well, or not at all, and every other question in one way."""
    rows = [
        {"id": case.id, "output": case.target if one.name == "triage" and knows else "I cannot say."}
        for one in select_golden_sets(folder / "golden_sets", ("*",), validate_check=validate)
        if one.kind == "ask"
        for case in one.cases
    ]
    (folder / name).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return f"scripted:{name}"


def the_record(folder):
    (found,) = (folder / "reports").glob("*/record.json")
    return read_record(found.parent)


def test_its_suites_ask_every_set_and_the_task_can_improve(folder):
    learned, base = script(folder, "learned.jsonl", knows=True), script(folder, "base.jsonl", knows=False)
    done = typed(folder, "pytest", "suites/", f"--model={learned}", f"--baseline={base}", "-p", "no:cacheprovider")
    record = the_record(folder)
    assert record.partial is None, done.stdout
    sets = {one.name: one for one in record.sets}
    assert set(sets) == {one.name for one in select_golden_sets(folder / "golden_sets", ("*",))}
    assert all(case.candidate == 1 for case in sets["triage"].cases if case.candidate is not None)
    assert "PASS         target    triage" in done.stdout
    assert not [error for error in record.errors if "triage" in error.test]


def test_a_case_is_found_by_a_word_of_its_id(tmp_path):
    write_project(plan_project(tmp_path, "zh", flips=0.2))
    done = typed(tmp_path, "pytest", "suites/", "--collect-only", "-q", "-k", "退款", "-p", "no:cacheprovider")
    assert "test_names_the_right_category[退款三周未到]" in done.stdout


def shorten(folder, cases=3):
    for file in (folder / "golden_sets").rglob("*.jsonl"):
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        file.write_text("".join(lines[:cases]), encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_it_runs_at_once_on_the_embedded_model(folder):
    shorten(folder)
    asked = typed(folder, "pytest", "suites/", "--model=smollm2")
    record = the_record(folder)
    assert record.candidate.label == "smollm2"
    assert record.partial is None, asked.stdout + asked.stderr
    assert not record.errors, asked.stdout
    assert "answers generated" in asked.stdout


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_its_recipe_trains_and_the_gate_judges(tmp_path):
    write_project(plan_project(tmp_path, "zh", flips=0.2))
    shorten(tmp_path)
    small = ("--set", "data.limit=8", "--set", "optim.epochs=1", "--set", "replay.max_tokens=8")
    trained = typed(tmp_path, "harness", "train", "recipes/triage.yaml", *small, "--no-gate")
    assert trained.returncode == 0, trained.stdout + trained.stderr
    gated = typed(tmp_path, "harness", "gate")
    assert gated.returncode in (0, 1, 10), gated.stdout + gated.stderr
    assert "triage@1 against smollm2" in gated.stdout
