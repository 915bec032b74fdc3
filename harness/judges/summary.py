"""What judged pairs add up to. Pure: the same judgements always give the same numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Literal

import msgspec

from harness.answers import Answer, Status
from harness.judges.judgement import Fault, Judgement, OrderJudgement
from harness.stats.preference import BothOrders, PositionBias, both_orders, position_bias
from harness.stats.sequential import WinRateSequence
from harness.stats.winrate import WinRate, win_rate

#: What is asked of a win rate.
Criterion = Literal["not worse", "better"]

#: More unread judgements than this, and the judge is unfit.
MOST_UNREAD = 0.02
#: A place is preferred for certain.
BIAS_ALPHA = 0.05


class PairSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Judged pairs, added up. `win_rate` is None where nothing could be read; ties are half a win.

    `both` is the conservative reading: a win or a loss only where both orders agree. `wins`, `losses`, `ties` are the
    consistent verdicts, `one_order_ties` the pairs with a tie in one order and a winner in the other. `unread` counts
    single judgements (of `asked`), by fault. `leftover` is the mean mass beside the labels, of `choice` judges.
    """

    pairs: int
    win_rate: WinRate | None
    both: BothOrders
    bias: PositionBias
    wins: int
    losses: int
    ties: int
    one_order_ties: int
    same: int
    asked: int
    unread: int
    faults: dict[Fault, int]
    unread_cases: tuple[str, ...]
    retried: int
    shortened: int
    leftover: float | None

    @property
    def biased(self) -> bool:
        """Does the judge prefer a place, beyond chance?"""
        return self.bias.p_value < BIAS_ALPHA

    @property
    def unread_share(self) -> float:
        """The share of judgements that could not be read."""
        return self.unread / self.asked if self.asked else 0.0

    def lines(self) -> list[str]:
        """For a terminal: the win rate, the orders, the place, what could not be read."""
        rate = "nothing could be read" if self.win_rate is None else repr(self.win_rate)
        found = [
            rate,
            f"both orders agree: {self.wins} won, {self.losses} lost, {self.ties} tied"
            + (f" ({self.same} of them the same answer, without a call)" if self.same else ""),
            f"orders disagree: {self.both.first_first} for the answer shown first, {self.both.second_second} for the "
            f"second; {self.one_order_ties} tied in one order only",
        ]
        bias = f"place: {self.bias!r}"
        found.append(f"{bias}: the judge is position-biased" if self.biased else bias)
        if self.unread:
            faults = ", ".join(f"{fault} {many}" for fault, many in sorted(self.faults.items()))
            cases = ", ".join(self.unread_cases[:5]) + (", …" if len(self.unread_cases) > 5 else "")
            found.append(f"unread: {self.unread} of {self.asked} judgements ({faults}): {cases}")
        if self.shortened:
            found.append(f"{self.shortened} pairs were shortened to fit the judge's context")
        if self.leftover is not None:
            found.append(f"mass beside the labels A, B and tie: {self.leftover:.0%} on average")
        return found


def summarise(judgements: Sequence[Judgement], *, confidence: float = 0.95) -> PairSummary:
    """Add judged pairs up. Rewordings of one case are one cluster."""
    asked = [j for j in judgements if not j.same_answer]
    orders: list[OrderJudgement] = [one for j in asked for one in (j.first, j.second) if one is not None]
    both = both_orders(
        [None if j.first is None else j.first.score for j in asked],
        [None if j.second is None else j.second.score for j in asked],
    )
    same = sum(j.same_answer for j in judgements)
    unread = [one for one in orders if one.score is None]
    leftovers = [one.leftover for one in orders if one.leftover is not None]
    return PairSummary(
        pairs=len(judgements),
        win_rate=rate_of(judgements, confidence=confidence),
        both=both,
        bias=position_bias(both.first_first, both.second_second),
        wins=both.wins,
        losses=both.losses,
        ties=both.consistent - both.wins - both.losses + same,
        one_order_ties=len(both.scores) - both.unparsed - both.consistent - both.first_first - both.second_second,
        same=same,
        asked=len(orders),
        unread=len(unread),
        faults=dict(Counter(one.fault or "nothing" for one in unread)),
        unread_cases=tuple(j.case for j in asked if j.score is None),
        retried=sum(one.retried for one in orders),
        shortened=sum(j.shortened > 0 for j in judgements),
        leftover=sum(leftovers) / len(leftovers) if leftovers else None,
    )


def rate_of(judgements: Sequence[Judgement], *, confidence: float = 0.95) -> WinRate | None:
    """How often the candidate is preferred; None where nothing could be read."""
    if all(j.score is None for j in judgements):
        return None
    clusters = [j.variant_of or j.case for j in judgements]
    own = clusters if len(set(clusters)) < len(clusters) else None
    return win_rate([j.score for j in judgements], own, confidence=confidence)


def sequence_answer(sequence: WinRateSequence, judged: int, total: int) -> Answer:
    """Which is preferred, by evidence that may be looked at at any time: nothing else may be read off an early stop."""
    low, high = sequence.interval.low, sequence.interval.high
    told = (
        f"win rate {sequence.interval.estimate:.1%}, {low:.1%} to {high:.1%} at all times (e = {sequence.e_value:.3g})"
    )
    of = f"{judged} of {total} pairs judged"
    if sequence.decided == "above":
        return Answer(status="PASS", reason=f"{told}: preferred, {of}")
    if sequence.decided == "below":
        return Answer(status="FAIL", reason=f"{told}: the baseline is preferred, {of}")
    return Answer(status="INCONCLUSIVE", reason=f"{told}: no preference is proven, {of}")


def win_rate_answer(judgements: Sequence[Judgement], criterion: Criterion, margin: float) -> Answer:
    """Is the candidate not worse, or better, by these judgements? Whether they may decide is not asked here."""
    if judgements and all(j.same_answer for j in judgements):
        if criterion == "better":
            return Answer(status="FAIL", reason="same answers, so nothing improved")
        return Answer(status="PASS", reason="same answers")
    confidence = 0.95 if criterion == "better" else 0.90
    rate = rate_of(judgements, confidence=confidence)
    if rate is None:
        return Answer(status="INVALID", reason=f"none of {len(judgements)} judgements could be read")
    low, high = rate.interval.low, rate.interval.high
    bar = 0.5 if criterion == "better" else 0.5 - margin
    counts = f"{rate.wins} won, {rate.ties} tied, {rate.losses} lost of {len(judgements)}, win rate {rate.estimate:.1%}"
    status: Status = "INCONCLUSIVE"
    if criterion == "better":
        if low > bar:
            status, said = "PASS", f"preferred, {low:.1%} at least"
        elif high < bar:
            status, said = "FAIL", f"the baseline is preferred, {high:.1%} at most"
        else:
            said = f"no preference is proven ({low:.1%} to {high:.1%})"
    elif low > bar:
        status, said = "PASS", f"win rates up to {bar:.0%} are ruled out, {low:.1%} at least"
    elif high < bar:
        status, said = "FAIL", f"the baseline is preferred, {high:.1%} at most, and {bar:.0%} is the least"
    else:
        said = f"win rates up to {bar:.0%} are not ruled out ({low:.1%} at least){_more(rate, bar)}"
    return Answer(status=status, reason=f"{counts}: {said}")


def _more(rate: WinRate, bar: float) -> str:
    """How many more pairs would settle it, if the rate stays; nothing where they would not."""
    room, reach = rate.estimate - bar, rate.estimate - rate.interval.low
    if room <= 0:
        return ""
    more = math.ceil(rate.interval.n * ((reach / room) ** 2 - 1))
    return f"; {more} more pairs would settle it" if more > 0 else ""
