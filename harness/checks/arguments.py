"""Arguments of checks: each is looked at before the answer is, so that a golden set is refused when it is
loaded."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from harness.checks.folding import fold
from harness.errors import CheckError


def one_text(check: str, name: str, value: object) -> str:
    """A text that is not empty, or CheckError."""
    if value is None:
        raise CheckError(
            f"{check}: {name} is missing. Say what to look for (a case without a target has none to give)."
        )
    if not isinstance(value, str):
        raise CheckError(f"{check}: {name} must be a text, not {described(value)}.")
    if not fold(value):
        raise CheckError(f"{check}: {name} is empty, and would be found in every answer. Say what to look for.")
    return value


def some_texts(check: str, name: str, value: object) -> tuple[str, ...]:
    """A list of at least one text, or CheckError."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise CheckError(f"{check}: {name} must be a list of texts, not {described(value)}.")
    if not value:
        raise CheckError(f"{check}: {name} is an empty list. Give at least one text.")
    return tuple(one_text(check, f"{name}[{i}]", item) for i, item in enumerate(value))


def flag(check: str, name: str, value: object) -> bool:
    """True or false, or CheckError."""
    if not isinstance(value, bool):
        raise CheckError(f"{check}: {name} must be true or false, not {described(value)}.")
    return value


def number(check: str, name: str, value: object, *, least: float = -math.inf) -> float:
    """A finite number of at least `least`, or CheckError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise CheckError(f"{check}: {name} must be a number, not {described(value)}.")
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if not math.isfinite(result) or result < least:
        bound = "" if least == -math.inf else f" of at least {least:g}"
        raise CheckError(f"{check}: {name} must be a finite number{bound}, not {described(value)}.")
    return result


def pattern(check: str, name: str, value: object) -> re.Pattern[str]:
    """A regular expression of Python's `re`, or CheckError with the place of the mistake."""
    text = one_text(check, name, value)
    try:
        return re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise CheckError(
            f"{check}: {name} {text!r} is not a regular expression ({error}). "
            "Put a backslash before a character that is meant literally."
        ) from error


def exactly_one(check: str, given: dict[str, bool]) -> str:
    """The one name that was given, or CheckError listing what can be."""
    names = [name for name, there in given.items() if there]
    if len(names) == 1:
        return names[0]
    choice = ", ".join(given)
    if names:
        raise CheckError(f"{check}: {' and '.join(names)} together say two things. Give only one of {choice}.")
    hint = " (a case without a target has none to give)" if "text" in given else ""
    raise CheckError(f"{check}: nothing to look for. Give one of {choice}{hint}.")


def described(value: object) -> str:
    """A value for an error message: its kind in JSON's words, and itself where it is short."""
    shown = repr(value)
    return f"{json_type(value)} {shown}" if value is not None and len(shown) <= 40 else json_type(value)


def json_type(value: object) -> str:
    """What JSON calls the value, with its article where it has one."""
    match value:
        case None:
            return "null"
        case bool():
            return "the boolean"
        case int() | float():
            return "the number"
        case str():
            return "the text"
        case dict():
            return "an object"
        case list() | tuple():
            return "a list"
        case _:
            return f"a {type(value).__name__}"
