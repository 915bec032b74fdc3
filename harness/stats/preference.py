"""What judged pairs say: how often the candidate is preferred, and whether the judge looks at anything but the answers.

A score is the candidate's share of a win: 1 preferred, 0 not, 0.5 a tie. Each pair is judged in both orders; its score
is the mean of the two, so quarters occur. None is a judgement that could not be read: counted, never scored.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from harness.errors import StatisticsError
from harness.stats.flips import mcnemar
from harness.stats.length import LengthAdjusted, length_adjusted_win_rate
from harness.stats.strength import BradleyTerry, TieModel, bradley_terry, davidson, rao_kupper
from harness.stats.winrate import WinRate, win_rate

__all__ = [
    "BothOrders",
    "BradleyTerry",
    "LengthAdjusted",
    "PositionBias",
    "TieModel",
    "WinRate",
    "both_orders",
    "bradley_terry",
    "davidson",
    "length_adjusted_win_rate",
    "position_bias",
    "rao_kupper",
    "win_rate",
]


class BothOrders(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pairs that were judged in both orders. `scores` are the means of the two, None where either is unparsed.

    The conservative reading counts a win or a loss only where both orders agree: `wins`, `losses`, and all else that
    was read are `ties`. `first_first` and `second_second` count the pairs in which the answer shown first (second) was
    preferred both times: the judge looked at the place.
    """

    scores: tuple[float | None, ...]
    wins: int
    ties: int
    losses: int
    consistent: int
    first_first: int
    second_second: int
    unparsed: int

    @property
    def consistency(self) -> float | None:
        """The share of read pairs with the same verdict in both orders; None where none was read."""
        read = len(self.scores) - self.unparsed
        return self.consistent / read if read else None

    def __repr__(self) -> str:
        read = len(self.scores) - self.unparsed
        return (
            f"{self.wins}/{self.ties}/{self.losses} won/tied/lost in both orders, {self.consistent} of {read} "
            f"consistent, FF/SS {self.first_first}/{self.second_second}, {self.unparsed} unparsed"
        )


class PositionBias(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Does the judge prefer a place? `share` of the pairs decided by place went to the first; None: no such pair."""

    first_first: int
    second_second: int
    share: float | None
    p_value: float

    def __repr__(self) -> str:
        total = self.first_first + self.second_second
        return f"shown first {self.first_first} of {total} times, p = {self.p_value:.3g} (exact binomial)"


def both_orders(shown_first: Sequence[float | None], shown_second: Sequence[float | None]) -> BothOrders:
    """Put the two judgements of each pair together. Both are the candidate's score (1, 0.5 or 0): once with its answer
    shown first, once with it shown second.
    """
    if len(shown_first) != len(shown_second):
        raise StatisticsError(
            f"{len(shown_first)} judgements with the candidate first but {len(shown_second)} with it second: "
            "judge every pair in both orders"
        )
    scores: list[float | None] = []
    wins = losses = consistent = first_first = second_second = 0
    for i, (first, second) in enumerate(zip(shown_first, shown_second, strict=True)):
        for score in (first, second):
            if score not in (None, 0, 0.5, 1):
                raise StatisticsError(f"judgement {score} at position {i}: give 1, 0.5, 0, or None where unparsed")
        if first is None or second is None:
            scores.append(None)
            continue
        scores.append((first + second) / 2)
        consistent += first == second
        wins += first == second == 1
        losses += first == second == 0
        first_first += first == 1 and second == 0
        second_second += first == 0 and second == 1
    unparsed = scores.count(None)
    return BothOrders(
        scores=tuple(scores),
        wins=wins,
        ties=len(scores) - unparsed - wins - losses,
        losses=losses,
        consistent=consistent,
        first_first=first_first,
        second_second=second_second,
        unparsed=unparsed,
    )


def position_bias(first_first: int, second_second: int) -> PositionBias:
    """Of the pairs whose verdict turned with the order: did the answer shown first win in more of them than chance
    gives? No such pair is no evidence: p = 1.
    """
    found = mcnemar(first_first, second_second)
    share = first_first / found.n if found.n else None
    return PositionBias(first_first=first_first, second_second=second_second, share=share, p_value=found.p_value)
