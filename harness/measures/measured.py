"""A number for a whole set, and what it proves about the candidate."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from harness.answers import Answer
from harness.errors import ConfigError
from harness.golden import GoldenCase
from harness.models import Response
from harness.stats.intervals import Interval

#: Of every bootstrap here, so that the same answers give the same limits.
SEED = 20_260_101


class CaseAnswers(msgspec.Struct, frozen=True, kw_only=True):
    """One case and what was said to it, sample by sample; `baseline` is empty where there is none."""

    case: GoldenCase
    candidate: tuple[Response, ...]
    baseline: tuple[Response, ...] = ()

    @property
    def cluster(self) -> str:
        """The question that the case asks: its own id, or the one of the case that it rewords."""
        return self.case.variant_of or self.case.id

    @property
    def same(self) -> bool:
        """Did both models say the very same?"""
        return [r.text for r in self.candidate] == [r.text for r in self.baseline]


class SetAnswers(msgspec.Struct, frozen=True, kw_only=True):
    """All that was said to a golden set. `incomparable` says why the two models cannot be compared; None where they
    can. `margin` is the policy's for this set, a share."""

    golden_set: str
    cases: tuple[CaseAnswers, ...]
    margin: float
    incomparable: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A number for the whole set, of the candidate and, where there is one, the baseline.

    `limits(confidence)` is the two-sided range of candidate - baseline. `margin` is the policy's on this measure's
    scale; None where nobody knows the scale. `n` cases were measured.
    """

    measure: str
    golden_set: str
    n: int
    candidate: float
    baseline: float | None
    margin: float | None
    limits: Callable[[float], Interval]
    incomparable: str | None = None
    same_answers: bool = False
    higher_is_better: bool = True

    def not_worse(self, margin: float | None = None) -> Answer:
        """Is a drop of `margin`, on the measure's own scale, ruled out? One-sided 95%."""
        invalid = self._invalid()
        if invalid is not None:
            return invalid
        allowed = self._margin(margin)
        if self.same_answers:
            return self._answer("PASS", "same answers")
        worst, best = self._gain(0.90)
        if worst > -allowed:
            return self._answer("PASS", f"a loss of {allowed:g} is ruled out: {_signed(worst)} at worst")
        if best < 0:
            return self._answer("FAIL", f"worse: {_signed(worst)} to {_signed(best)}")
        return self._answer("INCONCLUSIVE", f"{_signed(worst)} at worst: a loss of {allowed:g} is not ruled out")

    def better(self) -> Answer:
        """Is it better than the baseline's? The two-sided 95% interval must lie above 0."""
        invalid = self._invalid()
        if invalid is not None:
            return invalid
        if self.same_answers:
            return self._answer("FAIL", "same answers, so nothing improved")
        worst, best = self._gain(0.95)
        span = f"95% interval of the gain {_signed(worst)} to {_signed(best)}"
        if worst > 0:
            return self._answer("PASS", span)
        if best < 0:
            return self._answer("FAIL", f"worse: {span}")
        return self._answer("INCONCLUSIVE", f"no improvement is proven: {span}")

    def at_least(self, value: float) -> Answer:
        """Does the candidate reach this value? The observed number decides, not its interval."""
        return self._reaches(self.candidate >= value, f"at least {value:g}", value)

    def at_most(self, value: float) -> Answer:
        """Does the candidate stay within this value? The observed number decides, not its interval."""
        return self._reaches(self.candidate <= value, f"at most {value:g}", value)

    def interval(self, confidence: float = 0.95) -> Interval:
        """The range of candidate - baseline. Raises ConfigError where the two cannot be compared."""
        invalid = self._invalid()
        if invalid is not None:
            raise ConfigError(invalid.reason)
        return self.limits(confidence)

    def _reaches(self, reached: bool, bar: str, value: float) -> Answer:
        if not math.isfinite(value):
            raise ConfigError(f"{self.measure}: {bar} is no bar. Give a number.")
        return Answer(
            status="PASS" if reached else "FAIL",
            reason=f"{self.golden_set} {self.measure} {self.candidate:.4g} over {self.n} cases; {bar} is asked for",
        )

    def _gain(self, confidence: float) -> tuple[float, float]:
        """How much better the candidate is at worst and at best, whichever way is up."""
        interval = self.limits(confidence)
        return (interval.low, interval.high) if self.higher_is_better else (-interval.high, -interval.low)

    def _margin(self, margin: float | None) -> float:
        chosen = self.margin if margin is None else margin
        if chosen is None:
            raise ConfigError(
                f"{self.measure}: nobody knows its scale, so the policy's margin means nothing here. "
                "Say how much may be lost: not_worse(margin=…)."
            )
        if not 0 < chosen < math.inf:
            raise ConfigError(f"{self.measure}: margin {chosen:g}: give the largest loss that is allowed, above 0.")
        return chosen

    def _invalid(self) -> Answer | None:
        why = self.incomparable
        if why is None and self.baseline is None:
            why = "no baseline to compare with: name one with --baseline, or promote a version"
        return None if why is None else Answer(status="INVALID", reason=f"{self.golden_set}: {why}")

    def _answer(self, status: str, reason: str) -> Answer:
        what = f"{self.golden_set} {self.measure} {self.baseline:.4g} -> {self.candidate:.4g} over {self.n} cases"
        return Answer(status=status, reason=f"{what}: {reason}")  # type: ignore[arg-type]

    def __repr__(self) -> str:
        before = "no baseline" if self.baseline is None else f"baseline {self.baseline:.4g}"
        return f"Measured({self.golden_set} {self.measure}: {self.candidate:.4g} over {self.n} cases, {before})"


def _signed(difference: float) -> str:
    """A difference with its sign, a real minus among them."""
    return f"{round(difference, 4) + 0.0:+.3g}".replace("-", "−")
