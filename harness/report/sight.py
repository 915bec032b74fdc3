"""What a run could see and what it could not, and what a reader must be warned of. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from harness.record import RunRecord
from harness.report.numbers import signs
from harness.report.visible import visible
from harness.report.words import Words
from harness.verdict import SetVerdict, Verdict, points, up

#: A set that both models pass (or miss) to this share can hardly show a change.
SATURATED = 0.98
#: Fewer cases say nothing about saturation.
FEWEST = 10


@dataclass(frozen=True, slots=True)
class Sight:
    """One set: how many cases it has, and the least drop that it would notice by itself, 8 times in 10."""

    set: str
    n: str
    points: str
    cases: str
    share: float


def sights(verdict: Verdict) -> tuple[Sight, ...]:
    """The guard sets, the sharpest eye first."""
    seen = [one for one in verdict.sets if one.sees is not None and not one.target]
    return tuple(
        Sight(
            set=visible(one.name),
            n=f"{one.n:,}",
            points=points(up(min(1.0, one.sees or 0.0))),
            # A part of a case cannot be lost.
            cases=f"{math.ceil(min(1.0, one.sees or 0.0) * one.n - 1e-9):,}",
            share=round(100 * min(1.0, one.sees or 0.0), 1),
        )
        for one in sorted(seen, key=lambda one: one.sees or 0.0)
    )


def warnings_of(record: RunRecord, verdict: Verdict, words: Words) -> tuple[str, ...]:
    """Waivers, the gate's notes, saturated sets, and a noise floor that is missing."""
    return (
        *(visible(use.told) for use in verdict.waivers),
        *(visible(signs(note)) for note in verdict.notes),
        *_saturated(verdict, words),
        *_noise(record, words),
    )


def _saturated(verdict: Verdict, words: Words) -> Iterator[str]:
    for one in verdict.sets:
        if one.n < FEWEST or one.candidate is None or one.baseline is None:
            continue
        rates = (one.candidate.estimate, one.baseline.estimate)
        if min(rates) >= SATURATED:
            yield words("{set} is saturated: both models pass nearly all of it. Add harder cases.", set=_name(one))
        elif max(rates) <= 1 - SATURATED:
            yield words("{set} is out of reach: both models miss nearly all of it.", set=_name(one))


def _noise(record: RunRecord, words: Words) -> Iterator[str]:
    compared = record.baseline is not None and record.partial is None and record.source == "suites"
    if compared and not record.noise and not any("noise floor" in note for note in record.notes):
        yield words(
            "The noise floor was not measured: how many cases flip by themselves is not known (harness gate --aa)."
        )


def _name(one: SetVerdict) -> str:
    return visible(one.name)
