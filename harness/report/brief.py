"""What a run came to, in plain sentences and in percent: what was lost and what was learned. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from harness.record import Probe, RunRecord, SetResult
from harness.report.numbers import percent
from harness.report.visible import visible
from harness.report.words import Words
from harness.stats.intervals import Interval, mean_interval
from harness.verdict import SetVerdict, Verdict

#: Sets named in one sentence; the table below has all.
NAMED = 5


def brief(record: RunRecord, verdict: Verdict, words: Words) -> tuple[str, ...]:
    """What got worse and what got better for certain (95%), with the share of cases passed before and now.

    Sets about safety come first, then what was lost most. Empty where there is nothing to compare.
    """
    if record.baseline is None or verdict.status == "INVALID":
        return ()
    guarding = {of.name for of in record.sets if is_about_safety(of)}
    compared = [one for one in verdict.sets if one.n and (one.against_baseline or one.against_root)]
    compared.sort(key=lambda one: (one.name not in guarding, _difference(one).estimate))
    worse = [one for one in compared if _difference(one).high < 0]
    better = [one for one in compared if _difference(one).low > 0]
    baseline = visible(record.baseline.label)
    said = (
        (words("It forgot part of what {baseline} could do. Cases passed: {sets}."), [o for o in worse if o.retention]),
        (words("It got worse. Cases passed: {sets}."), [one for one in worse if not one.retention]),
        (words("It learned its task. Cases passed: {sets}."), [one for one in better if one.target]),
        (words("It got better. Cases passed: {sets}."), [one for one in better if not one.target]),
    )
    sentences = [told.format(baseline=baseline, sets=_named(sets, words)) for told, sets in said if sets]
    # Where a run is too small to say, "not clearly worse" would sound like a word of praise.
    if compared and not worse and verdict.status == "PASS":
        nothing = words("On no set is it clearly worse than {baseline}.", baseline=baseline)
        sentences.insert(0, nothing)
    bled = [told for of in record.sets for told in _bled(of)]
    if bled:
        sentences.append(
            words(
                "It answers in the task's format where no question asked for it (bleed). Such answers: {sets}; only "
                "JSON that can be read counts, whole or cut off.",
                sets=words(", ").join(bled),
            )
        )
    return tuple(sentences)


def is_about_safety(of: SetResult) -> bool:
    """Does the set ask for what a model should refuse? By its name, or by its cases' tags."""
    name = of.name.lower()
    return "refus" in name or "safety" in name or any("harmful" in case.tags for case in of.cases)


def _difference(one: SetVerdict) -> Interval:
    found = one.against_baseline or one.against_root
    assert found is not None, "only what was compared is asked"
    return found.interval


def _named(sets: Sequence[SetVerdict], words: Words) -> str:
    told = [
        f"{visible(one.name)} {percent(before.estimate)} → {percent(one.candidate.estimate)}"
        for one in sets[:NAMED]
        if one.candidate is not None and (before := one.baseline or one.root) is not None
    ]
    more = [words("{n} more sets", n=len(sets) - NAMED)] if len(sets) > NAMED else []
    return words(", ").join([*told, *more])


def _bled(of: SetResult) -> Iterator[str]:
    for probe in of.probes:
        if probe.probe == "bleed" and probe.baseline is not None and _grew(probe, probe.baseline):
            before, now = (percent(math.fsum(values) / len(values)) for values in (probe.baseline, probe.candidate))
            yield f"{visible(of.name)} {before} → {now}"


def _grew(probe: Probe, before: tuple[float, ...]) -> bool:
    differences = [new - old for new, old in zip(probe.candidate, before, strict=True)]
    return len(differences) > 1 and mean_interval(differences).low > 0
