"""Do two judges, or many, say the same beyond what chance would give? Do a judge's scores stand for people's?

Values run from 1 (always the same) over 0 (as often as by chance) to below 0. Each comes with a bootstrap interval
over cases. Where every rating is one category, chance explains everything: there is no value, and that is said.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from harness.errors import StatisticsError
from harness.stats.intervals import Interval, count_bootstrap, mean_interval
from harness.stats.values import Floats, Labels, as_values, level_of, normal_quantile

Level = Literal["nominal", "ordinal", "interval"]

#: With fewer human labels the normal approximation behind `ppi_mean` is weak: look at the human-only range too.
FEW_LABELS = 30


class Agreement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Agreement beyond chance over the cases of `interval`, and `observed`, the plain share of agreeing pairs of
    ratings.

    `undefined` counts the resamples without a value (one category only), which the interval leaves out; `unpaired`
    the cases with fewer than two ratings, which say nothing about agreement.
    """

    measure: str
    interval: Interval
    observed: float
    categories: int
    undefined: int
    unpaired: int = 0

    @property
    def estimate(self) -> float:
        """The value for the cases at hand."""
        return self.interval.estimate

    def __repr__(self) -> str:
        left = "".join(
            f", {many} {what}"
            for many, what in ((self.unpaired, "unpaired"), (self.undefined, "resamples without a value"))
            if many
        )
        return f"{self.measure} {self.interval!r}, {self.observed:.1%} agree, {self.categories} categories{left}"


def cohen_kappa(
    first: Iterable[object],
    second: Iterable[object],
    rng: np.random.Generator,
    *,
    confidence: float = 0.95,
    rounds: int = 10_000,
) -> Agreement:
    """Agreement of two judges, each with chance habits of their own. `first` and `second` are labels of the same
    cases.

    Falls towards 0 when nearly all cases are of one category, however often the two agree: see `gwet_ac1`.
    Source: Cohen 1960.
    """
    return _two_judges("Cohen's kappa", _cohen_chance, first, second, rng, confidence, rounds)


def gwet_ac1(
    first: Iterable[object],
    second: Iterable[object],
    rng: np.random.Generator,
    *,
    confidence: float = 0.95,
    rounds: int = 10_000,
) -> Agreement:
    """Agreement of two judges that does not fall apart where nearly all cases are of one category.

    Source: Gwet 2008.
    """
    return _two_judges("Gwet's AC1", _gwet_chance, first, second, rng, confidence, rounds)


def gwet_estimate(first: Iterable[object], second: Iterable[object]) -> float:
    """Gwet's AC1 without a range: told for any labels, where resampling has too little to go on. 1 where all labels are
    one.
    """
    one, other = _labels(first, "first"), _labels(second, "second")
    if len(one) != len(other):
        raise StatisticsError(f"{len(one)} labels of the first judge but {len(other)} of the second: pair them by case")
    names, index = _indexed([*one, *other])
    if len(names) < 2:
        return 1.0
    n = len(one)
    rows, columns = (np.bincount(part, minlength=len(names))[None, :] / n for part in (index[:n], index[n:]))
    chance = float(_gwet_chance(rows, columns)[0])
    return float((np.mean(index[:n] == index[n:]) - chance) / (1 - chance))


def krippendorff_alpha(
    ratings: Sequence[Sequence[object]] | ArrayLike,
    rng: np.random.Generator,
    *,
    level: Level = "nominal",
    confidence: float = 0.95,
    rounds: int = 10_000,
) -> Agreement:
    """Agreement of any number of judges, of whom each may have left cases out. `ratings` has one row per judge and
    one column per case; None or NaN where there is no rating.

    "ordinal" looks at ranks, "interval" at squared distances; both need numbers. Source: Krippendorff 2011.
    """
    if level not in ("nominal", "ordinal", "interval"):
        raise StatisticsError(f"level {level!r}: choose nominal, ordinal or interval")
    counts, values, unpaired = _rated(ratings, level)
    raters = counts.sum(axis=1)
    # Each case's pairs of ratings, weighted so that every rating counts once.
    agreeing = (counts * (counts - 1)).sum(axis=1) / (raters - 1)

    def alpha(drawn: Floats) -> Floats:
        totals = drawn @ counts
        n = totals.sum(axis=1)
        if level == "nominal":
            seen = drawn @ (raters - agreeing)
            chance = n * n - (totals**2).sum(axis=1)
        else:
            place = (values - values.mean())[None, :] if level == "interval" else np.cumsum(totals, axis=1) - totals / 2
            seen = 2 * (drawn @ (counts * (raters / (raters - 1))[:, None]) * place**2).sum(axis=1)
            seen -= 2 * (drawn * (place @ counts.T) ** 2 / (raters - 1)).sum(axis=1)
            chance = 2 * (n * (totals * place**2).sum(axis=1) - (totals * place).sum(axis=1) ** 2)
        one_kind = np.count_nonzero(totals, axis=1) < 2
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(one_kind, np.nan, 1 - (n - 1) * np.maximum(seen, 0.0) / chance)

    found = count_bootstrap(
        float(alpha(np.ones((1, len(counts))))[0]), len(counts), alpha, rng, confidence=confidence, rounds=rounds
    )
    return Agreement(
        measure=f"Krippendorff's alpha ({level})",
        interval=found.interval,
        observed=float(agreeing.sum() / raters.sum()),
        categories=values.size,
        undefined=found.undefined,
        unpaired=unpaired,
    )


class PpiMean(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mean from few human labels and many of a judge, corrected for the judge's errors.

    `trust` is the weight of the judge, from 0 (its scores do not help) to 1. `human_only` is the range from the human
    labels alone. `n_judged` counts the cases that only the judge scored.
    """

    interval: Interval
    human_only: Interval
    trust: float
    n_judged: int

    @property
    def estimate(self) -> float:
        """The corrected mean."""
        return self.interval.estimate

    def __repr__(self) -> str:
        few = f"; human labels alone {self.human_only!r}" if self.human_only.n < FEW_LABELS else ""
        return f"{self.interval!r}, judge weight {self.trust:.2f} over {self.n_judged} more{few}"


def ppi_mean(human: ArrayLike, judge: ArrayLike, judge_elsewhere: ArrayLike, *, confidence: float = 0.95) -> PpiMean:
    """The mean human score over all cases, of which people labelled only some.

    `judge` scores the cases of `human`, in the same order; `judge_elsewhere` the cases that nobody labelled. Right for
    any judge, and narrower than the human labels alone the better the judge.
    Source: Angelopoulos, Duchi and Zrnic 2023, arXiv 2311.01453 (PPI++).
    Raises StatisticsError for fewer than two labels, and where no spread is left to judge the error by.
    """
    y, f, g = as_values(human, "human"), as_values(judge, "judge"), as_values(judge_elsewhere, "judge_elsewhere")
    n, more = y.size, g.size
    if f.size != n:
        raise StatisticsError(f"{n} human labels but {f.size} scores of the judge: pair them by case first")
    if n < 2:
        raise StatisticsError("1 human label: a range needs at least two. Label more cases.")
    human_only = mean_interval(y, confidence=confidence)
    spread = float(np.var(np.concatenate([f, g]), ddof=1))
    shared = float(np.mean((y - y.mean()) * (f - f.mean())))
    trust = min(1.0, max(0.0, shared / ((1 + n / more) * spread))) if spread > 0 else 0.0
    estimate = float(y.mean() + trust * (g.mean() - f.mean()))
    # Of one case alone no spread is seen: the labelled cases' stands for it.
    elsewhere = float(np.var(g, ddof=1)) if more > 1 else spread
    error = math.sqrt(trust**2 * elsewhere / more + float(np.var(y - trust * f, ddof=1)) / n)
    if error <= 1e-12 * max(1.0, abs(estimate)):
        raise StatisticsError(
            f"the {n} human labels and the judge's scores show no spread: the error cannot be told from them. "
            "Label more cases, or bound the rate with clopper_pearson."
        )
    reach = normal_quantile((1 + level_of(confidence)) / 2) * error
    return PpiMean(
        interval=Interval(
            estimate=estimate, low=estimate - reach, high=estimate + reach, confidence=confidence, method="PPI++", n=n
        ),
        human_only=human_only,
        trust=trust,
        n_judged=more,
    )


def _cohen_chance(rows: Floats, columns: Floats) -> Floats:
    return np.asarray((rows * columns).sum(axis=1), dtype=np.float64)


def _gwet_chance(rows: Floats, columns: Floats) -> Floats:
    pi = (rows + columns) / 2
    return np.asarray((pi * (1 - pi)).sum(axis=1) / (rows.shape[1] - 1), dtype=np.float64)


def _two_judges(
    measure: str,
    chance: Callable[[Floats, Floats], Floats],
    first: Iterable[object],
    second: Iterable[object],
    rng: np.random.Generator,
    confidence: float,
    rounds: int,
) -> Agreement:
    one, other = _labels(first, "first"), _labels(second, "second")
    if len(one) != len(other):
        raise StatisticsError(f"{len(one)} labels of the first judge but {len(other)} of the second: pair them by case")
    names, index = _indexed([*one, *other])
    q, n = len(names), len(one)
    if q < 2:
        raise StatisticsError(
            f"{measure}: all {2 * n} labels are {names[0]!r}, so agreement is all that chance allows. "
            "Add cases of another kind."
        )
    a, b = np.eye(q)[index[:n]], np.eye(q)[index[n:]]
    same = (index[:n] == index[n:]).astype(np.float64)

    def beyond_chance(drawn: Floats) -> Floats:
        size = drawn.sum(axis=1, keepdims=True)
        expected = chance(drawn @ a / size, drawn @ b / size)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(expected > 1 - 1e-12, np.nan, (drawn @ same / size[:, 0] - expected) / (1 - expected))

    found = count_bootstrap(
        float(beyond_chance(np.ones((1, n)))[0]), n, beyond_chance, rng, confidence=confidence, rounds=rounds
    )
    return Agreement(
        measure=measure, interval=found.interval, observed=float(same.mean()), categories=q, undefined=found.undefined
    )


def _labels(labels: Iterable[object], name: str) -> list[object]:
    plain = labels.tolist() if isinstance(labels, np.ndarray) else list(labels)
    if not plain:
        raise StatisticsError(f"{name}: there are no labels, so there is nothing to tell. Add cases.")
    for i, label in enumerate(plain):
        if _is_missing(label):
            raise StatisticsError(f"{name}: no label at position {i}. Leave the case out on both sides, and say so.")
        if isinstance(label, list):
            raise StatisticsError(f"{name}: one label per case is needed, not {label!r} (position {i})")
    return plain


def _rated(ratings: Sequence[Sequence[object]] | ArrayLike, level: Level) -> tuple[Floats, Floats, int]:
    """How often each case got each value (rows: cases with two ratings or more), the values, and the other cases."""
    try:
        table = np.array(ratings, dtype=object)
    except ValueError as error:
        raise StatisticsError(f"ratings: one row per judge, all of one length ({error})") from error
    if table.ndim != 2:
        raise StatisticsError(f"ratings: one row per judge and one column per case, not shape {table.shape}")
    there = np.array([[not _is_missing(value) for value in row] for row in table], dtype=bool).reshape(table.shape)
    paired = there.sum(axis=0) >= 2
    if not paired.any():
        raise StatisticsError("ratings: no case has two ratings, so there is nothing to compare. Add ratings.")
    kept = there & paired
    cases = np.nonzero(kept)[1]
    if level == "nominal":
        names, index = _indexed(table[kept])
        values = np.arange(len(names), dtype=np.float64)
    else:
        values, index = np.unique(as_values(table[kept].tolist(), "ratings"), return_inverse=True)
        names = list(values)
    if len(names) < 2:
        raise StatisticsError(
            f"ratings: all {len(index)} are {names[0]}, so agreement is all that chance allows. "
            "Add cases of another kind."
        )
    counts = np.zeros((table.shape[1], len(names)))
    np.add.at(counts, (cases, index), 1.0)
    return counts[paired], values, int(np.count_nonzero(~paired))


def _indexed(labels: Iterable[object]) -> tuple[list[object], Labels]:
    """The distinct labels in order of appearance, and each label's number. 1 and True are one label, "1" another."""
    numbers: dict[object, int] = {}
    index = np.array([numbers.setdefault(label, len(numbers)) for label in labels], dtype=np.int64)
    return list(numbers), index


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float | np.floating) and bool(np.isnan(value)))
