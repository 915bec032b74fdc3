"""What judges said of a case, as a reader meets it: whose answer, in which order, and why. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from harness.judges.judgement import JudgedSet, Judgement, OrderJudgement
from harness.report.visible import one_line, shown, visible

Preferred = Literal["candidate", "baseline", "tie", "unread"]


class OrderOpinion(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One order of one pair. `share` is the candidate's part of the labels' probability, where the judge tells it."""

    preferred: Preferred
    reason: str
    fault: str = ""
    share: float | None = None
    retried: bool = False


class Opinion(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One judge about one pair. `first` and `second`: the candidate's answer was shown first, second.

    `advisory`: it is no judge but a similarity to the target. `lengths` are the answers' (candidate, baseline) in
    characters; `members` whom each judge of a jury prefers.
    """

    judge: str
    advisory: bool
    preferred: Preferred
    swapped: bool
    first: OrderOpinion | None = None
    second: OrderOpinion | None = None
    same_answer: bool = False
    shortened: int = 0
    lengths: tuple[int, int] = (0, 0)
    members: tuple[tuple[str, Preferred], ...] = ()

    @property
    def gist(self) -> str:
        """Why, on one line."""
        told = next((one.reason for one in (self.first, self.second) if one is not None and one.reason), "")
        return one_line(told)


def opinions_of(judged: Iterable[JudgedSet]) -> dict[tuple[str, str], list[tuple[Judgement, Opinion]]]:
    """(set, case) -> what each judge said of it, in the record's order."""
    found: dict[tuple[str, str], list[tuple[Judgement, Opinion]]] = {}
    for one in judged:
        members = {member.digest: visible(member.name) for member in one.judge.members}
        for judgement in one.judgements:
            opinion = _opinion(one, judgement, members)
            found.setdefault((one.set, judgement.case), []).append((judgement, opinion))
    return found


def is_swapped(judgement: Judgement) -> bool:
    """Did the verdict change with the order?"""
    first, second = judgement.first, judgement.second
    if first is None or second is None or first.score is None or second.score is None:
        return False
    return first.score != second.score


def _opinion(of: JudgedSet, judgement: Judgement, members: dict[str, str]) -> Opinion:
    return Opinion(
        judge=visible(of.judge.name),
        advisory=of.judge.kind == "reference",
        preferred=judgement.preferred,
        swapped=is_swapped(judgement),
        first=_order(judgement.first),
        second=_order(judgement.second),
        same_answer=judgement.same_answer,
        shortened=judgement.shortened,
        lengths=judgement.lengths,
        members=tuple((members.get(one.judge, one.judge[:12]), one.preferred) for one in judgement.members),
    )


def _order(said: OrderJudgement | None) -> OrderOpinion | None:
    if said is None:
        return None
    return OrderOpinion(
        preferred="unread"
        if said.score is None
        else "tie"
        if said.score == 0.5
        else "candidate"
        if said.score > 0.5
        else "baseline",
        reason=shown(said.reason, 4000),
        fault=said.fault or "",
        share=said.share,
        retried=said.retried,
    )
