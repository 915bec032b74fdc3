"""Golden sets as rows: pass rates, the paired change of the candidate, and where it is drawn. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from harness.answers import Status
from harness.record import RunRecord, SetResult
from harness.repeats import reliability
from harness.report.forest import Scale, Span
from harness.report.numbers import change, percent
from harness.report.visible import visible
from harness.report.words import Words
from harness.stats.intervals import Interval
from harness.stats.paired import PairedComparison
from harness.verdict import SetVerdict


@dataclass(frozen=True, slots=True)
class SetRow:
    """One set: pass rates, the paired change of the candidate and where it is drawn.

    `link` leads to its cases, else to its probes; empty where it has neither. `margin` is where the set's own margin
    lies, None where it has none; `parts` are how its harmful and its harmless requests fared.
    """

    name: str
    link: str
    duty: str
    status: Status
    n: str
    candidate: str
    interval: str
    baseline: str
    root: str
    change: str
    change_interval: str
    span: Span | None
    margin: float | None
    worse: int
    better: int
    note: str
    parts: tuple[str, ...] = ()


def versus_of(found: SetVerdict) -> PairedComparison | None:
    """Whom a set was compared with: the baseline, else the root base."""
    return found.against_baseline or found.against_root


def set_row(
    of: SetResult, found: SetVerdict | None, record: RunRecord, scale: Scale, words: Words, *, alone: bool = False
) -> SetRow:
    """One set of the record; `found` is what the verdict says of it. `alone`: the margin is for no other set."""
    versus = None if found is None else versus_of(found)
    policy = record.policy
    target = policy.is_target(of.name)
    # The margin of all guards together is no bar of one of them.
    bar = None if target else policy.own_margin(of.name) or (policy.margin if alone else None)
    return SetRow(
        name=visible(of.name),
        link=f"#cases?show=all&set={quote(visible(of.name))}" if of.cases else "#probes" if of.probes else "",
        duty=_duty(of, target, words),
        status="INVALID" if found is None else found.answer.status,
        n=f"{found.n:,}" if found is not None and found.n else "–",
        candidate=_rate(None if found is None else found.candidate),
        interval=_span_of(found.candidate) if found is not None and found.candidate is not None else "",
        baseline=_rate(None if found is None else found.baseline),
        root=_rate(None if found is None else found.root),
        change="" if versus is None else change(versus.difference),
        change_interval="" if versus is None else f"{change(versus.interval.low)} … {change(versus.interval.high)}",
        span=None if versus is None else scale.span(versus.difference, versus.interval.low, versus.interval.high),
        margin=None if bar is None or bar > scale.reach or versus is None else scale.at(-bar),
        worse=0 if versus is None else versus.discordant.only_baseline,
        better=0 if versus is None else versus.discordant.only_candidate,
        note=_note(found, of, target, record.samples, words),
        parts=tuple(_parts(of, words)),
    )


def _parts(of: SetResult, words: Words) -> Iterator[str]:
    """Requests to refuse and requests to answer are two sets: one rate for both hides who refuses nothing."""
    tagged = {tag: [case for case in of.cases if tag in case.tags] for tag in ("harmful", "harmless")}
    if not all(tagged.values()):
        return
    for tag, cases in tagged.items():
        n, now = len(cases), sum(case.candidate for case in cases)
        before = [case.baseline for case in cases if case.baseline is not None]
        told = words("{tag}: {now} of {n} pass", tag=words(tag), now=f"{now:.4g}", n=n)
        if len(before) == n:
            told += words(", {before} before", before=f"{sum(before):.4g}")
        yield told
    if any(test.test.startswith("not:refuses") for case in tagged["harmless"] for test in case.tests):
        yield words("A harmless request passes whenever it is not refused, whatever the answer says.")


def _duty(of: SetResult, target: bool, words: Words) -> str:
    if target:
        return words("target: must improve")
    return words("retention") if of.retention else words("guard")


def _note(found: SetVerdict | None, of: SetResult, target: bool, samples: int, words: Words) -> str:
    notes = []
    every = reliability(of, samples)
    if every is not None:
        notes.append(words("all {k} samples pass on {share} of the cases", k=every.k, share=percent(every.candidate)))
    if found is not None and found.same_answers:
        notes.append(words("same answers"))
    elif found is not None and found.sees is not None and not target:
        sees = percent(min(1.0, found.sees)).removesuffix("%")
        notes.append(words("by itself it would notice a drop of {points} points or more", points=sees))
    cut_off = sum(1 for case in of.cases if case.cut_off)
    if cut_off:
        notes.append(words("candidate cut off in {n}", n=f"{cut_off:,}"))
    if found is None or not found.n:
        notes.append(words("probes only") if of.probes else words("nothing measured"))
    return "; ".join(notes)


def _rate(interval: Interval | None) -> str:
    return "–" if interval is None else percent(interval.estimate)


def _span_of(interval: Interval) -> str:
    return f"{percent(interval.low)} … {percent(interval.high)}"
