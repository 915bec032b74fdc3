"""What answers take (tokens written and read, seconds), and whether the candidate takes much more than the baseline."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from harness.answers import Answer
from harness.errors import ConfigError, StatisticsError
from harness.measures.measured import SetAnswers
from harness.models import Response
from harness.stats.growth import Growth, mean_growth

AmountName = Literal["output tokens", "prompt tokens", "seconds", "asked together"]

AMOUNTS: tuple[AmountName, ...] = get_args(AmountName)

UNITS: dict[AmountName, str] = {
    "output tokens": "tokens",
    "prompt tokens": "tokens",
    "seconds": "seconds",
    "asked together": "requests",
}

#: Seconds under so many times the load are other seconds.
_SAME_LOAD = 1.5


def amount_of(response: Response, name: AmountName) -> float | None:
    """What one answer took; None where the engine did not tell."""
    if name == "output tokens":
        # An empty answer has no tokens; an engine that counts none has none of the prompt's either.
        return float(response.completion_tokens) if response.completion_tokens or response.prompt_tokens else None
    if name == "prompt tokens":
        return float(response.prompt_tokens) if response.prompt_tokens else None
    if response.timing is None:
        return None
    return response.timing.seconds if name == "seconds" else float(response.timing.together)


def mean_amount(responses: Sequence[Response], name: AmountName) -> float | None:
    """The mean over the samples of a case; None where one is not told, or there are none."""
    values = [amount_of(response, name) for response in responses]
    told = [value for value in values if value is not None]
    return math.fsum(told) / len(told) if told and len(told) == len(values) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """One amount over the cases of a set (or several): the mean over the samples of each, in one order.

    `together` are the mean numbers of requests that were under way at once, candidate's and baseline's; of seconds
    only. `invalid` says why there is nothing to compare.
    """

    name: AmountName
    of: str
    candidate: tuple[float, ...]
    baseline: tuple[float, ...]
    clusters: tuple[str, ...] | None = None
    together: tuple[float, float] | None = None
    invalid: str | None = None

    def not_more(self, share: float) -> Answer:
        """Is it ruled out that the candidate's mean is more than `share` (0.2 = 20%) above the baseline's? One-sided
        95%, case by case. FAIL where it is above for certain."""
        if not 0 <= share < math.inf:
            raise ConfigError(f"{self.name}: not_more({share:g}): give the growth that is allowed, 0.2 for 20%.")
        invalid = self.invalid or self._other_load()
        if invalid is not None:
            return Answer(status="INVALID", reason=f"{self.of} {self.name}: {invalid}")
        try:
            found = self.growth()
        except StatisticsError as error:
            return Answer(status="INVALID", reason=f"{self.of} {self.name}: {error}")
        told = f"{self.of} {self.name} {found.baseline:.4g} -> {found.candidate:.4g} ({_percent(found.share)})"
        allowed = f"{_percent(share)} allowed"
        if found.high <= share or self.candidate == self.baseline:
            return Answer(status="PASS", reason=f"{told}: more than {_percent(found.high)} is ruled out ({allowed})")
        if found.low > share:
            return Answer(status="FAIL", reason=f"{told}: at least {_percent(found.low)} ({allowed})")
        most = "nothing" if math.isinf(found.high) else f"more than {_percent(found.high)}"
        return Answer(status="INCONCLUSIVE", reason=f"{told}: {most} is ruled out ({allowed})")

    def at_most(self, value: float) -> Answer:
        """Is the candidate's mean within this value? The observed mean decides, not its interval."""
        if self.invalid is not None and not self.candidate:
            return Answer(status="INVALID", reason=f"{self.of} {self.name}: {self.invalid}")
        mean = math.fsum(self.candidate) / len(self.candidate)
        reason = f"{self.of} {self.name} {mean:.4g} over {len(self.candidate)} cases; at most {value:g} is asked for"
        return Answer(status="PASS" if mean <= value else "FAIL", reason=reason)

    def growth(self) -> Growth:
        """The ratio of the means with its limits. Raises StatisticsError where there is none."""
        return mean_growth(self.candidate, self.baseline, clusters=self.clusters)

    def _other_load(self) -> str | None:
        if self.name != "seconds" or self.together is None:
            return None
        ours, theirs = self.together
        if max(ours, theirs) <= _SAME_LOAD * min(ours, theirs):
            return None
        return (
            f"asked {ours:.3g} at once, the baseline {theirs:.3g}: not the same load. Ask both again in one run "
            "(harness store prune --model, then the gate)"
        )


def set_amount(answers: SetAnswers, name: AmountName) -> Amount:
    """The amount over all cases of a set, from its answers."""

    def side(read: Callable[[int], Sequence[Response]]) -> list[float | None]:
        return [mean_amount(read(i), name) for i in range(len(answers.cases))]

    candidate = side(lambda i: answers.cases[i].candidate)
    baseline = side(lambda i: answers.cases[i].baseline)
    loads = [
        [
            value
            for one in answers.cases
            if (value := mean_amount(one.candidate if ours else one.baseline, "asked together")) is not None
        ]
        for ours in (True, False)
    ]
    return amount_from(
        name,
        answers.golden_set,
        candidate,
        baseline if any(one.baseline for one in answers.cases) else None,
        clusters=tuple(one.cluster for one in answers.cases),
        loads=(loads[0], loads[1]),
        invalid=answers.incomparable,
    )


def amount_from(
    name: AmountName,
    of: str,
    candidate: Sequence[float | None],
    baseline: Sequence[float | None] | None,
    *,
    clusters: tuple[str, ...] | None,
    loads: tuple[Sequence[float], Sequence[float]] = ((), ()),
    invalid: str | None = None,
) -> Amount:
    """An amount over cases in one order; None of a case is an amount that nobody told, and nothing is guessed."""
    ours = tuple(value for value in candidate if value is not None)
    theirs = tuple(value for value in baseline or () if value is not None)
    if invalid is None and (not ours or len(ours) < len(candidate)):
        invalid = f"not told for {len(candidate) - len(ours)} of {len(candidate)} answers of the candidate"
    if invalid is None and baseline is None:
        invalid = "no baseline to compare with: name one with --baseline"
    if invalid is None and len(theirs) < len(candidate):
        invalid = f"not told for {len(candidate) - len(theirs)} of {len(candidate)} answers of the baseline"
    load = None
    if name == "seconds" and loads[0] and loads[1]:
        load = (math.fsum(loads[0]) / len(loads[0]), math.fsum(loads[1]) / len(loads[1]))
    return Amount(
        name=name,
        of=of,
        candidate=ours,
        baseline=theirs,
        clusters=clusters if clusters is not None and len(set(clusters)) < len(clusters) else None,
        together=load,
        invalid=invalid,
    )


def _percent(share: float) -> str:
    return "any growth" if math.isinf(share) else f"{round(100 * share, 1) + 0.0:+.3g}%".replace("-", "−")
