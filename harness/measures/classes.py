"""Classification and extraction over a set: macro-F1, recall, the confusion matrix, F1 of a field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import numpy as np

from harness.checks.readings import ANOTHER_VALUE, ClassReading, read_class
from harness.errors import ConfigError, StatisticsError, unknown_name
from harness.measures.measured import SEED, Measured, SetAnswers
from harness.stats.classification import Confusion, confusion, macro_f1_difference, slot_f1, slot_f1_difference
from harness.stats.intervals import Interval
from harness.stats.paired import compare_paired

#: A matrix of more classes is no reading matter, and one where each class has one case tells nothing.
MOST_CLASSES = 40


class Classification(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A golden set's confusion matrices, as a record keeps them. `source` is "labels" or the path of a JSON field."""

    golden_set: str
    source: str
    candidate: Confusion
    baseline: Confusion | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassTable:
    """The right class and both models' for every answer of a set; an answer of a case is a row.

    Answers are paired sample by sample, and the rows of one question are one cluster.
    """

    answers: SetAnswers
    source: str
    labels: tuple[str, ...]
    clusters: tuple[str, ...]
    cases: tuple[str, ...]
    candidate: tuple[ClassReading, ...]
    baseline: tuple[ClassReading, ...]
    same_answers: bool

    def confusion(self, of_baseline: bool = False) -> Confusion:
        """What was answered for each right class."""
        readings = self.baseline if of_baseline else self.candidate
        known = set(self.labels)
        return confusion(
            [r.right for r in readings],
            [r.answered if r.answered in known else None for r in readings],
            labels=self.labels,
            states=[r.state or ANOTHER_VALUE for r in readings],
        )

    def macro_f1(self) -> Measured:
        """The mean F1 of the classes that are right somewhere."""

        def limits(confidence: float) -> Interval:
            place = {label: k for k, label in enumerate(self.labels)}
            right = [place[r.right] for r in self.candidate]
            one, other = ([place.get(r.answered or "", -1) for r in side] for side in (self.candidate, self.baseline))
            return macro_f1_difference(
                right,
                one,
                other,
                classes=len(self.labels),
                rng=np.random.default_rng(SEED),
                clusters=self.clusters,
                confidence=confidence,
            )

        baseline = self.confusion(of_baseline=True).macro_f1 if self.baseline else None
        return self._measured("macro-F1", self.confusion().macro_f1, baseline, limits)

    def recall(self, label: str) -> Measured:
        """Of the cases where `label` is right, the share that got it: a pass rate, compared like one."""
        if label not in self.labels:
            raise ConfigError(f"{self.answers.golden_set}: {self.source}: {unknown_name('class', label, self.labels)}")
        rows = [i for i, r in enumerate(self.candidate) if r.right == label]
        if not rows:
            raise ConfigError(f"{self.answers.golden_set}: {self.source}: no case has the class {label!r}. Add some.")
        shares = [self._shares(rows, side) for side in (self.candidate, self.baseline) if side]
        names = list(dict.fromkeys(self.cases[i] for i in rows))
        cluster_of = dict(zip(self.cases, self.clusters, strict=True))

        def limits(confidence: float) -> Interval:
            clusters = [cluster_of[name] for name in names]
            return compare_paired(*shares, margin=0.5, clusters=clusters, confidence=confidence).interval

        means = [sum(share) / len(share) for share in shares]
        baseline = means[1] if len(means) > 1 else None
        return self._measured(f"recall of {label!r}", means[0], baseline, limits, cases=len(names))

    def field_f1(self) -> Measured:
        """F1 of the extracted values: a wrong one is both spurious and missing, a null field wants nothing."""
        one, other = ([r.slot for r in side] for side in (self.candidate, self.baseline))

        def limits(confidence: float) -> Interval:
            rng = np.random.default_rng(SEED)
            return slot_f1_difference(one, other, rng=rng, clusters=self.clusters, confidence=confidence)

        return self._measured("F1", self._slot_f1(one), self._slot_f1(other) if other else None, limits)

    def recorded(self) -> Classification | None:
        """The matrices for the record; None where there are too many classes to be read."""
        if len(self.labels) > MOST_CLASSES or max(Counter(r.right for r in self.candidate).values()) < 2:
            return None
        return Classification(
            golden_set=self.answers.golden_set,
            source=self.source,
            candidate=self.confusion(),
            baseline=self.confusion(of_baseline=True) if self.baseline else None,
        )

    def _slot_f1(self, slots: list[tuple[int, int, int]]) -> float:
        value = slot_f1(*(sum(column) for column in zip(*slots, strict=True)))
        if value is None:
            raise StatisticsError(
                f"{self.answers.golden_set}: {self.source} is null in every case and every answer: there is no F1. "
                "Add cases that name a value."
            )
        return value

    def _shares(self, rows: list[int], readings: tuple[ClassReading, ...]) -> list[float]:
        """The share of right samples, per case."""
        hits: dict[str, list[bool]] = {}
        for i in rows:
            hits.setdefault(self.cases[i], []).append(readings[i].answered == readings[i].right)
        return [sum(hit) / len(hit) for hit in hits.values()]

    def _measured(
        self, measure: str, candidate: float, baseline: float | None, limits: object, *, cases: int | None = None
    ) -> Measured:
        return Measured(
            measure=measure if self.source == "labels" else f"{measure} of {self.source}",
            golden_set=self.answers.golden_set,
            n=len(set(self.cases)) if cases is None else cases,
            candidate=candidate,
            baseline=baseline,
            margin=self.answers.margin,
            limits=limits,  # type: ignore[arg-type]
            incomparable=self.answers.incomparable,
            same_answers=self.same_answers,
        )


def class_tables(answers: SetAnswers) -> dict[str, ClassTable]:
    """Every class that the set's `labels` and `json_field` checks name, by source.

    Raises ConfigError where cases of one source have different closed sets of labels, or one case has two.
    """
    rows: dict[str, list[tuple[int, ClassReading, ClassReading | None]]] = {}
    for index, one in enumerate(answers.cases):
        seen: set[str] = set()
        for spec in one.case.checks:
            readings = [read_class(spec, response) for response in one.candidate]
            before = [read_class(spec, response) for response in one.baseline] or [None] * len(readings)
            first = readings[0] if readings else None
            if first is None:
                continue
            if first.source in seen:
                raise ConfigError(
                    f"{answers.golden_set}: case {one.case.id!r} says twice what is right for {first.source}. "
                    "Keep one check, or ask the second in a set of its own."
                )
            seen.add(first.source)
            # Sample by sample, as they were asked.
            for reading, versus in zip(readings, before, strict=True):
                assert reading is not None, "the first sample's was not"
                rows.setdefault(first.source, []).append((index, reading, versus))
    return {source: _table(answers, source, found) for source, found in rows.items()}


def choose_table(answers: SetAnswers, source: str | None) -> ClassTable:
    """The table that is asked for; without a name, the only one. Raises ConfigError saying what there is."""
    tables = class_tables(answers)
    if not tables:
        raise ConfigError(
            f"{answers.golden_set}: no case says which class is right. Give the cases a check such as "
            '{"labels": {"of": ["billing", "shipping"], "equals": "billing"}} or {"json_field": {"path": "category", '
            '"equals": "billing"}}.'
        )
    if source is None:
        if len(tables) > 1:
            raise ConfigError(f"{answers.golden_set}: which one? Name it: {', '.join(map(repr, sorted(tables)))}.")
        return next(iter(tables.values()))
    if source not in tables:
        raise ConfigError(f"{answers.golden_set}: {unknown_name('field', source, tables)}")
    return tables[source]


def _table(answers: SetAnswers, source: str, rows: list[tuple[int, ClassReading, ClassReading | None]]) -> ClassTable:
    cases = [answers.cases[index] for index, _, _ in rows]
    return ClassTable(
        answers=answers,
        source=source,
        labels=_labels(answers.golden_set, [reading for _, reading, _ in rows]),
        clusters=tuple(one.cluster for one in cases),
        cases=tuple(one.case.id for one in cases),
        candidate=tuple(reading for _, reading, _ in rows),
        baseline=tuple(versus for _, _, versus in rows if versus is not None),
        same_answers=all(one.same for one in cases),
    )


def _labels(golden_set: str, readings: Iterable[ClassReading]) -> tuple[str, ...]:
    """The closed set that the checks name, or all classes that are right somewhere, in the set's order."""
    closed = {reading.of for reading in readings if reading.of is not None}
    if len(closed) > 1:
        listed = "; ".join(sorted(", ".join(labels) for labels in closed))
        raise ConfigError(
            f"{golden_set}: labels checks of one set must choose from the same labels in the same order, and these "
            f"differ: {listed}."
        )
    return closed.pop() if closed else tuple(dict.fromkeys(reading.right for reading in readings))
