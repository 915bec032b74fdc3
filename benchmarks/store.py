"""A store of a million answers: how long look-ups take, and what it costs to write, verify and carry it.

Answers of 200 letters are put in as a run puts them, 50,000 at a time, into a store in a temporary folder. Then, each
time through a store that was just opened, 10,000 random keys are looked up: all in one call, as a run does, and one by
one. The best of ten rounds must take at most 1 s, because other work on the machine can only add to it; the median and
the seconds of processor time are kept beside it. 10,000 keys that are not there are looked up as well.

    python benchmarks/store.py [--rows 1000000] [--rounds 10]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from machine import save, versions

from harness.models import Response
from harness.models.refs import ModelRef
from harness.store import Store
from harness.store.upkeep import file_bytes, verify

LOOKUPS = 10_000
BUDGET_S = 1.0
AT_ONCE = 50_000

MODEL = ModelRef(text="m", label="m", engine="hf", base="m", base_digest="0" * 64)


def keys_of(rows: int) -> list[str]:
    """As many keys as random as real ones, sorted: in this order a store of any size is built without going back."""
    return sorted(hashlib.sha256(str(number).encode()).hexdigest() for number in range(rows))


def answer_of(key: str) -> Response:
    """An answer of 200 letters that nobody else gives."""
    return Response(text=(key * 4)[:200], prompt_tokens=64, completion_tokens=50)


def build(path: Path, keys: list[str]) -> float:
    """Write an answer for each key; seconds."""
    started = time.perf_counter()
    with Store(path) as store:
        for start in range(0, len(keys), AT_ONCE):
            store.put_responses({key: answer_of(key) for key in keys[start : start + AT_ONCE]}, ref=MODEL)
    return time.perf_counter() - started


class Spent(NamedTuple):
    """Seconds by the clock, and of the processor."""

    wall: float
    cpu: float


def lookup_seconds(path: Path, wanted: list[str], found: int, look: Callable[[Store, list[str]], int]) -> Spent:
    """What it takes to look all of `wanted` up in a store that was just opened; `found` of them must be there."""
    with Store(path) as store:
        started, cpu = time.perf_counter(), time.process_time()
        there = look(store, wanted)
        spent = Spent(time.perf_counter() - started, time.process_time() - cpu)
    if there != found:
        raise SystemExit(f"{there} of {len(wanted)} answers were found, {found} are there")
    return spent


def together(store: Store, wanted: list[str]) -> int:
    """All in one call; how many were found and are the right ones."""
    found = store.responses(wanted)
    return sum(answer == answer_of(key) for key, answer in found.items())


def one_by_one(store: Store, wanted: list[str]) -> int:
    """A call for each; how many were found."""
    return sum(len(store.responses([key])) for key in wanted)


def measure(rows: int, rounds: int, lookups: int = LOOKUPS) -> dict[str, object]:
    """Build the store and time it."""
    rng = random.Random(7)
    keys = keys_of(rows)
    absent = [hashlib.sha256(f"absent {number}".encode()).hexdigest() for number in range(lookups)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.sqlite"
        build_s = build(path, keys)
        size = file_bytes(path)
        spent: dict[str, list[Spent]] = {"together": [], "one_by_one": [], "absent": []}
        for _ in range(rounds):
            wanted = rng.sample(keys, lookups)
            spent["together"].append(lookup_seconds(path, wanted, lookups, together))
            spent["one_by_one"].append(lookup_seconds(path, wanted, lookups, one_by_one))
            spent["absent"].append(lookup_seconds(path, absent, 0, together))
        started = time.perf_counter()
        if not verify(path).sound:
            raise SystemExit("the store is not as it was written")
        verify_s = time.perf_counter() - started
    return {
        "rows": rows,
        "lookups": lookups,
        "rounds": rounds,
        "megabytes": round(size / 1e6, 1),
        "build_s": round(build_s, 2),
        "verify_s": round(verify_s, 2),
        **{
            name: {
                "best_s": round(min(one.wall for one in rounds_), 4),
                "median_s": round(statistics.median(one.wall for one in rounds_), 4),
                "median_cpu_s": round(statistics.median(one.cpu for one in rounds_), 4),
            }
            for name, rounds_ in spent.items()
        },
    }


def slowest(result: Mapping[str, Any]) -> float:
    """Best seconds of the slower way to look answers up."""
    return max(float(result[name]["best_s"]) for name in ("together", "one_by_one"))


def main() -> int:
    """Measure, print, keep; exit status 1 when over budget."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    measured = measure(arguments.rows, arguments.rounds)
    result = {**measured, "budget_s": BUDGET_S, **versions("finetune-harness")}
    print(json.dumps(result, indent=2))
    save("store", result)
    return int(slowest(measured) > BUDGET_S)


if __name__ == "__main__":
    sys.exit(main())
