"""Bare prompt, examples, retrieval and fine-tune side by side on the triage suite, on the real model.

    python benchmarks/paths.py --project FOLDER [--fine-tune triage@1] [--alone 12]

FOLDER is a project whose registry has the fine-tune, as `make demo` leaves one. It is copied, without its answers:
every path is asked everything, on this machine. Writes results/paths.json and the table of docs/paths.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
from machine import save, versions
from sections import write_section

from harness.pathtable import PathTable, markdown

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "paths.md"
PATHS = ("bare", "few-shot", "retrieval")
SUITE = "suites/test_triage.py"


def measured(project: Path, fine_tune: str, alone: int) -> PathTable:
    """What `harness compare-paths` finds in a copy of the project."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        shutil.copytree(project, copy, ignore=shutil.ignore_patterns("store.sqlite*", "reports", "*.lock"))
        shutil.copytree(ROOT / "recipes" / "paths", copy / "recipes" / "paths", dirs_exist_ok=True)
        models = [*(f"recipes/paths/{name}.yaml" for name in PATHS), fine_tune]
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "harness",
                "compare-paths",
                *models,
                f"--suite={SUITE}",
                f"--alone={alone}",
                "--json",
            ],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            check=True,
        )
    return msgspec.json.decode(done.stdout, type=PathTable)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, default=ROOT)
    parser.add_argument("--fine-tune", default="triage@1")
    parser.add_argument("--alone", type=int, default=12)
    options = parser.parse_args()
    started, load = time.monotonic(), os.getloadavg()[0]
    table = measured(options.project.resolve(), options.fine_tune, options.alone)
    found = versions("finetune-harness", "torch", "transformers", "peft", "bm25s")
    seconds = round(time.monotonic() - started, 1)
    save(
        "paths",
        {
            **found,
            "load_average": [load, os.getloadavg()[0]],
            "seconds": seconds,
            "table": json.loads(msgspec.json.encode(table)),
        },
    )
    machine = found["machine"]
    assert isinstance(machine, dict)
    where = (
        f"{table.cases} tickets each, SmolLM2-135M-Instruct in bfloat16 on {machine['cpus']} {machine['arch']} cores."
    )
    write_section("paths", [*markdown(table), "", where], page=PAGE)


if __name__ == "__main__":
    main()
