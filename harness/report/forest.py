"""Differences with their intervals on one common scale: the geometry of a forest plot, in percent of its width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_SCALES = (0.05, 0.10, 0.20, 0.40, 0.60, 1.0)


@dataclass(frozen=True, slots=True)
class Span:
    """One difference: where its point and the ends of its interval lie. `side` is where the interval stands to zero."""

    point: float
    low: float
    high: float
    side: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled place on the axis."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Scale:
    """Differences from `-reach` to `reach`, as shares of 1, on an axis from 0 to 100."""

    reach: float

    @classmethod
    def holding(cls, values: Sequence[float]) -> Scale:
        """The smallest usual scale that shows all values."""
        most = max((abs(value) for value in values), default=0.0)
        return cls(reach=next((reach for reach in _SCALES if most <= reach), 1.0))

    def at(self, difference: float) -> float:
        """Percent of the width; what lies beyond the axis is put at its end."""
        inside = max(-self.reach, min(self.reach, difference))
        # A little air at both ends, so that no mark is cut off.
        return round(4 + 92 * (inside + self.reach) / (2 * self.reach), 2)

    def span(self, estimate: float, low: float, high: float) -> Span:
        """Where a difference and its interval are drawn."""
        side = "below" if high < 0 else "above" if low > 0 else "across"
        return Span(point=self.at(estimate), low=self.at(low), high=self.at(high), side=side)

    @property
    def ticks(self) -> tuple[Tick, ...]:
        """Five places, in points."""
        return tuple(
            Tick(
                at=self.at(share * self.reach),
                label=f"{share * self.reach * 100:+g}".replace("-", "−") if share else "0",
            )
            for share in (-1.0, -0.5, 0.0, 0.5, 1.0)
        )
