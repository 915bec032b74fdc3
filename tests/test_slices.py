"""Slices by tag: where to look, corrected for looking in many places."""

from __future__ import annotations

import numpy as np
from test_gate import flips, record
from test_groups import joined

from harness.pairs import pair_sets
from harness.policy import GatePolicy
from harness.record import RunRecord
from harness.slices import Slice, slices
from harness.stats.flips import mcnemar


def sliced(run: RunRecord) -> tuple[Slice, ...]:
    return slices(pair_sets(run, GatePolicy()))


def test_the_tag_that_got_worse_comes_first_with_its_flips():
    one = joined(
        "general",
        flips("a", both=60, gained=3, lost=3, tags=("history",)),
        flips("b", both=10, gained=1, lost=14, tags=("geography",)),
    )
    first, second = sliced(record(one))
    assert (first.set, first.tag, first.n, first.lost, first.gained) == ("general", "geography", 25, 14, 1)
    assert first.difference == (1 - 14) / 25
    assert first.p_value == mcnemar(1, 14, mid_p=True, alternative="less").p_value
    assert first.adjusted == 2 * first.p_value
    assert (second.tag, second.lost, second.gained) == ("history", 3, 3)


def test_small_tags_and_tags_of_the_whole_set_are_left_out():
    one = joined(
        "general",
        flips("a", both=6, lost=2, tags=("all", "history")),
        flips("b", both=4, tags=("all", "rare")),
    )
    assert [found.tag for found in sliced(record(one))] == ["history"]
    assert sliced(record(flips(both=30))) == ()
    assert sliced(record(one, baseline=None)) == ()


def test_looking_in_many_places_is_paid_for():
    """Among equal models, at least one slice in forty looks bad nearly always; corrected, seldom."""
    rng = np.random.default_rng(3)
    raw, corrected = 0, 0
    for _ in range(40):
        parts = []
        for tag in range(40):
            lost = int(rng.binomial(12, 0.5))
            parts.append(flips(f"t{tag}", both=10, lost=lost, gained=12 - lost, tags=(f"t{tag}",)))
        found = sliced(record(joined("s", *parts)))
        raw += any(one.p_value <= 0.05 for one in found)
        corrected += any(one.adjusted <= 0.05 for one in found)
    assert raw >= 28
    assert corrected <= 5
