"""Means whose independent units are clusters of cases."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.values import Floats, cluster_index

#: Below this many clusters the t interval is too narrow, and all sign flips can be counted instead.
FEW_CLUSTERS = 20


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
