"""Agreement of judges, and a judge in place of people: printed tables, krippendorff, statsmodels and ppi-python."""

from __future__ import annotations

import math
import warnings
from typing import Any

import krippendorff
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import cohens_kappa as statsmodels_kappa

from harness.errors import StatisticsError
from harness.stats.agreement import cohen_kappa, gwet_ac1, gwet_estimate, krippendorff_alpha, ppi_mean

NAN = math.nan
#: Krippendorff's own example: 4 observers, 12 units.
OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
    [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
]
LEVELS = st.sampled_from(["nominal", "ordinal", "interval"])
#: Fleiss' example: how many of 14 raters put each of 10 subjects into each of 5 categories.
FLEISS = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def labels(table: list[list[int]]) -> tuple[list[int], list[int]]:
    """The two judges' labels that a table of counts stands for."""
    pairs = [(i, j) for i, row in enumerate(table) for j, n in enumerate(row) for _ in range(n)]
    return [i for i, _ in pairs], [j for _, j in pairs]


# ---- two judges ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "kappa", "ac1"),
    [
        ([[20, 5], [10, 15]], 0.4, None),
        ([[40, 9], [6, 45]], 0.69952, 0.70075),
        ([[118, 5], [2, 0]], -0.02339, 0.94078),
    ],
)
def test_two_judges_match_the_tables(table, kappa, ac1):
    assert cohen_kappa(*labels(table), rng(), rounds=500).estimate == pytest.approx(kappa, abs=5e-6)
    if ac1 is not None:
        assert gwet_ac1(*labels(table), rng(), rounds=500).estimate == pytest.approx(ac1, abs=5e-6)
        assert gwet_estimate(*labels(table)) == pytest.approx(ac1, abs=5e-6)


tables = st.integers(2, 4).flatmap(
    lambda q: st.lists(st.lists(st.integers(0, 30), min_size=q, max_size=q), min_size=q, max_size=q)
)


@settings(max_examples=40)
@given(tables)
def test_kappa_agrees_with_statsmodels(table):
    assume(np.count_nonzero(np.sum(table, axis=0) + np.sum(table, axis=1)) >= 2)
    assume(np.sum(table) >= 20)
    assume(0 < np.trace(np.array(table)) < np.sum(table))
    with np.errstate(invalid="ignore"):  # of their standard error, which is not compared
        theirs = statsmodels_kappa(np.array(table))
    try:
        found = cohen_kappa(*labels(table), rng(), rounds=200)
    except StatisticsError as error:
        assert "have no value" in str(error)  # noqa: PT017 - either an answer or this refusal
        return
    assert found.estimate == pytest.approx(theirs.kappa, abs=1e-12)
    assert -1 <= found.interval.low <= found.interval.high <= 1


def test_the_range_of_kappa_is_as_wide_as_the_large_sample_one():
    first, second = labels([[90, 25], [35, 150]])
    found = cohen_kappa(first, second, rng()).interval
    theirs = statsmodels_kappa(np.array([[90, 25], [35, 150]]))
    assert found.low == pytest.approx(theirs.kappa_low, abs=0.01)
    assert found.high == pytest.approx(theirs.kappa_upp, abs=0.01)


def test_the_fast_resampling_is_the_plain_one():
    first, second = (np.array(side) for side in labels([[20, 5], [10, 15]]))

    def plain(a: np.ndarray, b: np.ndarray) -> float:
        seen = np.mean(a == b)
        chance = sum(np.mean(a == k) * np.mean(b == k) for k in (0, 1))
        return float((seen - chance) / (1 - chance))

    from harness.stats.intervals import bootstrap_interval

    slow = bootstrap_interval(
        np.column_stack([first, second]), lambda rows: plain(rows[:, 0], rows[:, 1]), rng(4), rounds=300
    )
    fast = cohen_kappa(first, second, rng(4), rounds=300).interval
    assert (fast.low, fast.high) == pytest.approx((slow.low, slow.high), abs=1e-12)


def test_labels_of_any_kind_are_told_apart():
    assert cohen_kappa(["a", "b"] * 20, ["a", "b"] * 20, rng(), rounds=200).interval.low == 1
    assert cohen_kappa([1, "1"] * 20, ["1", 1] * 20, rng(), rounds=200).estimate == -1
    assert gwet_ac1(["退款", "物流"] * 20, ["退款", "物流"] * 20, rng(), rounds=200).estimate == 1


def test_resamples_of_one_category_are_left_out_and_counted():
    found = cohen_kappa(*labels([[118, 5], [2, 0]]), rng())
    assert 0 < found.undefined < 50
    assert f"{found.undefined} resamples without a value" in repr(found)


def test_one_odd_case_is_too_little_for_a_range():
    with pytest.raises(StatisticsError, match=r"of the resamples of these 30 cases have no value"):
        cohen_kappa(["a"] * 29 + ["b"], ["a"] * 29 + ["b"], rng())


def test_agreement_without_a_range_needs_pairs_and_is_whole_on_one_label():
    assert gwet_estimate("aaa", "aaa") == 1
    assert gwet_estimate("ab", "ba") == pytest.approx(-1)
    with pytest.raises(StatisticsError, match="3 labels of the first judge but 2 of the second"):
        gwet_estimate("abb", "ab")


@pytest.mark.parametrize("measure", [cohen_kappa, gwet_ac1])
@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ([], [], "there are no labels"),
        (["a"], ["b"], "1 case: resampling needs at least two"),
        (["a"], ["a"], "all 2 labels are 'a'"),
        (["a"] * 9, ["a"] * 9, "all 18 labels are 'a'"),
        (["a", "b"], ["a"], "2 labels of the first judge but 1 of the second"),
        (["a", None], ["a", "b"], "first: no label at position 1"),
        ([1.0, 2.0], [NAN, 2.0], "second: no label at position 0"),
        ([["a"], ["b"]], ["a", "b"], "one label per case"),
    ],
)
def test_labels_that_tell_nothing_are_refused_in_words(measure, first, second, words):
    with pytest.raises(StatisticsError, match=words):
        measure(first, second, rng())


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), max_size=12), st.booleans())
def test_two_judges_get_an_answer_in_range_or_a_refusal(pairs, kappa):
    measure = cohen_kappa if kappa else gwet_ac1
    try:
        found = measure([a for a, _ in pairs], [b for _, b in pairs], rng(), rounds=100)
    except StatisticsError:
        return
    assert -1 <= found.interval.low <= found.interval.high <= 1
    assert -1 <= found.estimate <= 1
    assert "\n" not in repr(found)


# ---- many judges --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.743421), ("ordinal", 0.815388), ("interval", 0.849107)])
def test_alpha_matches_krippendorffs_example(level, alpha):
    found = krippendorff_alpha(OBSERVERS, rng(), level=level, rounds=500)
    assert found.estimate == pytest.approx(alpha, abs=5e-7)
    assert (found.interval.n, found.unpaired, found.categories) == (11, 1, 5)
    assert found.interval.low < alpha < found.interval.high


def test_fleiss_example_follows_from_alpha():
    # Where nobody left a case out, alpha differs from Fleiss' kappa only by the size of the sample.
    ratings = np.array([np.repeat(np.arange(5), row) for row in FLEISS]).T
    alpha = krippendorff_alpha(ratings, rng(), rounds=200).estimate
    n = ratings.size
    assert 1 - (1 - alpha) * n / (n - 1) == pytest.approx(0.2099307, abs=5e-8)


@settings(max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 5),
    st.integers(6, 20),
    st.sampled_from(["nominal", "ordinal", "interval"]),
)
def test_alpha_agrees_with_krippendorff(seed, raters, units, level):
    r = np.random.default_rng(seed)
    ratings = r.integers(1, 5, size=(raters, units)).astype(float)
    ratings[r.random(ratings.shape) < 0.25] = NAN
    paired = ratings[:, np.count_nonzero(~np.isnan(ratings), axis=0) >= 2]
    assume(np.unique(paired[~np.isnan(paired)]).size >= 2)
    try:
        found = krippendorff_alpha(ratings, rng(), level=level, rounds=200)
    except StatisticsError as error:
        assert "have no value" in str(error) or "at least two" in str(error)  # noqa: PT017
        return
    assert found.estimate == pytest.approx(krippendorff.alpha(paired, level_of_measurement=level), abs=1e-10)
    assert found.interval.low <= found.interval.high <= 1


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
def test_resampled_alpha_is_alpha_of_the_resample(level):
    from harness.stats.intervals import bootstrap_interval

    columns = np.random.default_rng(3).integers(1, 5, size=(15, 3)).astype(float)
    slow = bootstrap_interval(
        columns, lambda rows: krippendorff.alpha(rows.T, level_of_measurement=level), rng(4), rounds=200
    )
    fast = krippendorff_alpha(columns.T, rng(4), level=level, rounds=200).interval
    assert (fast.low, fast.high) == pytest.approx((slow.low, slow.high), abs=1e-9)


def test_alpha_of_words_may_have_gaps_and_scales_may_be_far_from_zero():
    words = [["a", "b", None, "a", "b"] * 4, ["a", "b", "b", "a", None] * 4, ["a", "a", "b", "a", None] * 4]
    assert krippendorff_alpha(words, rng(), rounds=200).unpaired == 4
    far = np.array(OBSERVERS) + 1e7
    near = krippendorff_alpha(OBSERVERS, rng(), level="interval", rounds=200)
    assert krippendorff_alpha(far, rng(), level="interval", rounds=200).estimate == pytest.approx(near.estimate)


@pytest.mark.parametrize(
    ("ratings", "level", "words"),
    [
        ([[1, 2], [1, 2]], "ratio", "choose nominal, ordinal or interval"),
        ([1, 2, 3], "nominal", "one row per judge"),
        ([[1, 2], [1]], "nominal", "one row per judge"),
        ([[1, None], [None, 2]], "nominal", "no case has two ratings"),
        ([[]], "nominal", "no case has two ratings"),
        ([["a", "a"], ["a", "a"]], "nominal", "all 4 are a"),
        ([["a", "b"], ["a", "b"]], "ordinal", "not numbers"),
        ([[1, math.inf], [1, 2]], "interval", "position"),
        ([[1], [2]], "nominal", "1 case"),
    ],
)
def test_ratings_that_tell_nothing_are_refused_in_words(ratings, level, words):
    with pytest.raises(StatisticsError, match=words):
        krippendorff_alpha(ratings, rng(), level=level)


# ---- a judge in place of people -----------------------------------------------------------------------------


def ppi_python() -> Any:
    # It turns all warnings off when it is imported, and its own imports warn.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ppi_py
    return ppi_py


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(2, 80), st.integers(2, 400), st.floats(0, 3))
def test_corrected_means_agree_with_ppi_python(seed, n, more, noise):
    r = np.random.default_rng(seed)
    y, other = r.random(n), r.random(more)
    f, g = y + noise * r.normal(size=n), other + noise * r.normal(size=more)
    ours = ppi_mean(y, f, g)
    package = ppi_python()
    assert ours.estimate == pytest.approx(float(np.squeeze(package.ppi_mean_pointestimate(y, f, g))), abs=1e-9)
    # Theirs divides by n, ours by n - 1.
    lam = ours.trust
    se = math.sqrt(lam**2 * np.var(g) / more + np.var(y - lam * f) / n)
    low, high = (float(np.squeeze(v)) for v in package.ppi_mean_ci(y, f, g, alpha=0.05))
    assert (high - low) / 2 == pytest.approx(1.959964 * se, rel=1e-5)
    least, most = math.sqrt(1 - 1e-9), math.sqrt(max(n / (n - 1), more / (more - 1))) * (1 + 1e-5)
    assert least * (high - low) <= ours.interval.high - ours.interval.low <= most * (high - low)


def test_the_formula_of_the_corrected_mean():
    y, f = np.array([0.0, 1, 1, 0, 1, 1]), np.array([0.2, 0.9, 0.6, 0.4, 0.7, 0.8])
    g = np.array([0.1, 0.5, 0.9, 0.3])
    found = ppi_mean(y, f, g)
    shared = np.mean((y - y.mean()) * (f - f.mean()))
    lam = min(1, shared / ((1 + 6 / 4) * np.var(np.r_[f, g], ddof=1)))
    assert found.trust == pytest.approx(lam)
    assert found.estimate == pytest.approx(y.mean() + lam * (g.mean() - f.mean()))
    se = math.sqrt(lam**2 * np.var(g, ddof=1) / 4 + np.var(y - lam * f, ddof=1) / 6)
    assert found.interval.high - found.estimate == pytest.approx(1.959964 * se, rel=1e-6)


def test_a_good_judge_narrows_the_range_and_a_bad_one_does_no_harm():
    r = np.random.default_rng(0)
    y, other = r.random(60), r.random(2000)
    good = ppi_mean(y, y + 0.05 * r.normal(size=60), other + 0.05 * r.normal(size=2000))
    bad = ppi_mean(y, r.random(60), r.random(2000))
    assert width(good.interval) < 0.5 * width(good.human_only)
    assert width(bad.interval) < 1.02 * width(bad.human_only)
    assert bad.trust < 0.2


def test_a_biased_judge_is_corrected_and_the_range_covers():
    r = np.random.default_rng(1)
    hits = 0
    for _ in range(300):
        y, other = (r.random(80) < 0.7) * 1.0, (r.random(800) < 0.7) * 1.0
        f, g = (np.clip(v * 0.8 + 0.2 + 0.1 * r.normal(size=v.size), 0, 1) for v in (y, other))
        found = ppi_mean(y, f, g).interval
        hits += found.low <= 0.7 <= found.high
    assert hits / 300 >= 0.91


def test_few_human_labels_are_shown_beside_the_corrected_mean():
    r = np.random.default_rng(0)
    y = r.random(29)
    assert "human labels alone" in repr(ppi_mean(y, y, r.random(100)))
    y = r.random(30)
    assert "human labels alone" not in repr(ppi_mean(y, y, r.random(100)))


def test_a_judge_that_always_says_the_same_is_not_trusted():
    found = ppi_mean([0.0, 1, 1, 0], [0.5] * 4, [0.5] * 9)
    assert found.trust == 0
    assert found.estimate == 0.5


@pytest.mark.parametrize(
    ("human", "judge", "elsewhere", "words"),
    [
        ([], [], [1.0], "human: there are none"),
        ([1.0], [1.0], [1.0], "1 human label"),
        ([1.0, 0.0], [1.0], [1.0], "2 human labels but 1 scores"),
        ([1.0, 0.0], [1.0, 0.0], [], "judge_elsewhere: there are none"),
        ([1.0, NAN], [1.0, 0.0], [1.0], "human: the value at position 1"),
        ([1.0] * 5, [1.0] * 5, [1.0] * 9, "show no spread"),
    ],
)
def test_a_mean_without_ground_is_refused_in_words(human, judge, elsewhere, words):
    with pytest.raises(StatisticsError, match=words):
        ppi_mean(human, judge, elsewhere)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 1.0])), max_size=6),
    st.lists(st.sampled_from([0.0, 1.0]), max_size=6),
)
def test_a_corrected_mean_is_a_number_or_a_refusal(pairs, elsewhere):
    try:
        found = ppi_mean([y for y, _ in pairs], [f for _, f in pairs], elsewhere)
    except StatisticsError:
        return
    assert math.isfinite(found.interval.low)
    assert found.interval.low < found.estimate < found.interval.high
    assert 0 <= found.trust <= 1


def width(interval: Any) -> float:
    return interval.high - interval.low
