"""A judge that is too small: SmolLM2 in `choice` mode runs, and its card says that no gate may rest on it."""

from __future__ import annotations

import importlib.util
import json

import pytest

# pytester forgets the modules that a run in this process has imported, and numpy and scipy cannot be imported twice.
import scipy.special  # noqa: F401

import harness.pytest_plugin.hooks
import harness.report.html  # noqa: F401
from harness.cli.main import run
from harness.config import load_project
from harness.judges.cards import read_card
from harness.naming import resolve_project_judge
from harness.pytest_plugin.results import INVALID

SUITE = """
import pytest

@pytest.mark.golden("facts")
def test_preferred(comparisons):
    assert comparisons.not_worse()
"""

pytest_plugins = ("pytester",)


def engine(name):
    if name == "vllm":
        return pytest.param("vllm:smollm2", marks=[pytest.mark.vllm, _needs_vllm()], id="vllm")
    return pytest.param("smollm2", marks=pytest.mark.slow, id="hf")


def _needs_vllm():
    missing = any(importlib.util.find_spec(module) is None for module in ("vllm", "harness.models.vllm"))
    return pytest.mark.skipif(missing, reason="no vLLM engine here")


@pytest.mark.parametrize("judge", [engine("hf"), engine("vllm")])
def test_smollm2_is_unfit_and_a_gate_that_rests_on_it_is_invalid(judge, pytester, capsys, monkeypatch):
    monkeypatch.chdir(pytester.path)
    rows = [{"id": f"fact-{x}", "input": f"What is {x}?", "target": f"It is {x}."} for x in "abcdef"]
    for name, texts in {
        "golden_sets/facts": rows,
        "new": [{"id": row["id"], "output": row["target"]} for row in rows],
        "old": [{"id": row["id"], "output": "no idea"} for row in rows],
    }.items():
        path = pytester.path / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in texts), encoding="utf-8")
    (pytester.path / "pyproject.toml").write_text('[tool.harness.gate]\nsuites = ["suites/"]\n', encoding="utf-8")
    (pytester.path / "suites").mkdir()
    (pytester.path / "suites" / "test_pairwise.py").write_text(SUITE, encoding="utf-8")

    assert run(["judge", "card", judge]) == 1
    told = capsys.readouterr().out
    assert f"judge {judge}: unfit" in told
    project = load_project(pytester.path)
    ref = resolve_project_judge(project, judge, None, None)
    assert ref.mode == "choice"
    card = read_card(project.judges, ref.digest)
    assert not card.fit
    assert {line.line: line.value for line in card.lines}["label mass"] is not None

    arguments = ("--model=scripted:new.jsonl", "--baseline=scripted:old.jsonl", f"--judge={judge}")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "suites", *arguments)
    assert result.ret == INVALID
    result.stdout.fnmatch_lines(["*INVALID*judge*failed its card*"])
