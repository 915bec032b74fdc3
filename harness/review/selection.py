"""Which cases people read: some drawn at random, on which rates rest, and those that machines disagree on."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np

from harness.data.formats import Row
from harness.errors import ReviewError, unknown_name
from harness.judges.judgement import Judgement
from harness.models import Response
from harness.record import CaseResult, RunRecord
from harness.review.plain import Veil, even, plain

#: Why a case is read. Estimates come from "random" alone; the others were chosen because something is odd.
Why = Literal["random", "orders disagree", "judge against checks", "newly missed", "filler", "disputed"]

#: The same in words, behind a number of cases.
WHY: dict[Why, str] = {
    "random": "drawn at random",
    "orders disagree": "where the judge's two orders disagree",
    "judge against checks": "where judge and checks disagree",
    "newly missed": "that the candidate newly missed",
    "filler": "more to make up the number",
    "disputed": "on which reviewers disagree",
}

#: What stands at the end of an answer that was cut off at max_tokens.
CUT = "[…]"


class Readable(msgspec.Struct, frozen=True, kw_only=True):
    """A case that both models answered, as reviewers may see it. `odd` says why it is worth a look, None where it is
    not."""

    set: str
    case: str
    prompt: str
    target: str
    candidate: str
    baseline: str
    odd: Why | None = None
    variant_of: str | None = None
    tags: tuple[str, ...] = ()

    @property
    def name(self) -> tuple[str, str]:
        """Set and case."""
        return self.set, self.case


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """A case to be read, and why."""

    readable: Readable
    why: Why


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """All cases that could be read. `same` counts those left out because both answers read the same."""

    cases: tuple[Readable, ...]
    same: int


def readable_cases(
    record: RunRecord,
    texts: Mapping[str, Response],
    veil: Veil,
    *,
    sets: Sequence[str] = (),
    keep_format: bool = False,
    single: bool = False,
) -> Pool:
    """The cases of `record` whose first answers of both models can be told apart, each as reviewers would see it.

    `single`: the candidate's answers alone.
    """
    names = [one.name for one in record.sets]
    for pattern in sets:
        if not any(fnmatch.fnmatchcase(name, pattern) for name in names):
            raise ReviewError(f"run {record.run_id}: {unknown_name('set', pattern, names)}")
    judged = {(one.set, j.case): j for one in record.judged for j in one.judgements}
    found, same = [], 0
    for of in record.sets:
        if sets and not any(fnmatch.fnmatchcase(of.name, pattern) for pattern in sets):
            continue
        for case in of.cases:
            answers = [_first(case, role, texts) for role in ("candidate", "baseline")]
            prompt = texts.get(f"prompt:{of.name}:{case.case}")
            if single:
                answers[1] = ""
            if answers[0] is None or answers[1] is None or prompt is None:
                continue
            asked = even(prompt.text)
            shown = [veil.over(even(text) if keep_format else plain(text), asked) for text in (answers[0], answers[1])]
            if shown[0] == shown[1] and not single:
                same += 1
                continue
            target = texts.get(f"target:{of.name}:{case.case}")
            found.append(
                Readable(
                    set=of.name,
                    case=case.case,
                    prompt=asked,
                    target="" if target is None else even(target.text),
                    candidate=shown[0],
                    baseline=shown[1],
                    odd=_odd(case, judged.get((of.name, case.case))),
                    variant_of=case.variant_of,
                    tags=case.tags,
                )
            )
    return Pool(cases=tuple(found), same=same)


def choose(pool: Pool, many: int, random_share: float, rng: np.random.Generator) -> tuple[Chosen, ...]:
    """`many` cases of the pool: a simple random sample first, then the odd ones among the rest, oddest kind first.

    Where few are odd, the sample is larger, by a number that is known before anything is drawn: to stop by what was
    drawn would bend it. What is left to make up the number counts for nothing but the reading.
    """
    order = [pool.cases[i] for i in rng.permutation(len(pool.cases))]
    many = min(many, len(order))
    drawn = max(round(many * random_share), many - sum(one.odd is not None for one in order))
    kinds: tuple[Why, ...] = ("orders disagree", "judge against checks", "newly missed", "filler")
    rest = sorted(order[drawn:], key=lambda one: kinds.index(one.odd or "filler"))
    return (
        *(Chosen(readable=one, why="random") for one in order[:drawn]),
        *(Chosen(readable=one, why=one.odd or "filler") for one in rest[: many - drawn]),
    )


def row_cases(rows: Sequence[Row], name: str) -> Pool:
    """Training rows as cases with one answer: what a model would learn last."""
    cases = tuple(
        Readable(
            set=name,
            case=row.where.rpartition(":")[2],
            prompt=even(row.prompt),
            target="",
            candidate=even(row.messages[-1].content),
            baseline="",
        )
        for row in rows
    )
    return Pool(cases=cases, same=0)


def _first(case: CaseResult, role: Literal["candidate", "baseline"], texts: Mapping[str, Response]) -> str | None:
    keys = case.answers.get(role, ())
    if not keys or keys[0] not in texts:
        return None
    response = texts[keys[0]]
    return f"{response.text} {CUT}" if response.finish_reason == "length" else response.text


def _odd(case: CaseResult, judged: Judgement | None) -> Why | None:
    """Whatever makes a machine's word on this case doubtful; the most doubtful first."""
    if judged is not None and not judged.same_answer:
        if not judged.consistent:
            return "orders disagree"
        if judged.score is not None and case.baseline is not None:
            checks = case.candidate - case.baseline
            if (judged.score - 0.5) * checks < 0:
                return "judge against checks"
    return "newly missed" if case.baseline is not None and case.candidate < case.baseline else None
