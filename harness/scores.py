"""A golden set's own checks over all of its cases: what `scores.not_worse()` in a suite asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from harness.answers import Answer
from harness.checks import run_check
from harness.errors import ConfigError
from harness.generation import Answers, case_requests
from harness.golden import GoldenCase, GoldenSet
from harness.measures import CaseAnswers, Measured, SetAnswers
from harness.measures.amounts import Amount, set_amount
from harness.models import Response, Sampling
from harness.models.refs import ModelRef
from harness.policy import GatePolicy
from harness.record import Role
from harness.stats.intervals import wilson
from harness.stats.paired import PairedComparison, compare_paired
from harness.verdict import margin_status

if TYPE_CHECKING:
    from harness.measures.classes import Classification, ClassTable
    from harness.stats.classification import Confusion

_COMPARED: tuple[Role, ...] = ("candidate", "baseline")


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """The share of passed samples per case, for the candidate and, where there is one, the baseline.

    A sample passes when all of the case's checks do. `cases` are ids, `clusters` the ids of the questions
    they reword (their own where they reword none), `weights` the cases' own; None where all count alike. `margin` is
    the policy's for this set. `incomparable` says why the two models cannot be compared; None where they can. `given`
    are the answers themselves, those to cases that have a target and no check among them: what `macro_f1`, `field_f1`,
    `bleu` and the like are made of; there every case counts once.
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
    given: tuple[CaseAnswers, ...] = ()

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
        self._refuse_unchecked()
        passed = sum(self.candidate)
        interval = wilson(passed, len(self.cases))
        return Answer(
            status="PASS" if self.rate >= rate else "FAIL",
            reason=f"{self.golden_set} {passed:.4g} of {len(self.cases)} pass ({self.rate:.1%}, 95% interval "
            f"{interval.low:.1%} to {interval.high:.1%}); {rate:.1%} is asked for",
        )

    def macro_f1(self, field: str | None = None) -> Measured:
        """The mean F1 of the classes that the `labels` checks name, or the `json_field` checks of this path."""
        return self._classes(field).macro_f1()

    def recall(self, label: str, field: str | None = None) -> Measured:
        """Of the cases where `label` is right, the share that got it."""
        return self._classes(field).recall(label)

    def confusion(self, field: str | None = None, *, baseline: bool = False) -> Confusion:
        """What the candidate (or the baseline) answered for each right class."""
        if baseline and self.baseline is None:
            raise ConfigError(f"{self.golden_set}: no baseline was asked: name one with --baseline.")
        return self._classes(field).confusion(of_baseline=baseline)

    def field_f1(self, field: str) -> Measured:
        """F1 of a JSON field's extracted values, from the `json_field` checks of this path."""
        return self._classes(field).field_f1()

    def bleu(self, *, tokenize: str = "auto") -> Measured:
        """sacreBLEU's corpus BLEU against the targets, 0 to 100; Chinese is read by its characters."""
        from harness.checks.overlap import Bleu
        from harness.measures.overlap import cases_with_targets, measure_overlap

        targets = [(one.case.target or "",) for one in cases_with_targets(self._answers)]
        return measure_overlap(self._answers, Bleu(targets, tokenize))

    def chrf(self) -> Measured:
        """sacreBLEU's corpus chrF against the targets, 0 to 100."""
        from harness.checks.overlap import Chrf
        from harness.measures.overlap import measure_overlap

        return measure_overlap(self._answers, Chrf())

    def rouge(self, kind: str = "rougeL") -> Measured:
        """The mean ROUGE F-measure against the targets, 0 to 1; Chinese is read by its characters."""
        from harness.checks.overlap import Rouge
        from harness.measures.overlap import measure_overlap

        return measure_overlap(self._answers, Rouge(kind))

    def metric(
        self,
        name: str,
        *,
        key: str | None = None,
        higher_is_better: bool = True,
        options: Mapping[str, object] | None = None,
    ) -> Measured:
        """A metric of `evaluate` over all answers at once, against the targets; `not_worse` needs a margin of its
        own."""
        from harness.checks.evaluated import Evaluated
        from harness.measures.overlap import measure_overlap

        metric = Evaluated(name, key=key, options=options, higher_is_better=higher_is_better)
        return measure_overlap(self._answers, metric)

    def output_tokens(self) -> Amount:
        """How many tokens the answers have: `scores.output_tokens().not_more(0.2)`."""
        return set_amount(self._answers, "output tokens")

    def prompt_tokens(self) -> Amount:
        """How many tokens the model had to read, prompt and passages included."""
        return set_amount(self._answers, "prompt tokens")

    def seconds(self) -> Amount:
        """How long the answers took, as they were asked: many at once, unless they were not."""
        return set_amount(self._answers, "seconds")

    def classifications(self) -> tuple[Classification, ...]:
        """The confusion matrices that a record keeps."""
        from harness.measures.classes import class_tables

        tables = (table.recorded() for table in class_tables(self._answers).values())
        return tuple(table for table in tables if table is not None)

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

    @property
    def _answers(self) -> SetAnswers:
        return SetAnswers(
            golden_set=self.golden_set, cases=self.given, margin=self.margin, incomparable=self.incomparable
        )

    def _classes(self, field: str | None) -> ClassTable:
        from harness.measures.classes import choose_table

        return choose_table(self._answers, field)

    def _invalid(self) -> Answer | None:
        self._refuse_unchecked()
        if self.incomparable is not None:
            return Answer(status="INVALID", reason=f"{self.golden_set}: {self.incomparable}")
        if self.baseline is None:
            return Answer(
                status="INVALID",
                reason=f"{self.golden_set}: no baseline to compare with: name one with --baseline, or promote "
                "a version",
            )
        return None

    def _refuse_unchecked(self) -> None:
        if not self.cases:
            raise ConfigError(
                f"{self.golden_set}: no case has checks, so there is no pass rate. Add checks to the cases, or ask for "
                "what their targets allow, such as scores.chrf()."
            )

    def _counts(self) -> str:
        before = self.baseline or ()
        worse = sum(c < b for c, b in zip(self.candidate, before, strict=True))
        better = sum(c > b for c, b in zip(self.candidate, before, strict=True))
        return (
            f"{self.golden_set} {sum(before):.4g} -> {sum(self.candidate):.4g} of {len(self.cases)} "
            f"({worse} worse, {better} better)"
        )

    def __repr__(self) -> str:
        if not self.cases:
            return f"Scores({self.golden_set}: no case has checks)"
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
    """Run the set's data checks over the answers of candidate and baseline. Cases without checks have no pass rate;
    those with a target can still be measured against it.

    Raises ConfigError where no case has a check or a target, and CheckError where a check crashes.
    """
    if not scorable(golden_set):
        raise ConfigError(
            f"{golden_set.path}: no case has checks, nor a target, so `scores` has nothing to count. Add "
            '"checks": ["valid_json"] to the cases, or assert on `response` instead.'
        )
    given = []
    for case in golden_set.cases:
        if case.checks or case.target:
            requests = case_requests(case, sampling, samples)
            said = {
                role: tuple(answers.response(refs[role], request) for request in requests)
                for role in _COMPARED
                if role in refs
            }
            given.append(CaseAnswers(case=case, candidate=said["candidate"], baseline=said.get("baseline", ())))
    checked = [one for one in given if one.case.checks]
    own = policy.own_margin(golden_set.name)
    return Scores(
        golden_set=golden_set.name,
        cases=tuple(one.case.id for one in checked),
        clusters=tuple(one.cluster for one in checked),
        candidate=tuple(_share(one.case, one.candidate) for one in checked),
        baseline=tuple(_share(one.case, one.baseline) for one in checked) if "baseline" in refs else None,
        margin=policy.margin if own is None else own,
        same_answers=all(one.same for one in checked),
        incomparable=_same_weights(refs),
        weights=None if len({one.case.weight for one in checked}) < 2 else tuple(one.case.weight for one in checked),
        given=tuple(given),
    )


def scorable(golden_set: GoldenSet) -> bool:
    """Is there anything that `scores` could say of the set: a check, or a target to compare answers with?"""
    return golden_set.kind == "ask" and any(case.checks or case.target for case in golden_set.cases)


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
    passed = sum(all(run_check(spec, response, case.target).passed for spec in case.checks) for response in responses)
    return passed / len(responses)


def _points(difference: float) -> str:
    """A difference of shares in points, with a real minus sign.

    >>> _points(-0.125)
    '−12.5 points'
    """
    # Adding zero turns -0.0 into 0.0.
    return f"{round(100 * difference, 1) + 0.0:+.1f} points".replace("-", "−")
