"""What a judge is told to look at: a Markdown file with places for the request and the answers."""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from harness.checks.folding import is_han_or_kana
from harness.errors import JudgeError, unknown_name

Language = Literal["en", "zh"]

PLACES = ("question", "reference", "criteria", "answer_a", "answer_b")

_PLACE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_HEADING = re.compile(r"^(?=#{1,6} )", re.MULTILINE)


class Rubric(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The text of a rubric, by language; a rubric of the user's own has one text for both. `name` is its file."""

    name: str
    texts: dict[Language, str]

    @property
    def digest(self) -> str:
        """sha256 of what it says."""
        return hashlib.sha256(msgspec.json.encode(self.texts, order="sorted")).hexdigest()

    def text(self, language: Language) -> str:
        """What it says in this language."""
        return self.texts[language]

    def fill(self, language: Language, values: Mapping[str, str]) -> str:
        """The rubric with its places filled. A section whose place has nothing to hold is left out with its heading."""
        sections = []
        for section in _HEADING.split(self.text(language)):
            places = _PLACE.findall(section)
            if places and all(not values.get(place) for place in places):
                continue
            # In one pass: a value that contains a place's name is not filled again.
            sections.append(_PLACE.sub(lambda found: values.get(found[1], ""), section))
        return "".join(sections).strip()


def load_rubric(name: str | None, root: Path) -> Rubric:
    """The default rubric, in English and Chinese, or the user's Markdown file.

    Raises JudgeError with `file:line` for a place that nobody fills, and for a rubric that shows no answers.
    """
    if name is None or name == "default":
        return _default()
    path = Path(name).expanduser()
    path = path if path.is_absolute() else root / path
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise JudgeError(f"{path}: the rubric cannot be read ({error.strerror}). Correct the path.") from error
    except UnicodeDecodeError as error:
        raise JudgeError(f"{path}: the rubric is not UTF-8 (byte {error.start}). Save it as UTF-8.") from error
    _refuse_faults(name, text)
    return Rubric(name=name, texts={"en": text, "zh": text})


def language_of(text: str) -> Language:
    """Is it written in Chinese? A fifth of its letters is enough: code and names are Latin everywhere."""
    letters = [character for character in text if character.isalpha()]
    han = sum(is_han_or_kana(character) for character in letters)
    return "zh" if letters and han >= len(letters) / 5 else "en"


@functools.cache
def _default() -> Rubric:
    folder = importlib.resources.files("harness.judges") / "rubrics"
    english, chinese = ((folder / f"default.{language}.md").read_text(encoding="utf-8") for language in ("en", "zh"))
    return Rubric(name="default", texts={"en": english, "zh": chinese})


def _refuse_faults(name: str, text: str) -> None:
    for number, line in enumerate(text.splitlines(), start=1):
        for place in _PLACE.findall(line):
            if place not in PLACES:
                raise JudgeError(f"{name}:{number}: {unknown_name('place', place, PLACES)}")
    for place in ("answer_a", "answer_b"):
        if f"{{{place}}}" not in text:
            raise JudgeError(
                f"{name}:1: the rubric has no place {{{place}}}, so the judge would not see that answer. Add it."
            )
