"""The language of a report's interface. What models, users and the gate say is never translated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.report.chinese import CHINESE

Language = Literal["en", "zh"]


@dataclass(frozen=True, slots=True)
class Words:
    """Says an English sentence in the reader's language; `{name}` in it stands for a value.

    >>> Words("zh")("Cases")
    '用例'
    """

    language: Language = "en"

    def __call__(self, english: str, **values: object) -> str:
        """The sentence, with its values."""
        text = english if self.language == "en" else CHINESE.get(english, english)
        return text.format(**values) if values else text
