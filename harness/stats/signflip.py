"""The sign-flip test: if nothing changed, each difference could as well have had the other sign."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.errors import StatisticsError
from harness.stats.clusters import ClusterMean
from harness.stats.flips import Alternative, Significance
from harness.stats.values import Floats, as_values

#: All 2^n flips are counted up to here.
EXACT_UP_TO = 20
#: Above this many steps the exact count by steps is left for random flips.
_COUNTING_BUDGET = 20_000_000
#: Shares of samples are multiples of one of these parts: k of 3, k of 8 ...
_PARTS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 32, 64)


def sign_flip_test(
    differences: ArrayLike,
    *,
    alternative: Alternative = "two-sided",
    clusters: ArrayLike | None = None,
    rng: np.random.Generator | None = None,
    rounds: int = 10_000,
) -> Significance:
    """Is the mean of paired differences (candidate - baseline) zero, whatever their distribution?

    Exact where all flips can be counted: up to 20 changed units, and at any number when the differences are
    multiples of a common part, as shares of samples are. Otherwise `rounds` random flips with
    `p = (1 + hits) / (1 + rounds)`, never 0; without `rng` the seed is 0, so that equal data give equal p.
    With `clusters`, whole clusters flip. All zero: p = 1.
    """
    d = as_values(differences, "differences")
    totals = d if clusters is None else ClusterMean.of(d, clusters=clusters).totals
    largest = float(np.abs(totals).max())
    changed = totals[np.abs(totals) > 1e-12 * max(largest, float(np.abs(d).max()))]
    if changed.size == 0:
        return Significance(p_value=1.0, method="exact sign flips", alternative=alternative, n=0)
    if alternative not in ("two-sided", "less", "greater"):
        raise StatisticsError(f"alternative {alternative!r}: choose two-sided, less or greater")
    # The flipped sums are symmetric about zero: look at the upper tail only.
    if alternative == "less" or (alternative == "two-sided" and changed.sum() < 0):
        changed = -changed
    method, p = "exact sign flips", _count_by_steps(changed)
    if p is None and changed.size <= EXACT_UP_TO:
        p = _count_all(changed)
    if p is None:
        method = f"{rounds} random sign flips"
        p = _draw(changed, rng or np.random.default_rng(0), rounds, both_tails=alternative == "two-sided")
    elif alternative == "two-sided":
        p *= 2
    return Significance(p_value=min(1.0, p), method=method, alternative=alternative, n=int(changed.size))


def _count_all(changed: Floats) -> float:
    """P(flipped sum >= observed), over all 2^n flips."""
    sums = np.zeros(1)
    for value in changed:
        sums = np.concatenate([sums + value, sums - value])
    return float(np.mean(sums >= changed.sum() - _rounding(changed)))


def _count_by_steps(changed: Floats) -> float | None:
    """The same, as a distribution over whole steps; None where the differences share no common step."""
    steps = _common_steps(np.abs(changed))
    if steps is None or steps.size * int(steps.sum()) > _COUNTING_BUDGET:
        return None
    chance = np.zeros(int(steps.sum()) + 1)
    chance[0], reached = 1.0, 0
    for step in steps.tolist():
        reached += step
        flipped = chance[: reached + 1] * 0.5
        flipped[step:] += chance[: reached + 1 - step] * 0.5
        chance[: reached + 1] = flipped
    # Summed from the far end, so that a tiny tail is not lost in rounding.
    return float(chance[int(steps[changed > 0].sum()) :][::-1].sum())


def _common_steps(sizes: Floats) -> NDArray[np.int64] | None:
    for parts in _PARTS:
        scaled = sizes * parts
        steps = np.rint(scaled)
        if np.all(np.abs(scaled - steps) < 1e-9) and steps.max() < 1e6:
            return steps.astype(np.int64)
    return None


def _draw(changed: Floats, rng: np.random.Generator, rounds: int, both_tails: bool) -> float:
    if rounds < 100:
        raise StatisticsError(f"{rounds} random flips are too few; 10,000 is usual")
    goal = float(changed.sum()) - _rounding(changed)
    tables = _byte_tables(changed)
    hits, left = 0, rounds
    while left:
        batch = min(left, max(1, 4_000_000 // len(tables)))
        drawn = rng.integers(0, 256, size=(batch, len(tables)), dtype=np.uint8)
        sums = np.zeros(batch)
        for place, table in enumerate(tables):
            sums += table[drawn[:, place]]
        hits += int(np.count_nonzero((np.abs(sums) if both_tails else sums) >= goal))
        left -= batch
    return (1 + hits) / (1 + rounds)


def _byte_tables(changed: Floats) -> Floats:
    """For each eight differences their sum under all 256 flips, so that one random byte flips eight at once.

    Bit i of the byte says whether the i-th of the eight keeps its sign.
    """
    padded = np.zeros(-(-changed.size // 8) * 8)
    padded[: changed.size] = changed
    keeps = (np.arange(256)[:, None] >> np.arange(8)) & 1
    tables: Floats = padded.reshape(-1, 8) @ (2.0 * keeps - 1.0).T
    return tables


def _rounding(changed: Floats) -> float:
    return 1e-12 * float(np.abs(changed).sum())
