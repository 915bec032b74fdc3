"""May the candidate ship? The decision, pure: the same record and policy always give the same verdict.

1. Red lines: any break fails.
2. Alarm: a guard set on which the candidate is significantly worse (Holm over all of them) fails.
3. Not worse: over all guard sets together, a drop of the margin must be ruled out; against the baseline, and
   for retention sets against the root base too, or promotions would lose one margin each.
4. Own bar, target, floor: what the policy asks of single sets, and of groups of cases; budget: what answers take;
   review: what people said who read the answers blind.
5. INVALID where the comparison cannot be trusted; else INCONCLUSIVE, in words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.answers import SEVERITY, Answer, worst
from harness.budgets import budget_criteria
from harness.groups import group_criteria, group_verdict, pair_groups
from harness.judges.judgement import JudgedSet
from harness.judges.summary import sequence_answer, summarise, win_rate_answer
from harness.noise import notes as noise_notes
from harness.pairs import PairedSet, Rival, Watch, changed, pair_sets, watches
from harness.policy import GatePolicy, Waiver
from harness.record import CaseResult, RunRecord
from harness.repeats import notes as repeats_notes
from harness.retention.choices import choices_of
from harness.review.criteria import review_criteria
from harness.review.opinions import Review
from harness.stats.guards import Alarm, alarms, pooled_not_worse
from harness.stats.intervals import zero_failures_bound
from harness.stats.power import detectable_drop
from harness.validity import invalid_criteria, nothing_compared
from harness.verdict import (
    Criterion,
    SetVerdict,
    Verdict,
    floor_criterion,
    listed,
    margin_criterion,
    plural,
    points,
    rate_in_words,
    rate_interval,
    same_answers,
    target_criterion,
    up,
    versus,
)
from harness.waivers import account, find_waiver, in_force

__all__ = ["Criterion", "SetVerdict", "Verdict", "decide"]


def decide(record: RunRecord, policy: GatePolicy, *, today: str | None = None, review: Review | None = None) -> Verdict:
    """The verdict on `record` under `policy`, which need not be the one that the run was made with.

    `today` (YYYY-MM-DD) is the day on which waivers must hold; the day of the run unless given. `review` is what people
    said of these answers, where it was imported.
    """
    day = record.created[:10] if today is None else today
    waivers = in_force(policy, day)
    used: list[Waiver] = []
    sets = pair_sets(record, policy, waivers)
    groups = pair_groups(sets, policy)
    used += [waiver for one in sets for excused in one.excused.values() for waiver in excused.values()]
    compared = [*_alarms(sets, policy, waivers, used), *_not_worse(sets, policy)]
    compared += [criterion for one in sets for criterion in _own_terms(one, policy)]
    compared += [criterion for one in groups for criterion in group_criteria(one)]
    compared += [criterion for one in record.judged for criterion in _judged(one, policy)]
    red = list(_red_lines(record, waivers, used))
    budgets = budget_criteria(record, sets, policy)
    people = review_criteria(record, policy, review)
    criteria = [*invalid_criteria(record, policy, sets, groups), *red, *compared, *budgets, *_suites(record), *people]
    if not compared and not any(c.name == "complete" for c in criteria):
        criteria.append(nothing_compared(record))
    return Verdict(
        # Whatever a part of the run shows, it is no word on the candidate.
        status="INVALID" if record.partial is not None else worst([criterion.status for criterion in criteria]),
        run_id=record.run_id,
        candidate=record.candidate.label,
        baseline=None if record.baseline is None else record.baseline.label,
        policy_digest=policy.digest,
        criteria=tuple(criteria),
        sets=tuple(_set_verdict(one, sets, criteria, policy.margin, used) for one in sets),
        notes=tuple(_notes(record, sets, policy)),
        groups=tuple(group_verdict(one, criteria) for one in groups),
        waivers=tuple(account(policy, day, used, _run(record) if policy.waivers else ())),
    )


def _run(record: RunRecord) -> set[tuple[str, str | None]]:
    """Every set and every case that a waiver can name."""
    return {(one.name, case) for one in record.sets for case in (None, *(c.case for c in one.cases))}


def _red_lines(record: RunRecord, waivers: Sequence[Waiver], used: list[Waiver]) -> Iterator[Criterion]:
    asked, held, unstable = 0, 0, list[str]()
    for one in record.sets:
        lines = [case for case in one.cases if any(test.lane == "red_line" for test in case.tests)]
        broken = [case for case in lines if _breaks(case)]
        shaky = [case for case in lines if case not in broken and any(test.unstable for test in case.tests)]
        excused = {case.case: w for case in broken if (w := find_waiver(waivers, "red line", one.name, case.case))}
        used += excused.values()
        breaks = tuple(case.case for case in broken if case.case not in excused)
        asked, held = asked + len(lines), held + len(lines) - len(broken)
        unstable += [f"{one.name}/{case.case}" for case in shaky]
        if breaks:
            yield Criterion(
                name="red lines",
                status="FAIL",
                summary=f"{one.name} {len(breaks)} of {len(lines)} broken: {listed(breaks, 2)}",
                reason=f"{one.name}: {len(breaks)} of {plural(len(lines), 'red line')} broken, and none may be: "
                f"{listed(breaks, 5)}.",
                set=one.name,
                cases=breaks,
            )
        for case, waiver in excused.items():
            yield Criterion(
                name="red lines",
                status="PASS",
                summary=f"{one.name} {case} broken, waived by {waiver.owner}",
                reason=f"{one.name}: red line {case} is broken; {waiver.owner} answers for it until "
                f"{waiver.expires.isoformat()}: {waiver.reason}.",
                set=one.name,
                cases=(case,),
            )
    if asked and held == asked:
        bound = points(up(zero_failures_bound(asked)))
        short = f", {len(unstable)} unstable" if unstable else ""
        told = f", {len(unstable)} of them unstable ({listed(tuple(unstable), 5)})" if unstable else ""
        yield Criterion(
            name="red lines",
            status="PASS",
            summary=f"{asked} held{short}; failure rates over {bound}% ruled out",
            reason=f"{plural(asked, 'red line')}, none broken{told}: at 95% this rules out failure rates over "
            f"{bound}%.",
        )


def _breaks(case: CaseResult) -> bool:
    """Is a red line of this case broken for certain? One that failed in some samples only is unstable."""
    return any(test.lane == "red_line" and test.candidate < 1 and not test.unstable for test in case.tests)


def _alarms(
    sets: Sequence[PairedSet], policy: GatePolicy, waivers: Sequence[Waiver], used: list[Waiver]
) -> Iterator[Criterion]:
    watched = list(watches(sets))
    found = alarms([watch.sample for watch in watched], policy.alpha)
    many = plural(len(found), "comparison")
    for watch, alarm in zip(watched, found, strict=True):
        if alarm.fired:
            waiver = find_waiver(waivers, "alarm", watch.of)
            used += [] if waiver is None else [waiver]
            yield _alarm(watch, alarm, many, waiver, _worst_first(watch, sets))
    if found and not any(alarm.fired for alarm in found):
        least = min(found, key=lambda alarm: alarm.adjusted)
        yield Criterion(
            name="alarm",
            status="PASS",
            summary=f"none in {many}",
            reason=f"No alarm in {many}: nowhere is the candidate significantly worse (least p = "
            f"{least.adjusted:.2g}, {least.name}; an alarm needs {policy.alpha:g}).",
        )


def _worst_first(watch: Watch, sets: Sequence[PairedSet]) -> tuple[str, ...]:
    """The cases that got worse: by how much, and of multiple choice by how clearly a wrong choice was preferred."""
    leads: list[float] | None = None
    if watch.unit is None:
        (of,) = (one for one in sets if one.name == watch.of)
        leads = [0.0 if (choices := choices_of(case)) is None else choices.lead for case in of.cases]
    return tuple(watch.cases[i] for i in changed(watch.sample, worse=True, then=leads))


def _alarm(watch: Watch, alarm: Alarm, many: str, waiver: Waiver | None, cases: tuple[str, ...]) -> Criterion:
    lost, gained = alarm.discordant.only_baseline, alarm.discordant.only_candidate
    by = f"{points(alarm.difference, sign=True)} points"
    if watch.unit is not None and watch.unit.startswith("share"):
        by = f"{points(abs(alarm.difference))} points worse"
    elif watch.unit is not None:
        by = f"{abs(alarm.difference):.3g} {watch.unit} worse"
    short, told = "", ""
    if waiver is not None:
        short = f", waived by {waiver.owner}"
        told = f" {waiver.owner} answers for it until {waiver.expires.isoformat()}: {waiver.reason}."
    return Criterion(
        name="alarm",
        status="FAIL" if waiver is None else "PASS",
        summary=f"{alarm.name}{versus(watch.rival)} {by} (-{lost} +{gained} of {alarm.n}){short}",
        reason=f"{alarm.name} got worse than the {watch.rival}: {by} over {plural(alarm.n, 'case')}, {lost} worse "
        f"and {gained} better (p = {alarm.adjusted:.2g}: {alarm.method}, Holm over {many}). "
        f"Look first at {listed(cases)}.{told}",
        set=watch.of,
        against=watch.rival,
        cases=cases,
    )


def _not_worse(sets: Sequence[PairedSet], policy: GatePolicy) -> Iterator[Criterion]:
    rivals: tuple[Rival, ...] = ("baseline", "root")
    for rival in rivals:
        pool = [one for one in sets if not one.target and rival in one.comparisons]
        if not pool:
            continue
        subject = pool[0].name if len(pool) == 1 else f"{len(pool)} guard sets together"
        if all(one.unchanged(rival) for one in pool):
            yield same_answers("not worse", subject, rival, of=None)
        else:
            found = pooled_not_worse([one.sample(rival) for one in pool], policy.margin)
            yield margin_criterion("not worse", found, subject, rival, of=None)


def _own_terms(one: PairedSet, policy: GatePolicy) -> Iterator[Criterion]:
    """What the policy asks of this set by name."""
    for rival, found in one.comparisons.items():
        if one.target and one.unchanged(rival):
            yield same_answers("target", one.name, rival, of=one.name)
        elif one.target:
            rates = " against ".join(rate_in_words(one.scores[role], one.weights) for role in ("candidate", rival))
            yield target_criterion(found, rates, one.name, rival, of=one.name)
        if policy.own_margin(one.name) is None:
            continue
        if one.unchanged(rival):
            yield same_answers("own bar", one.name, rival, of=one.name)
        else:
            yield margin_criterion("own bar", found, one.name, rival, of=one.name)
    least = policy.floor(one.name)
    if least is not None and one.cases:
        yield floor_criterion(one.scores["candidate"], one.weights, least, one.name, of=one.name)


def _suites(record: RunRecord) -> Iterator[Criterion]:
    for said in record.answers:
        if said.status != "PASS":
            yield Criterion(
                name="suite",
                status=said.status,
                summary=f"{said.test} {said.reason}",
                reason=f"{said.test}: {said.reason}",
            )
    if record.answers and all(said.status == "PASS" for said in record.answers):
        told = f"{plural(len(record.answers), 'suite answer')}, all PASS"
        yield Criterion(name="suite", status="PASS", summary=told, reason=f"{told}.")


def _judged(one: JudgedSet, policy: GatePolicy) -> Iterator[Criterion]:
    """May what rests on this judge's word stand, and where the gate itself asks: what does it say?"""
    judge = one.judge.name
    if one.judge.kind == "reference" or not (one.asserted or one.criterion):
        return
    if one.unfit:
        why = "; ".join(one.unfit)
        blocks = policy.on_unfit_judge == "block"
        end = "A gate that rests on it is INVALID." if blocks else "The policy lowers this to a warning."
        yield Criterion(
            name="judge",
            status="INVALID" if blocks else "PASS",
            summary=f"{one.set}: {'' if blocks else 'warning: '}{why}",
            reason=f"{one.set}: {why}. {end}",
        )
    else:
        held = "card" if one.card is None else f"card of {one.card.created[:10]}"
        yield Criterion(
            name="judge",
            status="PASS",
            summary=f"{judge}: {held}, fit",
            reason=f"The judge {judge} is fit to gate ({held}).",
        )
    if one.criterion is not None:
        if one.sequence is not None:
            answer = sequence_answer(one.sequence, len(one.judgements), one.total)
        else:
            answer = win_rate_answer(one.judgements, one.criterion, one.margin)
        told = f"{one.set}: {answer.reason}, judged by {judge}"
        yield Criterion(name="judge", status=answer.status, summary=told, reason=f"{told}.")


def _set_verdict(
    one: PairedSet, sets: Sequence[PairedSet], criteria: Sequence[Criterion], margin: float, used: Sequence[Waiver]
) -> SetVerdict:
    baseline = one.comparisons.get("baseline")
    fell: tuple[str, ...] = ()
    rose: tuple[str, ...] = ()
    if baseline is not None:
        fell, rose = (one.flipped("baseline", worse=worse) for worse in (True, False))
    waived = {w.case for w in used if w.set == one.name and w.case is not None}
    sees = None if baseline is None else baseline.minimum_detectable_effect
    if baseline is None and one.cases:
        sees = detectable_drop(0.0, len(one.cases))
    return SetVerdict(
        name=one.name,
        answer=_set_answer(one, sets, criteria, margin, sees),
        target=one.target,
        retention=one.result.retention,
        n=len(one.cases),
        candidate=rate_interval(one.scores["candidate"]),
        baseline=rate_interval(one.scores.get("baseline")),
        root=rate_interval(one.scores.get("root")),
        against_baseline=baseline,
        against_root=one.comparisons.get("root"),
        same_answers=baseline is not None and one.unchanged("baseline"),
        ratchet=fell,
        gained=rose,
        sees=sees,
        waived=tuple(case.case for case in one.result.cases if case.case in waived),
    )


def _set_answer(
    one: PairedSet,
    sets: Sequence[PairedSet],
    criteria: Sequence[Criterion],
    margin: float,
    sees: float | None,
) -> Answer:
    """The worst of the set's own criteria; a guard also answers for the pool where it cannot stand alone.

    Some set always answers for a pool that does not pass, so that the sets together say what the verdict says.
    """
    own = sorted((c for c in criteria if c.set == one.name), key=lambda c: -SEVERITY[c.status])
    if own and own[0].status != "PASS":
        return Answer(status=own[0].status, reason=own[0].reason)
    watched = any(probe.role == "alarm" for probe in one.result.probes)
    if not one.comparisons and (one.cases or (watched and not one.rivals)):
        return Answer(status="INVALID", reason=f"{one.name}: nothing to compare.")
    if one.target:
        return Answer(status="PASS", reason=next(c.reason for c in own if c.name == "target"))
    open_pools = {c.against: c for c in criteria if c.name == "not worse" and c.status != "PASS"}
    for rival, found in one.comparisons.items():
        if rival not in open_pools:
            continue
        least = min(s.comparisons[rival].lower_limit for s in sets if not s.target and rival in s.comparisons)
        weakest = found.lower_limit == least
        alone = one.unchanged(rival) or found.lower_limit > -margin
        if weakest or not alone:
            fell = weakest or found.difference < 0
            status = open_pools[rival].status if fell else "INCONCLUSIVE"
            return Answer(status=status, reason=open_pools[rival].reason)
    if "baseline" in one.comparisons and one.unchanged("baseline"):
        return Answer(status="PASS", reason=f"{one.name}: same answers.")
    reach = "" if sees is None else f" Alone, this set sees drops of {points(up(sees))} points or more."
    return Answer(status="PASS", reason=f"{one.name}: no alarm.{reach}")


def _notes(record: RunRecord, sets: Sequence[PairedSet], policy: GatePolicy) -> Iterator[str]:
    yield from record.notes
    for parity in record.parity:
        if parity.fault is None:
            yield (
                f"{parity.model}: {parity.engine} applies the adapter as trained ({parity.error:.2g} nats per token "
                f"apart, {parity.noise:.2g} on the base; the adapter's effect is {parity.effect:.2g})"
            )
    yield from noise_notes(record.noise, policy)
    yield from repeats_notes(record)
    for judged in record.judged:
        yield from (f"{judged.set}: {flag}" for flag in judged.flags)
        if judged.judge.kind == "reference":
            yield f"{judged.set}: compared by similarity to the target (reference): advisory, no judge"
        elif summarise(judged.judgements).biased:
            yield f"{judged.set}: the judge {judged.judge.name} is position-biased; both orders were judged"
    for one in sets:
        for why in one.result.unavailable:
            yield f"not available: {one.name}: {why}"
    if any(one.target for one in sets) and all(one.target for one in sets):
        yield "every set is a target: no guard watches for regressions"
    cut_off = sum(case.cut_off > 0 for one in record.sets for case in one.cases)
    if cut_off:
        yield f"{plural(cut_off, 'case')} with answers of the candidate cut off at max_tokens"
