"""A golden set's own checks over all of its cases: what `scores.not_worse()` in a suite asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from harness.answers import Answer
from harness.checks import run_check
from harness.config import GatePolicy
from harness.errors import ConfigError
from harness.generation import Answers, case_requests
from harness.golden import GoldenCase, GoldenSet
from harness.models import Response, Sampling
from harness.models.refs import ModelRef
from harness.record import Role
from harness.stats.intervals import wilson
from harness.stats.paired import PairedComparison, compare_paired
from harness.verdict import margin_status


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """The share of passed samples per case, for the candidate and, where there is one, the baseline.

    A sample passes when all of the case's checks do. `cases` are ids, `clusters` the ids of the questions
    they reword (their own where they reword none), `weights` the cases' own; None where all count alike. `margin` is
    the policy's for this set. `incomparable` says why the two models cannot be compared; None where they can.
    """

    golden_set: str
    cases: tuple[str, ...]
    clusters: tuple[str, ...]
    candidate: tuple[float, ...]
    baseline: tuple[float, ...] | None
    margin: float
    same_answers: bool = False
    incomparable: str | None = None
    weights: tuple[float, ...] | None = None

    @property
    def rate(self) -> float:
        """The candidate's pass rate; a case of weight 2 counts as two."""
        return self._rate(self.candidate)

    @property
    def baseline_rate(self) -> float | None:
        """The baseline's pass rate, or None where there is no baseline."""
        return None if self.baseline is None else self._rate(self.baseline)

    def not_worse(self, margin: float | None = None) -> Answer:
        """Is a drop of `margin` (a share, 0.05 = 5 points; default: the policy's) ruled out? One-sided 95%.

        As the gate judges a set with a bar of its own: FAIL only where more than the margin is lost for certain.
        """
        invalid = self._invalid()
        if invalid is not None:
            return invalid
        if self.same_answers:
            return Answer(status="PASS", reason=f"{self._counts()}: same answers")
        compared = self.compare(margin)
        worst = _points(compared.lower_limit)
        allowed = f"{100 * compared.margin:g} points ({compared.margin * compared.n:.2g} of {compared.n} cases)"
        status = margin_status(compared)
        match status:
            case "PASS":
                reason = f"a drop of {allowed} is ruled out: {worst} at worst"
            case "FAIL":
                reason = f"worse: {_points(compared.difference)}, and {_points(compared.upper_limit)} at best"
            case _:
                more = (compared.cases_needed or 0) - compared.n
                advice = f"; {more} more cases would settle it" if more > 0 else ""
                reason = f"{worst} at worst: a drop of {allowed} is not ruled out{advice}"
        return Answer(status=status, reason=f"{self._counts()}: {reason}")

    def better(self) -> Answer:
        """Is the pass rate higher than the baseline's? The two-sided 95% interval must lie above 0."""
        invalid = self._invalid()
        if invalid is not None:
            return invalid
        if self.same_answers:
            return Answer(status="FAIL", reason=f"{self._counts()}: same answers, so nothing improved")
        interval = self.compare(None).interval
        span = f"{_points(interval.estimate)}, 95% interval {_points(interval.low)} to {_points(interval.high)}"
        if interval.low > 0:
            return Answer(status="PASS", reason=f"{self._counts()}: {span}")
        if interval.high < 0:
            return Answer(status="FAIL", reason=f"{self._counts()}: worse: {span}")
        return Answer(status="INCONCLUSIVE", reason=f"{self._counts()}: no improvement is proven: {span}")

    def at_least(self, rate: float) -> Answer:
        """Does the candidate pass this share of the cases? The observed rate decides, not its interval."""
        if not 0 <= rate <= 1:
            raise ConfigError(f"at_least({rate:g}): a rate is a share between 0 and 1, so 95% is 0.95.")
        passed = sum(self.candidate)
        interval = wilson(passed, len(self.cases))
        return Answer(
            status="PASS" if self.rate >= rate else "FAIL",
            reason=f"{self.golden_set} {passed:.4g} of {len(self.cases)} pass ({self.rate:.1%}, 95% interval "
            f"{interval.low:.1%} to {interval.high:.1%}); {rate:.1%} is asked for",
        )

    def compare(self, margin: float | None = None) -> PairedComparison:
        """The paired comparison behind the answers; StatisticsError where there is no baseline."""
        return compare_paired(
            self.candidate,
            self.baseline or (),
            margin=self.margin if margin is None else margin,
            clusters=self.clusters,
            weights=self.weights,
        )

    def _rate(self, shares: tuple[float, ...]) -> float:
        weights = self.weights or (1.0,) * len(shares)
        return sum(w * x for w, x in zip(weights, shares, strict=True)) / sum(weights)

    def _invalid(self) -> Answer | None:
        if self.incomparable is not None:
            return Answer(status="INVALID", reason=f"{self.golden_set}: {self.incomparable}")
        if self.baseline is None:
            return Answer(
                status="INVALID",
                reason=f"{self.golden_set}: no baseline to compare with: name one with --baseline, or promote "
                "a version",
            )
        return None

    def _counts(self) -> str:
        before = self.baseline or ()
        worse = sum(c < b for c, b in zip(self.candidate, before, strict=True))
        better = sum(c > b for c, b in zip(self.candidate, before, strict=True))
        return (
            f"{self.golden_set} {sum(before):.4g} -> {sum(self.candidate):.4g} of {len(self.cases)} "
            f"({worse} worse, {better} better)"
        )

    def __repr__(self) -> str:
        before = "no baseline" if self.baseline_rate is None else f"baseline {self.baseline_rate:.1%}"
        return f"Scores({self.golden_set}: {self.rate:.1%} of {len(self.cases)} cases, {before})"


def score_set(
    golden_set: GoldenSet,
    answers: Answers,
    refs: Mapping[Role, ModelRef],
    *,
    sampling: Sampling,
    samples: int,
    policy: GatePolicy,
) -> Scores:
    """Run the set's data checks over the answers of candidate and baseline; cases without checks are left out.

    Raises ConfigError where no case has a check, and CheckError where a check crashes.
    """
    cases = [case for case in golden_set.cases if case.checks]
    if not cases:
        raise ConfigError(
            f"{golden_set.path}: no case has checks, so `scores` has nothing to count. Add "
            '"checks": ["valid_json"] to the cases, or assert on `response` instead.'
        )
    roles: list[Role] = [role for role in ("candidate", "baseline") if role in refs]
    shares: dict[Role, list[float]] = {role: [] for role in roles}
    same = True
    for case in cases:
        requests = case_requests(case, sampling, samples)
        said = {role: [answers.response(refs[role], request) for request in requests] for role in roles}
        for role in roles:
            shares[role].append(_share(case, said[role]))
        same = same and [r.text for r in said["candidate"]] == [r.text for r in said.get("baseline", ())]
    own = policy.own_margin(golden_set.name)
    return Scores(
        golden_set=golden_set.name,
        cases=tuple(case.id for case in cases),
        clusters=tuple(case.variant_of or case.id for case in cases),
        candidate=tuple(shares["candidate"]),
        baseline=tuple(shares["baseline"]) if "baseline" in refs else None,
        margin=policy.margin if own is None else own,
        same_answers=same,
        incomparable=_same_weights(refs),
        weights=None if len({case.weight for case in cases}) == 1 else tuple(case.weight for case in cases),
    )


def _same_weights(refs: Mapping[Role, ModelRef]) -> str | None:
    """Why candidate and baseline cannot be compared, or None: a model is never judged against itself."""
    candidate, baseline = refs["candidate"], refs.get("baseline")
    if baseline is None or candidate.digest != baseline.digest:
        return None
    return (
        f"candidate {candidate.label} and baseline {baseline.label} are the same weights "
        f"({candidate.digest[:12]}): name another baseline with --baseline"
    )


def _share(case: GoldenCase, responses: Sequence[Response]) -> float:
    passed = sum(all(run_check(spec, response).passed for spec in case.checks) for response in responses)
    return passed / len(responses)


def _points(difference: float) -> str:
    """A difference of shares in points, with a real minus sign.

    >>> _points(-0.125)
    '−12.5 points'
    """
    # Adding zero turns -0.0 into 0.0.
    return f"{round(100 * difference, 1) + 0.0:+.1f} points".replace("-", "−")
