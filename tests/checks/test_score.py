"""Scores explain themselves in one line; what goes wrong inside a check is no score."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.checks import json_equals, json_schema
from harness.checks.score import Score, check, excerpt, quote
from harness.errors import CheckError
from harness.models import Response


def test_a_score_is_true_when_it_passed() -> None:
    assert Score(passed=True, check="includes", explanation="it is there")
    assert not Score(passed=False, check="includes", explanation="it is not")


def test_repr_stays_below_the_length_at_which_pytest_cuts() -> None:
    score = Score(passed=False, check="includes:" + "x" * 100, explanation="y" * 1000)
    assert len(repr(score)) == 239
    assert repr(score).endswith("…")


def test_a_crash_in_a_check_is_a_check_error_that_names_the_check() -> None:
    @check
    def divides(response: Response | str, by: int) -> Score:
        return Score(passed=bool(1 / by), check="divides", explanation="")

    with pytest.raises(CheckError, match="divides: the check itself crashed \\(ZeroDivisionError: division by zero"):
        divides("x", 0)
    with pytest.raises(CheckError, match="the answer must be a Response or a text, not int"):
        divides(3, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "score",
    [
        json_schema('{"\\u001b[31m": 1}', {"additionalProperties": {"type": "string"}}),
        json_equals('"\\u009b31m\\u202e"', "x"),
        json_equals('{"a": "\\u001b]0;owned\\u0007"}', {"a": 1}),
    ],
    ids=["key", "text", "nested"],
)
def test_no_answer_can_send_control_characters_to_the_terminal(score: Score) -> None:
    assert not score
    assert score.explanation.isprintable()
    assert "31m" in score.explanation or "owned" in score.explanation


@given(text=st.text(), start=st.integers(0, 300), length=st.integers(0, 300))
def test_excerpts_are_one_short_line_of_any_text(text: str, start: int, length: int) -> None:
    for shown in (excerpt(text, start, start + length), quote(text)):
        assert len(shown.splitlines()) == 1
        assert len(shown) <= 180
