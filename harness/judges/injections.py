"""Texts that try to win by speaking to the judge: a corpus in English and Chinese, and what is done with it.

Two things are asked of it. Of the fence and the parser: that none of them is ever read as the judge's verdict (tests).
Of each judge: the share that turns its verdict, a line of its card.
"""

from __future__ import annotations

import functools
import importlib.resources
from typing import Literal

import msgspec


class Injection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One attempt; it is put at the end of a bad answer."""

    id: str
    language: Literal["en", "zh"]
    text: str


@functools.cache
def load_injections() -> tuple[Injection, ...]:
    """The corpus, in the order of its file."""
    data = (importlib.resources.files("harness.judges") / "data" / "injections.jsonl").read_bytes()
    decode = msgspec.json.Decoder(Injection).decode
    return tuple(decode(line) for line in data.splitlines() if line.strip())
