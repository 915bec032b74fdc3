"""The gate's rule and two others over many drawn runs at once.

`ours` gives for every run what `harness.gate.decide` would say of its record, from the same formulas over arrays;
`calibration.py` and the tests hold a sample of the runs against `decide` itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from drawn import Drawn, Shape
from numpy.typing import NDArray

from harness.answers import SEVERITY
from harness.record import Role
from harness.stats.flips import tango_excess, worse_p_values
from harness.stats.intervals import normal_quantile

#: One severity per run, as in harness.answers.SEVERITY.
Statuses = NDArray[np.int8]
Truths = NDArray[np.bool_]

PASS, INCONCLUSIVE, FAIL = (np.int8(SEVERITY[name]) for name in ("PASS", "INCONCLUSIVE", "FAIL"))
#: What a plain comparison of two percentages tolerates.
THRESHOLD = 0.05


def ours(drawn: Drawn) -> Statuses:
    """The gate's status of every run: red lines, alarms, pooled proofs, targets, and the retention suite's answer."""
    guards, retention = drawn.layout.guards, [s for s in drawn.layout.guards if s.retention]
    found = [_red_lines(drawn), _guarded(drawn, guards), *(_target(drawn, s) for s in drawn.layout.shapes)]
    if retention:
        found.append(_guarded(drawn, retention))
    return np.maximum.reduce(found)


def threshold(drawn: Drawn) -> Statuses:
    """FAIL where any guard set's pass rate is more than 5 points below the baseline's, else PASS."""
    worse = [_drop(drawn, shape) > THRESHOLD + 1e-9 for shape in drawn.layout.guards]
    return np.maximum(_red_lines(drawn), np.where(np.any(worse, axis=0), FAIL, PASS))


def every_set(drawn: Drawn) -> Statuses:
    """PASS where every guard set by itself rules out the margin against the baseline; FAIL where any is worse for
    certain."""
    answers = [_red_lines(drawn)]
    for shape in drawn.layout.guards:
        b, c = _flips(drawn.scores[shape.name], "baseline")
        proven = _exceeds(b, c, shape.n, -drawn.layout.policy.margin)
        worse = _exceeds(c, b, shape.n, 0.0)
        answers.append(np.where(proven, PASS, np.where(worse, FAIL, INCONCLUSIVE)))
    return np.maximum.reduce(answers)


def alarmed(drawn: Drawn, guards: Sequence[Shape] | None = None) -> Truths:
    """Where any guard set or alarm probe is significantly worse than any rival (Holm over all of them)."""
    p = []
    for shape in drawn.layout.guards if guards is None else guards:
        for rival in _rivals(drawn, shape):
            p.append(worse_p_values(*_flips(drawn.scores[shape.name], rival)))
            if shape.watched:
                b, c = _flips(drawn.bleed[shape.name], rival)
                p.append(worse_p_values(c, b))  # more of it is worse
    # Holm raises an alarm at all exactly where the smallest p-value, times their number, is small enough.
    return np.asarray(np.min(p, axis=0) * len(p) <= drawn.layout.policy.alpha)


def _guarded(drawn: Drawn, guards: Sequence[Shape]) -> Statuses:
    found = [np.where(alarmed(drawn, guards), FAIL, PASS)]
    rivals: tuple[Role, ...] = ("baseline", "root") if drawn.layout.root else ("baseline",)
    for rival in rivals:
        pool = [shape for shape in guards if rival in _rivals(drawn, shape)]
        if pool:
            found.append(_pooled(drawn, pool, rival))
    return np.maximum.reduce(found)


def _pooled(drawn: Drawn, pool: Sequence[Shape], rival: Role) -> Statuses:
    margin = drawn.layout.policy.margin
    d = np.concatenate(
        [drawn.scores[s.name]["candidate"].astype(np.float64) - drawn.scores[s.name][rival] for s in pool], axis=1
    )
    n, totals, sizes = d.shape[1], d, np.ones(d.shape[1])
    place = {shape.name: (sum(s.n for s in pool[:i]), shape.n) for i, shape in enumerate(pool)}
    for shape in pool:
        if shape.rewords in place:
            first, many = place[shape.rewords]
            own, _ = place[shape.name]
            totals[:, first : first + many] += totals[:, own : own + many]
            sizes[first : first + many] += sizes[own : own + many]
            sizes[own : own + many] = 0
    b, c = np.zeros(drawn.draws), np.zeros(drawn.draws)
    for shape in pool:
        more, less = _flips(drawn.scores[shape.name], rival)
        b, c = b + more, c + less
    totals, sizes = totals[:, sizes > 0], sizes[sizes > 0]
    effective = n * n / float((sizes**2).sum())
    share = effective / n
    passes = _exceeds(b * share, c * share, effective, -margin)
    fails = _exceeds(c * share, b * share, effective, margin)
    if sizes.size < n:
        # Rewordings: the wider of Tango's limit and that of Student's t over clusters.
        low, high = _cluster_limits(totals, sizes)
        passes, fails = passes & (low > -margin), fails & (high < -margin)
    return np.where(passes, PASS, np.where(fails, FAIL, INCONCLUSIVE))


def _cluster_limits(totals: NDArray[np.float64], sizes: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    from scipy.special import stdtrit

    g = sizes.size
    mean = totals.sum(axis=1) / sizes.sum()
    residuals = totals - mean[:, None] * sizes
    reach = stdtrit(g - 1, 0.95) * np.sqrt((residuals**2).sum(axis=1) * g / (g - 1)) / sizes.sum()
    return mean - reach, mean + reach


def _target(drawn: Drawn, shape: Shape) -> Statuses:
    if not drawn.layout.policy.is_target(shape.name):
        return np.full(drawn.draws, PASS)
    b, c = _flips(drawn.scores[shape.name], "baseline")
    better, worse = (_exceeds(x, y, shape.n, 0.0, tail=0.025) for x, y in ((b, c), (c, b)))
    return np.where(better, PASS, np.where(worse, FAIL, INCONCLUSIVE))


def _red_lines(drawn: Drawn) -> Statuses:
    broken = np.zeros(drawn.draws, dtype=bool)
    for lines in drawn.broken.values():
        broken |= lines.any(axis=1)
    return np.where(broken, FAIL, PASS)


def _rivals(drawn: Drawn, shape: Shape) -> tuple[Role, ...]:
    return ("baseline", "root") if drawn.layout.root and shape.retention else ("baseline",)


def _flips(answers: dict[Role, NDArray[np.int8]], rival: Role) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    candidate, other = answers["candidate"], answers[rival]
    return (candidate > other).sum(axis=1).astype(np.float64), (candidate < other).sum(axis=1).astype(np.float64)


def _exceeds(
    b: NDArray[np.float64], c: NDArray[np.float64], n: float, difference: float, *, tail: float = 0.05
) -> Truths:
    """Does Tango's one-sided lower limit of (b - c) / n lie above `difference`?"""
    gap, error = tango_excess(b, c, n, difference)
    return np.asarray(gap > normal_quantile(1 - tail) * error)


def _drop(drawn: Drawn, shape: Shape) -> NDArray[np.float64]:
    answers = drawn.scores[shape.name]
    return np.asarray(answers["baseline"].mean(axis=1) - answers["candidate"].mean(axis=1))
