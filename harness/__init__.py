"""Finetune Harness: golden sets, judged comparisons and forgetting checks as test suites for fine-tuned models.

The public names below are imported when first used: pytest loads this package in every run of every project.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.answers import Answer
    from harness.checks import (
        Score,
        bleu,
        chrf,
        equals,
        excludes,
        includes,
        json_equals,
        json_field,
        json_schema,
        labels,
        matches,
        max_words,
        metric,
        numeric_close,
        one_of,
        refuses,
        rouge,
        sql_equals,
        starts_with,
        valid_json,
    )
    from harness.errors import HarnessError
    from harness.golden import GoldenCase, GoldenSet
    from harness.models import Response
    from harness.models.scripted import ScriptedModel

__all__ = [
    "Answer",
    "GoldenCase",
    "GoldenSet",
    "HarnessError",
    "Response",
    "Score",
    "ScriptedModel",
    "bleu",
    "chrf",
    "equals",
    "excludes",
    "includes",
    "json_equals",
    "json_field",
    "json_schema",
    "labels",
    "matches",
    "max_words",
    "metric",
    "numeric_close",
    "one_of",
    "refuses",
    "rouge",
    "sql_equals",
    "starts_with",
    "valid_json",
]

#: Where each name lives; every other public name is a check.
_HOMES = {
    "Answer": "harness.answers",
    "GoldenCase": "harness.golden",
    "GoldenSet": "harness.golden",
    "HarnessError": "harness.errors",
    "Response": "harness.models",
    "ScriptedModel": "harness.models.scripted",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES.get(name, "harness.checks")), name)


def __dir__() -> list[str]:
    return __all__
