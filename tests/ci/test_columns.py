"""Text in the columns of a terminal: Chinese takes two, and no row is wider than it may be."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.columns import columns_of, fold, shorten, without_sequences

TEXTS = st.text(alphabet=st.sampled_from("ab 退款é\u0301🙂,"), max_size=80)


@pytest.mark.parametrize(
    ("text", "columns"), [("", 0), ("refund", 6), ("退款", 4), ("e\u0301", 1), ("🙂", 2), ("ﾊﾟ", 2), ("Ａ", 2)]
)
def test_a_wide_character_takes_two_columns_and_a_mark_none(text, columns):
    assert columns_of(text) == columns


@pytest.mark.parametrize(
    "hostile",
    [
        "\x1b[31mred\x1b[0m",
        "\x1b[2J\x1b[1;1Hred",
        "\x1b]0;another title\x07red",
        "\x1b]8;;http://evil.example\x1b\\red\x1b]8;;\x1b\\",
        "\x9b31mred",
        "\x1bPq#0;2;0;0;0#0!10@\x1b\\red",
        "\x1bcred",
        "red\x1b",
        "\x1b(0red",
    ],
)
def test_what_a_terminal_would_obey_is_taken_out(hostile):
    assert without_sequences(hostile) == "red"


@given(TEXTS, st.integers(2, 30))
def test_a_shortened_text_never_takes_more_columns_than_it_may(text, columns):
    short = shorten(text, columns)
    assert columns_of(short) <= columns
    assert short == text or short.endswith("…")


@given(TEXTS, st.integers(8, 30))
def test_folded_rows_fit_and_lose_nothing_but_blanks(text, columns):
    rows = list(fold(text, columns))
    assert all(columns_of(row) <= columns for row in rows)
    assert "".join("".join(rows).split()) == "".join(text.split())


def test_rows_break_at_blanks_and_go_on_indented():
    assert list(fold("drops over 22.1% ruled out, 10 not", 20)) == ["drops over 22.1%", "    ruled out, 10", "    not"]


@given(TEXTS, st.integers(-3, 30), st.integers(0, 40))
def test_folding_ends_however_narrow_the_terminal_and_wide_the_indent(text, columns, indent):
    rows = list(islice(fold(text, columns, " " * indent), 1000))
    assert len(rows) <= len(text) + 1
    assert "".join("".join(rows).split()) == "".join(text.split())
    if columns >= 4:
        assert all(columns_of(row) <= columns for row in rows)
