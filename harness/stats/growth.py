"""How much more one model takes than another on the same cases: the ratio of two means, paired."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from harness.errors import StatisticsError
from harness.stats.clusters import ClusterMean
from harness.stats.values import as_values

#: A mean that is this many times the other's is as good as without a limit.
_MOST = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """mean(candidate) / mean(baseline) - 1 over the same cases: 0.2 is 20% more.

    `low` and `high` are one-sided limits at `confidence`: growth of `high` or more is ruled out, and so is `low` or
    less. -1 and infinity where nothing is ruled out.
    """

    candidate: float
    baseline: float
    low: float
    high: float
    confidence: float
    n: int

    @property
    def share(self) -> float:
        """The growth that was seen."""
        return self.candidate / self.baseline - 1


def mean_growth(
    candidate: ArrayLike, baseline: ArrayLike, *, clusters: ArrayLike | None = None, confidence: float = 0.95
) -> Growth:
    """The growth of a mean of amounts, each 0 or more, with limits by Fieller's method: a ratio is ruled out where
    the mean of candidate - ratio * baseline is not 0.

    Clusters are labels of cases that are not independent. Source: Fieller 1954, "Some problems in interval
    estimation". Raises StatisticsError for no cases, for amounts below 0, and where the baseline's are all 0.
    """
    x, y = as_values(candidate, "candidate"), as_values(baseline, "baseline")
    if x.size != y.size:
        raise StatisticsError(f"{x.size} amounts of the candidate but {y.size} of the baseline: pair them by case")
    if min(x.min(), y.min()) < 0:
        raise StatisticsError(f"an amount of {min(x.min(), y.min()):g}: amounts are 0 or more")
    if not y.any():
        raise StatisticsError("the baseline's amounts are all 0: nothing can be a share of them")
    ratio = float(x.sum() / y.sum())
    tail = 1 - confidence

    def beyond(r: float, *, above: bool) -> bool:
        """Is the ratio r ruled out from above (or below)?"""
        low, high = ClusterMean.of(np.asarray(x - r * y, dtype=np.float64), clusters=clusters).limits(tail)
        return (high is not None and high < 0) if above else (low is not None and low > 0)

    low = _edge(ratio, 0.0, lambda r: beyond(r, above=False))
    high = _edge(ratio, _MOST * max(1.0, ratio), lambda r: beyond(r, above=True))
    return Growth(
        candidate=float(x.mean()),
        baseline=float(y.mean()),
        low=-1.0 if low is None else low - 1,
        high=math.inf if high is None else high - 1,
        confidence=confidence,
        n=int(x.size),
    )


def _edge(inside: float, far: float, ruled_out: Callable[[float], bool]) -> float | None:
    """The ratio between `inside` and `far` from which on ratios are ruled out; None where none is."""
    if not ruled_out(far):
        return None
    for _ in range(60):
        middle = (inside + far) / 2
        if ruled_out(middle):
            far = middle
        else:
            inside = middle
    return far
