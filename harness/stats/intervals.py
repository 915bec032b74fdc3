"""How far an estimate can be trusted: intervals for proportions, means and any statistic."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.errors import StatisticsError

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

#: Below this many clusters the t interval is too narrow, and all sign flips can be counted instead.
FEW_CLUSTERS = 20


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
    z = normal_quantile((1 + _level(confidence)) / 2)
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
    tail = (1 - _level(confidence)) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, n - successes + 1, tail))
    high = 1.0 if successes == n else float(betaincinv(successes + 1, n - successes, 1 - tail))
    return Interval(estimate=rate, low=low, high=high, confidence=confidence, method="Clopper-Pearson", n=n)


def zero_failures_bound(n: int, *, confidence: float = 0.95) -> float:
    """The largest failure rate that `n` clean cases leave possible: `1 - (1 - confidence)^(1/n)`."""
    if n < 1:
        raise StatisticsError("no cases: a clean sheet proves something from one case on")
    return float(-math.expm1(math.log1p(-_level(confidence)) / n))


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
    low, high = mean.limits((1 - _level(confidence)) / 2)
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
    corrected and accelerated. Where every resample agrees, the interval is that one point.
    Source: Efron 1987 (BCa).
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim not in (1, 2):
        raise StatisticsError(f"values must be one row a case (1 or 2 dimensions), not {x.ndim}")
    _refuse_nan(x.ravel(), "values")
    if rounds < 100:
        raise StatisticsError(f"{rounds} bootstrap rounds are too few; 10,000 is usual")
    members = _members(x.shape[0], clusters)
    g = len(members)
    if g < 2:
        raise StatisticsError(f"{_count(x.shape[0], g)}: resampling needs at least two. Add cases.")
    estimate = _finite(statistic(x), "the statistic")
    draws = rng.integers(0, g, size=(rounds, g))
    if clusters is None:
        replicates = np.fromiter((statistic(x[row]) for row in draws), np.float64, rounds)
        left_out = np.fromiter((statistic(np.delete(x, i, axis=0)) for i in range(g)), np.float64, g)
    else:
        rows = (np.concatenate([members[c] for c in row]) for row in draws)
        replicates = np.fromiter((statistic(x[row]) for row in rows), np.float64, rounds)
        left_out = np.fromiter((statistic(np.delete(x, m, axis=0)) for m in members), np.float64, g)
    _refuse_nan(replicates, "the statistic's resamples")
    _refuse_nan(left_out, "the statistic's leave-one-out values")
    low, high = _bca(estimate, replicates, left_out, (1 - _level(confidence)) / 2)
    return Interval(estimate=estimate, low=low, high=high, confidence=confidence, method="BCa bootstrap", n=x.shape[0])


def _bca(estimate: float, replicates: Floats, left_out: Floats, tail: float) -> tuple[float, float]:
    from scipy.special import ndtr

    r = replicates.size
    below = np.count_nonzero(replicates < estimate) + np.count_nonzero(replicates == estimate) / 2
    # Kept off 0 and 1, where the correction is infinite.
    bias = normal_quantile(min(max(below / r, 0.5 / r), 1 - 0.5 / r))
    pull = left_out.mean() - left_out
    spread = float((pull**2).sum())
    acceleration = float((pull**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    z = np.array([normal_quantile(tail), normal_quantile(1 - tail)]) + bias
    levels = ndtr(bias + z / np.maximum(1 - acceleration * z, 1e-9))
    low, high = np.quantile(replicates, levels)
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class ClusterMean:
    """A weighted mean whose independent units are clusters; a case by itself is a cluster of one.

    `totals[c]` is the weighted sum of the values of cluster c and `sizes[c]` the sum of their weights.
    """

    totals: Floats
    sizes: Floats
    single: bool

    @classmethod
    def of(cls, values: Floats, *, clusters: ArrayLike | None = None, weights: Floats | None = None) -> ClusterMean:
        """Sum values and weights per cluster. `clusters` are labels of any kind, one per value."""
        w = np.ones_like(values) if weights is None else weights
        if clusters is None:
            return cls(totals=w * values, sizes=w, single=True)
        index = cluster_index(values.size, clusters)
        sizes = np.asarray(np.bincount(index, weights=w), dtype=np.float64)
        totals = np.asarray(np.bincount(index, weights=w * values), dtype=np.float64)
        return cls(totals=totals, sizes=sizes, single=sizes.size == values.size)

    @property
    def n_clusters(self) -> int:
        """How many independent units there are."""
        return int(self.totals.size)

    @property
    def estimate(self) -> float:
        """The weighted mean."""
        return float(self.totals.sum() / self.sizes.sum())

    @property
    def standard_error(self) -> float:
        """Cluster-robust standard error of the mean; infinite for one cluster, which shows no spread."""
        g = self.n_clusters
        if g < 2:
            return math.inf
        residuals = self.totals - self.sizes * self.estimate
        # Rounding alone must not look like spread.
        residuals[np.abs(residuals) < 1e-12 * max(1.0, float(np.abs(self.totals).max()))] = 0.0
        return float(math.sqrt((residuals**2).sum() * g / (g - 1)) / self.sizes.sum())

    @property
    def method(self) -> str:
        """The name of the interval that `limits` gives."""
        if self.single:
            return "Student t"
        return "sign flips of clusters" if self.n_clusters < FEW_CLUSTERS else "cluster-robust t"

    def limits(self, tail: float) -> tuple[float | None, float | None]:
        """Lower and upper limit, each missed with probability `tail`; None where nothing can be ruled out."""
        if self.n_clusters < 2:
            return None, None
        if self.single or self.n_clusters >= FEW_CLUSTERS:
            from scipy.special import stdtrit

            reach = float(stdtrit(self.n_clusters - 1, 1 - tail)) * self.standard_error
            return self.estimate - reach, self.estimate + reach
        typical = self._typical_values()
        # A mean of m is rejected while fewer than tail * 2^G flips are as extreme; the unflipped one counts.
        skip = math.floor(tail * (typical.size + 1) + 1e-9)
        return (None, None) if skip < 1 else (float(typical[skip - 1]), float(typical[-skip]))

    def _typical_values(self) -> Floats:
        """Means of all non-empty subsets of clusters, sorted: the sign-flip test's limits are among them.

        Source: Hartigan 1969, "Using subsample values as typical values".
        """
        totals, sizes = np.zeros(1), np.zeros(1)
        for total, size in zip(self.totals, self.sizes, strict=True):
            totals, sizes = np.concatenate([totals, totals + total]), np.concatenate([sizes, sizes + size])
        return np.sort(totals[1:] / sizes[1:])


def as_values(values: ArrayLike, name: str) -> Floats:
    """`values` as a one-dimensional array of finite numbers, at least one.

    Raises StatisticsError naming `name` and the position of the first value that is no number.
    """
    try:
        x = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise StatisticsError(f"{name}: not numbers ({error}). Leave no gaps: drop or score them.") from error
    if x.ndim != 1:
        raise StatisticsError(f"{name}: one number per case is needed, not an array of shape {x.shape}")
    if x.size == 0:
        raise StatisticsError(f"{name}: there are none, so there is nothing to tell. Add cases.")
    _refuse_nan(x, name)
    return x


def cluster_index(n: int, clusters: ArrayLike) -> Labels:
    """Cluster labels of any kind as whole numbers from 0; raises StatisticsError unless there is one per
    value.
    """
    labels = np.asarray(clusters)
    if labels.shape != (n,):
        raise StatisticsError(f"{n} values but cluster labels of shape {labels.shape}: give one per value")
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def normal_quantile(p: float) -> float:
    """The standard normal quantile."""
    return NormalDist().inv_cdf(p)


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


def _level(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise StatisticsError(f"confidence {confidence}: give a share between 0 and 1, such as 0.95")
    return confidence


def _refuse_nan(x: Floats, name: str) -> None:
    bad = np.flatnonzero(~np.isfinite(x))
    if bad.size:
        raise StatisticsError(f"{name}: the value at position {bad[0]} is {x[bad[0]]}, not a number")


def _finite(value: float, name: str) -> float:
    if not math.isfinite(value):
        raise StatisticsError(f"{name} is {value} on the whole data: there is nothing to resample")
    return float(value)


def _count(n: int, clusters: int) -> str:
    return f"{n} value{'s' * (n != 1)}" if n == clusters else f"{n} values in {clusters} cluster(s)"
