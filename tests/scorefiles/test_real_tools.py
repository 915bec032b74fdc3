"""lm-evaluation-harness and inspect_ai themselves, in virtual environments of their own, against a scripted endpoint.

The environments are kept in ~/.cache/finetune-harness (or $XDG_CACHE_HOME), so that only the first run installs them.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import produce
import pytest
from scripted_endpoint import scripted_endpoint

from harness.cli.main import run
from harness.record import read_record

pytestmark = pytest.mark.slow

#: Seconds that the package index may take for one tool, and the tool for one model.
INSTALL, EVALUATE = 180, 300

#: Read by inspect_ai itself: case -> its scores by epoch, as its own metrics count them.
ORACLE = """
import json, sys
from inspect_ai.log import read_eval_log
from inspect_ai.scorer import value_to_float
number, found = value_to_float(), {}
for sample in read_eval_log(sys.argv[1]).samples:
    found.setdefault(str(sample.id), []).append(number(sample.scores[sys.argv[2]].value))
print(json.dumps(found))
"""


@functools.cache
def tool(name: str, packages: tuple[str, ...]) -> Path | str:
    """The tool's interpreter, or why there is none: an index that does not answer in time is not our failure."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "finetune-harness" / name
    try:
        return produce.install(cache, packages, timeout=INSTALL)
    except subprocess.TimeoutExpired:
        return f"installing {' '.join(packages)} took over {INSTALL} s: the package index is slow or away"
    except RuntimeError as error:
        away = ("NewConnectionError", "ConnectTimeout", "ReadTimeout", "Temporary failure in name resolution")
        if any(word in str(error) for word in away):
            return f"the package index is away: {str(error).splitlines()[-1]}"
        raise


def interpreter(name: str, packages: tuple[str, ...]) -> Path:
    """The tool's interpreter; skips the test where there is none."""
    found = tool(name, packages)
    if isinstance(found, str):
        pytest.skip(found)
    return found


def both(ask: Callable[[str], Path]) -> list[Path]:
    """Candidate's and baseline's results; most of the time is the tools' own start, so both start at once."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(ask, ("candidate", "baseline")))


def compared(capsys: pytest.CaptureFixture[str], *arguments: str):
    """The record of one comparison."""
    status = run(["compare", *arguments])
    printed = capsys.readouterr()
    assert status in (0, 1, 10), printed.err
    (line,) = [line for line in printed.out.splitlines() if line.startswith("record: ")]
    return read_record(Path(line.removeprefix("record: ")))


def test_compare_pairs_exactly_what_lm_eval_scored(tmp_path, monkeypatch, capsys):
    python = interpreter("lm-eval", produce.LM_EVAL)
    monkeypatch.chdir(tmp_path)
    work = produce.workplace(tmp_path / "work")
    with scripted_endpoint(produce.script()) as url:
        ours, theirs = both(
            lambda model: produce.run_lm_eval(python, url, model, work, tmp_path / "out", timeout=EVALUATE)
        )
    for wanted in ("strict", "number"):
        metrics = ("--metric", "exact_match,none", "--metric", f"exact_match,{wanted}")
        record = compared(capsys, str(ours), str(theirs), *metrics)
        assert (record.candidate.label, record.baseline.label) == ("candidate", "baseline")
        for one in record.sets:
            kept = "none" if one.name == "harness_capitals" else wanted
            paired = {case.case: (case.candidate, case.baseline) for case in one.cases}
            scored = [_documents(folder, one.name, kept) for folder in (ours, theirs)]
            assert paired == {case: (scored[0][case], scored[1][case]) for case in scored[0].keys() | scored[1].keys()}
            # And the tool's own averages, from its other file.
            for folder, scores in zip((ours, theirs), scored, strict=True):
                (results,) = folder.glob("results_*.json")
                reported = json.loads(results.read_text())["results"][one.name][f"exact_match,{kept}"]
                assert sum(scores.values()) / len(scores) == pytest.approx(reported)
        assert sum(len(one.cases) for one in record.sets) == 20


def _documents(folder: Path, task: str, kept: str) -> dict[str, float]:
    (file,) = folder.glob(f"samples_{task}_*.jsonl")
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return {str(line["doc_id"]): line["exact_match"] for line in lines if line["filter"] == kept}


@pytest.mark.parametrize("form", ["eval", "json"])
def test_compare_pairs_exactly_what_inspect_scored(form, tmp_path, monkeypatch, capsys):
    if form == "eval":
        pytest.importorskip("zstandard", reason="zstandard is not installed (the extra 'inspect')")
    python = interpreter("inspect", produce.INSPECT)
    monkeypatch.chdir(tmp_path)
    work = produce.workplace(tmp_path / "work")
    with scripted_endpoint(produce.script()) as url:
        ours, theirs = both(
            lambda model: produce.run_inspect(python, url, model, work, tmp_path / model, form=form, timeout=EVALUATE)
        )
    for scorer in ("includes", "f1"):
        record = compared(capsys, str(ours), str(theirs), "--metric", scorer)
        (one,) = record.sets
        paired = {case.case: (case.candidate, case.baseline) for case in one.cases}
        scored = [_asked_of_inspect(python, log, scorer) for log in (ours, theirs)]
        assert len(paired) == 12
        assert {len(epochs) for side in scored for epochs in side.values()} == {2}
        assert paired == {
            case: tuple(pytest.approx(sum(side[case]) / 2) for side in scored)
            for case in scored[0].keys() | scored[1].keys()
        }
    assert record.samples == 2


def _asked_of_inspect(python: Path, log: Path, scorer: str) -> dict[str, list[float]]:
    settings = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    command = [str(python), "-c", ORACLE, str(log), scorer]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=EVALUATE, check=True)
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found
