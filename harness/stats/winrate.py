"""How often the candidate is preferred."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from harness.errors import StatisticsError
from harness.stats.clusters import ClusterMean
from harness.stats.intervals import Interval, mean_interval, wilson
from harness.stats.values import as_values, cluster_index

#: Below this many cases the t interval of a rate is too narrow; Wilson's holds.
_ENOUGH_FOR_T = 100


class WinRate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often the candidate is preferred, ties half. `wins`, `ties` and `losses` are scores above, at and below 0.5.

    `standard_error` is None where one case or cluster shows no spread. `unparsed` judgements are in no other number.
    """

    interval: Interval
    standard_error: float | None
    wins: int
    ties: int
    losses: int
    unparsed: int

    @property
    def estimate(self) -> float:
        """The win rate."""
        return self.interval.estimate

    def __repr__(self) -> str:
        unread = f", {self.unparsed} unparsed" if self.unparsed else ""
        return f"win rate {self.interval!r}, {self.wins}/{self.ties}/{self.losses} won/tied/lost{unread}"


def win_rate(
    scores: Iterable[float | None],
    clusters: ArrayLike | None = None,
    *,
    confidence: float = 0.95,
) -> WinRate:
    """How often the candidate is preferred, from one score between 0 and 1 per case.

    Student's t over cases, or over clusters of cases that are not independent; Wilson's interval for fewer than 100 of
    them and where none varies.
    """
    plain = list(scores)
    read = [i for i, score in enumerate(plain) if score is not None]
    x = as_values([score for score in plain if score is not None], "scores")
    if x.min() < 0 or x.max() > 1:
        raise StatisticsError(f"scores from {x.min():g} to {x.max():g}: a score lies between 0 and 1 (a tie is 0.5)")
    labels = None
    if clusters is not None:
        labels = cluster_index(len(plain), np.asarray(clusters))[read]
    mean = ClusterMean.of(x, clusters=labels)
    error = mean.standard_error
    if mean.n_clusters >= _ENOUGH_FOR_T and error > 0:
        interval = mean_interval(x, labels, confidence=confidence)
    else:
        # Clusters count by their effective number: a big one beside small ones tells less than their count.
        units = max(1, int(mean.sizes.sum() ** 2 / (mean.sizes**2).sum() + 1e-9))
        rate = min(1.0, max(0.0, mean.estimate))
        interval = msgspec.structs.replace(wilson(rate * units, units, confidence=confidence), n=x.size)
    return WinRate(
        interval=interval,
        standard_error=None if math.isinf(error) else error,
        wins=int(np.count_nonzero(x > 0.5)),
        ties=int(np.count_nonzero(x == 0.5)),
        losses=int(np.count_nonzero(x < 0.5)),
        unparsed=len(plain) - len(read),
    )
