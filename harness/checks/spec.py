"""Checks as data: what a golden case may carry in `checks`, and how it is run and named.

"valid_json"                                              a check without arguments
{"includes": "30 days"}                                   its main argument
{"includes": {"any": ["seven", "7"]}}                     its arguments by name
{"json_equals": {"a": 1}}, {"json_schema": {...}}         a document, as it is
{"json_equals": {"value": {"a": 1}, "fenced": true}}      a document and a further argument
{"not": "refuses"}, {"not": {"includes": "x"}}            the complement
{"bleu": {"at_least": 30}}                                compared with the case's target, unless it names a reference
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import msgspec

from harness.checks import metrics, refusals, sql, structured, text
from harness.checks.arguments import described, json_type
from harness.checks.documents import refuse_unwritable
from harness.checks.labels import labels
from harness.checks.score import Score, clip
from harness.errors import CheckError, unknown_name
from harness.models import Response

Spec: TypeAlias = str | Mapping[str, object]

#: A text that can stand in a name as it is: no brackets, slashes, colons or ends that a reader would miss.
_READABLE = re.compile(r"(?=\S)[\w .'’$€£¥%°+-]{1,32}(?<=\S)")
LONGEST_LABEL = 32
_FLAGS = frozenset({"exact", "casefold", "fenced"})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CheckDefinition:
    """A check that data can name. `main` is the argument that needs no name; `document`: it may be any JSON
    object; `target`: the argument that is the case's target where it is not given. `look`, where running the
    check would be dear, looks at its arguments alone."""

    name: str
    function: Callable[..., Score]
    main: str | None
    arguments: tuple[str, ...]
    required: tuple[str, ...]
    document: bool
    target: str | None = None
    look: Callable[..., object] | None = None


def _definition(
    function: Callable[..., Score],
    *,
    main: str | None = None,
    document: bool = False,
    target: str | None = None,
    look: Callable[..., object] | None = None,
) -> CheckDefinition:
    parameters = list(inspect.signature(function).parameters.values())[1:]
    return CheckDefinition(
        name=function.__name__,
        function=function,
        main=main,
        arguments=tuple(p.name for p in parameters),
        required=tuple(p.name for p in parameters if p.default is inspect.Parameter.empty),
        document=document,
        target=target,
        look=look,
    )


CHECKS: Mapping[str, CheckDefinition] = {
    definition.name: definition
    for definition in (
        _definition(text.includes, main="text"),
        _definition(text.excludes, main="text"),
        _definition(text.equals, main="text"),
        _definition(text.matches, main="pattern"),
        _definition(text.starts_with, main="text"),
        _definition(text.one_of, main="options"),
        _definition(text.max_words, main="limit"),
        _definition(structured.valid_json),
        _definition(structured.json_schema, main="schema", document=True),
        _definition(structured.json_equals, main="value", document=True),
        _definition(structured.json_field),
        _definition(structured.numeric_close, main="value"),
        _definition(refusals.refuses),
        _definition(labels),
        _definition(sql.sql_equals),
        _definition(metrics.bleu, target="reference", look=metrics.look_at_bleu),
        _definition(metrics.chrf, target="reference", look=metrics.look_at_chrf),
        _definition(metrics.rouge, target="reference", look=metrics.look_at_rouge),
        _definition(metrics.metric, target="reference", look=metrics.look_at_metric),
    )
}


def run_check(spec: Spec, response: Response | str, target: str | None = None) -> Score:
    """The score of one answer by a check written as data; `target` is the case's. Raises CheckError where the check
    is at fault."""
    negated, definition, arguments = _parse(spec)
    arguments = _with_target(definition, arguments, target)
    score = definition.function(response, **arguments)
    return msgspec.structs.replace(score, passed=score.passed != negated, check=check_name(spec))


def validate(spec: Spec, target: str | None = None) -> None:
    """Raise CheckError, with the nearest name, unless the check exists and its arguments are right; `target` is the
    case's."""
    _, definition, arguments = _parse(spec)
    arguments = _with_target(definition, arguments, target)
    if definition.look is not None:
        definition.look(**arguments)
        return
    # Every check looks at its arguments before it looks at the answer.
    definition.function("", **arguments)


def parsed(spec: Spec) -> tuple[bool, str, dict[str, object]]:
    """Whether a check is negated, its name and its arguments. Raises CheckError."""
    negated, definition, arguments = _parse(spec)
    return negated, definition.name, arguments


def needs_target(spec: Spec) -> bool:
    """Does the check compare with the case's target, rather than with something of its own?"""
    _, definition, arguments = _parse(spec)
    return definition.target is not None and definition.target not in arguments


def check_name(spec: Spec) -> str:
    """A short, stable name for test ids and records: `valid_json`, `includes:30 days`, `not:refuses`,
    `json_field:reference`.

    Where the label does not say everything, six digits of a digest follow, so that different checks have
    different names; a field that is plainly equal to something goes by its path alone, because the value
    differs per case.
    """
    negated, definition, arguments = _parse(spec)
    given = _given(arguments)
    label, complete = _label(definition, given, negated)
    name = definition.name if not label else f"{definition.name}:{label}"
    if not complete:
        name = f"{name}~{_digest(given)}"
    return f"not:{name}" if negated else name


def check_names(specs: Iterable[Spec]) -> list[str]:
    """The names of one case's checks, in order. Different checks that would share a name (two values wanted
    of one field) get a digest each."""
    specs = list(specs)
    names = [check_name(spec) for spec in specs]
    meanings = [
        _digest([negated, definition.name, _given(arguments)]) for negated, definition, arguments in map(_parse, specs)
    ]
    shared = {name for name in names if len({m for n, m in zip(names, meanings, strict=True) if n == name}) > 1}
    return [f"{n}~{m}" if n in shared else n for n, m in zip(names, meanings, strict=True)]


def _parse(spec: Spec) -> tuple[bool, CheckDefinition, dict[str, object]]:
    """Negated?, which check, with which arguments. Raises CheckError."""
    if isinstance(spec, str) and spec != "not":
        definition, arguments = _known(spec), dict[str, object]()
    elif not isinstance(spec, Mapping) or len(spec) != 1:
        raise CheckError(
            "a check is a name or an object with one key, such as {'includes': '30 days'}, "
            f"not {_shape(spec)}. Write several checks as several entries."
        )
    else:
        name, value = next(iter(spec.items()))
        if name == "not":
            if not isinstance(value, (str, Mapping)):
                raise CheckError(f"not: wants a check, as in {{'not': 'refuses'}}; given was {described(value)}.")
            negated, definition, arguments = _parse(value)
            return not negated, definition, arguments
        definition = _known(name)
        arguments = _arguments(definition, value)
    for missing in definition.required:
        if missing not in arguments and missing != definition.target:
            accepted = ", ".join(definition.arguments)
            raise CheckError(f"{definition.name}: {missing} is missing. Arguments: {accepted}")
    return False, definition, arguments


def _with_target(definition: CheckDefinition, arguments: dict[str, object], target: str | None) -> dict[str, object]:
    """The arguments, with the case's target where the check compares with it."""
    name = definition.target
    if name is None or name in arguments:
        return arguments
    if target is None:
        raise CheckError(
            f"{definition.name}: {name} is missing, and the case has no target to take its place. Give one of them."
        )
    return {name: target, **arguments}


def _arguments(definition: CheckDefinition, value: object) -> dict[str, object]:
    name, main = definition.name, definition.main
    if not isinstance(value, Mapping):
        if main is None:
            accepted = ", ".join(definition.arguments)
            wants = f"takes its arguments by name ({accepted})" if accepted else f"takes no arguments: write {name!r}"
            raise CheckError(f"{name}: {wants}; it was given {described(value)}.")
        return {main: value}
    if definition.document and main is not None and not _names_arguments(definition, value, main):
        return {main: value}
    for key in value:
        if key not in definition.arguments:
            raise CheckError(f"{name}: {unknown_name('argument', str(key), definition.arguments)}")
    return dict(value)


def _names_arguments(definition: CheckDefinition, value: Mapping[str, object], main: str) -> bool:
    """Does the object name arguments, or is it itself the document? No JSON Schema has a keyword "schema"; a
    document with a key "value" is one unless a further argument stands beside it."""
    if main not in value or any(key not in definition.arguments for key in value):
        return False
    return len(value) > 1 or main == "schema"


def _known(name: object) -> CheckDefinition:
    definition = CHECKS.get(name) if isinstance(name, str) else None
    if definition is None:
        raise CheckError(unknown_name("check", str(name), [*CHECKS, "not"]))
    return definition


def _label(definition: CheckDefinition, given: Mapping[str, object], negated: bool) -> tuple[str, bool]:
    """What stands after the colon, and whether it says everything."""
    if not given:
        return "", True
    if definition.name == "json_field":
        return _field_label(given, negated)
    if definition.name in ("labels", "sql_equals"):
        # By its name alone, as a field: what is wanted differs per case.
        return "", not negated
    if definition.target is not None:
        # Which metric and what bar; the reference differs per case.
        return _bar_label(definition, given)
    name, value = next(iter(given.items()))
    alone = len(given) == 1
    if isinstance(value, str):
        return _clean(value), alone and name == definition.main and _reads(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value}", alone and name == definition.main and not definition.document
    if isinstance(value, (list, tuple)) and value and all(isinstance(item, str) for item in value):
        label = f"{'' if name == definition.main else name}({', '.join(value)})"
        return _clean(label), alone and all(map(_reads, value)) and len(label) <= LONGEST_LABEL
    return "", False


def _field_label(given: Mapping[str, object], negated: bool) -> tuple[str, bool]:
    path, further = given.get("path"), {name: value for name, value in given.items() if name != "path"}
    steps = path if isinstance(path, (list, tuple)) else [path]
    label = _clean(".".join(map(str, steps)))
    complete = isinstance(path, str) and _reads(path)
    if list(further) == ["equals"]:
        return label, complete and not negated
    operation = next(iter(further), "")
    return f"{label}:{operation}", complete and further == {"exists": True}


def _bar_label(definition: CheckDefinition, given: Mapping[str, object]) -> tuple[str, bool]:
    """The metric's name or kind and its bar: `bleu:at least 30`, `rouge:rouge2 at least 0.4`."""
    words = [f"{given[name]}" for name in ("name", "kind") if name in given]
    words += [f"{name.replace('_', ' ')} {given[name]}" for name in ("at_least", "at_most") if name in given]
    label = " ".join(words)
    return _clean(label), set(given) <= {"name", "kind", "at_least", "at_most", "reference"} and _reads(label)


def _reads(text: str) -> bool:
    """Can the text stand in a name as it is?"""
    return _READABLE.fullmatch(text) is not None and "  " not in text


def _clean(label: str) -> str:
    """Without what test ids give a meaning of their own; clipped."""
    return clip(" ".join(re.sub(r"[^\w .,()'’$€£¥%°+-]+", " ", label).split()), LONGEST_LABEL)


def _given(arguments: Mapping[str, object]) -> dict[str, object]:
    """The arguments that say something: a flag that is off is as good as absent."""
    return {name: value for name, value in arguments.items() if not (name in _FLAGS and value is False)}


def _digest(value: object) -> str:
    try:
        refuse_unwritable(value)
    except ValueError as error:
        raise CheckError(f"a check's arguments must be JSON: {error}. Correct them.") from error
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()[:6]


def _shape(spec: object) -> str:
    if isinstance(spec, Mapping):
        return f"one with {len(spec)} keys ({', '.join(map(repr, spec))})" if spec else "an empty object"
    return json_type(spec)
