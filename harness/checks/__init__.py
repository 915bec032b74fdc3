"""Checks of answers: from Python (`assert includes(response, "30 days")`) and as data (`{"includes": "30
days"}`).

Each takes a Response or a text and returns a Score, which is true when it passed and explains itself. A check
that crashes or is misused raises CheckError and is never a score.
"""

from harness.checks.labels import labels
from harness.checks.metrics import bleu, chrf, metric, rouge
from harness.checks.refusals import refuses
from harness.checks.score import Score
from harness.checks.spec import CHECKS, Spec, check_name, check_names, needs_target, run_check, validate
from harness.checks.sql import sql_equals
from harness.checks.structured import json_equals, json_field, json_schema, numeric_close, valid_json
from harness.checks.text import equals, excludes, includes, matches, max_words, one_of, starts_with

__all__ = [
    "CHECKS",
    "Score",
    "Spec",
    "bleu",
    "check_name",
    "check_names",
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
    "needs_target",
    "numeric_close",
    "one_of",
    "refuses",
    "rouge",
    "run_check",
    "sql_equals",
    "starts_with",
    "valid_json",
    "validate",
]
