"""How far an estimate can be trusted: intervals for proportions, means and any statistic."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from harness.errors import StatisticsError
from harness.stats.clusters import ClusterMean
from harness.stats.values import Floats, Labels, as_values, cluster_index, level_of, normal_quantile, refuse_nan

__all__ = [
    "ClusterMean",
    "Floats",
    "Interval",
    "as_values",
    "bootstrap_interval",
    "clopper_pearson",
    "cluster_index",
    "mean_interval",
    "normal_quantile",
    "wilson",
    "zero_failures_bound",
]

#: Resampled values held in memory at a time.
_BLOCK = 1_000_000
#: The share of resamples that may have no value; with more, the interval would be of other data.
_MOST_UNDEFINED = 0.05


class Interval(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An estimate from `n` observations and the two-sided range that `method` gives it at `confidence`."""

    estimate: float
    low: float
    high: float
    confidence: float
    method: str
    n: int

    def __repr__(self) -> str:
        return (
            f"{self.estimate:.4g} [{self.low:.4g}, {self.high:.4g}] ({self.confidence:.0%} {self.method}, n={self.n})"
        )


def wilson(successes: float, n: int, *, confidence: float = 0.95) -> Interval:
    """Range of a rate, for display. Shares of passed samples may be summed into `successes`: a score between
    0 and 1 varies no more than a yes/no one with the same mean.

    Source: Wilson 1927; Newcombe 1998, method 3.
    """
    rate = _rate(successes, n)
    z = normal_quantile((1 + level_of(confidence)) / 2)
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return Interval(
        estimate=rate,
        low=0.0 if successes == 0 else max(0.0, centre - half),
        high=1.0 if successes == n else min(1.0, centre + half),
        confidence=confidence,
        method="Wilson",
        n=n,
    )


def clopper_pearson(successes: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Exact range of a rate: covers at least as often as it says, for bounds that must hold.

    Source: Clopper and Pearson 1934.
    """
    from scipy.special import betaincinv

    rate = _rate(successes, n)
    tail = (1 - level_of(confidence)) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, n - successes + 1, tail))
    high = 1.0 if successes == n else float(betaincinv(successes + 1, n - successes, 1 - tail))
    return Interval(estimate=rate, low=low, high=high, confidence=confidence, method="Clopper-Pearson", n=n)


def zero_failures_bound(n: int, *, confidence: float = 0.95) -> float:
    """The largest failure rate that `n` clean cases leave possible: `1 - (1 - confidence)^(1/n)`."""
    if n < 1:
        raise StatisticsError("no cases: a clean sheet proves something from one case on")
    return float(-math.expm1(math.log1p(-level_of(confidence)) / n))


def mean_interval(values: ArrayLike, clusters: ArrayLike | None = None, *, confidence: float = 0.95) -> Interval:
    """Range of a mean: Student's t over values, or over clusters of values that are not independent.

    With fewer than 20 clusters all sign flips of the clusters are counted instead.
    Source: Miller 2024, arXiv 2411.00640.
    Raises StatisticsError for fewer than two values or clusters, and where there are too few clusters to say
    anything at this confidence.
    """
    x = as_values(values, "values")
    mean = ClusterMean.of(x, clusters=clusters)
    if mean.n_clusters < 2:
        raise StatisticsError(f"{_count(x.size, mean.n_clusters)}: an interval needs at least two. Add cases.")
    low, high = mean.limits((1 - level_of(confidence)) / 2)
    if low is None or high is None:
        raise StatisticsError(
            f"{mean.n_clusters} clusters are too few for a {confidence:.0%} interval. Add clusters, "
            "or ask for less confidence."
        )
    return Interval(estimate=mean.estimate, low=low, high=high, confidence=confidence, method=mean.method, n=x.size)


def bootstrap_interval(
    values: ArrayLike,
    statistic: Callable[[Floats], float],
    rng: np.random.Generator,
    clusters: ArrayLike | None = None,
    *,
    confidence: float = 0.95,
    rounds: int = 10_000,
) -> Interval:
    """Range of any `statistic`, by resampling rows of `values` (or whole clusters of rows) with replacement.

    Put both sides of a comparison into one row (an array of shape (n, 2)), so that pairs stay together. Bias
    corrected and accelerated. Where every resample agrees, the interval is that one point. A statistic that
    takes an `axis`, as numpy's do, is computed for many resamples at a time.
    Source: Efron 1987 (BCa).
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim not in (1, 2):
        raise StatisticsError(f"values must be one row a case (1 or 2 dimensions), not {x.ndim}")
    refuse_nan(x.ravel(), "values")
    members = _members(x.shape[0], clusters)
    g = len(members)
    if g < 2:
        raise StatisticsError(f"{_count(x.shape[0], g)}: resampling needs at least two. Add cases.")
    estimate = _finite(statistic(x), "the statistic")
    if clusters is None:
        replicates = np.concatenate([_each(statistic, x, draw) for draw in resamples(g, rounds, rng)])
        left_out = np.concatenate([_each(statistic, x, kept) for kept in _leave_one_out(g)])
    else:
        rows = (np.concatenate([members[c] for c in row]) for draw in resamples(g, rounds, rng) for row in draw)
        replicates = np.fromiter((statistic(x[row]) for row in rows), np.float64, rounds)
        left_out = np.fromiter((statistic(np.delete(x, m, axis=0)) for m in members), np.float64, g)
    refuse_nan(replicates, "the statistic's resamples")
    refuse_nan(left_out, "the statistic's leave-one-out values")
    low, high = bca_limits(estimate, replicates, left_out, (1 - level_of(confidence)) / 2)
    return Interval(estimate=estimate, low=low, high=high, confidence=confidence, method="BCa bootstrap", n=x.shape[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampled:
    """The interval from the resamples that have a value, and how many have none (one category only, say)."""

    interval: Interval
    undefined: int


def count_bootstrap(
    estimate: float,
    n: int,
    statistic: Callable[[Floats], Floats],
    rng: np.random.Generator,
    *,
    confidence: float = 0.95,
    rounds: int = 10_000,
) -> Resampled:
    """BCa range of a statistic of `n` units that can be told from how often each unit is drawn.

    `statistic` takes a block of rows of counts, one count per unit, and gives one value per row, NaN where it
    has none. Raises StatisticsError where more than 5% of the resamples have none.
    """
    if n < 2:
        raise StatisticsError(f"{n} case{'s' * (n != 1)}: resampling needs at least two. Add cases.")
    drawn = np.concatenate([statistic(_counted(draw)) for draw in resamples(n, rounds, rng)])
    left_out = np.concatenate([statistic(_counted(kept, n)) for kept in _leave_one_out(n)])
    defined = np.isfinite(drawn)
    undefined = int(rounds - np.count_nonzero(defined))
    if undefined > _MOST_UNDEFINED * rounds or not np.isfinite(left_out).any():
        raise StatisticsError(
            f"{undefined / rounds:.0%} of the resamples of these {n} cases have no value: the data hang on too few "
            "of them for an interval. Add cases, rare kinds first."
        )
    tail = (1 - level_of(confidence)) / 2
    low, high = bca_limits(estimate, drawn[defined], left_out[np.isfinite(left_out)], tail)
    interval = Interval(estimate=estimate, low=low, high=high, confidence=confidence, method="BCa bootstrap", n=n)
    return Resampled(interval=interval, undefined=undefined)


def resamples(n: int, rounds: int, rng: np.random.Generator) -> Iterator[Labels]:
    """`rounds` draws of `n` out of `n` with replacement: blocks of rows of indices, never all in memory."""
    if rounds < 100:
        raise StatisticsError(f"{rounds} bootstrap rounds are too few; 10,000 is usual")
    block = max(1, _BLOCK // n)
    for done in range(0, rounds, block):
        yield rng.integers(0, n, size=(min(block, rounds - done), n))


def bca_limits(estimate: float, replicates: Floats, left_out: Floats, tail: float) -> tuple[float, float]:
    """Limits of an estimate from its resamples and its leave-one-out values, bias corrected and accelerated.

    Where every resample agrees, both are that one point. Source: Efron 1987.
    """
    from scipy.special import ndtr

    r = replicates.size
    # Rounding must not tell a resample from its equal, the data themselves.
    same = 1e-12 * max(abs(estimate), float(np.ptp(replicates)))
    below = np.count_nonzero(replicates < estimate - same) / 2 + np.count_nonzero(replicates <= estimate + same) / 2
    # Kept off 0 and 1, where the correction is infinite.
    bias = normal_quantile(min(max(below / r, 0.5 / r), 1 - 0.5 / r))
    pull = left_out.mean() - left_out
    spread = float((pull**2).sum())
    acceleration = float((pull**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    z = np.array([normal_quantile(tail), normal_quantile(1 - tail)]) + bias
    levels = ndtr(bias + z / np.maximum(1 - acceleration * z, 1e-9))
    low, high = np.quantile(replicates, levels)
    return float(low), float(high)


def _leave_one_out(n: int) -> Iterator[Labels]:
    """Blocks of rows of the indices that remain when each one is left out in turn."""
    block, places = max(1, _BLOCK // n), np.arange(n - 1)
    for done in range(0, n, block):
        yield places + (places >= np.arange(done, min(n, done + block))[:, None])


def _counted(rows: Labels, n: int | None = None) -> Floats:
    """How often each of the `n` indices occurs in each row."""
    n = rows.shape[1] if n is None else n
    shifted = rows + n * np.arange(len(rows))[:, None]
    return np.bincount(shifted.ravel(), minlength=n * len(rows)).reshape(len(rows), n).astype(np.float64)


def _each(statistic: Callable[..., float], x: Floats, rows: Labels) -> Floats:
    """The statistic of `x[row]` for each row: in one call where it takes an `axis`, as numpy's do."""
    if x.ndim == 1 and _takes_axis(statistic):
        return np.asarray(statistic(x[rows], axis=1), dtype=np.float64)
    return np.fromiter((statistic(x[row]) for row in rows), np.float64, len(rows))


def _takes_axis(statistic: Callable[..., float]) -> bool:
    try:
        return "axis" in inspect.signature(statistic).parameters
    except ValueError:  # some built-in functions have no signature
        return False


def _members(n: int, clusters: ArrayLike | None) -> list[Labels]:
    if clusters is None:
        return [np.array([i]) for i in range(n)]
    index = cluster_index(n, clusters)
    order = np.argsort(index, kind="stable")
    return np.split(order, np.cumsum(np.bincount(index))[:-1])


def _rate(successes: float, n: int) -> float:
    if n < 1:
        raise StatisticsError("no cases: a rate needs at least one. Add cases.")
    if not 0 <= successes <= n:
        raise StatisticsError(f"{successes} of {n}: the count must lie between 0 and {n}")
    return successes / n


def _finite(value: float, name: str) -> float:
    if not math.isfinite(value):
        raise StatisticsError(f"{name} is {value} on the whole data: there is nothing to resample")
    return float(value)


def _count(n: int, clusters: int) -> str:
    return f"{n} value{'s' * (n != 1)}" if n == clusters else f"{n} values in {clusters} cluster(s)"
