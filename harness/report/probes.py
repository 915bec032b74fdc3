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

#: Units in one word, beside a change.
_UNITS = {"nats per token": "nats", "nats per token, from the base": "nats"}


@dataclass(frozen=True, slots=True)
class ProbeRow:
    """One probe of one set. `tone` is better, worse or even, by the interval of the change; only an alarm has one.
    `aside` is the same change in another unit."""

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
    aside: str = ""


def probe_rows(of: SetResult, words: Words) -> list[ProbeRow]:
    """The set's probes in the order of the record."""
    return [_row(of, probe, words) for probe in of.probes if probe.cases]


def _row(of: SetResult, probe: Probe, words: Words) -> ProbeRow:
    share = probe.unit.startswith("share")
    versus = probe.baseline if probe.baseline is not None else probe.root
    told, tone = ("–", "even") if versus is None else _change(probe, versus, share, words)
    unit = "nats per token" if probe.probe == "kl" else probe.unit
    return ProbeRow(
        set=visible(of.name),
        probe=visible(probe.probe),
        meaning=words(_MEANING[probe.probe]) if probe.probe in _MEANING else "",
        alarm=probe.role == "alarm",
        unit=visible(words(unit)),
        n=f"{len(probe.cases):,}",
        candidate=_mean(probe.candidate, share),
        baseline=_mean(probe.baseline, share),
        root=_mean(probe.root, share),
        change=told,
        # What only informs can fail nothing, and looks like it.
        tone=tone if probe.role == "alarm" else "even",
        aside=_perplexity(probe, versus, words),
    )


def _perplexity(probe: Probe, versus: tuple[float, ...] | None, words: Words) -> str:
    if probe.probe != "prose_nll" or versus is None or not versus:
        return ""
    change = math.fsum(c - b for c, b in zip(probe.candidate, versus, strict=True)) / len(versus)
    return words("perplexity × {times}", times=f"{math.exp(change):.3f}")


def _mean(values: tuple[float, ...] | None, share: bool) -> str:
    if values is None:
        return "–"
    mean = math.fsum(values) / len(values)
    return percent(mean) if share else value(mean)


def _change(probe: Probe, versus: tuple[float, ...], share: bool, words: Words) -> tuple[str, str]:
    differences = [c - b for c, b in zip(probe.candidate, versus, strict=True)]
    if len(differences) < 2:
        return "–", "even"
    interval = mean_interval(differences)
    shown = change if share else signed
    unit = words("points") if share else visible(words(_UNITS.get(probe.unit, probe.unit)))
    told = f"{shown(interval.estimate)} {unit} ({shown(interval.low)} … {shown(interval.high)})"
    if interval.low <= 0 <= interval.high:
        return told, "even"
    # Answers of another length are different, neither better nor worse.
    if probe.probe in ("length", "output tokens", "prompt tokens", "asked together"):
        return told, "even"
    return told, "better" if (interval.low > 0) == probe.higher_is_better else "worse"
