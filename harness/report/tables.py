"""Confusion matrices and slices as tables. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.measures.classes import Classification
from harness.pairs import PairedSet
from harness.report.numbers import change, percent
from harness.report.visible import visible
from harness.slices import slices
from harness.stats.classification import Confusion

#: Slices shown; the least likely to be chance come first.
SLICES = 15


@dataclass(frozen=True, slots=True)
class Cell:
    """How often a class was answered. `heat` is its share of the row, 0 to 10; `right` on the diagonal."""

    count: int
    heat: int
    right: bool
    title: str


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """One right class: what was answered instead, and its recall of candidate and baseline."""

    label: str
    cells: tuple[Cell, ...]
    recall: str
    before: str


@dataclass(frozen=True, slots=True)
class Matrix:
    """A confusion matrix of the candidate, and how its headline numbers compare with the baseline's."""

    set: str
    source: str
    columns: tuple[str, ...]
    rows: tuple[MatrixRow, ...]
    macro_f1: str
    before: str
    accuracy: str
    n: str


@dataclass(frozen=True, slots=True)
class SliceRow:
    """The cases of one set that have one tag. `notable`: at most 0.05 after correction for looking in many places."""

    set: str
    tag: str
    n: str
    change: str
    lost: int
    gained: int
    adjusted: str
    notable: bool
    tone: str


def matrices(found: Sequence[Classification]) -> tuple[Matrix, ...]:
    """Every classification of the record."""
    return tuple(_matrix(one) for one in found)


def _matrix(one: Classification) -> Matrix:
    table, before = one.candidate, one.baseline
    return Matrix(
        set=visible(one.golden_set),
        source=visible(one.source),
        columns=tuple(visible(label) for label in (*table.labels, *table.states)),
        rows=tuple(_row(table, before, k) for k in range(len(table.labels))),
        macro_f1=f"{table.macro_f1:.3f}",
        before="" if before is None else f"{before.macro_f1:.3f}",
        accuracy=percent(table.accuracy),
        n=f"{table.n:,}",
    )


def _row(table: Confusion, before: Confusion | None, k: int) -> MatrixRow:
    label, counts = table.labels[k], table.counts[k]
    names = (*table.labels, *table.states)
    total = max(1, sum(counts))
    known = before is not None and label in before.labels
    return MatrixRow(
        label=visible(label),
        cells=tuple(
            Cell(
                count=count,
                heat=round(10 * count / total),
                right=i == k,
                title=visible(f"{label} → {names[i]}: {count} of {sum(counts)}"),
            )
            for i, count in enumerate(counts)
        ),
        recall=_share(table.recall(label)),
        before=_share(before.recall(label)) if known and before is not None else "",
    )


def _share(value: float | None) -> str:
    return "–" if value is None else percent(value)


def slice_rows(sets: Sequence[PairedSet]) -> tuple[tuple[SliceRow, ...], int]:
    """The slices to look at first, and how many there are in all."""
    found = slices(sets)
    return tuple(
        SliceRow(
            set=visible(one.set),
            tag=visible(one.tag),
            n=f"{one.n:,}",
            change=change(one.difference),
            lost=one.lost,
            gained=one.gained,
            adjusted=f"{one.adjusted:.2g}",
            notable=one.adjusted <= 0.05,
            tone="worse" if one.difference < 0 else "better" if one.difference > 0 else "even",
        )
        for one in found[:SLICES]
    ), len(found)
