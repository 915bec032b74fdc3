"""What a check says of one answer: passed or not, and why."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Concatenate, ParamSpec

import msgspec

from harness.errors import CheckError, HarnessError
from harness.models import Response

P = ParamSpec("P")

#: Explanations are shown by pytest through `repr`, which it cuts near 240 characters.
LONGEST_REPR = 239


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """A check's answer: true when the check passed.

    `explanation` states what was seen as a fact ("'30 days' is not in 'You can return it…'"), so that it
    reads right for the check and for its negation. `repr` is one line of fewer than 240 characters.
    """

    passed: bool
    check: str
    explanation: str

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        return clip(f"{self.check} {'passed' if self.passed else 'failed'}: {self.explanation}", LONGEST_REPR)


def check(
    function: Callable[Concatenate[Response | str, P], Score],
) -> Callable[Concatenate[Response | str, P], Score]:
    """Make a function a check: whatever goes wrong inside it is a CheckError, never a Score.

    Explanations quote answers, so they are made `printable`. A score of an answer that was cut off at max_tokens
    says so.
    """
    name = function.__name__

    @functools.wraps(function)
    def checked(response: Response | str, /, *args: P.args, **kwargs: P.kwargs) -> Score:
        if not isinstance(response, (Response, str)):
            raise CheckError(
                f"{name}: the answer must be a Response or a text, not {type(response).__name__}. "
                f"Write {name}(response, …)."
            )
        try:
            score = function(response, *args, **kwargs)
        except HarnessError:
            raise
        except Exception as error:
            raise CheckError(
                f"{name}: the check itself crashed "
                f"({type(error).__name__}: {clip(one_line(str(error)), 200)}). "
                "This says nothing about the answer: correct the check's arguments, then run again."
            ) from error
        if isinstance(response, Response) and response.finish_reason == "length":
            score = msgspec.structs.replace(score, explanation=f"{score.explanation} (cut off at max_tokens)")
        if not score.explanation.isprintable():
            score = msgspec.structs.replace(score, explanation=printable(score.explanation))
        return score

    return checked


def text_of(response: Response | str) -> str:
    """The answer's text."""
    return response.text if isinstance(response, Response) else response


def printable(text: str) -> str:
    """The text with every character that a terminal would obey instead of show as its escape, as `repr` has it.

    >>> printable("red \x1b[31m")
    'red \\x1b[31m'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def one_line(text: str) -> str:
    """The text with every run of white space as one blank."""
    return " ".join(text.split())


def clip(text: str, longest: int) -> str:
    """The text, its end replaced by an ellipsis where it is longer than `longest` characters."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def quote(text: str, longest: int = 48) -> str:
    """The beginning of a text, in quotes, on one line, control characters escaped; at most `longest` + 2
    characters where it is printable."""
    return clip(repr(clip(one_line(text), longest)), 2 * longest)


def excerpt(text: str, start: int = 0, end: int = 0, longest: int = 90) -> str:
    """What stands around `text[start:end]`, quoted on one line; the beginning where no place is given."""
    if not text.strip():
        return "an empty answer"
    room = max(0, longest - (end - start))
    first = max(0, min(start - room // 2, len(text) - longest))
    shown = text[first : first + longest]
    return clip(
        repr(f"{'…' if first else ''}{one_line(shown)}{'…' if first + longest < len(text) else ''}"),
        2 * longest,
    )


def listed(texts: Sequence[str]) -> str:
    """Up to four texts, quoted, and how many more there are."""
    shown = ", ".join(quote(text, 24) for text in texts[:4])
    return shown if len(texts) <= 4 else f"{shown} and {len(texts) - 4} more"
