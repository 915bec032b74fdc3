"""Checks that name a class: which one is right, and which one the answer gives."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import cast

import msgspec

from harness.checks.documents import NotJsonError, look_up, parse
from harness.checks.folding import fold
from harness.checks.labels import label_names, read_label
from harness.checks.score import text_of
from harness.checks.spec import Spec, parsed
from harness.models import Response

#: What the classes of `labels` checks go by; those of `json_field` go by the field's path.
LABELS = "labels"

NOT_JSON, NO_FIELD, ANOTHER_VALUE = "not JSON", "no such field", "another value"


class ClassReading(msgspec.Struct, frozen=True, kw_only=True):
    """The right class and the one that an answer gives; None where it gives none, for the reason in `state`.

    `of`: the closed set, where the check names one. `wanted` and `given`: a field that is null wants nothing, and an
    answer without the field gives nothing.
    """

    source: str
    right: str
    answered: str | None
    state: str = ""
    of: tuple[str, ...] | None = None
    wanted: bool = True
    given: bool = True

    @property
    def slot(self) -> tuple[int, int, int]:
        """The answer as extraction counts it: (right, spurious, missing). A wrong value is both of the latter."""
        hit = self.wanted and self.answered == self.right
        return int(hit), int(self.given and not hit), int(self.wanted and not hit)


def read_class(spec: Spec, response: Response | str) -> ClassReading | None:
    """What a `labels` check, or a `json_field` check with `equals`, reads in the answer; None for any other check.

    The answered class is the right one exactly where the check passes.
    """
    negated, name, arguments = parsed(spec)
    if negated:
        return None
    if name == "labels":
        return _label(arguments, text_of(response))
    if name == "json_field" and "equals" in arguments:
        return _field(arguments, text_of(response))
    return None


def field_source(path: str | Sequence[str | int]) -> str:
    """The name under which a field's classes are kept: its path with dots."""
    return path if isinstance(path, str) else ".".join(map(str, path))


def _label(arguments: dict[str, object], text: str) -> ClassReading:
    names = label_names(arguments["of"])
    reading = read_label(text, names)
    return ClassReading(
        source=LABELS,
        right=cast(str, arguments["equals"]),
        answered=reading.label,
        state=reading.state or "",
        of=tuple(names),
        given=bool(reading.found),
    )


def _field(arguments: dict[str, object], text: str) -> ClassReading:
    casefold = bool(arguments.get("casefold", False))
    path = cast("str | Sequence[str | int]", arguments["path"])
    right = arguments["equals"]
    answered, state, given = None, "", False
    try:
        steps = path.split(".") if isinstance(path, str) else path
        value = look_up(parse(text, fenced=bool(arguments.get("fenced", False))), steps)
    except NotJsonError:
        state = NOT_JSON
    except LookupError:
        state = NO_FIELD
    else:
        answered, given = _class(value, casefold), value is not None
    return ClassReading(
        source=field_source(path),
        right=_class(right, casefold),
        answered=answered,
        state=state,
        wanted=right is not None,
        given=given,
    )


def _class(value: object, casefold: bool) -> str:
    """A JSON value as the name of a class: equal values have one name, and no others do.

    >>> _class("billing", False), _class(1.0, False), _class("1", False), _class(True, False)
    ('billing', '1', '"1"', 'true')
    """
    canonical = _canonical(value, casefold)
    if isinstance(canonical, str):
        try:
            json.loads(canonical)
        except ValueError:
            return canonical
    return json.dumps(canonical, ensure_ascii=False, sort_keys=True)


def _canonical(value: object, casefold: bool) -> object:
    match value:
        case str():
            return fold(value) if casefold else value
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {key: _canonical(item, casefold) for key, item in value.items()}
        case list() | tuple():
            return [_canonical(item, casefold) for item in value]
        case _:
            return value
