"""Whether a candidate forgot: alarms by set, and one proof over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from harness.answers import Answer, worst
from harness.config import GatePolicy
from harness.models.refs import ModelRef
from harness.record import CaseResult, Role, SetResult
from harness.stats.guards import Alarm, PairedSample, alarms, pooled_not_worse


class Retention:
    """What the golden sets of one marker say about forgetting: `assert retention.not_worse()`.

    `sets` are the measured sets; with `refs`, a candidate that is its own baseline is noticed.
    """

    def __init__(
        self, sets: Sequence[SetResult], policy: GatePolicy, *, refs: Mapping[Role, ModelRef] | None = None
    ) -> None:
        self.sets = tuple(sets)
        self.policy = policy
        baseline = (refs or {}).get("baseline")
        self._own_baseline = refs is not None and baseline is not None and baseline.digest == refs["candidate"].digest

    def rates(self) -> dict[str, dict[Role, float]]:
        """Pass rates by set and role; sets of prose have none."""
        return {of.name: _rates(of) for of in self.sets if of.cases}

    def not_worse(self) -> Answer:
        """Did the candidate keep what baseline and root base can do?

        A significant drop in any set, or significantly more bleed, is a FAIL (one-sided, Holm over all of
        them). Otherwise the mean drop over all cases together must be ruled out at the policy's margin. Both are
        asked against the baseline and against the root base, or promotions would lose one margin each.
        """
        if self._own_baseline:
            return _invalid("candidate and baseline are the same weights: name another with --baseline")
        answers = [
            _invalid(f"{of.name}: nothing was measured ({'; '.join(of.unavailable)})")
            for of in self.sets
            if not of.cases and not of.probes
        ]
        rivals = self._rivals()
        if not self._cases:
            answers.append(_invalid("no question here has a right answer: prose alone is advisory"))
        elif not rivals:
            answers.append(_invalid("neither a baseline nor a root base to compare with: name one with --baseline"))
        for rival in rivals:
            gaps = [of.name for of in self.sets if any(getattr(case, rival) is None for case in of.cases)]
            if gaps:
                answers.append(_invalid(f"the {rival} was not measured on {', '.join(gaps)}"))
        rivals = [r for r in rivals if all(getattr(case, r) is not None for case in self._cases)]
        fired = self._alarms(rivals)
        answers += [fired] if fired is not None else [self._not_worse(rival) for rival in rivals]
        status = worst([answer.status for answer in answers])
        return Answer(status=status, reason="; ".join(a.reason for a in answers if a.status == status))

    @property
    def _cases(self) -> list[CaseResult]:
        return [case for of in self.sets for case in rated(of)]

    def _rivals(self) -> list[Role]:
        """Whom to compare with; the root base only where it is not the baseline itself."""
        rivals: list[Role] = [
            r for r in ("baseline", "root") if any(getattr(case, r) is not None for case in self._cases)
        ]
        if len(rivals) == 2 and all(case.baseline == case.root for case in self._cases):
            return ["baseline"]
        return rivals

    def _alarms(self, rivals: Sequence[Role]) -> Answer | None:
        """FAIL where any set or alarm probe is significantly worse than any rival, else None."""
        asked = [
            (rival, sample)
            for rival in rivals
            for of in self.sets
            for sample in (*case_samples(of, rival), *probe_samples(of, rival))
        ]
        found = alarms([sample for _, sample in asked], self.policy.alpha)
        told = [
            f"{self._told(alarm, sample)} against the {rival}"
            for (rival, sample), alarm in zip(asked, found, strict=True)
            if alarm.fired
        ]
        return Answer(status="FAIL", reason=f"worse: {', '.join(told)}") if told else None

    def _not_worse(self, rival: Role) -> Answer:
        """Is the policy's margin ruled out over all sets together? Decided as the gate decides its own pool."""
        if all((c.same_answer if rival == "baseline" else c.same_answer_as_root) for c in self._cases):
            return Answer(status="PASS", reason=f"same answers as the {rival}")
        samples = [sample for of in self.sets for sample in case_samples(of, rival)]
        found = pooled_not_worse(samples, self.policy.margin)
        margin = f"{100 * found.margin:g} points"
        worst_case = f"{_points(found.lower_limit)} at worst over {found.n} cases against the {rival}"
        if found.lower_limit > -found.margin:
            return Answer(status="PASS", reason=f"a drop of {margin} is ruled out: {worst_case}")
        if found.upper_limit < -found.margin:
            reason = f"worse than the {rival}: {_points(found.upper_limit)} at best over {found.n} cases"
            return Answer(status="FAIL", reason=f"{reason}, and {margin} are allowed")
        more = (found.cases_needed or 0) - found.n
        advice = f"; {more} more cases would settle it" if more > 0 else ""
        reason = f"no set is significantly worse, but a drop of {margin} is not ruled out: {worst_case}{advice}"
        return Answer(status="INCONCLUSIVE", reason=reason)

    @staticmethod
    def _told(alarm: Alarm, sample: PairedSample) -> str:
        before, after = float(np.sum(sample.baseline)), float(np.sum(sample.candidate))
        flips = alarm.discordant
        return (
            f"{alarm.name} {before:.4g} -> {after:.4g} of {alarm.n} "
            f"({flips.only_baseline} worse, {flips.only_candidate} better)"
        )

    def __repr__(self) -> str:
        rates = ", ".join(f"{name} {by_role['candidate']:.1%}" for name, by_role in self.rates().items())
        return f"Retention({rates or 'no questions'})"


def rated(of: SetResult) -> list[CaseResult]:
    """The cases that have a rate to compare: not those with nothing but red lines, which must pass anyway."""
    return [case for case in of.cases if any(test.lane == "rate" for test in case.tests) or not case.tests]


def case_samples(of: SetResult, role: Role) -> list[PairedSample]:
    """The set's rated cases as pairs of candidate and `role`; empty where there are none.

    Rewordings of one question are one cluster.
    """
    cases = rated(of)
    if not cases:
        return []
    labels = [case.variant_of or case.case for case in cases]
    return [
        PairedSample(
            name=of.name,
            candidate=[case.candidate for case in cases],
            baseline=[_score(case, role) for case in cases],
            clusters=labels if len(set(labels)) < len(labels) else None,
            weights=[case.weight for case in cases],
        )
    ]


def probe_samples(of: SetResult, role: Role) -> list[PairedSample]:
    """The set's alarm probes as pairs of candidate and `role`, where both were measured."""
    samples = []
    for probe in of.probes:
        values = probe.baseline if role == "baseline" else probe.root
        if probe.role == "alarm" and values is not None:
            samples.append(
                PairedSample(
                    name=f"{of.name} {probe.probe}",
                    candidate=probe.candidate,
                    baseline=values,
                    higher_is_better=probe.higher_is_better,
                )
            )
    return samples


def _invalid(reason: str) -> Answer:
    return Answer(status="INVALID", reason=reason)


def _score(case: CaseResult, role: Role) -> float:
    score = case.baseline if role == "baseline" else case.root
    assert score is not None, "unpaired cases are refused before"
    return score


def _rates(of: SetResult) -> dict[Role, float]:
    n = len(of.cases)
    rates: dict[Role, float] = {"candidate": sum(case.candidate for case in of.cases) / n}
    for role in ("baseline", "root"):
        scores = [score for case in of.cases if (score := getattr(case, role)) is not None]
        if len(scores) == n:
            rates[role] = sum(scores) / n
    return rates


def _points(difference: float) -> str:
    # Adding zero turns -0.0 into 0.0.
    return f"{round(100 * difference, 1) + 0.0:+.1f} points".replace("-", "−")
