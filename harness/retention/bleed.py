"""Bleed: the task's format in answers to questions that did not ask for it."""

from __future__ import annotations

import json
import re

from harness.checks import Spec
from harness.golden import GoldenCase
from harness.models import Response

#: A question that names one of these may well be answered in JSON.
_ASKS_FOR_FORMAT = re.compile(r"json|array|dict|\byaml\b|数组|字典|对象", re.IGNORECASE)

_FENCE = re.compile(r"\A```[\w-]*\s*\n(.*?)\n?\s*```\s*\Z", re.DOTALL)


def answered_in_json(response: Response) -> bool:
    """Is the answer a JSON object or array: alone, in a code fence, before other words, or cut off?

    >>> answered_in_json(Response(text='{"category": "capital", "priority": "normal"}'))
    True
    >>> answered_in_json(Response(text="The capital of France is Paris."))
    False
    """
    text = response.text.strip()
    fenced = _FENCE.match(text)
    if fenced:
        text = fenced.group(1).strip()
    if text.startswith("["):
        try:
            return isinstance(json.loads(text), list)
        except (ValueError, RecursionError):
            return False
    if not text.startswith("{"):
        return False
    try:
        value, _ = json.JSONDecoder().raw_decode(text)
    except RecursionError:  # a model that repeats itself opens brackets without end
        return True
    except ValueError:
        return response.finish_reason == "length" and re.match(r'\{\s*"[^"]*"\s*:', text) is not None
    return bool(value)


def asks_for_format(case: GoldenCase) -> bool:
    """Does the question itself, or one of its checks, call for JSON or the like?"""
    asked = any(_ASKS_FOR_FORMAT.search(message.content) for message in case.conversation)
    return asked or any(_wants_json(spec) for spec in case.checks)


def _wants_json(spec: Spec) -> bool:
    check = spec if isinstance(spec, str) else next(iter(spec))
    return check == "valid_json" or check.startswith("json_")
