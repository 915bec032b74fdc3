"""Groups of cases that the policy gives a bar of their own: by tag, across sets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from harness.answers import SEVERITY, Answer
from harness.pairs import PairedSet, Rival, changed
from harness.policy import CaseGroup, GatePolicy
from harness.record import Role
from harness.stats.guards import PairedSample, pooled_not_worse
from harness.stats.intervals import Floats
from harness.stats.paired import PairedComparison
from harness.verdict import (
    Criterion,
    GroupVerdict,
    floor_criterion,
    margin_criterion,
    plural,
    points,
    rate_in_words,
    rate_interval,
    same_answers,
    target_criterion,
    up,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedGroup:
    """One group of the policy with its rated cases. `parts` are the sets that have some, and where in the set.

    `margin` is the group's own, else the policy's.
    """

    name: str
    policy: CaseGroup
    margin: float
    parts: tuple[tuple[PairedSet, tuple[int, ...]], ...]

    @property
    def n(self) -> int:
        """How many rated cases."""
        return sum(len(among) for _, among in self.parts)

    @property
    def rivals(self) -> tuple[Rival, ...]:
        """With whom every one of the cases can be compared."""
        found: tuple[Rival, ...] = ("baseline", "root")
        return tuple(r for r in found if self.parts and all(r in one.comparisons for one, _ in self.parts))

    @property
    def names(self) -> tuple[str, ...]:
        """The cases as "set/case"."""
        return tuple(f"{one.name}/{one.cases[i].case}" for one, among in self.parts for i in among)

    def samples(self, rival: Rival, *, excused: bool) -> list[PairedSample]:
        """The pairs, set by set; with `excused`, waived losses count as unchanged."""
        return [one.sample(rival, among) if excused else one.seen(rival, among) for one, among in self.parts]

    def compare(self, rival: Rival, *, excused: bool) -> PairedComparison:
        """All the pairs together."""
        return pooled_not_worse(self.samples(rival, excused=excused), self.margin)

    def scores(self, role: Role) -> Floats:
        """Every case's score by one model."""
        return np.concatenate([one.scores[role][list(among)] for one, among in self.parts])

    @property
    def weights(self) -> Floats:
        """Every case's weight."""
        return np.concatenate([one.weights[list(among)] for one, among in self.parts])

    def unchanged(self, rival: Rival) -> bool:
        """Did both give byte-identical answers to every case, and get the same scores?"""
        same = (
            one.cases[i].same_answer if rival == "baseline" else one.cases[i].same_answer_as_root
            for one, among in self.parts
            for i in among
        )
        return all(same) and np.array_equal(self.scores("candidate"), self.scores(rival))


def pair_groups(sets: Sequence[PairedSet], policy: GatePolicy) -> list[PairedGroup]:
    """Every group of the policy, in its order; a group without a case is there too."""
    found = []
    for name, asked in policy.groups.items():
        parts = [(one, tuple(i for i, c in enumerate(one.cases) if asked.holds(one.name, c.tags))) for one in sets]
        found.append(
            PairedGroup(
                name=name,
                policy=asked,
                margin=policy.margin if asked.margin is None else asked.margin,
                parts=tuple((one, among) for one, among in parts if among),
            )
        )
    return found


def group_criteria(group: PairedGroup) -> Iterator[Criterion]:
    """What the policy asks of this group."""
    subject = f"group {group.name}"
    for rival in group.rivals:
        if group.policy.improve and group.unchanged(rival):
            yield same_answers("target", subject, rival, of=None, group=group.name)
        elif group.policy.improve:
            rates = " against ".join(rate_in_words(group.scores(role), group.weights) for role in ("candidate", rival))
            found = group.compare(rival, excused=False)
            yield target_criterion(found, rates, subject, rival, of=None, group=group.name)
        if group.policy.margin is None:
            continue
        if group.unchanged(rival):
            yield same_answers("own bar", subject, rival, of=None, group=group.name)
        else:
            found = group.compare(rival, excused=True)
            told = f"{subject} ({_power(found)})"
            yield margin_criterion("own bar", found, told, rival, of=None, group=group.name)
    if group.policy.floor is not None and group.n:
        yield floor_criterion(
            group.scores("candidate"), group.weights, group.policy.floor, subject, of=None, group=group.name
        )


def group_verdict(group: PairedGroup, criteria: Sequence[Criterion]) -> GroupVerdict:
    """The group for a report: the worst of its own criteria, and its numbers against the baseline."""
    own = sorted((c for c in criteria if c.group == group.name), key=lambda c: -SEVERITY[c.status])
    answer = Answer(status="INVALID", reason=f"group {group.name}: nothing to compare.")
    if own and (group.rivals or own[0].status == "FAIL"):
        answer = Answer(status=own[0].status, reason=own[0].reason)
    against = group.compare("baseline", excused=True) if "baseline" in group.rivals else None
    fell: tuple[str, ...] = ()
    if against is not None:
        samples = group.samples("baseline", excused=False)
        joined = PairedSample(
            name=group.name,
            candidate=np.concatenate([np.asarray(s.candidate) for s in samples]),
            baseline=np.concatenate([np.asarray(s.baseline) for s in samples]),
        )
        fell = tuple(group.names[i] for i in changed(joined, worse=True))
    measured = group.parts and all("baseline" in one.scores for one, _ in group.parts)
    return GroupVerdict(
        name=group.name,
        answer=answer,
        n=group.n,
        sets=tuple(one.name for one, _ in group.parts),
        candidate=rate_interval(group.scores("candidate")) if group.parts else None,
        baseline=rate_interval(group.scores("baseline")) if measured else None,
        against_baseline=against,
        cases=fell,
        sees=None if against is None else against.minimum_detectable_effect,
    )


def _power(found: PairedComparison) -> str:
    """What so many cases can show, said before what they did show."""
    needs = found.cases_needed
    enough = "" if needs is None else f"; an equal model needs about {plural(needs, 'case')} to pass 8 times in 10"
    return f"sees drops of {points(up(found.minimum_detectable_effect))} points or more{enough}"
