"""Cells for spreadsheets: none begins like a formula, however the file is opened, and every one comes back."""

from __future__ import annotations

import csv
import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cells import neutral, restored

SIGNS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
TEXTS = st.text(alphabet=st.sampled_from("a=+-@＝'\";,\t\r \u3000\u00a0"), max_size=12)


def cells(text: str, delimiter: str) -> list[str]:
    """What a spreadsheet makes of a row of the table that holds the text."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\r\n").writerow(["case", text, "end"])
    rows = csv.reader(io.StringIO(stream.getvalue(), newline=""), delimiter=delimiter)
    return [cell for row in rows for cell in row]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "  =1+1",
        "\t=1",
        "a;=1+1",
        "a; =1+1",
        'a;"=1+1"',
        "a\t=1+1",
        'a, "b"\t+1',
        "\u3000=1",
        '"=1',
        "a;;@SUM(A1)",
    ],
)
def test_no_cell_is_a_formula_by_comma_semicolon_or_tab(text, delimiter):
    assert any(cell.strip(' "').lstrip().startswith(SIGNS) for by in ",;\t" for cell in cells(text, by))
    told = [cell.strip(' "').lstrip() for cell in cells(neutral(text), delimiter)]
    assert not [cell for cell in told if cell.startswith(SIGNS)]


@given(TEXTS)
def test_any_cell_comes_back_and_holds_no_formula(text):
    guarded = neutral(text)
    assert restored(guarded) == text
    for part in [guarded, *guarded.replace("\t", ";").split(";")]:
        assert not part.lstrip('"\t\r \u3000\u00a0').startswith(SIGNS)


def test_ordinary_text_stays_as_it_is():
    for text in ("a - b", "- one\n- two"[2:], "x=1", "it's", "'tis", "3; 4", "https://x.example/?a=1;b=2", ""):
        assert neutral(text) == text


def test_a_long_answer_of_blanks_costs_no_time():
    for text in ("\t" * 200_000, ";" + " " * 200_000, ';"' * 100_000, ";'" * 100_000):
        begun = time.process_time()
        assert restored(neutral(text)) == text
        assert time.process_time() - begun < 2
