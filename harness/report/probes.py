"""Probes as rows: means by model and the paired change of the candidate."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.record import Probe, SetResult
from harness.report.numbers import change, percent, signed, value
from harness.report.visible import visible
from harness.report.words import Words
from harness.stats.intervals import mean_interval

#: What each probe asks, for people who did not write it.
_MEANING = {
    "bleed": "answers in the task's format though nobody asked for it",
    "target_nll": "surprise at the reference answers",
    "prose_nll": "surprise at ordinary prose",
    "kl": "distance from the base's predictions",
    "length": "length of the answers",
    "output tokens": "what an answer has",
    "prompt tokens": "what is read for an answer, system prompt and passages included",
    "seconds": "from asking until the answer is whole, beside the others that were asked with it",
    "asked together": "how many were under way at once",
}


@dataclass(frozen=True, slots=True)
class ProbeRow:
    """One probe of one set. `tone` is better, worse or even, judged by the interval of the change."""

    set: str
    probe: str
    meaning: str
    alarm: bool
    unit: str
    n: str
    candidate: str
    baseline: str
    root: str
    change: str
    tone: str


def probe_rows(of: SetResult, words: Words) -> list[ProbeRow]:
    """The set's probes in the order of the record."""
    return [_row(of, probe, words) for probe in of.probes if probe.cases]


def _row(of: SetResult, probe: Probe, words: Words) -> ProbeRow:
    share = probe.unit.startswith("share")
    versus = probe.baseline if probe.baseline is not None else probe.root
    told, tone = ("", "even") if versus is None else _change(probe, versus, share)
    return ProbeRow(
        set=visible(of.name),
        probe=visible(probe.probe),
        meaning=words(_MEANING[probe.probe]) if probe.probe in _MEANING else "",
        alarm=probe.role == "alarm",
        unit=visible(words(probe.unit)),
        n=f"{len(probe.cases):,}",
        candidate=_mean(probe.candidate, share),
        baseline=_mean(probe.baseline, share),
        root=_mean(probe.root, share),
        change=told,
        tone=tone,
    )


def _mean(values: tuple[float, ...] | None, share: bool) -> str:
    if values is None:
        return "–"
    mean = math.fsum(values) / len(values)
    return percent(mean) if share else value(mean)


def _change(probe: Probe, versus: tuple[float, ...], share: bool) -> tuple[str, str]:
    differences = [c - b for c, b in zip(probe.candidate, versus, strict=True)]
    if len(differences) < 2:
        return "", "even"
    interval = mean_interval(differences)
    shown = change if share else signed
    told = f"{shown(interval.estimate)} ({shown(interval.low)} … {shown(interval.high)})"
    if probe.probe == "prose_nll":
        told += f", perplexity × {math.exp(interval.estimate):.3f}"
    if interval.low <= 0 <= interval.high:
        return told, "even"
    # Answers of another length are different, neither better nor worse.
    if probe.probe in ("length", "output tokens", "prompt tokens", "asked together"):
        return told, "even"
    return told, "better" if (interval.low > 0) == probe.higher_is_better else "worse"
