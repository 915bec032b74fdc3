"""A judge that is too small: SmolLM2 in `choice` mode runs, and its card says that no gate may rest on it."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys

import pytest

from harness.config import load_project
from harness.judges import probes
from harness.judges.calibration import calibrate, card_lines
from harness.judges.cards import write_card
from harness.judges.injections import load_injections
from harness.judges.probes import load_material
from harness.naming import resolve_project_judge
from harness.pytest_plugin.results import INVALID
from harness.store import Store

#: What vLLM compiles, tests/models/test_vllm.py looks at.
PROJECT = """
[tool.harness.gate]
suites = ["suites/"]
[tool.harness.vllm]
engine_args = { enforce_eager = true }
"""
SUITE = """
import pytest

@pytest.mark.golden("facts")
def test_preferred(comparisons):
    assert comparisons.not_worse()
"""


def engine(name):
    if name == "vllm":
        return pytest.param("vllm:smollm2", marks=[pytest.mark.vllm, _needs_vllm()], id="vllm")
    return pytest.param("smollm2", marks=pytest.mark.slow, id="hf")


def _needs_vllm():
    missing = any(importlib.util.find_spec(module) is None for module in ("vllm", "harness.models.vllm"))
    return pytest.mark.skipif(missing, reason="no vLLM engine here")


@pytest.mark.parametrize("judge", [engine("hf"), engine("vllm")])
def test_smollm2_is_unfit_and_a_gate_that_rests_on_it_is_invalid(judge, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [{"id": f"fact-{x}", "input": f"What is {x}?", "target": f"It is {x}."} for x in "abcdef"]
    for name, texts in {
        "golden_sets/facts": rows,
        "new": [{"id": row["id"], "output": row["target"]} for row in rows],
        "old": [{"id": row["id"], "output": "no idea"} for row in rows],
    }.items():
        path = tmp_path / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in texts), encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "test_pairwise.py").write_text(SUITE, encoding="utf-8")

    project = load_project(tmp_path)
    ref = resolve_project_judge(project, judge, None, None)
    assert ref.mode == "choice"
    # A few of the probes, which is enough to find it out: the whole card takes a small machine half an hour.
    english = tuple(one for one in load_material() if one.language == "en")[:1]
    monkeypatch.setattr(probes, "load_injections", lambda: load_injections()[:2])
    with Store(project.store) as store:
        card = calibrate(ref, store, material=english)
    write_card(project.judges, card)
    assert not card.fit, "\n".join(card_lines(card))
    assert {line.line: line.value for line in card.lines}["label mass"] is not None

    arguments = ("--model=scripted:new.jsonl", "--baseline=scripted:old.jsonl", f"--judge={judge}")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "suites", *arguments]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=600, check=False)
    assert result.returncode == INVALID, result.stdout + result.stderr
    assert re.search("INVALID.*judge.*failed its card", result.stdout)
