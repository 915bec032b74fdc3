"""Confusion, F1 and their differences, against scikit-learn and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

from harness.errors import StatisticsError
from harness.stats.classification import (
    Confusion,
    confusion,
    macro_f1_difference,
    paired_interval,
    slot_f1,
    slot_f1_difference,
)
from harness.stats.intervals import zero_failures_bound

LABELS = ("billing", "shipping", "returns", "account")


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def pairs(answers: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(st.tuples(st.sampled_from(LABELS), answers), min_size=1, max_size=40)


@given(pairs(st.sampled_from([*LABELS, None])))
def test_counts_and_f1_are_scikit_learns(rows: list[tuple[str, str | None]]) -> None:
    gold, answered = [g for g, _ in rows], [a for _, a in rows]
    ours = confusion(gold, answered, labels=LABELS, states=["" if a else "no label" for a in answered])
    theirs = [a or "no label" for a in answered]
    assert [row[:4] for row in ours.counts] == [tuple(r) for r in confusion_matrix(gold, theirs, labels=LABELS)]
    precision, recall, f1, support = precision_recall_fscore_support(gold, theirs, labels=LABELS, zero_division=0)
    for k, label in enumerate(LABELS):
        assert ours.support(label) == support[k]
        assert (ours.recall(label) or 0.0) == pytest.approx(recall[k])
        assert (ours.precision(label) or 0.0) == pytest.approx(precision[k])
        assert (ours.f1(label) or 0.0) == pytest.approx(f1[k])
    asked = sorted(set(gold))
    assert ours.macro_f1 == pytest.approx(f1_score(gold, theirs, labels=asked, average="macro", zero_division=0))
    assert ours.accuracy == pytest.approx(sum(g == a for g, a in rows) / len(rows))


def test_answers_that_name_no_class_have_columns_of_their_own() -> None:
    found = confusion(
        ["billing"] * 4,
        ["billing", None, None, "shipping"],
        labels=("billing", "shipping"),
        states=["", "several labels", "no label", ""],
    )
    assert found.states == ("no label", "several labels")
    assert found.counts == ((1, 1, 1, 1), (0, 0, 0, 0))
    assert found.recall("billing") == 0.25
    assert found.precision("billing") == 1.0
    assert found.recall("shipping") is None
    assert found.n == 4
    assert repr(found) == "Confusion(2 classes, n=4, macro-F1 0.400)"


@pytest.mark.parametrize(
    ("gold", "answered", "reason"),
    [
        ([], [], "no answers to count"),
        (["billing"], [], "pair them by case"),
        (["bill"], ["billing"], "unknown class 'bill': did you mean 'billing'?"),
        (["billing"], ["other"], "unknown class 'other'"),
    ],
)
def test_what_cannot_be_counted_is_refused(gold: list[str], answered: list[str | None], reason: str) -> None:
    with pytest.raises(StatisticsError) as caught:
        confusion(gold, answered, labels=LABELS)
    assert reason in str(caught.value)


def test_a_table_whose_rows_do_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="need rows of 2 counts"):
        Confusion(labels=("a", "b"), counts=((1, 2, 3), (1, 2, 3)))


@given(st.lists(st.tuples(*[st.integers(0, 3)] + [st.integers(-1, 3)] * 2), min_size=2, max_size=25))
@settings(max_examples=25)
def test_the_difference_is_that_of_scikit_learns_f1(rows: list[tuple[int, int, int]]) -> None:
    gold, one, other = map(list, zip(*rows, strict=True))
    asked = sorted(set(gold))
    f1 = [f1_score(gold, side, labels=asked, average="macro", zero_division=0) for side in (one, other)]
    found = macro_f1_difference(gold, one, other, classes=4, rng=rng(), rounds=200)
    assert found.estimate == pytest.approx(f1[0] - f1[1])
    assert -1 <= found.low <= found.estimate <= found.high <= 1


def test_without_any_change_few_cases_still_leave_a_drop_possible() -> None:
    """The bootstrap of what never changed is the one point 0: twenty equal answers would prove anything."""
    gold = [0, 1] * 10
    found = macro_f1_difference(gold, gold, gold, classes=2, rng=rng(), confidence=0.9)
    assert found.low <= -zero_failures_bound(20)
    many = [0, 1] * 200
    assert macro_f1_difference(many, many, many, classes=2, rng=rng(), confidence=0.9, rounds=200).low > -0.02


def test_a_rare_class_that_never_changed_leaves_more_possible_than_a_common_one() -> None:
    common, rare = [0, 1] * 50, [0] * 98 + [1] * 2
    wide = macro_f1_difference(rare, rare, rare, classes=2, rng=rng(), rounds=200)
    assert wide.low < macro_f1_difference(common, common, common, classes=2, rng=rng(), rounds=200).low - 0.2


def test_rows_of_one_cluster_are_drawn_together() -> None:
    gold = [0, 1] * 60
    worse = [1 - g if i < 20 else g for i, g in enumerate(gold)]
    alone = macro_f1_difference(gold, worse, gold, classes=2, rng=rng(), rounds=1000)
    names = ["one" if i < 20 else str(i) for i in range(120)]
    together = macro_f1_difference(gold, worse, gold, classes=2, rng=rng(), clusters=names, rounds=1000)
    assert together.high - together.low > 1.5 * (alone.high - alone.low)
    assert together.method == "BCa bootstrap of clusters"


def test_a_true_difference_is_covered_as_often_as_claimed() -> None:
    """300 draws from a population whose macro-F1 difference is known; 90% intervals."""
    draw = np.random.default_rng(3)
    # Six of ten right against eight of ten, errors spread evenly over the other two classes: F1 is .6 and .8.
    covered = 0
    for _ in range(300):
        gold = draw.integers(0, 3, 90)
        sides = [np.where(draw.random(90) < p, gold, (gold + draw.integers(1, 3, 90)) % 3) for p in (0.6, 0.8)]
        found = macro_f1_difference(
            gold.tolist(), sides[0].tolist(), sides[1].tolist(), classes=3, rng=rng(), confidence=0.9, rounds=300
        )
        covered += found.low <= -0.2 <= found.high
    assert 0.86 <= covered / 300 <= 0.94


def test_slot_f1_counts_a_wrong_value_twice() -> None:
    # Two right, one wrong value, one not found: precision 2/3, recall 2/4.
    assert slot_f1(2, 1, 2) == pytest.approx(2 * (2 / 3) * (2 / 4) / (2 / 3 + 2 / 4))
    assert slot_f1(0, 0, 0) is None
    assert slot_f1(0, 1, 0) == 0.0


@given(st.lists(st.tuples(st.sampled_from(["x", "y", None]), st.sampled_from(["x", "y", None])), min_size=1))
def test_slot_f1_is_scikit_learns_micro_f1_over_the_values(rows: list[tuple[str | None, str | None]]) -> None:
    right = sum(g is not None and g == a for g, a in rows)
    spurious = sum(a is not None and g != a for g, a in rows)
    missing = sum(g is not None and g != a for g, a in rows)
    if right + spurious + missing == 0:
        return
    gold, answered = ([str(v) for v in side] for side in zip(*rows, strict=True))
    theirs = f1_score(gold, answered, labels=["x", "y"], average="micro", zero_division=0)
    assert slot_f1(right, spurious, missing) == pytest.approx(theirs)


def test_field_difference_and_its_interval() -> None:
    good, wrong = (1, 0, 0), (0, 1, 1)
    found = slot_f1_difference([good] * 60 + [wrong] * 40, [good] * 80 + [wrong] * 20, rng=rng(), rounds=1000)
    assert found.estimate == pytest.approx(-0.2)
    assert -0.32 < found.low < -0.2 < found.high < -0.1
    with pytest.raises(StatisticsError, match="no answers"):
        slot_f1_difference([], [], rng=rng())


def test_one_case_shows_no_spread() -> None:
    found = paired_interval(np.ones((3, 2)), lambda x: 0.0, rng(), ["a", "a", "a"], scale=1.0, most=1.0)
    assert (found.low, found.high, found.method) == (-1.0, 1.0, "one case, no spread")
