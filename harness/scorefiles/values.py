"""What a score file says: cases of sets, each with the scores of its samples."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from harness.errors import ScoreFileError


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """How the user names what is to be read; None and () where the file's own names say it.

    The columns belong to tables; `metrics` and `sets` to files that hold several. `lower_is_better` names metrics;
    `low` and `high` are the ends of their scale.
    """

    id: str | None = None
    score: str | None = None
    set: str | None = None
    sample: str | None = None
    cluster: str | None = None
    metrics: tuple[str, ...] = ()
    lower_is_better: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 1.0

    def scale(self, metric: str, *, lower_is_better: bool = False) -> Scale:
        """The scale of one metric; a metric with a filter (`exact_match,strict`) also goes by its bare name."""
        named = metric in self.lower_is_better or metric.partition(",")[0] in self.lower_is_better
        return Scale(low=self.low, high=self.high, lower_is_better=lower_is_better or named)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """From a metric's own numbers to shares: 1 is the best that can be, 0 the worst."""

    low: float = 0.0
    high: float = 1.0
    lower_is_better: bool = False

    def share(self, score: float, where: str) -> float:
        """The share, or ScoreFileError for what is no number or lies off the scale."""
        if not math.isfinite(score):
            raise ScoreFileError(
                f"{where}: the score is {score}, not a number. Score the case again, or delete the row."
            )
        if not self.low <= score <= self.high:
            raise ScoreFileError(
                f"{where}: the score {score:g} lies outside {self.low:g} to {self.high:g}. "
                "Name the ends of the metric's scale, for example: --range 0 100"
            )
        share = (score - self.low) / (self.high - self.low)
        return 1 - share if self.lower_is_better else share


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One scored answer, as it stands in a file.

    `sample` tells several answers to one case apart; "" where the file has one for each. `score` is None where the
    tool gave none, and `unscored` then says why. `document` is a digest of what was asked, `cluster` a label shared
    by cases that are not independent.
    """

    case: str
    where: str
    score: float | None
    line: int = 0
    sample: str = ""
    unscored: str = ""
    answer: str | None = None
    prompt: str | None = None
    target: str | None = None
    document: str = ""
    rendered: str = ""
    cluster: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredCase:
    """One case and all its samples. `shares` are the scores on the scale of 0 to 1, `scores` as they were written.

    `unscored` says why the case has no score that can be trusted; "" where it has.
    """

    id: str
    where: str
    line: int
    scores: tuple[float, ...]
    shares: tuple[float, ...]
    unscored: str
    answers: tuple[str | None, ...]
    prompt: str | None
    target: str | None
    document: str
    rendered: str
    cluster: str | None

    @property
    def share(self) -> float:
        """The mean of the samples: the case is the unit, however often it was asked."""
        return math.fsum(self.shares) / len(self.shares)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredSet:
    """The cases of one set (a task, a benchmark) under one metric. `name` is "" where the file gives none."""

    name: str
    path: str
    metric: str
    scale: Scale
    samples: int
    cases: dict[str, ScoredCase]
    unfinished: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreFile:
    """One side of a comparison: everything that was read from a file or folder, and who scored it."""

    path: str
    label: str
    tool: str
    digest: str
    sets: tuple[ScoredSet, ...]
    notes: tuple[str, ...] = field(default=())


def gather(
    samples: Iterable[Sample], *, name: str, path: str, metric: str, scale: Scale, unfinished: str = ""
) -> ScoredSet:
    """The samples of one set as cases.

    Raises ScoreFileError for a sample that stands twice. A case with fewer samples than the others counts as
    unscored: what is missing may not be missing by chance.
    """
    by_case: dict[str, dict[str, Sample]] = {}
    for sample in samples:
        seen = by_case.setdefault(sample.case, {})
        if sample.sample in seen:
            which = f", sample {sample.sample!r}" if sample.sample else ""
            raise ScoreFileError(
                f"{sample.where}: case {sample.case!r}{which} stands twice (first at {seen[sample.sample].where}). "
                "Delete one; where a case was asked several times, number its rows in a column 'sample'."
            )
        seen[sample.sample] = sample
    most = max((len(seen) for seen in by_case.values()), default=0)
    return ScoredSet(
        name=name,
        path=path,
        metric=metric,
        scale=scale,
        samples=most,
        cases={case: _case(case, list(seen.values()), most, scale) for case, seen in by_case.items()},
        unfinished=unfinished,
    )


def _case(case: str, samples: list[Sample], most: int, scale: Scale) -> ScoredCase:
    first = samples[0]
    scored = [(sample.score, scale.share(sample.score, sample.where)) for sample in samples if sample.score is not None]
    unscored = next((sample.unscored for sample in samples if sample.score is None), "")
    if not unscored and len(samples) < most:
        unscored = f"{len(samples)} of {most} samples"
    return ScoredCase(
        id=case,
        where=first.where,
        line=first.line,
        scores=tuple(score for score, _ in scored),
        shares=tuple(share for _, share in scored),
        unscored=unscored,
        answers=tuple(sample.answer for sample in samples),
        prompt=first.prompt,
        target=first.target,
        document=first.document,
        rendered=first.rendered,
        cluster=first.cluster,
    )
