"""Multiple choice by likelihood, as a run tells it: how likely each choice was, and which each model took. Pure."""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Mapping

import msgspec

from harness.record import CaseResult, Role

_TOLD = re.compile(
    r"chose (?P<chosen>.+) \(log-likelihood (?P<its>-?\d+\.\d+)\) "
    r"over the answer (?P<answer>.+) \((?P<right>-?\d+\.\d+)\)",
    re.DOTALL,
)


class Option(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One choice, and its log-likelihood summed over its tokens, by model where it is known."""

    text: str
    scores: dict[Role, float] = {}


class Choices(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The choices of one case. `whole`: all of them, as asked; else only those that the check's explanation names.

    `taken` is what each model took; None where the record does not name it. `answer` is the right one, None likewise.
    """

    options: tuple[Option, ...] = ()
    answer: str | None = None
    taken: dict[Role, str | None] = {}
    whole: bool = False

    @property
    def lead(self) -> float:
        """By how much the candidate preferred a wrong choice to the right one; 0 where it did not or nobody knows."""
        taken, right = self._score(self.taken.get("candidate")), self._score(self.answer)
        return 0.0 if taken is None or right is None else taken - right

    @property
    def why_missed(self) -> str:
        """What the candidate took in place of the right choice; empty where it took that."""
        taken, answer = self.taken.get("candidate"), self.answer
        its, right = self._score(taken), self._score(answer)
        if taken == answer or its is None or right is None:
            return ""
        return f"chose {taken!r} (log-likelihood {its:.2f}) over the answer {answer!r} ({right:.2f})"

    def _score(self, text: str | None) -> float | None:
        return next((option.scores.get("candidate") for option in self.options if option.text == text), None)


def choices_text(choices: Choices) -> str:
    """As a record's texts keep them."""
    return msgspec.json.encode(choices).decode()


def choices_of(case: CaseResult, kept: str | None = None) -> Choices | None:
    """The choices of a case as its record's texts keep them; else what the check's explanation tells.

    An older record names two where the candidate missed, and none where it did not. None where the case is no multiple
    choice.
    """
    if kept is not None:
        with contextlib.suppress(msgspec.MsgspecError):
            return msgspec.json.decode(kept, type=Choices)
    test = next((test for test in case.tests if test.test == "likeliest_choice"), None)
    if test is None or any(case.answers.values()):
        return None
    found = _TOLD.fullmatch(test.explanation)
    chosen, answer = (_unquoted(found["chosen"]), _unquoted(found["answer"])) if found else (None, None)
    options: tuple[Option, ...] = ()
    if found and chosen is not None and answer is not None:
        options = (
            Option(text=chosen, scores={"candidate": float(found["its"])}),
            Option(text=answer, scores={"candidate": float(found["right"])}),
        )
    taken: dict[Role, str | None] = {"candidate": chosen}
    rivals: Mapping[Role, tuple[float | None, bool | None]] = {
        "baseline": (case.baseline, case.same_answer),
        "root": (case.root, case.same_answer_as_root),
    }
    for role, (passed, same) in rivals.items():
        if passed is not None:
            taken[role] = answer if passed >= 1 else chosen if same else None
    return Choices(options=options, answer=answer, taken=taken)


def _unquoted(quoted: str) -> str | None:
    try:
        read = ast.literal_eval(quoted)
    except (ValueError, SyntaxError):
        return None
    return read if isinstance(read, str) else None
