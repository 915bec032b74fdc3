"""Would the candidate be preferred at the same length? Judges like long answers; candidates learn to please them."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from harness.errors import StatisticsError
from harness.stats.intervals import Interval, count_bootstrap
from harness.stats.values import Floats, as_values
from harness.stats.winrate import WinRate, win_rate

#: A fit on fewer pairs says little.
FEWEST_PAIRS = 100
#: Differences below this many standard deviations count as the same length, and this share of pairs must have them.
SAME_LENGTH, FEWEST_ALIKE = 0.25, 0.10
_MOST_STEPS = 50
#: Log odds beyond this are no estimate.
_RUNAWAY = 30


class LengthAdjusted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The win rate as judged, and what it would be between answers of one length.

    `pull` is how much a longer candidate gains, in log odds per unit of tanh(difference in standard deviations);
    `alike` the share of pairs of about the same length. `undefined` counts the resamples that could not be fitted.
    """

    raw: WinRate
    adjusted: Interval
    pull: float
    alike: float
    undefined: int

    def __repr__(self) -> str:
        return f"raw {self.raw.interval!r}, at the same length {self.adjusted!r}, pull of length {self.pull:+.3g}"


def length_adjusted_win_rate(
    scores: ArrayLike,
    candidate_lengths: ArrayLike,
    baseline_lengths: ArrayLike,
    rng: np.random.Generator,
    *,
    confidence: float = 0.95,
    rounds: int = 10_000,
) -> LengthAdjusted:
    """Raw and length-adjusted win rate side by side: a logistic regression of the score on tanh of the standardised
    difference of lengths, read where that is zero. The range is from resampling cases and fitting again.

    Source: Dubois 2024, arXiv 2404.04475, with the length term alone.
    Raises StatisticsError for fewer than 100 pairs, where fewer than 10% are of about the same length (the reading
    would be a guess), and where there is no fit.
    """
    y = as_values(scores, "scores")
    longer = as_values(candidate_lengths, "candidate_lengths"), as_values(baseline_lengths, "baseline_lengths")
    if not y.size == longer[0].size == longer[1].size:
        raise StatisticsError(
            f"{y.size} scores, {longer[0].size} candidate and {longer[1].size} baseline lengths: give one per pair"
        )
    raw = win_rate(y, confidence=confidence)
    if y.size < FEWEST_PAIRS:
        raise StatisticsError(
            f"{y.size} pairs are too few to tell length from quality ({FEWEST_PAIRS} are needed). Judge more pairs."
        )
    gap = longer[0] - longer[1]
    spread = float(np.std(gap, ddof=1))
    if spread == 0:
        raise StatisticsError("all differences of length are alike: there is nothing to adjust for. Use win_rate.")
    alike = float(np.mean(np.abs(gap) < SAME_LENGTH * spread))
    if alike < FEWEST_ALIKE:
        raise StatisticsError(
            f"only {alike:.1%} of the pairs are of about the same length ({FEWEST_ALIKE:.0%} are needed): what would "
            "happen at the same length would be a guess. Bound the answers' length and judge again."
        )
    start = _fit(y, gap, np.ones((1, y.size)), np.zeros((1, 2)))
    if not np.isfinite(start).all():
        raise StatisticsError(
            "no fit: length separates wins from losses, or every pair was won or lost. Judge more pairs."
        )
    found = count_bootstrap(
        float(_chance(start[:, 0])[0]),
        y.size,
        lambda drawn: _chance(_fit(y, gap, drawn, start)[:, 0]),
        rng,
        confidence=confidence,
        rounds=rounds,
    )
    return LengthAdjusted(
        raw=raw, adjusted=found.interval, pull=float(start[0, 1]), alike=alike, undefined=found.undefined
    )


def _fit(y: Floats, gap: Floats, drawn: Floats, start: Floats) -> Floats:
    """Intercept and slope for each row of counts, by Newton's steps from `start`; NaN where there is no maximum."""
    n = drawn.sum(axis=1)
    mean = drawn @ gap / n
    spread = np.sqrt(np.maximum(drawn @ gap**2 - n * mean**2, 0.0) / (n - 1))
    x = np.tanh(gap / np.where(spread > 0, spread, np.inf)[:, None])
    found = np.repeat(start, len(drawn), axis=0)
    moved = np.full(len(drawn), np.inf)
    for _ in range(_MOST_STEPS):
        p = _chance(found[:, :1] + found[:, 1:] * x)
        rest, weight = drawn * (y - p), drawn * p * (1 - p)
        slope = np.stack([rest.sum(axis=1), (rest * x).sum(axis=1)], axis=1)
        tilted = weight * x
        level, mixed, steep = weight.sum(axis=1), tilted.sum(axis=1), (tilted * x).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.stack(
                [steep * slope[:, 0] - mixed * slope[:, 1], level * slope[:, 1] - mixed * slope[:, 0]], axis=1
            )
            step /= (level * steep - mixed**2)[:, None]
        moved = np.abs(step).max(axis=1)
        found += np.clip(step, -2, 2)
        if not (moved > 1e-9).any():
            break
    # Where wins and losses are separable the odds run away instead of settling.
    found[~(moved < 1e-6) | (np.abs(found) > _RUNAWAY).any(axis=1)] = np.nan
    return found


def _chance(odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-odds)), dtype=np.float64)
