"""Would the tests notice a wrong statistic? Faults are planted in `harness.stats` and the gate, one at a time.

Three hundred mutants are drawn with a fixed seed, evenly over the kinds of faults. For each, the tests that reach the
changed lines are run, the quickest first, until one fails: the mutant is killed. The tests of wall time are left out,
or a busy machine would kill mutants. Survivors are listed with the explanation that `survivors.toml` has for them.

Each mutant is a fork of one process that has imported the libraries but nothing of ours, so that most take about
a second. For the nightly run, not for every commit. Writes results/mutants.json and the section of
docs/calibration.md; exit status 1 where fewer than 90% are killed or a survivor is unexplained.

    nice python benchmarks/mutants.py [--mutants 300] [--workers 1]
"""

from __future__ import annotations

import argparse
import concurrent.futures
import gc
import glob
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import itertools
import json
import math
import os
import resource
import sys
import tempfile
import time
import tomllib
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

from machine import RESULTS, save
from mutations import Mutant, mutants, mutated
from sections import table, write_section

ROOT = Path(__file__).resolve().parent.parent
SEED = 20260101
GOAL = 0.9
#: Seconds beyond which a test is left for the end.
SLOW = 0.3
MEMORY = 4 * 2**30
TARGETS = (
    "harness/stats/*.py",
    "harness/gate*.py",
    "harness/gate/*.py",
    "harness/pairs.py",
    "harness/validity.py",
    "harness/verdict.py",
)
TESTS = (
    "tests/stats",
    "tests/gate",
    "tests/test_gate*.py",
    "tests/test_pairs*.py",
    "tests/test_verdict*.py",
    "tests/test_retention*.py",
    "tests/test_scores*.py",
    "tests/test_waivers*.py",
    "tests/test_groups*.py",
    "tests/test_slices*.py",
    "tests/test_explain*.py",
    "tests/test_foresight*.py",
    "tests/test_budgets*.py",
    "tests/cli/test_judge.py",
    "tests/report/test_judged.py",
    "tests/review/test_findings.py",
    "tests/review/test_review_gate.py",
    "tests/benchmarks/test_calibration.py",
)
#: Tests of the clock, and of what was measured before: no mutant may be killed by either.
LEFT_OUT = ("seconds", "tenth_of_a_second", "committed")
EXPLAINED = Path(__file__).parent / "survivors.toml"
FLAGS = (
    *("-q", "-x", "--no-header", "--tb=no", "-rN"),
    *("-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:timeout", "-p", "no:anyio"),
    # These collect garbage by force, which is slow in a process full of libraries.
    *("-p", "no:unraisableexception", "-p", "no:threadexception"),
    *("-k", " and ".join(f"not {word}" for word in LEFT_OUT)),
    # Hypothesis is imported before pytest, for all forks at once.
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
)

#: By test: the seconds it takes, and the lines that it reaches, by file.
Reach = dict[str, tuple[float, dict[str, set[int]]]]


def choose(many: int) -> list[Mutant]:
    """`many` mutants, the kinds of faults in turn, so that constants do not crowd out the rest.

    Ranked by a hash of the seed and the name: a change in one function leaves the others' mutants chosen.
    """
    by_kind: dict[str, list[Mutant]] = defaultdict(list)
    for pattern in TARGETS:
        for file in sorted(ROOT.glob(pattern)):
            for mutant in mutants(file, ROOT):
                by_kind[mutant.operator].append(mutant)
    for of in by_kind.values():
        of.sort(key=lambda mutant: hashlib.sha256(f"{SEED} {mutant.name}".encode()).digest())
    in_turn = itertools.chain.from_iterable(itertools.zip_longest(*(by_kind[kind] for kind in sorted(by_kind))))
    return list(itertools.islice((mutant for mutant in in_turn if mutant is not None), many))


class Planted(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module with the fault in it, whoever imports it."""

    def __init__(self, mutant: Mutant) -> None:
        self.file = ROOT / mutant.file
        self.module = mutant.file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        self.code: CodeType = compile(mutated(self.file.read_text(encoding="utf-8"), mutant), str(self.file), "exec")

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Ours for the one module, nobody's else."""
        if fullname != self.module:
            return None
        package = self.file.name == "__init__.py"
        return importlib.util.spec_from_file_location(
            fullname, self.file, loader=self, submodule_search_locations=[str(self.file.parent)] if package else None
        )

    def exec_module(self, module: ModuleType) -> None:
        """Run the changed code."""
        exec(self.code, module.__dict__)


class Watching:
    """A pytest plugin: which lines of the targets does each test reach, and how long does it take?"""

    def __init__(self) -> None:
        self.reach: Reach = {}
        self._files = {str(file): pattern for pattern in TARGETS for file in ROOT.glob(pattern)}
        self._lines: dict[str, set[int]] = defaultdict(set)

    def pytest_runtest_setup(self, item: Any) -> None:
        """Begin to watch."""
        self._lines = defaultdict(set)
        self._began = time.process_time()
        sys.settrace(self._trace)

    def pytest_runtest_teardown(self, item: Any) -> None:
        """Keep what was seen."""
        sys.settrace(None)
        seconds = time.process_time() - self._began
        self.reach[item.nodeid] = (seconds, {file: set(lines) for file, lines in self._lines.items()})

    def _trace(self, frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        name = frame.f_code.co_filename
        if name not in self._files:
            return None
        lines = self._lines[Path(name).relative_to(ROOT).as_posix()]
        lines.add(frame.f_lineno)

        def inside(frame: FrameType, event: str, argument: object) -> Callable[..., Any]:
            lines.add(frame.f_lineno)
            return inside

        return inside


def watch() -> Reach:
    """The reach of every test, from one run without a fault; SystemExit where that run fails."""
    with tempfile.NamedTemporaryFile("r", suffix=".json") as kept:

        def run() -> int:
            watching = Watching()
            ended = _pytest(_tests(), watching)
            told = {
                test: (seconds, {file: sorted(lines) for file, lines in reached.items()})
                for test, (seconds, reached) in watching.reach.items()
            }
            Path(kept.name).write_text(json.dumps(told), encoding="utf-8")
            return ended

        if _forked(run, seconds=300) != 0:
            raise SystemExit(
                "the tests fail without any mutant: mend them first (pytest tests/stats tests/test_gate.py)."
            )
        told = json.load(kept)
    return {
        test: (seconds, {file: set(lines) for file, lines in reached.items()})
        for test, (seconds, reached) in told.items()
    }


def tests_for(mutant: Mutant, reach: Reach) -> list[list[str]]:
    """The tests that reach the changed lines, a file at a time: the one that knows most of them first, slow tests last.

    What is done on import concerns every test that uses the file.
    """
    lines = set(range(mutant.first, mutant.last + 1))

    def reached(of: dict[str, set[int]]) -> bool:
        seen = of.get(mutant.file, set())
        return bool(seen & lines) or (bool(seen) and mutant.function is None)

    found = [(seconds, test) for test, (seconds, of) in reach.items() if reached(of)]
    if not found:
        # A default argument: evaluated on import, so no test reaches its line.
        found = [(seconds, test) for test, (seconds, of) in reach.items() if mutant.file in of]
    by_file: dict[str, list[str]] = defaultdict(list)
    for seconds, test in sorted(found):
        by_file["" if seconds > SLOW else test.partition("::")[0]].append(test)
    slow = by_file.pop("", None)
    return [*sorted(by_file.values(), key=len, reverse=True), *([slow] if slow else [])]


def try_out(mutant: Mutant, reach: Reach) -> dict[str, Any]:
    """Plant the fault, run its tests: "killed", "timed out" or "survived"."""
    rounds = tests_for(mutant, reach)
    budget = 10 + 3 * sum(reach[test][0] for tests in rounds for test in tests)

    def run() -> int:
        planted = Planted(mutant)
        sys.meta_path.insert(0, planted)
        # Before pytest, whose own importer would come first.
        importlib.import_module(planted.module)
        return next((ended for tests in rounds if (ended := _pytest(tests))), 0)

    ended = _forked(run, seconds=budget)
    fate = "timed out" if ended is None else "survived" if ended == 0 else "killed"
    return {"mutant": mutant.name, "operator": mutant.operator, "fate": fate}


def _tests() -> list[str]:
    return [name for pattern in TESTS for name in sorted(glob.glob(pattern, root_dir=ROOT))]


def _pytest(tests: Sequence[str], plugin: object | None = None) -> int:
    import hypothesis
    import pytest

    # A slow machine is no failed test, and a mutant's luck must not depend on an earlier one's examples.
    hypothesis.settings.register_profile("mutants", deadline=None, database=None, derandomize=True)
    hypothesis.settings.load_profile("mutants")
    return int(pytest.main([*FLAGS, *tests], plugins=[] if plugin is None else [plugin]))


def _forked(run: Callable[[], int], *, seconds: float) -> int | None:
    """The exit status of `run` in a process of its own, silent; None where it used up its processor time.

    Not the clock's time: a busy machine would then look like a mutant that never ends.
    """
    child = os.fork()
    if child == 0:
        status = 70
        try:
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, 1)
            os.dup2(silence, 2)
            used = math.ceil(time.process_time() + seconds)
            resource.setrlimit(resource.RLIMIT_CPU, (used, used))
            # A fault in a size may ask for all the memory there is.
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            status = run()
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return None if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)


def page(result: dict[str, Any]) -> list[str]:
    """The section of docs/calibration.md."""
    told = result["mutants"]
    by_kind: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in told:
        by_kind[one["operator"]].append(one)
    survivors = [one for one in told if one["fate"] == "survived"]
    lines = [
        f"{len(told)} mutants, seed {result['seed']}: {result['killed']} killed ({result['killed'] / len(told):.0%}; "
        f"{sum(one['fate'] == 'timed out' for one in told)} of them by never ending), {len(survivors)} survived, "
        f"{result['explained']} of which are explained.",
        "",
        *table(
            ["fault", "planted", "killed"],
            [
                [kind, str(len(of)), str(sum(o["fate"] != "survived" for o in of))]
                for kind, of in sorted(by_kind.items())
            ],
        ),
    ]
    if survivors:
        rows = [
            [f"`{one['mutant'].replace('|', '¦')}`", one.get("explanation", "**unexplained**")] for one in survivors
        ]
        lines += ["", *table(["survivor", "why no test can, or need, tell"], rows)]
    return lines


def explain(told: Sequence[dict[str, Any]], explanations: dict[str, str]) -> dict[str, Any]:
    """The whole result, with what is known of the survivors."""
    explained = [
        {**one, "explanation": explanations[one["mutant"]]}
        if one["fate"] == "survived" and one["mutant"] in explanations
        else one
        for one in told
    ]
    survived = [one for one in explained if one["fate"] == "survived"]
    killed = len(explained) - len(survived)
    known = sum("explanation" in one for one in survived)
    return {
        "seed": SEED,
        "killed": killed,
        "survived": len(survived),
        "explained": known,
        "met": killed >= GOAL * len(explained) and known == len(survived),
        "mutants": explained,
    }


def main() -> int:
    """Plant, run, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=300)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument(
        "--only", metavar="WORD", default="", help="only mutants whose name has this word; nothing is kept"
    )
    parser.add_argument(
        "--again", action="store_true", help="believe the kept result of those that were killed already"
    )
    parser.add_argument("--page", action="store_true", help="only explain and show the kept result again")
    options = parser.parse_args()
    explanations: dict[str, str] = tomllib.loads(EXPLAINED.read_text(encoding="utf-8"))["survivors"]
    if options.page:
        told = _kept()
    else:
        os.chdir(ROOT)
        _import_libraries()
        gc.freeze()  # what all forks share is no garbage
        reach = watch()
        chosen = [mutant for mutant in choose(options.mutants) if options.only in mutant.name]
        known = {one["mutant"]: one for one in (_kept() if options.again else []) if one["fate"] != "survived"}
        told = []
        with concurrent.futures.ThreadPoolExecutor(options.workers) as pool:
            for done in pool.map(lambda mutant: known.get(mutant.name) or try_out(mutant, reach), chosen):
                told.append(done)
                if not options.only:
                    save("mutants", explain(told, explanations))  # a run that was stopped goes on with --again
                print(f"{len(told):>3} {done['fate']:<9} {done['mutant']}", flush=True)
    result = explain(told, explanations)
    if not options.only:
        save("mutants", result)
        write_section("mutants", page(result))
    print(
        f"{result['killed']} of {len(told)} killed; {result['explained']} of {result['survived']} survivors explained"
    )
    return int(not result["met"])


def _kept() -> list[dict[str, Any]]:
    kept = json.loads((RESULTS / "mutants.json").read_text(encoding="utf-8"))["mutants"]
    return [{key: value for key, value in one.items() if key != "explanation"} for one in kept]


def _import_libraries() -> None:
    """What every fork needs and none may change. Nothing of ours, and no plugin that pytest wants to load itself."""
    import hypothesis.strategies
    import msgspec
    import numpy
    import pytest
    import scipy.stats
    import statsmodels.stats.api

    del hypothesis, msgspec, numpy, pytest, scipy, statsmodels


if __name__ == "__main__":
    sys.exit(main())
