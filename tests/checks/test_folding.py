"""What counts as the same text, and where words end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.checks.folding import fold, unmarked


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ＡＢＣ１２３", "abc123"),
        ("退款：３０天", "退款:30天"),
        ("退款 30 天", "退款30天"),
        ("“It’s”", '"it\'s"'),
        ("well‑known — no", "well-known — no"),
        ("−5", "-5"),
        ("STRASSE", "straße"),
        ("30\u00a0days\n later", "30 days later"),
        ("re\u00adfund\u200b", "refund"),
        ("cafe\u0301", "café"),
        ("ｶﾀｶﾅ", "カタカナ"),
        ("H₂O", "h2o"),
        ("3½", "3 1/2"),
    ],
)
def test_what_looks_the_same_folds_to_the_same(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(("one", "other"), [("10²", "102"), ("resume", "résumé"), ("3½", "31/2"), ("退款", "退貨")])
def test_what_means_something_else_stays_apart(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@pytest.mark.parametrize(
    ("marked", "bare"),
    [
        ("You have **30** days", "You have 30 days"),
        ("*Romeo* and ***Juliet***", "Romeo and Juliet"),
        ("您有**30**天", "您有30天"),
        ("2**3**4 is 2**81", "2**3**4 is 2**81"),
        ("* one\n* two", "* one\n* two"),
    ],
)
def test_emphasis_is_transparent_and_powers_and_bullets_are_not(marked: str, bare: str) -> None:
    assert unmarked(marked) == bare


@given(st.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)
