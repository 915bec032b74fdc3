"""What the gate says: a status, the criteria it rests on, and the cases to look at first."""

from __future__ import annotations

import math
from typing import Literal

import msgspec
import numpy as np

from harness.answers import SEVERITY, Answer, Status
from harness.checks.score import printable
from harness.columns import columns_of, fold, shorten
from harness.pairs import Rival
from harness.policy import GatePolicy
from harness.stats.intervals import Floats, Interval, wilson
from harness.stats.paired import PairedComparison
from harness.waivers import WaiverUse

CriterionName = Literal[
    "complete", "red lines", "alarm", "not worse", "own bar", "target", "floor", "budget", "suite", "judge", "review"
]

#: Columns of a terminal line.
WIDTH = 80
#: Sets whose newly missed cases are named in the terminal; the report names all.
SETS_NAMED = 6


class Criterion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that was asked of the candidate, and the answer.

    `set` is the golden set it is about, `group` the policy's group of cases; both None for the whole run. `against` is
    whom it was compared with. `reason` is a plain sentence with the numbers, `summary` the same in a few words,
    `cases` those to look at first. `command` settles it, where that is neither training nor a new run. `waiting` are
    the people whose answers it waits for, `skipped` those who are asked to judge what they skipped, `discards` those
    whose finished answers the command sets aside.
    """

    name: CriterionName
    status: Status
    summary: str
    reason: str
    set: str | None = None
    against: Rival | None = None
    cases: tuple[str, ...] = ()
    group: str | None = None
    command: str | None = None
    waiting: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    discards: tuple[str, ...] = ()

    @property
    def step(self) -> str | None:
        """The command, with whom it waits for and what it costs; None where there is none of its own."""
        if self.waiting:
            return f"waiting for {', '.join(self.waiting)}: {self.command}"
        if self.skipped:
            return f"have {', '.join(self.skipped)} judge pages that they skipped, then: {self.command}"
        if self.discards:
            return f"{self.command}   (sets aside what {', '.join(self.discards)} answered: it counts no more)"
        return self.command


class SetVerdict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One golden set: its answer, its pass rates, and which cases changed.

    `answer` is the set's own: its criteria, and for a guard the pool's where it cannot stand alone. `ratchet`
    are the cases that score lower than the baseline, worst first; `gained` those that score higher; `waived` the
    newly missed cases and red lines that somebody answers for. `sees` is
    the drop in pass rate that this set alone would notice, 8 times in 10. `n` counts the rated cases; a case
    with nothing but red lines is not rated.
    """

    name: str
    answer: Answer
    target: bool
    retention: bool
    n: int
    candidate: Interval | None
    baseline: Interval | None
    root: Interval | None
    against_baseline: PairedComparison | None
    against_root: PairedComparison | None
    same_answers: bool
    ratchet: tuple[str, ...]
    gained: tuple[str, ...]
    sees: float | None
    waived: tuple[str, ...] = ()


class GroupVerdict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One group of the policy: its answer, its cases' pass rates, and how they changed against the baseline.

    `cases` are "set/case", those that fell, worst first. `sees` is the drop that the group alone would notice, 8 times
    in 10.
    """

    name: str
    answer: Answer
    n: int
    sets: tuple[str, ...]
    candidate: Interval | None
    baseline: Interval | None
    against_baseline: PairedComparison | None
    cases: tuple[str, ...]
    sees: float | None


class Verdict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The gate's word on one run under one policy: the worst of its criteria."""

    status: Status
    run_id: str
    candidate: str
    baseline: str | None
    policy_digest: str
    criteria: tuple[Criterion, ...]
    sets: tuple[SetVerdict, ...]
    notes: tuple[str, ...] = ()
    groups: tuple[GroupVerdict, ...] = ()
    waivers: tuple[WaiverUse, ...] = ()

    def exit_code(self, policy: GatePolicy) -> int:
        """0 PASS, 1 FAIL, 11 INVALID, 10 INCONCLUSIVE (0 where the policy only warns)."""
        if self.status == "INCONCLUSIVE" and policy.on_inconclusive == "warn":
            return 0
        return {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 10, "INVALID": 11}[self.status]

    @property
    def remedy(self) -> Criterion | None:
        """What alone makes the run INVALID, where a command of its own settles it."""
        invalid = [c for c in self.criteria if c.status == "INVALID"]
        alone = self.status == "INVALID" and len(invalid) == 1 and invalid[0].command is not None
        return invalid[0] if alone else None

    def reasons(self) -> list[str]:
        """Why it is not a PASS, worst first, in full sentences; empty for a PASS."""
        return [f"{c.status}: {c.reason}" for c in self._worst_first() if c.status != "PASS"]

    def lines(self, columns: int = WIDTH) -> list[str]:
        """For a terminal: the verdict, one line per criterion, the cases that changed.

        No line takes more than 80 columns; where there are fewer, lines go on below themselves.
        """
        against = "" if self.baseline is None else f" against {self.baseline}"
        lines = [f"{self.status}: {self.candidate}{against}"]
        lines += [f"  {c.status:<12} {c.name:<9} {c.summary}" for c in self._worst_first()]
        lines += [f"  {use.told}" for use in self.waivers if use.state != "not needed"]
        missed = [one for one in self.sets if one.ratchet]
        for one in missed[:SETS_NAMED]:
            lines.append(f"  newly missed: {one.name} {len(one.ratchet)}: {_fitting(one.ratchet)}")
        if missed[SETS_NAMED:]:
            lines.append(f"  newly missed: {plural(len(missed) - SETS_NAMED, 'more set')}, see the report")
        counts = [f"{one.name} {len(one.gained)}" for one in self.sets if one.gained]
        if counts:
            lines.append(f"  newly passed: {', '.join(counts)}")
        lines += [f"  note: {note}" for note in self.notes]
        if columns >= WIDTH:
            return [clip(line) for line in lines]
        return [row for line in lines for row in fold(clip(line), columns)]

    def _worst_first(self) -> list[Criterion]:
        return sorted(self.criteria, key=lambda criterion: -SEVERITY[criterion.status])


def clip(line: str, columns: int = WIDTH) -> str:
    """`line` on one row of the terminal; what does not fit gives way to an ellipsis. Wide characters take
    two. Control characters, which a suite's message may quote from an answer, are spelled out.
    """
    return shorten(printable(" ".join(line.splitlines())), columns)


def points(share: float, *, sign: bool = False) -> str:
    """A share in percentage points, with a decimal only where it says something: 0.05 -> "5", 0.0731 ->
    "7.3".
    """
    text = f"{100 * share:+.1f}" if sign else f"{100 * share:.1f}"
    text = text.removesuffix(".0")
    return "0" if text in ("-0", "+0") else text


def in_cases(share: float, n: int) -> str:
    """A margin as people count: "5 points = 6 of your 120 cases"."""
    return f"{points(share)} points = {number(round(share * n, 1))} of your {plural(n, 'case')}"


def pass_rate(scores: Floats, weights: Floats) -> float:
    """The share that passes; a case of weight 2 counts as two."""
    return float(np.average(scores, weights=weights))


def rate_in_words(scores: Floats, weights: Floats) -> str:
    """ "62 of 72 (86.1%)"; with partial scores "61.5 of 72". Where weights differ, the share is the weighted one."""
    word = "" if weights.min() == weights.max() else "weighted "
    share = points(pass_rate(scores, weights))
    return f"{number(round(float(scores.sum()), 1))} of {scores.size} ({word}{share}%)"


def rate_interval(scores: Floats | None) -> Interval | None:
    """A pass rate for display; None where nothing was rated. Each case counts once."""
    return None if scores is None or not scores.size else wilson(float(scores.sum()), scores.size)


def number(value: float) -> str:
    """One decimal where it is not zero."""
    return f"{value:,.1f}".removesuffix(".0")


def up(share: float) -> float:
    """Rounded up to a tenth of a point, so that what is said to be ruled out is."""
    return math.ceil(share * 1000 - 1e-9) / 1000


def versus(rival: Rival) -> str:
    """Whom a comparison is with, where it is not the usual one."""
    return " vs root" if rival == "root" else ""


def plural(n: int, noun: str) -> str:
    """ "1 case", "2 cases"."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def listed(names: tuple[str, ...], most: int = 3) -> str:
    """The first few names and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def margin_status(found: PairedComparison) -> Status:
    """Is a drop of the margin ruled out? PASS, or FAIL where more than the margin is lost for certain."""
    if found.lower_limit > -found.margin:
        return "PASS"
    return "FAIL" if found.upper_limit < -found.margin else "INCONCLUSIVE"


def margin_criterion(
    name: CriterionName,
    found: PairedComparison,
    subject: str,
    rival: Rival,
    *,
    of: str | None,
    group: str | None = None,
) -> Criterion:
    """Whether a drop of the margin is ruled out, in words."""
    margin = points(found.margin)
    bar = in_cases(found.margin, found.n)
    limit = points(up(max(0.0, -found.lower_limit)))
    seen = f"{points(found.difference, sign=True)} points, {_flips(found)}"
    status = margin_status(found)
    if status == "PASS":
        said = f"drops over {limit} points ruled out ({margin} allowed)"
        told = f"not worse than the {rival} ({seen}): drops over {limit} points are ruled out; {bar} are allowed"
    elif status == "FAIL":
        least = points(-up(found.upper_limit))
        said = f"at least {least} points lost ({margin} allowed)"
        told = f"worse than the {rival} ({seen}): at least {least} points are lost; {bar} are allowed"
    else:
        more = _more_cases(found)
        short = "worse so far" if more is None else f"~{more:,} more cases"
        hint = "more cases would rather prove it worse"
        if more is not None:
            hint = f"about {plural(more, 'more case')} would settle it"
        said = f"drops over {limit} ruled out, {margin} not; {short}"
        opening = "a regression is likely" if found.upper_limit < 0 else "no regression seen"
        told = (
            f"{opening} against the {rival} ({seen}): drops over {limit} points are ruled out, {margin} points "
            f"are not ({bar}); {hint}"
        )
    start = f"{of or group or ''}{versus(rival)} ".lstrip()
    return Criterion(
        name=name,
        status=status,
        summary=start + said,
        reason=f"{subject}: {told}.",
        set=of,
        against=rival,
        group=group,
    )


def target_criterion(
    found: PairedComparison, rates: str, subject: str, rival: Rival, *, of: str | None, group: str | None = None
) -> Criterion:
    """Did the set get better for certain? FAIL where it got worse for certain."""
    low, high = (points(limit, sign=True) for limit in (found.interval.low, found.interval.high))
    change = f"{points(found.difference, sign=True)} points [{low}, {high}]"
    status: Status = "INCONCLUSIVE"
    if found.interval.low > 0:
        status, opening, hint = "PASS", "improved", ""
    elif found.interval.high < 0:
        status, opening, hint = "FAIL", "got worse", ""
    elif found.difference > 0:
        ratio = (found.difference - found.interval.low) / found.difference
        more = _round(found.n * (ratio * ratio - 1))
        opening = "no improvement is proven"
        hint = f" If the gain is real, about {plural(more, 'more case')} would show it."
    else:
        opening, hint = "no improvement is seen", " Train on more of what this set asks."
    return Criterion(
        name="target",
        status=status,
        summary=f"{of or group} {change}, n={found.n}",
        reason=f"{subject}: {opening}: {rates} of the {rival}, {change}, {_flips(found)}.{hint}",
        set=of,
        against=rival,
        group=group,
    )


def floor_criterion(
    scores: Floats, weights: Floats, least: float, subject: str, *, of: str | None, group: str | None = None
) -> Criterion:
    """Does the share that passes reach the floor? What was observed decides, not its interval."""
    rate = pass_rate(scores, weights)
    return Criterion(
        name="floor",
        status="PASS" if rate >= least else "FAIL",
        summary=f"{of or group} {points(rate)}%, floor {points(least)}%",
        reason=f"{subject}: {rate_in_words(scores, weights)} pass; the policy's floor is {points(least)}%, "
        f"{number(round(least * scores.size, 1))} of {scores.size}.",
        set=of,
        group=group,
    )


def same_answers(
    name: CriterionName, subject: str, rival: Rival, *, of: str | None, group: str | None = None
) -> Criterion:
    """Byte-identical answers are equal by definition: not worse, and not better either."""
    better = name == "target"
    start = f"{of or group or ''}{versus(rival)} ".lstrip()
    return Criterion(
        name=name,
        status="FAIL" if better else "PASS",
        summary=f"{start}same answers",
        reason=f"{subject}: same answers as the {rival}, so {'nothing improved' if better else 'not worse'}.",
        set=of,
        against=rival,
        group=group,
    )


def _fitting(names: tuple[str, ...]) -> str:
    """The first names, as many as a terminal line may have room for, and how many more there are."""
    most = 1
    while most < min(4, len(names)) and columns_of(", ".join(names[: most + 1])) < WIDTH // 2:
        most += 1
    return listed(names, most)


def _flips(found: PairedComparison) -> str:
    return f"{found.discordant.only_baseline} worse and {found.discordant.only_candidate} better"


def _more_cases(found: PairedComparison) -> int | None:
    """Further cases until the margin would be ruled out, if the difference stays; None where it never would
    be.
    """
    room = found.difference + found.margin
    if room <= 0:
        return None
    ratio = (found.difference - found.lower_limit) / room
    return _round(max(found.n * ratio * ratio, found.cases_needed or 0) - found.n)


def _round(cases: float) -> int:
    """Two figures are all that such a forecast is worth; at least one case."""
    if cases <= 1:
        return 1
    size = int(10 ** max(0, math.floor(math.log10(cases)) - 1))
    return math.ceil(cases / size) * size
