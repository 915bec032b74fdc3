"""Exact leaks between training data and golden sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.data.formats import Prompt, Row
from harness.data.leakage import find_leaks, normal_form, refuse_leaks
from harness.errors import DataError
from harness.golden import GoldenCase, GoldenSet
from harness.models import Message


def golden(*cases: GoldenCase) -> GoldenSet:
    return GoldenSet(
        name="facts",
        path=Path("golden_sets/facts.jsonl"),
        kind="ask",
        digest="0" * 64,
        cases=cases,
        lines=tuple(range(3, 3 + len(cases))),
    )


FRANCE = golden(
    GoldenCase(id="japan", input="What is the capital of Japan?", target="Tokyo"),
    GoldenCase(id="france", input="What is the capital of France?", target="Paris"),
    GoldenCase(id="prose", text="The tide slips out."),
    GoldenCase(
        id="long",
        messages=(
            Message(role="user", content="Hello"),
            Message(role="assistant", content="Hi"),
            Message(role="user", content="Who wrote Emma?"),
        ),
    ),
)


def row(question: str, answer: str = "x") -> Row:
    messages = (Message(role="user", content=question), Message(role="assistant", content=answer))
    return Row(messages=messages, where="rows.jsonl:9")


@pytest.mark.parametrize(
    "question",
    [
        "What is the capital of France?",
        "what is  the capital of FRANCE",
        "Ｗhat is the capital of\u00a0France？",
        "“What is the capital of France?!”",
        "What is the capi\u00adtal of Fra\u200bnce?",
    ],
)
def test_a_golden_question_in_other_dress_is_a_leak(question: str) -> None:
    (leak,) = find_leaks([row(question)], [FRANCE])
    assert (leak.where, leak.golden) == ("rows.jsonl:9", "golden_sets/facts.jsonl:4")


@pytest.mark.parametrize("question", ["What is the capital of Francia?", "Hello", "Paris", "?", ""])
def test_other_questions_and_earlier_turns_are_none(question: str) -> None:
    assert find_leaks([row(question)], [FRANCE]) == []


def test_arithmetic_keeps_its_signs() -> None:
    assert normal_form("What is 20 / 4?") != normal_form("What is 20 - 4?")
    assert normal_form("3.5") != normal_form("35")
    assert normal_form("Say hi - now.") == normal_form("say hi now")


def test_chinese_is_compared_without_its_punctuation() -> None:
    assert normal_form("法国的首都是哪里？") == normal_form("法国的首都,是哪里")


def test_prose_and_last_questions_leak_and_prompts_are_looked_at_too() -> None:
    assert len(find_leaks([row("Go on", "The tide slips out")], [FRANCE])) == 1
    asked = Prompt(messages=(Message(role="user", content="who wrote emma"),), where="p.jsonl:1")
    assert [leak.golden for leak in find_leaks([asked], [FRANCE])] == ["golden_sets/facts.jsonl:6"]


def test_a_leak_is_refused_with_both_places_and_the_count() -> None:
    with pytest.raises(DataError, match=r"rows\.jsonl:9: .* golden case golden_sets/facts\.jsonl:4 and 1 more.*remove"):
        refuse_leaks([row("What is the capital of France?"), row("What is the capital of Japan?")], [FRANCE])
    refuse_leaks([row("What is the capital of Peru?")], [FRANCE])
