"""Thinking text is told apart from the answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.models import Response
from harness.models.thinking import has_thinking, judged, without_thinking


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>2 + 2 = 4</think>\n\n4", "4"),
        ("<think>用户想退款。</think>\n\n请在十四天内申请。", "请在十四天内申请。"),
        ("the template opened it</think>4", "4"),
        ("<think>cut off before it ended", ""),
        ("<think></think>4", "4"),
        ("A <think>one</think>B <THINKING>two</THINKING>C", "A B C"),
        ("<think>a <think>b</think> c</think>4", "4"),
        ("</think></think>4", "4"),
        ("no thinking, a < b", "no thinking, a < b"),
        ("  untouched where there is none  ", "  untouched where there is none  "),
    ],
)
def test_the_answer_is_what_is_left(text: str, answer: str) -> None:
    assert without_thinking(text) == answer


@given(st.lists(st.sampled_from(["<think>", "</think>", "a", " ", "退款"]), max_size=12).map("".join))
def test_no_tag_survives_and_a_second_pass_changes_nothing(text: str) -> None:
    once = without_thinking(text)
    assert not has_thinking(once)
    assert without_thinking(once) == once


def test_everything_but_the_text_is_kept() -> None:
    response = Response(text="<think>x</think>y", finish_reason="length", prompt_tokens=3, completion_tokens=9)
    assert judged(response, "keep") is response
    assert judged(response, "strip") == Response(text="y", finish_reason="length", prompt_tokens=3, completion_tokens=9)
