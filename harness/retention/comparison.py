"""Whether a candidate forgot: alarms by set, and one proof over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from harness.answers import Answer, worst
from harness.config import GatePolicy
from harness.models.refs import ModelRef
from harness.record import CaseResult, Role, SetResult
from harness.scores import points, same_weights
from harness.stats.guards import Alarm, PairedSample, alarms, pooled_not_worse


class Retention:
    """What the golden sets of one marker say about forgetting: `assert retention.not_worse()`.

    `sets` are the measured sets. `same_weights` is why candidate and baseline cannot be compared, or None.
    """

    def __init__(
        self, sets: Sequence[SetResult], policy: GatePolicy, *, refs: Mapping[Role, ModelRef] | None = None
    ) -> None:
        self.sets = tuple(sets)
        self.policy = policy
        self.same_weights = None if refs is None else same_weights(refs)

    def rates(self) -> dict[str, dict[Role, float]]:
        """Pass rates by set and role; sets of prose have none."""
        return {of.name: _rates(of) for of in self.sets if of.cases}

    def not_worse(self) -> Answer:
        """Did the candidate keep what baseline and root base can do?

        A significant drop in any set, or significantly more bleed, is a FAIL (one-sided, Holm over all of
        them). Otherwise the mean drop over all cases together must be ruled out at the policy's margin. Both are
        asked against the baseline and against the root base, or promotions would lose one margin each.
        """
        if self.same_weights is not None:
            return _invalid(self.same_weights)
        answers = [self._against(role) for role in self._comparators()]
        if not self._cases:
            answers.append(_invalid("no question here has a right answer: prose alone is advisory"))
        elif not answers:
            answers.append(_invalid("neither a baseline nor a root base to compare with: name one with --baseline"))
        answers += [
            _invalid(f"{of.name}: nothing was measured ({'; '.join(of.unavailable)})")
            for of in self.sets
            if not of.cases and not of.probes
        ]
        status = worst([answer.status for answer in answers])
        return Answer(status=status, reason="; ".join(a.reason for a in answers if a.status == status))

    def _comparators(self) -> list[Role]:
        """Whom to compare with; the root base only where it is not the baseline itself."""
        roles: list[Role] = [r for r in ("baseline", "root") if any(getattr(c, r) is not None for c in self._cases)]
        if len(roles) == 2 and all(c.baseline == c.root for c in self._cases):
            return ["baseline"]
        return roles

    @property
    def _cases(self) -> list[CaseResult]:
        return [case for of in self.sets for case in of.cases]

    def _against(self, role: Role) -> Answer:
        unpaired = [of.name for of in self.sets if any(getattr(case, role) is None for case in of.cases)]
        if unpaired:
            return _invalid(f"the {role} was not measured on {', '.join(unpaired)}")
        questions = [sample for of in self.sets if (sample := case_sample(of, role)) is not None]
        bleeds = [sample for of in self.sets for sample in probe_samples(of, role)]
        fired = [alarm for alarm in alarms([*questions, *bleeds], self.policy.alpha) if alarm.fired]
        if fired:
            told = ", ".join(self._told(alarm, [*questions, *bleeds]) for alarm in fired)
            return Answer(status="FAIL", reason=f"worse than the {role}: {told}")
        pooled = pooled_not_worse(questions, self.policy.margin)
        worst_case = f"{points(pooled.lower_limit)} at worst over {pooled.n} cases against the {role}"
        margin = f"{100 * self.policy.margin:g} points"
        if pooled.answer.status == "PASS":
            return Answer(status="PASS", reason=f"a drop of {margin} is ruled out: {worst_case}")
        more = (pooled.cases_needed or 0) - pooled.n
        advice = f"; {more} more cases would settle it" if more > 0 else ""
        if pooled.answer.status == "FAIL":
            return Answer(
                status="FAIL",
                reason=f"worse than the {role}: {points(pooled.difference)} over {pooled.n} cases, "
                f"{points(pooled.upper_limit)} at best",
            )
        return Answer(
            status="INCONCLUSIVE",
            reason=f"no set is significantly worse, but a drop of {margin} is not ruled out: {worst_case}{advice}",
        )

    @staticmethod
    def _told(alarm: Alarm, samples: Sequence[PairedSample]) -> str:
        """ "general 182 -> 61 of 250 (121 worse, 3 better)"."""
        sample = next(s for s in samples if s.name == alarm.name)
        before, after = float(np.sum(sample.baseline)), float(np.sum(sample.candidate))
        flips = alarm.discordant
        return (
            f"{alarm.name} {before:.4g} -> {after:.4g} of {alarm.n} "
            f"({flips.only_baseline} worse, {flips.only_candidate} better)"
        )

    def __repr__(self) -> str:
        rates = ", ".join(f"{name} {by_role['candidate']:.1%}" for name, by_role in self.rates().items())
        return f"Retention({rates or 'no questions'})"


def case_sample(of: SetResult, role: Role) -> PairedSample | None:
    """The set's cases as pairs of candidate and `role`; None for a set without cases.

    Rewordings of one question are one cluster.
    """
    if not of.cases:
        return None
    labels = [case.variant_of or case.case for case in of.cases]
    return PairedSample(
        name=of.name,
        candidate=[case.candidate for case in of.cases],
        baseline=[_score(case, role) for case in of.cases],
        clusters=labels if len(set(labels)) < len(labels) else None,
        weights=[case.weight for case in of.cases],
    )


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
