"""JSON Schemas that check something: mistakes that would accept every answer are refused."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from harness.checks.documents import refuse_unwritable
from harness.checks.score import clip
from harness.errors import CheckError, unknown_name

#: Keywords of a schema at its top. Others are refused: a misspelt keyword is no constraint at all.
_KEYWORDS = frozenset(
    (  # noqa: SIM905
        "type enum const allOf anyOf oneOf not if then else properties patternProperties "
        "additionalProperties propertyNames required minProperties maxProperties dependentRequired "
        "dependentSchemas dependencies unevaluatedProperties items prefixItems additionalItems contains "
        "minContains maxContains minItems maxItems uniqueItems unevaluatedItems minLength maxLength "
        "pattern format minimum maximum exclusiveMinimum exclusiveMaximum multipleOf title description "
        "default examples deprecated readOnly writeOnly contentEncoding contentMediaType contentSchema "
        "definitions"
    ).split()
)


def schema_validator(check: str, schema: Mapping[str, object]) -> Callable[[object], str | None]:
    """A function from a parsed document to the schema's first complaint, or None. Raises CheckError for a
    schema that is not one, constrains nothing, misspells a keyword or refers to what is not there."""
    if not isinstance(schema, Mapping):
        raise CheckError(f"{check}: schema must be an object such as {{'type': 'object'}}, not {schema!r}.")
    if not schema:
        raise CheckError(f"{check}: an empty schema accepts every answer. Say what to ask for, or use valid_json.")
    try:
        refuse_unwritable(dict(schema))
        return _validator(check, json.dumps(schema))
    except (ValueError, TypeError) as error:
        raise CheckError(f"{check}: the schema is not JSON ({error}). Correct it.") from error


@functools.lru_cache(maxsize=64)
def _validator(check: str, text: str) -> Callable[[object], str | None]:
    # Imported here: jsonschema costs more than everything else in this room.
    import jsonschema
    import referencing.exceptions
    from jsonschema.exceptions import best_match
    from referencing.jsonschema import DRAFT202012

    schema = json.loads(text)
    for keyword in schema:
        if keyword not in _KEYWORDS and not keyword.startswith(("$", "x-")):
            raise CheckError(f"{check}: {unknown_name('keyword', keyword, _KEYWORDS)}")
    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(schema)
    except jsonschema.SchemaError as error:
        where = f" at {error.json_path}" if error.path else ""
        raise CheckError(f"{check}: not a JSON Schema{where}: {clip(error.message, 200)}. Correct it.") from error
    registry = referencing.Registry().with_resource("", DRAFT202012.create_resource(schema))
    for reference in _references(schema):
        try:
            registry.resolver().lookup(reference)
        except referencing.exceptions.Unresolvable as error:
            raise CheckError(
                f"{check}: $ref {reference!r} is not in the schema. Put what it means under $defs; nothing is fetched."
            ) from error
    validator = kind(schema, registry=registry, format_checker=kind.FORMAT_CHECKER)

    def first_complaint(document: object) -> str | None:
        error = best_match(validator.iter_errors(cast(Any, document)))
        if error is None:
            return None
        where = ".".join(map(str, error.absolute_path))
        return clip(f"{where}: {error.message}" if where else error.message, 160)

    return first_complaint


def _references(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        reference = schema.get("$ref")
        # With an $id of its own, a schema resolves references in ways that only validation can follow.
        if isinstance(reference, str) and "$id" not in schema:
            yield reference
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)
