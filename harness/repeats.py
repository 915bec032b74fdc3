"""Several samples of each case: how many cases are answered well every time, not only on average."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from harness.record import CaseResult, RunRecord, SetResult
from harness.stats.repeats import pass_hat_k
from harness.verdict import plural, points


class Reliability(msgspec.Struct, frozen=True, kw_only=True):
    """pass^k of one set: the share of cases of which all `k` answers pass, the production promise.

    Over the `cases` that were sampled at least `k` times; `baseline` is None where it was not asked.
    """

    name: str
    k: int
    cases: int
    candidate: float
    baseline: float | None


def passes(case: CaseResult, score: float) -> int:
    """How many of the case's samples passed."""
    return round(score * case.samples)


def reliability(one: SetResult, k: int) -> Reliability | None:
    """The set's pass^k for candidate and baseline; None for a run of single answers, or a set with partial scores."""
    sampled = [case for case in one.cases if case.samples >= k > 1]
    if not sampled or not all(_whole(case) for case in sampled):
        return None
    baselines = [case.baseline for case in sampled if case.baseline is not None]
    return Reliability(
        name=one.name,
        k=k,
        cases=len(sampled),
        candidate=_mean_pass_hat(sampled, [case.candidate for case in sampled], k),
        baseline=_mean_pass_hat(sampled, baselines, k) if len(baselines) == len(sampled) else None,
    )


def notes(record: RunRecord) -> Iterator[str]:
    """pass^k of every set that was sampled, beside the mean that the verdict compares."""
    for one in record.sets:
        found = reliability(one, record.samples)
        if found is None:
            continue
        before = "" if found.baseline is None else f", baseline {points(found.baseline)}%"
        yield (
            f"pass^{found.k} of {found.name}: {points(found.candidate)}% of {plural(found.cases, 'case')} pass all "
            f"{found.k}{before}"
        )


def _mean_pass_hat(cases: Sequence[CaseResult], scores: Sequence[float], k: int) -> float:
    return sum(pass_hat_k(c.samples, passes(c, s), k) for c, s in zip(cases, scores, strict=True)) / len(cases)


def _whole(case: CaseResult) -> bool:
    """Are the scores shares of passed samples, and no partial marks of a metric?"""
    scores = [score for score in (case.candidate, case.baseline) if score is not None]
    return all(abs(score * case.samples - round(score * case.samples)) < 1e-6 for score in scores)
