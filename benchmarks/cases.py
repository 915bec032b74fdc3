"""What the harness adds to scripted cases, against the same assertions under plain pytest.

Both sides assert the same thing about the same answers: plain pytest reads them from a dict, the harness plans,
asks two scripted models (candidate and baseline), stores, asserts both, decides, and writes record and report.
Whole processes in turn, cold store each time; the ratio is the median of five. It must be at most 1.5, and the
time per case must not grow from 1,000 to 10,000 cases.

    python benchmarks/cases.py [--rounds 5]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import save, versions

SIZES = (1_000, 10_000)
BUDGET = 1.5
# 10,000 cases may take this much longer per case than 1,000 do, which pay the start-up with fewer.
LINEAR = 1.1

PLAIN = """
import json, pathlib, pytest
from harness import includes

ROWS = [json.loads(line) for line in pathlib.Path("golden_sets/facts.jsonl").read_text().splitlines()]
ANSWERS = {r["input"]: r["output"] for r in map(json.loads, pathlib.Path("candidate.jsonl").read_text().splitlines())}

@pytest.mark.parametrize("row", ROWS, ids=[r["id"] for r in ROWS])
def test_names_the_answer(row):
    assert includes(ANSWERS[row["input"]], row["target"])
"""

OURS = """
import pytest
from harness import includes

@pytest.mark.golden("facts")
def test_names_the_answer(case, response):
    assert includes(response, case.target)
"""


def write_project(folder: Path, cases: int) -> None:
    """The same questions and answers for both sides."""
    (folder / "golden_sets").mkdir()
    (folder / "suites").mkdir()
    (folder / "plain").mkdir()
    (folder / "pyproject.toml").write_text("[tool.harness.gate]\nsuites = ['suites/']\n[tool.pytest.ini_options]\n")
    (folder / "suites" / "test_facts.py").write_text(OURS)
    (folder / "plain" / "test_plain.py").write_text(PLAIN)
    facts, candidate, baseline = [], [], []
    for n in range(cases):
        question = f"What colour is the door of house number {n}?"
        facts.append({"id": f"door-of-house-{n}", "input": question, "target": f"blue{n}"})
        candidate.append({"input": question, "output": f"The door is blue{n}."})
        baseline.append({"input": question, "output": f"I believe that it is blue{n}."})
    for name, rows in (("golden_sets/facts", facts), ("candidate", candidate), ("baseline", baseline)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def seconds(folder: Path, *arguments: str, plain: bool) -> float:
    """Wall time of one pytest process that must pass every case."""
    for made in (".harness", "reports"):
        shutil.rmtree(folder / made, ignore_errors=True)
    plugin = ["-p", "no:harness"] if plain else []
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "0"},
    )
    spent = time.perf_counter() - started
    if done.returncode != 0:
        raise SystemExit(f"a benchmark run failed ({done.returncode}):\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return spent


def measure(cases: int, rounds: int) -> dict[str, float]:
    """Median seconds of both sides and the median ratio of the pairs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_project(folder, cases)
        ours = ("suites/", "--model=scripted:candidate.jsonl", "--baseline=scripted:baseline.jsonl")
        seconds(folder, "plain", plain=True)
        pairs = [(seconds(folder, *ours, plain=False), seconds(folder, "plain", plain=True)) for _ in range(rounds)]
    return {
        "cases": cases,
        "harness_s": round(statistics.median(a for a, _ in pairs), 3),
        "plain_s": round(statistics.median(b for _, b in pairs), 3),
        "ratio": round(statistics.median(a / b for a, b in pairs), 3),
    }


def main() -> int:
    """Measure both sizes, print, keep; exit status 1 when over budget or not linear."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    rows = [measure(cases, rounds) for cases in SIZES]
    growth = (rows[1]["harness_s"] / SIZES[1]) / (rows[0]["harness_s"] / SIZES[0])
    result = {
        "rows": rows,
        "per_case_growth": round(growth, 3),
        "budget_ratio": BUDGET,
        **versions("pytest", "finetune-harness"),
    }
    print(json.dumps(result, indent=2))
    save("cases", result)
    return int(any(row["ratio"] > BUDGET for row in rows) or growth > LINEAR)


if __name__ == "__main__":
    sys.exit(main())
