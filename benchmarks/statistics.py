"""What a verdict costs: a paired comparison, a decision and a bootstrap, each on as much as a large project has.

    python benchmarks/statistics.py [--rounds 5]

Each row is the median of the rounds, after one that warms up: wall time, which the budgets are about, and the
processor's own time, which a busy machine does not stretch. The budgets are 100 ms for comparing 100,000 pairs, 2 s
for deciding a record of 100 sets of 1,000 cases, and 2 s for 10,000 rounds of the BCa bootstrap on 1,000 cases.
"""

from __future__ import annotations

import sys

if __name__ == "statistics":
    # Python looks beside a script first, so that `import statistics` in its neighbours, and in what they import, finds
    # this file. They mean the standard library's: it takes this module's place.
    import importlib.util
    import sysconfig

    _spec = importlib.util.spec_from_file_location(__name__, f"{sysconfig.get_path('stdlib')}/statistics.py")
    assert _spec is not None
    assert _spec.loader is not None
    sys.modules[__name__] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules[__name__])
else:
    import argparse
    import os
    import time
    from collections.abc import Callable, Iterator

    import numpy as np
    from machine import save, versions
    from numpy.typing import NDArray

    from harness.gate import decide
    from harness.policy import GatePolicy
    from harness.record import CaseResult, ModelIdentity, RunRecord, SetResult
    from harness.stats.intervals import bootstrap_interval
    from harness.stats.paired import compare_paired

    PAIRS, SETS, CASES = 100_000, 100, 1_000
    COMPARE_S, DECIDE_S, BOOTSTRAP_S = 0.1, 2.0, 2.0
    Pairs = NDArray[np.float64]


def yes_no(rng: np.random.Generator, n: int) -> Pairs:
    """Two equal models that pass 90% and differ on a tenth of the cases: rows are the models."""
    kind = rng.choice(4, size=n, p=[0.85, 0.05, 0.05, 0.05])
    return np.array([kind < 2, (kind == 0) | (kind == 2)], dtype=np.float64)


def partial(rng: np.random.Generator, n: int) -> Pairs:
    """Two equal models whose scores lie anywhere between 0 and 1."""
    hard = rng.random(n)
    return np.clip(hard + rng.normal(0, 0.1, size=(2, n)), 0, 1)


def record(scores: Callable[[np.random.Generator, int], Pairs], *, rewordings: int, retention: bool) -> RunRecord:
    """A run of 100 sets of 1,000 cases; every case has `rewordings` cases that say the same, itself included."""
    rng = np.random.default_rng(0)
    sets = []
    for s in range(SETS):
        candidate, baseline = scores(rng, CASES).tolist()
        cases = tuple(
            CaseResult(
                case=f"case-{i}",
                line=i + 1,
                candidate=candidate[i],
                baseline=baseline[i],
                root=baseline[i] if retention else None,
                variant_of=None if i % rewordings == 0 else f"case-{i - i % rewordings}",
            )
            for i in range(CASES)
        )
        sets.append(
            SetResult(
                name=f"set-{s}", path=f"set-{s}.jsonl", digest=str(s), kind="ask", retention=retention, cases=cases
            )
        )
    names = ("candidate", "baseline", "root")
    who = {
        name: ModelIdentity(
            label=name, reference=name, digest=name, base_digest="b", adapter_digest=None, engine="e", dtype="d"
        )
        for name in names
    }
    policy = GatePolicy()
    return RunRecord(
        run_id="benchmark",
        created="2026-01-01T00:00:00Z",
        harness_version="0",
        arguments=(),
        candidate=who["candidate"],
        baseline=who["baseline"],
        root=who["root"] if retention else None,
        policy=policy,
        policy_digest=policy.digest,
        collection_digest="c",
        sets=tuple(sets),
    )


def jobs() -> Iterator[tuple[str, float, Callable[[], object]]]:
    """What is measured: its name, its budget in seconds, and the work."""
    rng = np.random.default_rng(0)
    x, y = yes_no(rng, PAIRS)
    u, v = partial(rng, PAIRS)
    quarters = np.arange(PAIRS) // 4
    pairs = f"compare_paired, {PAIRS:,} pairs"
    yield f"{pairs}, yes/no", COMPARE_S, lambda: compare_paired(x, y, margin=0.05)
    yield f"{pairs}, partial scores", COMPARE_S, lambda: compare_paired(u, v, margin=0.05)
    yield f"{pairs}, in clusters of 4", COMPARE_S, lambda: compare_paired(x, y, margin=0.05, clusters=quarters)

    policy = GatePolicy()
    plain = record(yes_no, rewordings=1, retention=False)
    shares = record(partial, rewordings=1, retention=False)
    full = record(yes_no, rewordings=4, retention=True)
    decided = f"decide, {SETS} sets x {CASES:,} cases"
    yield f"{decided}, yes/no", DECIDE_S, lambda: decide(plain, policy)
    yield f"{decided}, partial scores", DECIDE_S, lambda: decide(shares, policy)
    yield f"{decided}, rewordings, two rivals", DECIDE_S, lambda: decide(full, policy)

    one, both = rng.random(CASES), partial(rng, CASES).T
    bca = f"bootstrap_interval, 10,000 rounds, {CASES:,} cases"
    yield f"{bca}, mean", BOOTSTRAP_S, lambda: bootstrap_interval(one, np.mean, np.random.default_rng(0))
    yield f"{bca}, median", BOOTSTRAP_S, lambda: bootstrap_interval(one, np.median, np.random.default_rng(0))
    yield f"{bca}, paired difference", BOOTSTRAP_S, lambda: bootstrap_interval(both, gap, np.random.default_rng(0))


def gap(rows: Pairs) -> float:
    """The mean paired difference: a statistic of rows, resampled one by one."""
    return float((rows[:, 0] - rows[:, 1]).mean())


def seconds(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median wall and processor time, the first call left out."""
    work()
    spent = []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        spent.append((time.perf_counter() - wall, time.process_time() - cpu))
    wall_s, cpu_s = np.median(spent, axis=0).tolist()
    return wall_s, cpu_s


def main() -> int:
    """Measure, print a table, keep; exit status 1 when any row is over budget."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    rows = []
    print(f"{'what':<76} {'wall':>9} {'processor':>9} {'budget':>9}")
    for name, budget, work in jobs():
        wall, cpu = seconds(work, rounds)
        rows.append({"what": name, "wall_s": round(wall, 4), "processor_s": round(cpu, 4), "budget_s": budget})
        told = " ".join(f"{1000 * value:>6.0f} ms" for value in (wall, cpu, budget))
        print(f"{name:<76} {told}{'  OVER' if wall > budget else ''}")
    busy = os.getloadavg()[0] / (os.cpu_count() or 1)
    print(f"{busy:.1f} processes were waiting for each processor at the end; above 1, wall time is not the code's own.")
    result = {"rows": rows, "rounds": rounds, "load_per_cpu": round(busy, 1)}
    save("statistics", {**result, **versions("numpy", "scipy", "finetune-harness")})
    return int(any(row["wall_s"] > row["budget_s"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
