"""A whole run over `vllm:`, from pytest to the record. The engine is transformers under another name, which a real
vLLM need not be here for; test_vllm.py asks the real one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.gate import decide
from harness.record import RunRecord, newest_record

STAND_IN = """
import msgspec
from harness.models import opening

class StandIn:
    def __init__(self, refs):
        self.base = opening._LOAD["hf"](refs)
        self.close = self.base.close

    def model(self, ref):
        return self.base.model(msgspec.structs.replace(ref, engine="hf"){dropped})

opening._LOAD["vllm"] = StandIn
"""
SUITE = """
import pytest

@pytest.mark.golden("facts")
def test_says_something(case, response):
    assert response.text is not None
"""

Run = Callable[..., tuple[subprocess.CompletedProcess[str], RunRecord]]


@pytest.fixture
def run(tmp_path: Path, base: Path, adapter: Path) -> Run:
    """Run the suites of a small project on the tiny adapter over an engine that may drop it."""

    def once(*arguments: str, drops: bool) -> tuple[subprocess.CompletedProcess[str], RunRecord]:
        (tmp_path / "pyproject.toml").write_text("[tool.harness.sampling]\nmax_tokens = 4\n")
        (tmp_path / "conftest.py").write_text(STAND_IN.format(dropped=".root" if drops else ""))
        (tmp_path / "suites").mkdir(exist_ok=True)
        (tmp_path / "suites" / "test_facts.py").write_text(SUITE)
        (tmp_path / "golden_sets").mkdir(exist_ok=True)
        rows = [{"id": f"about-{name}", "input": f"What is {name}?"} for name in ("rain", "snow", "hail", "fog")]
        (tmp_path / "golden_sets" / "facts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        command = [sys.executable, "-m", "pytest", "suites", f"--model=vllm:{base}+{adapter}", "--device=cpu"]
        done = subprocess.run(
            [*command, "--dtype=float32", "-p", "no:cacheprovider", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
        )
        record = newest_record(tmp_path / "reports")
        assert record is not None, done.stdout + done.stderr
        return done, record

    return once


@pytest.mark.slow
def test_a_run_says_that_the_engine_applies_the_adapter_and_asks_both_sides_by_it(run: Run) -> None:
    done, record = run("-n", "2", drops=False)
    # Four cases rule nothing out.
    assert done.returncode == 10, done.stdout
    (parity,) = record.parity
    assert parity.fault is None
    assert parity.effect > 0.1
    assert record.baseline is not None
    assert (record.candidate.engine, record.baseline.engine) == ("vllm", "vllm")
    notes = decide(record, record.policy).notes
    assert any("vllm applies the adapter as trained" in note for note in notes)
    # What was compared travels with the record.
    assert len(record.asked) >= 4 * 8


def test_a_run_over_an_engine_that_drops_the_adapter_is_invalid(run: Run) -> None:
    done, record = run(drops=True)
    assert done.returncode == 11, done.stdout
    assert record.parity[0].moved == 0
    assert "T14" in done.stdout
    (why,) = [one.reason for one in decide(record, record.policy).criteria if one.name == "complete"]
    assert "answers as the base, the adapter is ignored" in why
    assert "Merge the adapter" in why


@pytest.mark.slow
def test_a_run_that_mixes_engines_says_so(run: Run, base: Path) -> None:
    _, record = run(f"--baseline=hf:{base}", drops=False)
    assert any("part of the differences is the engines'" in note for note in record.notes)
