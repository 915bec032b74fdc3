"""A chain of candidates: what it kept."""

from __future__ import annotations

import math

import pytest

from harness.errors import StatisticsError
from harness.stats.forgetting import average_forgetting, backward_transfer


@pytest.mark.parametrize(
    ("scores", "transfer", "forgetting"),
    [
        ([[0.9, 0.2, 0.1], [0.8, 0.85, 0.3], [0.7, 0.8, 0.9]], -0.125, 0.125),
        ([[0.6, 0, 0], [0.9, 0.8, 0], [0.7, 0.75, 0.9]], 0.025, 0.125),
    ],
)
def test_the_design_s_chains(scores, transfer, forgetting):
    assert backward_transfer(scores) == pytest.approx(transfer)
    assert average_forgetting(scores) == pytest.approx(forgetting)


def test_a_chain_that_keeps_everything_forgets_nothing():
    assert backward_transfer([[0.5, 0.0], [0.5, 0.9]]) == average_forgetting([[0.5, 0.0], [0.5, 0.9]]) == 0


@pytest.mark.parametrize("measure", [backward_transfer, average_forgetting])
@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ([], "one row per candidate"),
        ([[0.5]], "at least two tasks"),
        ([[0.5, 0.2]], "one row per candidate"),
        ([[0.5, math.nan], [0.1, 0.2]], "task 2 after training 1 is nan"),
        ([["a", "b"], ["c", "d"]], "not a table of numbers"),
    ],
)
def test_what_is_no_chain_is_refused_in_words(measure, scores, words):
    with pytest.raises(StatisticsError, match=words):
        measure(scores)
