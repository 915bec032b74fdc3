"""Whether a candidate forgot: alarms by set, and one proof over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from harness.answers import Answer, worst
from harness.models.refs import ModelRef
from harness.pairs import Rival, pair_results, watches
from harness.policy import GatePolicy
from harness.record import Role, SetResult
from harness.stats.guards import Alarm, PairedSample, alarms, pooled_not_worse
from harness.verdict import margin_status
from harness.waivers import find_waiver, in_force


class Retention:
    """What the golden sets of one marker say about forgetting: `assert retention.not_worse()`.

    `sets` are the measured sets; with `refs`, a candidate that is its own baseline is noticed. `today` (YYYY-MM-DD) is
    the day on which the policy's waivers must hold; without it none does.
    """

    def __init__(
        self,
        sets: Sequence[SetResult],
        policy: GatePolicy,
        *,
        refs: Mapping[Role, ModelRef] | None = None,
        today: str | None = None,
    ) -> None:
        self.sets = tuple(sets)
        self.policy = policy
        self._waivers = () if today is None else in_force(policy, today)
        # Whoever asks what was forgotten asks it of targets as well.
        guards = msgspec.structs.replace(policy, improve=())
        self._pairs = pair_results(self.sets, _rivals(self.sets), guards, self._waivers)
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
        rated = [one for one in self._pairs if one.cases]
        if not rated:
            answers.append(_invalid("no question here has a right answer: prose alone is advisory"))
        elif not any(one.rivals for one in rated):
            answers.append(_invalid("neither a baseline nor a root base to compare with: name one with --baseline"))
        whole: list[Rival] = []
        for rival in _rivals(self.sets):
            gaps = [one.name for one in rated if rival in one.missing]
            if gaps:
                answers.append(_invalid(f"the {rival} was not measured on {', '.join(gaps)}"))
            elif rated:
                whole.append(rival)
        fired = self._alarms(whole)
        answers += [fired] if fired is not None else [self._not_worse(rival) for rival in whole]
        status = worst([answer.status for answer in answers])
        return Answer(status=status, reason="; ".join(a.reason for a in answers if a.status == status))

    def _alarms(self, rivals: Sequence[Rival]) -> Answer | None:
        """FAIL where any set or alarm probe is significantly worse than any rival, else None."""
        asked = [watch for watch in watches(self._pairs) if watch.rival in rivals]
        found = alarms([watch.sample for watch in asked], self.policy.alpha)
        told = [
            f"{self._told(alarm, watch.sample)} against the {watch.rival}"
            for watch, alarm in zip(asked, found, strict=True)
            if alarm.fired and find_waiver(self._waivers, "alarm", watch.of) is None
        ]
        return Answer(status="FAIL", reason=f"worse: {', '.join(told)}") if told else None

    def _not_worse(self, rival: Rival) -> Answer:
        """Is the policy's margin ruled out over all sets together? Decided as the gate decides its own pool."""
        pool = [one for one in self._pairs if rival in one.comparisons]
        if all(one.unchanged(rival) for one in pool):
            return Answer(status="PASS", reason=f"same answers as the {rival}")
        found = pooled_not_worse([one.sample(rival) for one in pool], self.policy.margin)
        status = margin_status(found)
        margin = f"{100 * found.margin:g} points"
        worst_case = f"{_points(found.lower_limit)} at worst over {found.n} cases against the {rival}"
        if status == "PASS":
            return Answer(status="PASS", reason=f"a drop of {margin} is ruled out: {worst_case}")
        if status == "FAIL":
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


def _invalid(reason: str) -> Answer:
    return Answer(status="INVALID", reason=reason)


def _rivals(sets: Sequence[SetResult]) -> list[Rival]:
    """Whom to compare with; the root base only where it is not the baseline itself."""
    cases = [case for of in sets for case in of.cases]
    measured: tuple[Rival, ...] = ("baseline", "root")
    found = [rival for rival in measured if any(getattr(case, rival) is not None for case in cases)]
    if len(found) == 2 and all(case.baseline == case.root for case in cases):
        return ["baseline"]
    return found


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
