"""A run in a few numbers: what other runs, machines and people need of it without its record. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from harness.answers import Status
from harness.record import RunRecord
from harness.report.cases import Case, Fate
from harness.verdict import SetVerdict, Verdict


class SetSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One set. Rates are shares; `change` is candidate - baseline with the limits of its 95% interval."""

    name: str
    n: int
    status: Status
    target: bool
    retention: bool
    candidate: float | None = None
    baseline: float | None = None
    root: float | None = None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    lost: int = 0
    gained: int = 0


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A run. `word` is the verdict's, or PARTIAL for a run that carries none; `reasons` are the gate's sentences."""

    run_id: str
    created: str
    word: str
    candidate: str
    candidate_digest: str
    baseline: str | None
    baseline_digest: str | None
    reasons: tuple[str, ...]
    sets: tuple[SetSummary, ...]
    cases: dict[Fate, int] = {}


def summarise(record: RunRecord, verdict: Verdict, cases: Iterable[Case]) -> RunSummary:
    """The run in a few numbers."""
    return RunSummary(
        run_id=record.run_id,
        created=record.created,
        word="PARTIAL" if record.partial is not None else verdict.status,
        candidate=record.candidate.label,
        candidate_digest=record.candidate.digest,
        baseline=None if record.baseline is None else record.baseline.label,
        baseline_digest=None if record.baseline is None else record.baseline.digest,
        reasons=tuple(verdict.reasons()),
        sets=tuple(_set(one) for one in verdict.sets),
        cases=dict(Counter(case.line.fate for case in cases)),
    )


def _set(one: SetVerdict) -> SetSummary:
    versus = one.against_baseline or one.against_root
    return SetSummary(
        name=one.name,
        n=one.n,
        status=one.answer.status,
        target=one.target,
        retention=one.retention,
        candidate=None if one.candidate is None else one.candidate.estimate,
        baseline=None if one.baseline is None else one.baseline.estimate,
        root=None if one.root is None else one.root.estimate,
        change=None if versus is None else versus.difference,
        low=None if versus is None else versus.interval.low,
        high=None if versus is None else versus.interval.high,
        lost=0 if versus is None else versus.discordant.only_baseline,
        gained=0 if versus is None else versus.discordant.only_candidate,
    )
