"""Every sentence of the interface has its Chinese, and no Chinese is left over."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.report.cases import FATES
from harness.report.chinese import CHINESE
from harness.report.probes import _MEANING
from harness.report.rules import ASKS
from harness.report.words import Words

REPORT = Path(__file__).resolve().parents[2] / "harness" / "report"
TEMPLATES = REPORT / "templates"


def said() -> dict[str, str]:
    """Sentence -> file, wherever a sentence is written out."""
    found = {}
    for file in sorted(TEMPLATES.glob("*.j2")):
        text = file.read_text(encoding="utf-8")
        for match in re.finditer(r"""_\(\s*(?:"([^"]*)"|'([^']*)')""", text):
            found[match[1] or match[2]] = file.name
        for _, word in re.findall(r'\("([^"]*)", "([^"]*)"\)', text):
            found[word] = file.name
    for file in sorted(TEMPLATES.glob("*.js")):
        text = file.read_text(encoding="utf-8")
        for match in re.finditer(r'say\("([^"]*)"', text):
            found[match[1]] = file.name
        for _, word in re.findall(r'\["(\w+)", "([^"]*)"\]', text):
            found[word] = file.name
    for file in sorted(REPORT.glob("*.py")):
        if file.name.startswith("chinese") or file.name == "words.py":
            continue
        for match in re.finditer(r'words\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)[,)]', file.read_text(encoding="utf-8")):
            found["".join(re.findall(r'"((?:[^"\\]|\\.)*)"', match[1]))] = file.name
    return found


def test_the_sentences_are_found_at_all() -> None:
    sentences = said()
    assert len(sentences) > 150
    for known in ("Read these first", "search", "cut off", "{set} is saturated: both models pass nearly all of it. "
                  "Add harder cases."):  # fmt: skip
        assert known in sentences


@pytest.mark.parametrize(
    "english", sorted({**said(), **dict.fromkeys(FATES, ""), **dict.fromkeys((*_MEANING.values(), *ASKS.values()), "")})
)
def test_a_sentence_of_the_interface_has_its_chinese(english: str) -> None:
    assert english in CHINESE


def test_values_have_the_same_places_in_both_languages() -> None:
    for english, chinese in CHINESE.items():
        assert set(re.findall(r"{(\w+)}", english)) == set(re.findall(r"{(\w+)}", chinese)), english


def test_chinese_sentences_have_no_latin_commas_or_full_stops() -> None:
    for chinese in CHINESE.values():
        assert not re.search(r"[一-鿿][,.;:!?]", chinese), chinese


def test_what_a_value_says_is_never_taken_for_a_sentence() -> None:
    words = Words("zh")
    assert words("{label} may ship", label="{0.__class__} Cases") == "{0.__class__} Cases 可以发布"
    assert Words()("{n} cut off", n="{n}") == "{n} cut off"


def test_every_criterion_has_a_name_in_chinese() -> None:
    from typing import get_args

    from harness.verdict import CriterionName

    for name in get_args(CriterionName):
        assert name in CHINESE
