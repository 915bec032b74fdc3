"""Stopping early without fooling oneself: evidence that may be looked at after every case.

A test at 5% that is looked at after every case raises a false alarm in a third of all runs and more. An e-value may be
looked at whenever one likes: under the null the chance that it ever reaches 1/alpha is at most alpha, and the range
holds the truth at all times at once with that certainty. Fix the order of cases before the start; keep the sequence
(`msgspec.to_builtins`) after each case, so that a stopped run continues instead of starting again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import msgspec
import numpy as np

from harness.errors import StatisticsError
from harness.stats.intervals import Interval
from harness.stats.values import Floats

Side = Literal["above", "below"]

#: Where e-values end, so that they stay numbers in a file.
_LARGEST = 700.0
#: Bets stay below this share of what would lose everything. Source: Waudby-Smith and Ramdas, section 4.
_TRUNCATION = 0.5


class WinRateSequence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Wins so far against `null`, and whether that is enough to stop.

    `decided` is "above" or "below" once the e-value has reached 1/alpha, after `decided_at` cases, and stays: the proof
    is not undone by what comes later. The wager is spread over all rates by a Beta(`prior`, `prior`). Ties and quarters
    count as such; with them the bound only holds the better.
    Source: Robbins 1970; Waudby-Smith and Ramdas 2023, arXiv 2010.09686.
    """

    null: float = 0.5
    alpha: float = 0.05
    prior: float = 0.5
    wins: float = 0.0
    losses: float = 0.0
    n: int = 0
    decided: Side | None = None
    decided_at: int | None = None

    def __post_init__(self) -> None:
        _refuse_impossible(self.null, self.alpha)
        counts = (self.wins, self.losses, self.prior)
        if not all(math.isfinite(v) for v in counts) or min(counts) < 0 or self.prior == 0:
            raise StatisticsError(f"wins={self.wins}, losses={self.losses}, prior={self.prior}: impossible counts")
        if abs(self.wins + self.losses - self.n) > 1e-6 * max(1, self.n):
            raise StatisticsError(f"{self.wins:g} wins and {self.losses:g} losses of {self.n} cases do not add up")

    def update(self, score: float) -> WinRateSequence:
        """The sequence with one more case: 1 for a win, 0 for a loss, between for ties."""
        _refuse_score(score)
        share = float(score)
        grown = msgspec.structs.replace(self, wins=self.wins + share, losses=self.losses + 1 - share, n=self.n + 1)
        if self.decided is not None or grown._log_e(self.null) < -math.log(self.alpha):
            return grown
        side: Side = "above" if grown.wins > self.null * grown.n else "below"
        return msgspec.structs.replace(grown, decided=side, decided_at=grown.n)

    @property
    def e_value(self) -> float:
        """How many times more the data are worth under a wager than under the null; 20 proves it at 5%."""
        return math.exp(min(self._log_e(self.null), _LARGEST))

    @property
    def interval(self) -> Interval:
        """The win rates that are not ruled out, at this and all other times; everything where there are no cases."""
        rate = self.wins / self.n if self.n else 0.5
        goal = -math.log(self.alpha)
        low = 0.0 if self._log_e(0.0) < goal else _edge(lambda p: self._log_e(p) < goal, outside=0.0, inside=rate)
        high = 1.0 if self._log_e(1.0) < goal else _edge(lambda p: self._log_e(p) < goal, outside=1.0, inside=rate)
        return Interval(
            estimate=rate, low=low, high=high, confidence=1 - self.alpha, method="Beta-binomial sequence", n=self.n
        )

    def __repr__(self) -> str:
        return f"{_words(self.decided, self.decided_at, self.null)}: e = {self.e_value:.4g}, win rate {self.interval!r}"

    def _log_e(self, null: float) -> float:
        """log of B(a + W, a + L) / (B(a, a) null^W (1 - null)^L)."""
        from scipy.special import betaln, xlog1py, xlogy

        a, w, lost = self.prior, self.wins, self.losses
        return float(betaln(a + w, a + lost) - betaln(a, a) - xlogy(w, null) - xlog1py(lost, -null))


class ScoreSequence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Scores between 0 and 1 so far, against a mean of `null`, and whether that is enough to stop.

    Two wagers, one that the mean is higher and one that it is lower, each sized by what was seen before the case it is
    placed on. `decided` as in `WinRateSequence`. Narrower than a range that only knows the bounds, wherever scores vary
    little.
    Source: Waudby-Smith and Ramdas 2023, arXiv 2010.09686, hedged capital with predictable plug-in bets.
    """

    null: float = 0.5
    alpha: float = 0.05
    scores: tuple[float, ...] = ()
    decided: Side | None = None
    decided_at: int | None = None

    def __post_init__(self) -> None:
        _refuse_impossible(self.null, self.alpha)
        if self.scores:
            for score in (min(self.scores), max(self.scores), math.fsum(self.scores) / len(self.scores)):
                _refuse_score(score)

    def update(self, score: float) -> ScoreSequence:
        """The sequence with one more score."""
        _refuse_score(score)
        grown = msgspec.structs.replace(self, scores=(*self.scores, float(score)))
        if self.decided is not None:
            return grown
        up, down = grown._log_capital(self.null)
        if _hedged(up, down) < -math.log(self.alpha):
            return grown
        return msgspec.structs.replace(grown, decided="above" if up > down else "below", decided_at=len(grown.scores))

    @property
    def e_value(self) -> float:
        """What half a unit on either wager has grown to, the larger of both."""
        return math.exp(min(_hedged(*self._log_capital(self.null)), _LARGEST))

    @property
    def interval(self) -> Interval:
        """The means that are not ruled out, at this and all other times; everything where there are no scores."""
        n = len(self.scores)
        goal = math.log(2 / self.alpha)
        mean = math.fsum(self.scores) / n if n else 0.5
        # Either wager alone is monotone in the supposed mean.
        low = _edge(lambda m: self._log_capital(m)[0] < goal, outside=0.0, inside=1.0)
        high = _edge(lambda m: self._log_capital(m)[1] < goal, outside=1.0, inside=0.0)
        return Interval(estimate=mean, low=low, high=high, confidence=1 - self.alpha, method="betting sequence", n=n)

    def __repr__(self) -> str:
        return f"{_words(self.decided, self.decided_at, self.null)}: e = {self.e_value:.4g}, mean {self.interval!r}"

    def _log_capital(self, mean: float) -> tuple[float, float]:
        """Logarithms of what one unit has grown to, wagered on more than `mean` and on less."""
        if not self.scores:
            return 0.0, 0.0
        x = np.array(self.scores)
        bets = _plug_in_bets(x, self.alpha)
        with np.errstate(divide="ignore"):
            up = np.minimum(bets, _TRUNCATION / np.float64(mean))
            down = np.minimum(bets, _TRUNCATION / np.float64(1 - mean))
        return float(np.log1p(up * (x - mean)).sum()), float(np.log1p(down * (mean - x)).sum())


def _plug_in_bets(x: Floats, alpha: float) -> Floats:
    """The size of each bet from the scores before it: sqrt(2 log(2/alpha) / (variance t log(1 + t)))."""
    t = np.arange(1, x.size + 1)
    means = (0.5 + np.cumsum(x)) / (t + 1)
    variances = (0.25 + np.cumsum((x - means) ** 2)) / (t + 1)
    before = np.concatenate([[0.25], variances[:-1]])
    return np.asarray(np.sqrt(2 * math.log(2 / alpha) / (before * t * np.log1p(t))), dtype=np.float64)


def _hedged(up: float, down: float) -> float:
    return max(up, down) - math.log(2)


def _edge(open_: Callable[[float], bool], *, outside: float, inside: float) -> float:
    """Where a supposed value stops being ruled out, on the way from `outside` to `inside`; `outside` where it never
    was. The ruled-out side of the edge is returned, so that rounding only widens the range.
    """
    if open_(outside):
        return outside
    for _ in range(60):
        middle = (outside + inside) / 2
        outside, inside = (outside, middle) if open_(middle) else (middle, inside)
    return outside


def _words(decided: Side | None, at: int | None, null: float) -> str:
    return f"not decided against {null:g}" if decided is None else f"{decided} {null:g} since case {at}"


def _refuse_impossible(null: float, alpha: float) -> None:
    if not 0 < null < 1 or not 0 < alpha < 1:
        raise StatisticsError(f"null={null}, alpha={alpha}: give shares between 0 and 1, such as 0.5 and 0.05")


def _refuse_score(score: float) -> None:
    if not 0 <= score <= 1:
        raise StatisticsError(f"score {score}: a score lies between 0 and 1 (a tie is 0.5)")
