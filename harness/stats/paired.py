"""Two models on the same cases: how much do they differ, and is the one not worse than the other?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from harness.answers import Answer
from harness.errors import StatisticsError
from harness.stats.clusters import ClusterMean
from harness.stats.flips import Discordant, Significance, mcnemar, tango_interval, tango_limits
from harness.stats.intervals import Interval, zero_failures_bound
from harness.stats.multiplicity import benjamini_hochberg, holm
from harness.stats.power import cases_needed, detectable_drop
from harness.stats.signflip import sign_flip_test
from harness.stats.values import Floats, as_values, normal_quantile

__all__ = [
    "Discordant",
    "PairedComparison",
    "Significance",
    "benjamini_hochberg",
    "compare_paired",
    "holm",
    "mcnemar",
    "sign_flip_test",
    "tango_interval",
]


class PairedComparison(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """candidate - baseline over the same cases, and whether a drop of `margin` is ruled out.

    `interval` is two-sided at `confidence`; `lower_limit` and `upper_limit` are one-sided at the same
    confidence. `answer` is PASS where the lower limit lies above `-margin`, FAIL where it does not and the
    upper limit lies below 0, else INCONCLUSIVE. `n_clusters` is `n` where every case stands for itself;
    `standard_error` is None where there is only one. `minimum_detectable_effect` is the drop seen with 80%
    power, one-sided; `cases_needed` the cases with which an equal model would pass 80% of the time, None
    where no number would do (a margin of 0).
    """

    difference: float
    standard_error: float | None
    interval: Interval
    lower_limit: float
    upper_limit: float
    margin: float
    answer: Answer
    n: int
    n_clusters: int
    discordant: Discordant
    minimum_detectable_effect: float
    cases_needed: int | None

    def __repr__(self) -> str:
        return (
            f"{self.answer.status}: {self.difference:+.4g} "
            f"[{self.interval.low:.4g}, {self.interval.high:.4g}] "
            f"(n={self.n}, b/c {self.discordant.only_candidate}/{self.discordant.only_baseline}, "
            f"margin {self.margin:g}, {self.interval.method})"
        )


def compare_paired(
    candidate: ArrayLike,
    baseline: ArrayLike,
    *,
    margin: float,
    clusters: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    confidence: float = 0.95,
) -> PairedComparison:
    """Compare scores (higher is better) of the same cases in the same order.

    Yes/no answers: Tango's score interval. Partial scores, weights or clusters (labels of cases that are not
    independent, such as rewordings of one question): Student's t over clusters, or all sign flips where there
    are fewer than 20. Where no difference varies, the limits say what so many equal cases leave possible.
    Raises StatisticsError for no cases, for NaN, and where the lengths differ: a missing pair is never
    dropped.
    """
    x, y = as_values(candidate, "candidate"), as_values(baseline, "baseline")
    if x.size != y.size:
        raise StatisticsError(f"{x.size} candidate scores but {y.size} of the baseline: pair them by case first")
    if not math.isfinite(margin) or margin < 0:
        raise StatisticsError(f"margin {margin}: give the largest drop that still counts as not worse, 0 or more")
    if not 0.5 < confidence < 1:
        raise StatisticsError(f"confidence {confidence}: give a share between 0.5 and 1, such as 0.95")
    w = _weights(weights, x.size)
    spread = _spread(x, y, w, clusters)
    mean, error = spread.units.estimate, spread.units.standard_error
    low, high = spread.limits((1 - confidence) / 2)
    lower, upper = spread.limits(1 - confidence)
    return PairedComparison(
        difference=mean,
        standard_error=None if error == math.inf else error,
        interval=Interval(estimate=mean, low=low, high=high, confidence=confidence, method=spread.method, n=x.size),
        lower_limit=lower,
        upper_limit=upper,
        margin=margin,
        answer=_answer(mean, lower, upper, margin),
        n=x.size,
        n_clusters=spread.units.n_clusters,
        discordant=Discordant(only_candidate=int(np.count_nonzero(x > y)), only_baseline=int(np.count_nonzero(x < y))),
        minimum_detectable_effect=spread.detectable(confidence),
        cases_needed=spread.cases_needed(margin, confidence),
    )


@dataclass(frozen=True, slots=True)
class _Spread:
    """The mean difference and how it may vary. `n_effective` independent cases would tell as much.

    `gained` and `lost` are weighted shares of the cases. `scale` is the largest difference that could be.
    """

    units: ClusterMean
    n: int
    n_effective: float
    scale: float
    gained: float
    lost: float
    yes_no: bool

    @property
    def score_test(self) -> bool:
        """Is each case an independent yes/no pair of weight 1?"""
        return self.yes_no and self.n_effective == self.n

    @property
    def constant(self) -> bool:
        """Does no difference vary, or is there only one unit?"""
        return self.units.standard_error in (0.0, math.inf)

    @property
    def method(self) -> str:
        if self.score_test:
            return "Tango score"
        if self.yes_no:
            return f"wider of Tango score and {self.units.method}"
        return "no spread seen" if self.constant else self.units.method

    def limits(self, tail: float) -> tuple[float, float]:
        n, low, high = self.n_effective, -self.scale, self.scale
        if self.yes_no:
            tango = tango_limits(self.gained * n, self.lost * n, n, tail)
            low, high = tango[0] * self.scale, tango[1] * self.scale
            if self.score_test:
                return low, high
        elif self.constant:
            # So many equal differences leave this share of others possible, each anywhere on the scale.
            other = zero_failures_bound(max(1, int(n)), confidence=1 - tail)
            keep = (1 - other) * self.units.estimate
            return keep - other * self.scale, keep + other * self.scale
        lower, upper = self.units.limits(tail)
        lower, upper = -self.scale if lower is None else lower, self.scale if upper is None else upper
        if self.yes_no:
            # Few flips make t too narrow, dependent cases the score interval.
            return max(min(low, lower), -self.scale), min(max(high, upper), self.scale)
        return max(lower, -self.scale), min(upper, self.scale)

    def detectable(self, confidence: float) -> float:
        alpha = 1 - confidence
        if self.yes_no or self.constant:
            flips = min(1.0, self.gained + self.lost) if self.yes_no else 0.0
            return detectable_drop(flips, max(1, int(self.n_effective)), alpha=alpha) * self.scale
        return (normal_quantile(confidence) + normal_quantile(0.8)) * self.units.standard_error

    def cases_needed(self, margin: float, confidence: float) -> int | None:
        share = margin / self.scale
        if share <= 0:
            return None
        design_effect = self.n / self.n_effective
        if self.yes_no:
            variance = design_effect * min(1.0, self.gained + self.lost)
        else:
            variance = 0.0 if self.constant else (self.units.standard_error / self.scale) ** 2 * self.n
        # Even with no flip at all, Tango's limit is -z^2 / (n + z^2).
        z = normal_quantile(confidence)
        untouched = math.floor(design_effect * z * z * max(0.0, 1 - share) / share) + 1
        return max(untouched, cases_needed(variance, share, alpha=1 - confidence))


def _spread(x: Floats, y: Floats, w: Floats | None, clusters: ArrayLike | None) -> _Spread:
    d = x - y
    units = ClusterMean.of(d, clusters=clusters, weights=w)
    independent = w is None and units.single
    w = np.ones_like(d) if w is None else w
    # Scores are shares; on any other scale, what was seen tells how far two scores can lie apart.
    scale = max(1.0, float(max(x.max(), y.max()) - min(x.min(), y.min())))
    return _Spread(
        units=units,
        n=d.size,
        n_effective=float(d.size) if independent else float(units.sizes.sum() ** 2 / (units.sizes**2).sum()),
        scale=scale,
        gained=float(w[d > 0].sum() / w.sum()),
        lost=float(w[d < 0].sum() / w.sum()),
        yes_no=not d.any() or bool(scale == 1 and np.all((d == 0) | (np.abs(d) == 1))),
    )


def _weights(weights: ArrayLike | None, n: int) -> Floats | None:
    """Weights that mean something: None where all are equal."""
    if weights is None:
        return None
    w = as_values(weights, "weights")
    if w.size != n:
        raise StatisticsError(f"{n} cases but {w.size} weights: give one per case")
    if w.min() <= 0:
        raise StatisticsError(f"weight {w.min():g}: a weight is above 0; leave a case out instead")
    return None if w.min() == w.max() else w


def _answer(mean: float, lower: float, upper: float, margin: float) -> Answer:
    if lower > -margin:
        return Answer(status="PASS", reason=f"a drop of {margin:g} is ruled out: at worst {lower:+.4f}")
    if upper < 0:
        return Answer(status="FAIL", reason=f"worse: {mean:+.4f}, at best {upper:+.4f}")
    return Answer(
        status="INCONCLUSIVE",
        reason=f"{mean:+.4f}, at worst {lower:+.4f}: a drop of {margin:g} is not ruled out",
    )
