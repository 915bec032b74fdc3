"""Checks on answers that are JSON, and on numbers in answers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from harness.checks import arguments
from harness.checks.documents import NotJsonError, difference, look_up, parse, refuse_unwritable, shown
from harness.checks.folding import fold
from harness.checks.numerals import last_number
from harness.checks.schemas import schema_validator
from harness.checks.score import Score, check, excerpt, quote, text_of
from harness.errors import CheckError
from harness.models import Response

if TYPE_CHECKING:
    from msgspec import UnsetType


@check
def valid_json(response: Response | str, *, fenced: bool = False) -> Score:
    """The whole answer is one JSON document: no words around it, no NaN, no key twice.

    With `fenced`, it may stand in one Markdown code fence. A bare number or text is JSON too; to ask for an
    object, use `json_schema(response, {"type": "object"})`.
    """
    fenced = arguments.flag("valid_json", "fenced", fenced)
    try:
        document = parse(text_of(response), fenced=fenced)
    except NotJsonError as error:
        return _not_json("valid_json", error)
    return Score(passed=True, check="valid_json", explanation=f"the answer is JSON: {shown(document)}")


@check
def json_schema(response: Response | str, schema: Mapping[str, object], *, fenced: bool = False) -> Score:
    """The answer is JSON that the JSON Schema accepts (2020-12 unless `$schema` says otherwise).

    `format` is checked where jsonschema can without further packages. References must stay inside the schema:
    nothing is fetched.
    """
    fenced = arguments.flag("json_schema", "fenced", fenced)
    validator = schema_validator("json_schema", schema)
    try:
        document = parse(text_of(response), fenced=fenced)
    except NotJsonError as error:
        return _not_json("json_schema", error)
    fault = validator(document)
    if fault is None:
        return Score(passed=True, check="json_schema", explanation=f"the schema accepts {shown(document)}")
    return Score(passed=False, check="json_schema", explanation=fault)


@check
def json_equals(response: Response | str, value: object, *, fenced: bool = False) -> Score:
    """The answer is JSON and equal to `value`: keys in any order, lists in order, 1 equal to 1.0 but not to
    true."""
    fenced = arguments.flag("json_equals", "fenced", fenced)
    _writable("json_equals", "value", value)
    try:
        document = parse(text_of(response), fenced=fenced)
    except NotJsonError as error:
        return _not_json("json_equals", error)
    fault = difference(value, document, str.__eq__)
    return Score(
        passed=fault is None,
        check="json_equals",
        explanation=fault if fault is not None else f"the answer is {shown(document)}",
    )


@check
def json_field(
    response: Response | str,
    path: str | Sequence[str | int],
    *,
    equals: object | UnsetType = msgspec.UNSET,
    one_of: Sequence[object] | UnsetType = msgspec.UNSET,
    matches: str | UnsetType = msgspec.UNSET,
    exists: bool | UnsetType = msgspec.UNSET,
    casefold: bool = False,
    fenced: bool = False,
) -> Score:
    """One field of a JSON answer. `path` is "a.b.0" (keys, and places in lists from 0), or a list of steps
    where a key has a dot in it.

    Exactly one of `equals`, `one_of`, `matches` (a regular expression found in a text field) and `exists`.
    Numbers and booleans are compared exactly (true is not 1), texts too unless `casefold` folds case and
    width.
    """
    operation = arguments.exactly_one(
        "json_field",
        {
            "equals": equals is not msgspec.UNSET,
            "one_of": one_of is not msgspec.UNSET,
            "matches": matches is not msgspec.UNSET,
            "exists": exists is not msgspec.UNSET,
        },
    )
    steps = _steps(path)
    fenced = arguments.flag("json_field", "fenced", fenced)
    same_text = _folded_equal if arguments.flag("json_field", "casefold", casefold) else str.__eq__
    if casefold and operation in ("matches", "exists"):
        raise CheckError(f"json_field: casefold does nothing to {operation}. Leave it out; in a pattern, write (?i).")
    expression = arguments.pattern("json_field", "matches", matches) if operation == "matches" else None
    wanted: Sequence[object] = ()
    if operation == "one_of":
        if isinstance(one_of, str) or not isinstance(one_of, Sequence) or not one_of:
            raise CheckError("json_field: one_of must be a list of at least one value.")
        wanted = one_of
    elif operation == "equals":
        wanted = [equals]
    for option in wanted:
        _writable("json_field", operation, option)
    expected = arguments.flag("json_field", "exists", exists) if operation == "exists" else True

    name = ".".join(map(str, steps))
    try:
        value = look_up(parse(text_of(response), fenced=fenced), steps)
    except NotJsonError as error:
        return _not_json("json_field", error)
    except LookupError as error:
        return Score(passed=not expected, check="json_field", explanation=f"{error.args[0]}")
    if operation == "exists":
        return Score(passed=expected, check="json_field", explanation=f"{name} is there: {shown(value)}")
    if expression is not None:
        if not isinstance(value, str):
            return Score(passed=False, check="json_field", explanation=f"{name}: {shown(value)} is not a text")
        found = expression.search(value) is not None
        verb = "matches" if found else "does not match"
        return Score(passed=found, check="json_field", explanation=f"{name}: {quote(value)} {verb} /{matches}/")
    faults = [difference(option, value, same_text, name) for option in wanted]
    if None in faults:
        return Score(passed=True, check="json_field", explanation=f"{name} is {shown(value)}")
    fault = faults[0] if len(wanted) == 1 else f"{name}: {shown(value)} is none of the {len(wanted)} allowed values"
    return Score(passed=False, check="json_field", explanation=str(fault))


@check
def numeric_close(
    response: Response | str, value: float, *, abs: float | None = None, rel: float | None = None
) -> Score:
    """The last number in the answer lies within `abs` of `value`, or within the share `rel` of it; with
    neither, it is equal but for rounding.

    Read as numbers: "1,234.5", "-3", "２５", "25%" (as 25), "3/4", "1.5e6", "2 × 10^3", "1.5 million", "3万";
    Chinese numerals where there are no digits. Not read: digits inside a word ("H2O") and versions or dates
    ("1.2.3").
    """
    wanted = arguments.number("numeric_close", "value", value)
    absolute = 0.0 if abs is None else arguments.number("numeric_close", "abs", abs, least=0)
    relative = arguments.number("numeric_close", "rel", rel, least=0) if rel is not None else 0.0
    answer = text_of(response)
    found = last_number(answer)
    if found is None:
        return Score(passed=False, check="numeric_close", explanation=f"no number in {excerpt(answer)}")
    close = math.isclose(found, wanted, rel_tol=0.0, abs_tol=max(absolute, relative * math.fabs(wanted)))
    close = close or math.isclose(found, wanted, rel_tol=1e-9)
    allowed = "".join(f", {kind} {limit:g} allowed" for kind, limit in (("abs", absolute), ("rel", relative)) if limit)
    return Score(
        passed=close,
        check="numeric_close",
        explanation=f"the last number is {found:.12g}, {wanted:.12g} wanted{allowed}: "
        f"{excerpt(answer, len(answer), len(answer))}",
    )


def _not_json(name: str, error: NotJsonError) -> Score:
    return Score(passed=False, check=name, explanation=f"not JSON: {error}")


def _folded_equal(one: str, other: str) -> bool:
    return fold(one) == fold(other)


def _writable(name: str, argument: str, value: object) -> None:
    try:
        refuse_unwritable(value)
    except ValueError as error:
        raise CheckError(f"{name}: {argument} can never be met, because {error}. Correct it.") from error


def _steps(path: str | Sequence[str | int]) -> tuple[str | int, ...]:
    """ "a.b.0" as steps; a list of steps as it is."""
    steps = tuple(path.split(".")) if isinstance(path, str) else tuple(path) if isinstance(path, Sequence) else ()
    if not steps or not all(re.fullmatch(r"(?s).+", str(s)) and type(s) in (str, int) for s in steps):
        raise CheckError(
            f"json_field: path must be steps such as 'a.b.0', not {path!r}. "
            "For the whole document use json_equals; for a key with a dot in it give a list of steps."
        )
    return steps
