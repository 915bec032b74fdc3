"""Checks of answers: from Python (`assert includes(response, "30 days")`) and as data (`{"includes": "30
days"}`).

Each takes a Response or a text and returns a Score, which is true when it passed and explains itself. A check
that crashes or is misused raises CheckError and is never a score.
"""

from harness.checks.refusals import refuses
from harness.checks.score import Score
from harness.checks.spec import CHECKS, Spec, check_name, check_names, run_check, validate
from harness.checks.structured import json_equals, json_field, json_schema, numeric_close, valid_json
from harness.checks.text import equals, excludes, includes, matches, max_words, one_of, starts_with

__all__ = [
    "CHECKS",
    "Score",
    "Spec",
    "check_name",
    "check_names",
    "equals",
    "excludes",
    "includes",
    "json_equals",
    "json_field",
    "json_schema",
    "matches",
    "max_words",
    "numeric_close",
    "one_of",
    "refuses",
    "run_check",
    "starts_with",
    "valid_json",
    "validate",
]
