"""JSON in answers: parsed strictly, compared exactly, with the first difference named."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence

from harness.checks.arguments import json_type
from harness.checks.score import clip, excerpt

_FENCE = re.compile(r"\s*```[ \t]*(?:json)?[ \t]*\r?\n(.*?)\r?\n?[ \t]*```\s*", re.DOTALL | re.IGNORECASE)


class NotJsonError(ValueError):
    """The text is not one JSON document; the message says where and how."""


def parse(text: str, *, fenced: bool = False) -> object:
    """The one JSON document that the whole text is; with `fenced`, it may stand in one Markdown code fence.

    Stricter than `json.loads`: NaN and Infinity, numbers beyond a double, and an object's repeated key are
    refused. Raises NotJsonError.
    """
    fence = _FENCE.fullmatch(text)
    if fence and "```" not in fence[1]:
        if not fenced:
            raise NotJsonError(f"a Markdown fence stands around it (fenced: true allows one): {excerpt(text)}")
        text = fence[1]
    if not text.strip():
        raise NotJsonError("an empty answer")
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        what = "more text after the JSON" if error.msg == "Extra data" else error.msg
        raise NotJsonError(f"{what} at character {error.pos + 1} of {excerpt(text, error.pos, error.pos)}") from None
    except NotJsonError as error:
        raise NotJsonError(f"{error} in {excerpt(text)}") from None
    except RecursionError:
        raise NotJsonError(f"nested too deeply to be read: {excerpt(text)}") from None
    except ValueError:
        raise NotJsonError(f"a number too long to be read in {excerpt(text)}") from None


def difference(expected: object, actual: object, same_text: Callable[[str, str], bool], path: str = "") -> str | None:
    """The first place where two JSON values differ, as a sentence; None where they are equal.

    Numbers are equal by value (1 and 1.0 are); a boolean is never a number, a text never either. Keys are in
    no order, lists are.
    """
    where = f"{path}: " if path else ""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key in expected:
            if key not in actual:
                return f"{where}no key {key!r} (there are: {_keys(actual)})"
        for key in actual:
            if key not in expected:
                return f"{where}a key {key!r} that should not be there"
        pairs = [(expected[key], actual[key], _join(path, key)) for key in expected]
    elif isinstance(expected, (list, tuple)) and isinstance(actual, list):
        if len(expected) != len(actual):
            return f"{where}{len(actual)} items, not {len(expected)}"
        pairs = [(e, a, _join(path, i)) for i, (e, a) in enumerate(zip(expected, actual, strict=True))]
    elif _same_scalar(expected, actual, same_text):
        return None
    else:
        return f"{where}{shown(actual)} is not {shown(expected)}"
    return next((found for e, a, p in pairs if (found := difference(e, a, same_text, p)) is not None), None)


def look_up(document: object, path: Sequence[str | int]) -> object:
    """The value at `path` in a parsed document. Raises LookupError telling which step fails."""
    here = ""
    for step in path:
        where = f"{here!r}" if here else "the document"
        if isinstance(document, dict):
            if str(step) not in document:
                raise LookupError(f"no key {str(step)!r} in {where} (there are: {_keys(document)})")
            document = document[str(step)]
        elif isinstance(document, list):
            if not re.fullmatch(r"[0-9]{1,9}", str(step)) or int(step) >= len(document):
                raise LookupError(f"no item {str(step)!r} in {where}, a list of {len(document)} (the first is 0)")
            document = document[int(step)]
        else:
            raise LookupError(f"no {str(step)!r} in {where}, which is {shown(document)}")
        here = _join(here, step)
    return document


def refuse_unwritable(value: object) -> None:
    """Raise ValueError where a value cannot stand in JSON: NaN, infinity, keys that are no texts, other
    types."""
    match value:
        case None | bool() | int() | str():
            return
        case float():
            if not math.isfinite(value):
                raise ValueError(f"{value} cannot stand in JSON")
        case list() | tuple():
            for item in value:
                refuse_unwritable(item)
        case dict():
            for key, item in value.items():
                if not isinstance(key, str):
                    raise ValueError(f"the key {key!r} is not a text")
                refuse_unwritable(item)
        case _:
            raise ValueError(f"{type(value).__name__} cannot stand in JSON")


def shown(value: object) -> str:
    """A JSON value with its kind, short: `the text "5"`, `the number 5`, `an object {"a": 1}`."""
    kind = json_type(value)
    return "null" if value is None else f"{kind} {clip(json.dumps(value, ensure_ascii=False), 60)}"


def _same_scalar(expected: object, actual: object, same_text: Callable[[str, str], bool]) -> bool:
    if isinstance(expected, str) and isinstance(actual, str):
        return same_text(expected, actual)
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    if isinstance(expected, (int, float)) and isinstance(actual, (int, float)):
        return expected == actual
    return expected is None and actual is None


def _join(path: str, step: str | int) -> str:
    return f"{path}.{step}" if path else str(step)


def _keys(document: dict[str, object]) -> str:
    return clip(", ".join(map(repr, document)), 60) if document else "none"


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise NotJsonError(f"the key {repeated!r} stands twice in one object")
    return document


def _constant(name: str) -> float:
    raise NotJsonError(f"{name} is no JSON number")


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise NotJsonError(f"the number {clip(digits, 20)} is too large")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)
