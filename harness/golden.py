"""Golden sets: the questions whose right answers are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from harness.models import Message

Kind = Literal["ask", "choice", "text"]


class GoldenCase(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One case. Its kind follows from its fields: `input` or `messages` is asked, with `choices` it is multiple
    choice by log-likelihood (`answer` is one of `choices`), and `text` is scored as prose.

    `target` is a reference answer; `checks` are data (`["valid_json", {"includes": "30 days"}]`); a `red_line` case
    must pass; `variant_of` names the case that this one rewords.
    """

    id: str
    input: str | None = None
    messages: tuple[Message, ...] = ()
    text: str | None = None
    target: str | None = None
    choices: tuple[str, ...] = ()
    answer: str | None = None
    checks: tuple[str | dict[str, Any], ...] = ()
    red_line: bool = False
    weight: float = 1.0
    variant_of: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = {}

    @property
    def kind(self) -> Kind:
        """ask, choice or text."""
        if self.text is not None:
            return "text"
        return "choice" if self.choices else "ask"

    @property
    def conversation(self) -> tuple[Message, ...]:
        """The messages to be answered; empty for prose."""
        if self.input is not None:
            return (Message(role="user", content=self.input),)
        return self.messages


class GoldenSet(msgspec.Struct, frozen=True, kw_only=True):
    """A file of cases. `name` is its path below the golden sets' folder without the ending: `retention/general`.

    `lines[i]` is the line of `cases[i]` in the file. `digest` is the sha256 of the file's bytes.
    """

    name: str
    path: Path
    kind: Kind
    digest: str
    cases: tuple[GoldenCase, ...]
    lines: tuple[int, ...]
