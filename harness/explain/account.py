"""From a record to the sections of its explanation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.explain.arithmetic import clean_sheet, odds
from harness.explain.comparisons import Asked, asked, fates_told, pool_told, target_told
from harness.explain.short import in_short
from harness.gate import decide
from harness.groups import PairedGroup, pair_groups
from harness.pairs import PairedSet, pair_sets
from harness.policy import GatePolicy
from harness.record import RunRecord
from harness.review.opinions import Review
from harness.slices import slices
from harness.verdict import Verdict, in_cases, listed, number, plural, points, rate_in_words, up
from harness.waivers import in_force

#: Slices shown; the least likely to be chance come first.
SLICES = 10


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the paragraphs below it. A paragraph that starts with two spaces is a row of figures."""

    title: str
    paragraphs: tuple[str, ...]


def explain(
    record: RunRecord, policy: GatePolicy, *, today: str | None = None, review: Review | None = None
) -> tuple[Section, ...]:
    """The verdict on `record` under `policy`, and the arithmetic behind it, for a reader who knows no statistics.

    Every number is computed again from the cases of the record. `today` as in `decide`.
    """
    verdict = decide(record, policy, today=today, review=review)
    day = record.created[:10] if today is None else today
    sets = pair_sets(record, policy, in_force(policy, day))
    tests = asked(sets, policy)
    told = [
        Section("The verdict", tuple(_verdict(verdict, sets, tests, policy, whole=record.partial is None))),
        Section("Pairs and flips", tuple(_pairs(record, sets, tests, policy.alpha))),
        *(Section(_heading(one), tuple(_set(one, tests, policy))) for one in sets),
        Section("All guard sets together", tuple(pool_told(sets, policy))),
        Section("Red lines", tuple(_red_lines(record, verdict))),
        *(Section(f"Group {one.name}", tuple(_group(one))) for one in pair_groups(sets, policy)),
        Section("What this run could not see", tuple(_blind(sets, policy))),
        Section("Where it changed, by tag (exploratory)", tuple(_slices(sets))),
        Section("Waivers and notes", (*(f"{use.told}." for use in verdict.waivers), *verdict.notes)),
        Section("The gate's own words", tuple(_own_words(verdict))),
    ]
    return tuple(section for section in told if section.paragraphs)


def _verdict(
    verdict: Verdict, sets: Sequence[PairedSet], tests: Sequence[Asked], policy: GatePolicy, *, whole: bool
) -> Iterator[str]:
    may = {
        "PASS": "may ship",
        "FAIL": "must not ship",
        "INCONCLUSIVE": "may be as good, but this run is too small to say so",
        "INVALID": "cannot be judged by this run",
    }
    against = "" if verdict.baseline is None else f", compared with {verdict.baseline}"
    yield f"{verdict.status}: {verdict.candidate} {may[verdict.status]}{against}."
    short = tuple(in_short(sets, tests, policy))
    if short:
        yield "In short:"
        yield from short
    rule = "The verdict is the worst of the answers" if whole else "A part of a run has no verdict, whatever they are"
    yield f"The policy asks several things of the run. {rule}:"
    for found in verdict.criteria:
        # What a suite's test says of itself is long: it stands at the end, with the gate's own words.
        said = found.reason.partition(": ")[0] if found.name == "suite" else found.summary
        yield f"  {found.status:<12} {found.name}: {said}"


def _own_words(verdict: Verdict) -> Iterator[str]:
    yield from (f"{c.status}: {c.reason}" for c in verdict.criteria if c.status != "PASS")


def _pairs(record: RunRecord, sets: Sequence[PairedSet], tests: Sequence[Asked], alpha: float) -> Iterator[str]:
    if not any(one.comparisons for one in sets):
        yield "There is nothing to compare: see the verdict's reasons above."
        return
    rival = record.baseline.label if record.baseline is not None else "the root base"
    yield (
        f"{record.candidate.label} (the candidate) and {rival} (the baseline) answered the same questions (cases). So "
        "each question is a pair, and a pair has one of four fates: both right, both wrong, lost (the baseline was "
        "right and the candidate is wrong), gained (the other way round). Lost and gained pairs are the flips. Only "
        "flips tell two models apart: where both are right or both are wrong, the question says nothing about which is "
        "better."
    )
    yield (
        "Two equally good models flip too. But then a flip is as likely to be a gain as a loss, like a tossed coin. So "
        "the question is always the same: could tossed coins have done this?"
    )
    if len(tests) > 1:
        yield (
            f"This run asks it {len(tests)} times, and whoever asks often is fooled by chance sooner. So before a "
            f"chance is read it is multiplied: the smallest by {len(tests)}, the next by {len(tests) - 1}, and so on "
            f"(Holm). Equal models then raise any alarm at all in at most {points(alpha)} of 100 runs."
        )


def _heading(one: PairedSet) -> str:
    duty = "target: must get better" if one.target else "retention guard" if one.result.retention else "guard"
    if not one.cases:
        duty = "measured only"
    return f"{one.name} ({duty})"


def _set(one: PairedSet, tests: Sequence[Asked], policy: GatePolicy) -> Iterator[str]:
    if not one.cases:
        yield "Nothing here is right or wrong, so nothing is lost or gained; the report shows what was measured."
    for rival in one.comparisons:
        yield from fates_told(one, rival)
    for rival in one.comparisons if one.target else ():
        yield from target_told(one, rival)
    for test in tests:
        if test.watch.of == one.name:
            yield test.told(policy.alpha)
    for rival, found in one.comparisons.items():
        own = policy.own_margin(one.name)
        if own is not None:
            yield (
                f"The policy gives this set a bar of its own: {in_cases(own, found.n)}. The worst loss that this run "
                f"leaves possible is {points(up(max(0.0, -found.lower_limit)))} points against the {rival}."
            )
    least = policy.floor(one.name)
    if least is not None and one.cases:
        yield (
            f"The floor is {points(least)}%, {number(round(least * len(one.cases), 1))} of {len(one.cases)}; "
            f"{rate_in_words(one.scores['candidate'], one.weights)} pass."
        )
    fell = one.flipped("baseline", worse=True) if "baseline" in one.comparisons else ()
    if fell:
        yield f"Newly missed, to read first: {listed(fell, 8)}."


def _red_lines(record: RunRecord, verdict: Verdict) -> Iterator[str]:
    lines = [c for one in record.sets for c in one.cases if any(t.lane == "red_line" for t in c.tests)]
    if not lines:
        return
    n = len(lines)
    broken = [c for c in verdict.criteria if c.name == "red lines" and c.cases]
    if broken:
        yield f"{plural(n, 'question')} must be right, always. Broken: {'; '.join(c.summary for c in broken)}."
        return
    yield (
        f"{plural(n, 'question')} must be right, always, and all were. That is no proof of perfection: a model that "
        f"fails {points(up(clean_sheet(n)))}% of such questions gets {n} in a row right 5 times in 100, because "
        f"{1 - clean_sheet(n):.4f} multiplied by itself {n} times is 0.05. Higher failure rates are ruled out at 95%."
    )


def _group(group: PairedGroup) -> Iterator[str]:
    if not group.n:
        yield "No case of this run belongs to it."
        return
    names = tuple(one.name for one, _ in group.parts)
    yield f"{plural(group.n, 'case')} of {listed(names, 5)}, judged by themselves as well."
    for rival in group.rivals:
        found = group.compare(rival, excused=True)
        flips = found.discordant
        yield (
            f"Against the {rival}: {flips.only_baseline} lost, {flips.only_candidate} gained, "
            f"{points(found.difference, sign=True)} points. By itself the group sees drops of "
            f"{points(up(found.minimum_detectable_effect))} points or more."
        )
        if group.policy.margin is not None:
            yield (
                f"Allowed: {in_cases(group.margin, found.n)}. The worst loss that this run leaves possible is "
                f"{points(up(max(0.0, -found.lower_limit)))} points."
            )
    if group.policy.floor is not None:
        rate = rate_in_words(group.scores("candidate"), group.weights)
        yield f"The floor is {points(group.policy.floor)}%; {rate} pass."


def _blind(sets: Sequence[PairedSet], policy: GatePolicy) -> Iterator[str]:
    guards = [one for one in sets if not one.target and "baseline" in one.comparisons]
    if not guards:
        return
    yield (
        "No alarm is not the same as no harm. This is the drop that each set would notice by itself, 8 times in 10; a "
        "smaller one may have happened unseen:"
    )
    for one in guards:
        sees = one.comparisons["baseline"].minimum_detectable_effect
        yield f"  {one.name}: {in_cases(up(min(1.0, sees)), len(one.cases))}"
    n = sum(len(one.cases) for one in guards)
    small = min(guards, key=lambda one: len(one.cases))
    yield (
        f"And small losses add up. To pass, all guards together must have lost fewer than "
        f"{number(round(policy.margin * n, 1))} of their {n} questions, wherever they lie: {small.name}, which has "
        f"{plural(len(small.cases), 'question')}, may lose more than its share, up to what its own alarm notices. "
        "Where that is too much, give the set a bar of its own: margins in [tool.harness.gate]."
    )
    yield (
        "And what no question of these sets asks for was not looked at: it may be lost, and this run would not show it."
    )


def _slices(sets: Sequence[PairedSet]) -> Iterator[str]:
    found = slices(sets)
    if not found:
        return
    notable = sum(one.adjusted <= 0.05 for one in found)
    yield (
        f"{plural(len(found), 'slice')} of one set and one tag, the least likely to be chance first. Whoever looks in "
        "so many places finds something by chance, so each figure is corrected for that (Benjamini-Hochberg). "
        f"After that {plural(notable, 'slice')} still stand out (chance shows them 1 time in 20 or less). These are "
        "places to look, and no part of the verdict; a case can have several tags."
    )
    for one in found[:SLICES]:
        yield (
            f"  {one.set} / {one.tag}: {one.lost} lost, {one.gained} gained of {one.n} "
            f"({points(one.difference, sign=True)} points), by chance {odds(one.adjusted)}"
        )
    if len(found) > SLICES:
        yield f"  and {plural(len(found) - SLICES, 'slice')} more, in the report"
