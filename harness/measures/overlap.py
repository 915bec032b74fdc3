"""BLEU, chrF, ROUGE and metrics of `evaluate` over a whole set, against the cases' targets."""

from __future__ import annotations

import numpy as np

from harness.checks.overlap import TextMetric
from harness.errors import ConfigError
from harness.measures.measured import SEED, CaseAnswers, Measured, SetAnswers
from harness.models import Response
from harness.stats.classification import paired_interval
from harness.stats.intervals import Floats, Interval


def cases_with_targets(answers: SetAnswers) -> tuple[CaseAnswers, ...]:
    """The cases that say what the answer should be. Raises ConfigError where none does."""
    cases = tuple(one for one in answers.cases if one.case.target)
    if not cases:
        raise ConfigError(f"{answers.golden_set}: no case has a target to compare with. Give the cases targets.")
    return cases


def measure_overlap(answers: SetAnswers, metric: TextMetric) -> Measured:
    """The metric over all cases with a target, every sample a row; whole questions are resampled."""
    cases = cases_with_targets(answers)
    clusters = [one.cluster for one in cases for _ in one.candidate]
    targets = [(one.case.target or "",) for one in cases for _ in one.candidate]

    def rows(side: list[Response]) -> Floats:
        return np.asarray(metric.rows([r.text for r in side], targets), dtype=np.float64)

    candidate = rows([r for one in cases for r in one.candidate])
    has_baseline = any(one.baseline for one in cases)
    baseline = rows([r for one in cases for r in one.baseline]) if has_baseline else None
    value = metric.value(candidate)
    before = None if baseline is None else metric.value(baseline)

    def limits(confidence: float) -> Interval:
        assert baseline is not None, "nobody asks without a baseline"
        width = candidate.shape[1]

        def difference(drawn: Floats) -> float:
            return metric.value(drawn[:, :width]) - metric.value(drawn[:, width:])

        return paired_interval(
            np.hstack([candidate, baseline]),
            difference,
            np.random.default_rng(SEED),
            clusters,
            confidence=confidence,
            rounds=metric.rounds,
            # One answer that is spoilt costs at most what it was worth.
            scale=max(abs(value), abs(before or 0.0)) or metric.scale or 1.0,
        )

    return Measured(
        measure=metric.name,
        golden_set=answers.golden_set,
        n=len(cases),
        candidate=value,
        baseline=before,
        margin=None if metric.scale is None else answers.margin * metric.scale,
        limits=limits,
        incomparable=answers.incomparable,
        same_answers=all(one.same for one in cases),
        higher_is_better=metric.higher_is_better,
    )
