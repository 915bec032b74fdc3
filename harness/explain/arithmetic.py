"""The sums behind a verdict, by hand: counts, coin tosses and one bound, from yes/no pairs alone.

Nothing here uses `harness.stats`: what the gate computes one way is computed another way for the reader, and a test
holds the two together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fates:
    """What became of the pairs of one set: both right, both wrong, lost, gained."""

    both: int
    neither: int
    lost: int
    gained: int

    @classmethod
    def of(cls, pairs: Iterable[tuple[float, float]]) -> Fates:
        """Count (candidate, rival) scores of 0 or 1."""
        found = {(1.0, 1.0): 0, (0.0, 0.0): 0, (0.0, 1.0): 0, (1.0, 0.0): 0}
        for pair in pairs:
            found[pair] += 1
        return cls(both=found[1.0, 1.0], neither=found[0.0, 0.0], lost=found[0.0, 1.0], gained=found[1.0, 0.0])

    @property
    def n(self) -> int:
        """All pairs."""
        return self.both + self.neither + self.flips

    @property
    def flips(self) -> int:
        """Pairs on which the two models disagree."""
        return self.lost + self.gained

    @property
    def change(self) -> float:
        """The change of the pass rate, as a share."""
        return (self.gained - self.lost) / self.n


def coin_chance(lost: int, gained: int) -> float:
    """How often fair coins, one per flip, fall at least as badly: the outcome itself counts half."""
    flips = lost + gained
    if not flips:
        return 1.0
    # Twice the ways, in whole numbers, so that no flip count is too large.
    ways = 2 * sum(math.comb(flips, k) for k in range(gained)) + math.comb(flips, gained)
    return ways / (1 << (flips + 1))


def holm_factors(chances: Sequence[float]) -> list[float]:
    """Each chance as it counts among all that were asked: the least is multiplied by how many there are, the next by
    one less, and none falls below the one before it."""
    order = sorted(range(len(chances)), key=chances.__getitem__)
    told = [0.0] * len(chances)
    least = 0.0
    for rank, i in enumerate(order):
        least = max(least, min(1.0, chances[i] * (len(chances) - rank)))
        told[i] = least
    return told


def steps_away(fates: Fates, supposed: float) -> float:
    """How many standard steps this run's change lies from a supposed true change (Tango's score)."""
    n, b, c = fates.n, fates.gained, fates.lost
    first = 2 * n * supposed - b - c - (b - c) * supposed
    # The share of losses that is likeliest if the supposed change is the true one.
    share = (math.sqrt(max(0.0, first * first + 8 * n * c * supposed * (1 - supposed))) - first) / (4 * n)
    spread = math.sqrt(max(0.0, n * (2 * share + supposed * (1 - supposed))))
    gap = (b - c) - n * supposed
    return math.copysign(math.inf, gap) if spread == 0 else gap / spread


def limit(fates: Fates, steps: float, *, worst: bool) -> float:
    """The worst (or best) true change that lies `steps` standard steps from what was seen."""
    outside, inside = (-1.0, fates.change) if worst else (1.0, fates.change)
    for _ in range(60):
        middle = (outside + inside) / 2
        beyond = abs(steps_away(fates, middle)) > steps
        outside, inside = (middle, inside) if beyond else (outside, middle)
    return inside


def clean_sheet(n: int) -> float:
    """The failure rate at which `n` clean cases in a row would happen 5 times in 100."""
    return 1 - math.pow(0.05, 1 / n)


def odds(chance: float) -> str:
    """ "1 in 21", and in words where nobody counts any more."""
    if chance >= 0.4:
        return f"{100 * chance:.0f} in 100"
    one_in = 1 / chance if chance > 0 else math.inf
    if one_in > 1e12:
        return "less than 1 in 1,000 billion"
    if one_in >= 2e9:
        return f"1 in {one_in / 1e9:,.0f} billion"
    if one_in >= 2e6:
        return f"1 in {one_in / 1e6:,.0f} million"
    digits = max(0, math.floor(math.log10(one_in)) - 1)
    return f"1 in {round(one_in / 10**digits) * 10**digits:,}"
