"""Which class was given where which was right: confusion matrix, F1, recall, and the range of a difference."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.errors import StatisticsError, unknown_name
from harness.stats.intervals import Floats, Interval, bootstrap_interval, cluster_index, zero_failures_bound

Counts = NDArray[np.int64]


class Confusion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often each right class (row, one of `labels`) was answered by what (column).

    The first columns are `labels` again; then come `states`, the answers that name no class ("no label", "several
    labels", "not JSON"). They count against recall, and are never a class of their own.
    """

    labels: tuple[str, ...]
    states: tuple[str, ...] = ()
    counts: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        width = len(self.labels) + len(self.states)
        if len(self.counts) != len(self.labels) or any(len(row) != width for row in self.counts):
            raise ValueError(f"{len(self.labels)} labels and {len(self.states)} states need rows of {width} counts")

    @property
    def n(self) -> int:
        """How many answers were counted."""
        return sum(map(sum, self.counts))

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return sum(self.counts[k][k] for k in range(len(self.labels))) / self.n

    def support(self, label: str) -> int:
        """In how many cases `label` is right."""
        return sum(self.counts[self._place(label)])

    def recall(self, label: str) -> float | None:
        """Of the cases where `label` is right, the share that got it; None where there is no such case."""
        k = self._place(label)
        support = sum(self.counts[k])
        return self.counts[k][k] / support if support else None

    def precision(self, label: str) -> float | None:
        """Of the answers `label`, the share that is right; None where nobody answered it."""
        k = self._place(label)
        answered = sum(row[k] for row in self.counts)
        return self.counts[k][k] / answered if answered else None

    def f1(self, label: str) -> float | None:
        """The harmonic mean of precision and recall; None for a class that is neither right nor answered anywhere."""
        k = self._place(label)
        total = sum(self.counts[k]) + sum(row[k] for row in self.counts)
        return 2 * self.counts[k][k] / total if total else None

    @property
    def macro_f1(self) -> float:
        """The mean F1 over the classes that are right somewhere: every one of them counts the same, however rare."""
        return _macro_f1(np.array(self.counts, dtype=np.int64), len(self.labels))

    def _place(self, label: str) -> int:
        try:
            return self.labels.index(label)
        except ValueError as error:
            raise StatisticsError(unknown_name("class", label, self.labels)) from error

    def __repr__(self) -> str:
        return f"Confusion({len(self.labels)} classes, n={self.n}, macro-F1 {self.macro_f1:.3f})"


def confusion(
    gold: Sequence[str], answered: Sequence[str | None], *, labels: Sequence[str], states: Sequence[str] | None = None
) -> Confusion:
    """Count what was `answered` for each right class; `answered[i]` is one of `labels`, or None, which
    `states[i]` explains.

    Raises StatisticsError where there is nothing to count, the lengths differ, or a class is not among `labels`.
    """
    if not len(gold) == len(answered) == (len(gold) if states is None else len(states)):
        raise StatisticsError(f"{len(gold)} right classes but {len(answered)} answers: pair them by case first")
    if not gold:
        raise StatisticsError("there are no answers to count. Add cases.")
    if len(set(labels)) < len(labels):
        raise StatisticsError("a class stands twice among the labels: name each once")
    why = [(states[i] if states is not None else "no class") if a is None else "" for i, a in enumerate(answered)]
    further = sorted({state for state in why if state})
    place = {label: k for k, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels) + len(further)), dtype=np.int64)
    for right, given, state in zip(gold, answered, why, strict=True):
        for name in (right, given):
            if name is not None and name not in place:
                raise StatisticsError(unknown_name("class", name, labels))
        column = place[given] if given is not None else len(labels) + further.index(state)
        counts[place[right], column] += 1
    return Confusion(labels=tuple(labels), states=tuple(further), counts=tuple(tuple(map(int, row)) for row in counts))


def macro_f1_difference(
    gold: Sequence[int],
    candidate: Sequence[int],
    baseline: Sequence[int],
    *,
    classes: int,
    rng: np.random.Generator,
    clusters: Sequence[str] | None = None,
    confidence: float = 0.95,
    rounds: int = 10_000,
) -> Interval:
    """Range of candidate's macro-F1 minus baseline's on the same cases, whole clusters resampled.

    Classes are numbers from 0 to `classes` - 1; an answer that names none is -1. A class that no drawn case has is
    left out of that draw's mean, as one that no case has is left out of the whole.
    """
    rows = _rows(gold, candidate, baseline)
    right, given = rows[:, 0].astype(np.int64), rows[:, 1:].astype(np.int64)
    if right.min() < 0 or max(right.max(), given.max()) >= classes:
        raise StatisticsError(f"classes are numbers from 0 to {classes - 1}; only an answer may be -1")
    width = classes + 1

    def difference(drawn: Floats) -> float:
        cells = drawn.astype(np.int64)
        start = cells[:, 0] * width
        one, other = (
            np.bincount(start + np.where(cells[:, side] < 0, classes, cells[:, side]), minlength=classes * width)
            for side in (1, 2)
        )
        return _macro_f1(one.reshape(classes, width), classes) - _macro_f1(other.reshape(classes, width), classes)

    support = np.bincount(right, minlength=classes)
    present = support[support > 0]
    # A class of two cases can lose more than two cases' worth of accuracy.
    rarest = zero_failures_bound(int(present.min()), confidence=(1 + confidence) / 2) / present.size
    return paired_interval(
        rows, difference, rng, clusters, confidence=confidence, rounds=rounds, scale=1.0, at_least=rarest, most=1.0
    )


def slot_f1(right: float, spurious: float, missing: float) -> float | None:
    """F1 of extracted values: `right` were found, `spurious` were given but wrong, `missing` were wanted and not
    found (a wrong value where one was wanted is both). None where nothing was wanted and nothing given."""
    total = 2 * right + spurious + missing
    return 2 * right / total if total else None


def slot_f1_difference(
    candidate: Sequence[tuple[int, int, int]],
    baseline: Sequence[tuple[int, int, int]],
    *,
    rng: np.random.Generator,
    clusters: Sequence[str] | None = None,
    confidence: float = 0.95,
    rounds: int = 10_000,
) -> Interval:
    """Range of candidate's field F1 minus baseline's; each case gives (right, spurious, missing) for each side.

    A draw in which nothing was wanted and nothing given is no disagreement, and counts as 1.
    """
    rows = np.hstack([_triples(candidate, "candidate"), _triples(baseline, "baseline")])

    def f1(sums: Floats) -> float:
        value = slot_f1(*sums)
        return 1.0 if value is None else value

    def difference(drawn: Floats) -> float:
        sums = drawn.sum(axis=0)
        return f1(sums[:3]) - f1(sums[3:])

    return paired_interval(rows, difference, rng, clusters, confidence=confidence, rounds=rounds, scale=1.0, most=1.0)


def paired_interval(
    rows: Floats,
    difference: Callable[[Floats], float],
    rng: np.random.Generator,
    clusters: Sequence[str] | None = None,
    *,
    confidence: float = 0.95,
    rounds: int = 10_000,
    scale: float,
    at_least: float = 0.0,
    most: float = math.inf,
) -> Interval:
    """Bootstrap interval of a difference between two models, never narrower than so many cases allow.

    A bootstrap draws only what was seen: of 20 cases that did not change it draws the interval [0, 0], though one
    case in seven may change. So each side reaches at least as far as the share of changes that n clean cases leave
    possible, `1 - tail^(1/n)`, times `scale`, what one changed case can cost at most (or `at_least`, if that is
    more). Where many cases changed, the bootstrap's own limits are the wider ones. No limit lies beyond `most`.
    """
    estimate = float(difference(rows))
    units = len(rows) if clusters is None else int(cluster_index(len(rows), clusters).max()) + 1
    reach = max(at_least, scale * zero_failures_bound(units, confidence=(1 + confidence) / 2))
    if units < 2:
        return Interval(
            estimate=estimate,
            low=estimate - 2 * scale if most == math.inf else -most,
            high=estimate + 2 * scale if most == math.inf else most,
            confidence=confidence,
            method="one case, no spread",
            n=len(rows),
        )
    drawn = bootstrap_interval(rows, difference, rng, clusters, confidence=confidence, rounds=rounds)
    low, high = min(drawn.low, estimate - reach), max(drawn.high, estimate + reach)
    return Interval(
        estimate=estimate,
        low=max(low, -most),
        high=min(high, most),
        confidence=confidence,
        method="BCa bootstrap of clusters" if units < len(rows) else "BCa bootstrap",
        n=len(rows),
    )


def _macro_f1(counts: Counts, classes: int) -> float:
    """Mean F1 of the classes with cases; `counts` has a row per class, and further columns for no class."""
    support = counts.sum(axis=1)
    present = support > 0
    if not present.any():
        raise StatisticsError("no case has a class: there is no F1. Add cases.")
    hits = np.diagonal(counts[:, :classes])
    total = support + counts[:, :classes].sum(axis=0)
    return float((2 * hits[present] / total[present]).mean())


def _rows(*columns: Sequence[int]) -> Floats:
    if len({len(column) for column in columns}) > 1:
        raise StatisticsError("right classes, candidate and baseline differ in number: pair them by case first")
    if not columns[0]:
        raise StatisticsError("there are no answers to compare. Add cases.")
    return np.column_stack([np.asarray(column, dtype=np.float64) for column in columns])


def _triples(values: Sequence[tuple[int, int, int]], name: str) -> Floats:
    if not values:
        raise StatisticsError(f"{name}: there are no answers to compare. Add cases.")
    return np.asarray(values, dtype=np.float64).reshape(len(values), 3)
