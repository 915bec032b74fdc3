"""Thinking text: what a model writes between <think> and </think> before it answers."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from harness.models import Response

#: kept: checks read the whole text. strip: they read what is left without thinking; the store and the record keep all.
Thinking = Literal["keep", "strip"]

_TAG = re.compile(r"<(/?)(think|thinking)>", re.IGNORECASE)


def has_thinking(text: str) -> bool:
    """Does the text hold any?"""
    return _TAG.search(text) is not None


def without_thinking(text: str) -> str:
    """The answer alone. Many templates open the thinking themselves, so that only its end is in the text; where it
    has no end the model was cut off while it thought, and there is no answer.

    >>> without_thinking("<think>2 + 2</think>\\n\\n4")
    '4'
    """
    kept: list[str] = []
    depth, start = 0, 0
    for tag in _TAG.finditer(text):
        if tag[1]:
            if depth == 0:
                # Opened by the template: all that stands before was thought.
                kept.clear()
            depth = max(0, depth - 1)
        else:
            if depth == 0:
                kept.append(text[start : tag.start()])
            depth += 1
        start = tag.end()
    if depth == 0:
        kept.append(text[start:])
    return "".join(kept).strip() if _TAG.search(text) else text


def judged(response: Response, thinking: Thinking) -> Response:
    """The answer as checks read it."""
    if thinking == "keep" or not has_thinking(response.text):
        return response
    return msgspec.structs.replace(response, text=without_thinking(response.text))
