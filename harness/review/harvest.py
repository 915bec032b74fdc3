"""What else people's answers are good for: new golden cases, and pairs to train preferences on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from harness.models import Response
from harness.record import CaseResult, RunRecord
from harness.review.findings import Name, consensus, settled
from harness.review.opinions import Review

#: A case is settled where people's mean score (0 to 1) is so far from a tie: all but one in eight say the same.
CLEAR = 0.375

MISSING = "texts that the record does not hold"
#: How the record tells a conversation that is more than one question of a user.
_TURNS = re.compile(r"(?:tools|system|user|assistant|tool):(?:\s|$)")


class Harvest(msgspec.Struct, frozen=True, kw_only=True):
    """Rows for a JSONL file, and what was left out, by reason."""

    rows: tuple[dict[str, Any], ...]
    left_out: dict[str, int]


def golden_rows(record: RunRecord, review: Review, texts: Mapping[str, Response], *, owner: str) -> Harvest:
    """Golden cases whose target is the answer that people clearly preferred, with where it comes from and who answers
    for it.

    Each rewords the case that it came from (`variant_of`), so that the two are never counted as independent.
    """
    rows, left_out = [], _Count()
    for name, score, case in _settled(record, review, left_out):
        role = "candidate" if score > 0.5 else "baseline"
        answer, prompt = _answer(case, role, texts), texts.get(f"prompt:{name[0]}:{name[1]}")
        if answer is None or prompt is None:
            left_out.add(MISSING)
            continue
        if why := _unfit(review, name, role, prompt, answer):
            left_out.add(why)
            continue
        model = record.candidate if role == "candidate" else record.baseline
        rows.append(
            {
                "id": f"{name[0].replace('/', '.')}.{case.case}-reviewed",
                "input": prompt.text,
                "target": answer.text,
                "variant_of": case.variant_of or case.case,
                "tags": list(case.tags),
                "metadata": {
                    "source": "human review",
                    "owner": owner,
                    "run": record.run_id,
                    "set": name[0],
                    "case": name[1],
                    "answered_by": "" if model is None else model.label,
                    "model_digest": "" if model is None else model.digest,
                    "votes": _votes(review, name),
                    "settled_by_adjudication": name in settled(review),
                    "review": review.digest,
                },
            }
        )
    return Harvest(rows=tuple(rows), left_out=left_out.found)


def preference_rows(record: RunRecord, review: Review, texts: Mapping[str, Response]) -> Harvest:
    """Pairs for preference training: answers as the models gave them, and how clear people were (`margin`, 0 to 1)."""
    rows, left_out = [], _Count()
    cases = _cases(record)
    for name, score in consensus(review).items():
        case = cases.get(name)
        if score == 0.5:
            left_out.add("ties")
            continue
        prompt = texts.get(f"prompt:{name[0]}:{name[1]}")
        ours = None if case is None else _answer(case, "candidate", texts)
        theirs = None if case is None else _answer(case, "baseline", texts)
        if prompt is None or ours is None or theirs is None:
            left_out.add(MISSING)
            continue
        role, chosen, rejected = ("candidate", ours, theirs) if score > 0.5 else ("baseline", theirs, ours)
        if why := _unfit(review, name, role, prompt, chosen):
            left_out.add(why)
            continue
        rows.append(
            {
                "prompt": prompt.text,
                "chosen": chosen.text,
                "rejected": rejected.text,
                "margin": round(abs(2 * score - 1), 4),
                "id": f"{name[0]}/{name[1]}",
                "metadata": {"run": record.run_id, "votes": _votes(review, name), "review": review.digest},
            }
        )
    return Harvest(rows=tuple(rows), left_out=left_out.found)


class _Count:
    def __init__(self) -> None:
        self.found: dict[str, int] = {}

    def add(self, why: str) -> None:
        self.found[why] = self.found.get(why, 0) + 1


def _settled(record: RunRecord, review: Review, left_out: _Count) -> list[tuple[Name, float, CaseResult]]:
    cases = _cases(record)
    found = []
    for name, score in consensus(review).items():
        if abs(score - 0.5) < CLEAR:
            left_out.add("ties, and cases that people do not agree on")
        elif name in cases:
            found.append((name, score, cases[name]))
    return found


def _cases(record: RunRecord) -> dict[Name, CaseResult]:
    return {(of.name, case.case): case for of in record.sets for case in of.cases}


def _answer(case: CaseResult, role: str, texts: Mapping[str, Response]) -> Response | None:
    keys = next((keys for of, keys in case.answers.items() if of == role), ())
    return texts.get(keys[0]) if keys else None


def _unfit(review: Review, name: Name, role: str, prompt: Response, answer: Response) -> str | None:
    """Why nobody should learn or be measured by this answer; None where it is fit."""
    if _TURNS.match(prompt.text):
        return "requests with several turns, a system prompt or tools: a row holds one question"
    if answer.finish_reason == "length":
        return "preferred, but cut off at max_tokens"
    if _marked_unsafe(review, name, role):
        return "preferred, but marked as less safe"
    return None


def _votes(review: Review, name: Name) -> dict[str, int]:
    scores = [one.score for one in review.opinions if one.name == name and not one.again and one.score is not None]
    return {
        "candidate": sum(score > 0.5 for score in scores),
        "tie": scores.count(0.5),
        "baseline": sum(score < 0.5 for score in scores),
    }


def _marked_unsafe(review: Review, name: Name, role: str) -> bool:
    sign = 1 if role == "candidate" else -1
    return any(sign * one.marks.get("safety", 0) < 0 for one in review.opinions if one.name == name)
