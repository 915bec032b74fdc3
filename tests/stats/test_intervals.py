"""Ranges of rates and means, against printed tables, closed forms and statsmodels."""

from __future__ import annotations

import functools
import math
import time
import timeit

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.proportion import proportion_confint

from harness.errors import StatisticsError
from harness.stats.intervals import (
    Interval,
    bootstrap_interval,
    clopper_pearson,
    mean_interval,
    wilson,
    zero_failures_bound,
)

SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]  # Student's extra2 - extra1


@pytest.mark.parametrize(
    ("k", "n", "score", "exact"),
    [
        (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
        (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
        (0, 20, (0.0, 0.1611), (0.0, 0.1684)),
        (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
    ],
)
def test_rates_match_newcombes_table(k, n, score, exact):
    assert bounds(wilson(k, n)) == pytest.approx(score, abs=5e-5)
    assert bounds(clopper_pearson(k, n)) == pytest.approx(exact, abs=5e-5)


def test_wilson_of_48_in_50():
    assert bounds(wilson(48, 50)) == pytest.approx((0.865399, 0.988961), abs=5e-7)


@given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_rates_agree_with_statsmodels(kn):
    k, n = kn
    assert bounds(wilson(k, n)) == pytest.approx(proportion_confint(k, n, method="wilson"), abs=1e-9)
    # statsmodels leaves NaN where a beta quantile has no such shape.
    theirs = [0.0 if k == 0 else None, 1.0 if k == n else None]
    low, high = proportion_confint(k, n, method="beta")
    theirs = [low if theirs[0] is None else 0.0, high if theirs[1] is None else 1.0]
    assert bounds(clopper_pearson(k, n)) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize(("n", "percent"), [(10, 25.89), (20, 13.91), (50, 5.82), (100, 2.95)])
def test_a_clean_sheet_proves_what_the_table_says(n, percent):
    assert 100 * zero_failures_bound(n) == pytest.approx(percent, abs=0.005)
    assert zero_failures_bound(n) == pytest.approx(clopper_pearson(0, n, confidence=0.9).high)


def test_students_sleep_data():
    found = mean_interval(SLEEP)
    assert found.estimate == pytest.approx(1.58)
    assert bounds(found) == pytest.approx((0.70011, 2.45989), abs=5e-6)
    assert (found.n, found.method) == (10, "Student t")


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(20, 60))
def test_clustered_means_agree_with_statsmodels(seed, groups):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(groups), rng.integers(0, groups, 100)])
    values = rng.normal(size=labels.size) + rng.normal(size=groups)[labels]
    theirs = OLS(values, np.ones(values.size)).fit(cov_type="cluster", cov_kwds={"groups": labels}, use_t=True)
    assert bounds(mean_interval(values, labels)) == pytest.approx(theirs.conf_int()[0], rel=1e-9)


def test_clusters_of_one_change_nothing():
    assert mean_interval(SLEEP, clusters=list("abcdefghij")) == mean_interval(SLEEP)


def test_copies_of_a_case_add_no_certainty():
    once = mean_interval(SLEEP * 3, clusters=list(range(30)))
    assert width(mean_interval(SLEEP * 3 * 4, clusters=list(range(30)) * 4)) == pytest.approx(width(once))


def test_few_clusters_are_flipped_and_cover():
    rng = np.random.default_rng(5)
    labels = np.repeat(np.arange(8), 4)
    hits = 0
    for _ in range(400):
        values = rng.normal(size=32) + rng.normal(size=8)[labels]
        found = mean_interval(values, labels)
        hits += found.low <= 0 <= found.high
    assert found.method == "sign flips of clusters"
    assert 0.92 <= hits / 400 <= 0.985


def test_few_cluster_limits_are_where_the_sign_flip_test_turns():
    rng = np.random.default_rng(2)
    values, labels = rng.normal(0.3, 1, 30), np.repeat(np.arange(10), 3)
    found = mean_interval(values, labels)
    totals = np.bincount(labels, values)

    def p_two_sided(mean: float) -> float:
        shifted = totals - 3 * mean
        signs = np.array(np.meshgrid(*[[-1, 1]] * 10)).reshape(10, -1)
        return float(np.mean(np.abs(shifted @ signs) >= abs(shifted.sum()) - 1e-12))

    for limit, outward in ((found.low, -1e-6), (found.high, 1e-6)):
        assert p_two_sided(limit + outward) <= 0.05 < p_two_sided(limit - outward)


def test_all_equal_values_have_no_width():
    assert bounds(mean_interval([0.5] * 5)) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: wilson(0, 0), "no cases"),
        (lambda: wilson(3, 2), "between 0 and 2"),
        (lambda: clopper_pearson(-1, 2), "between 0 and 2"),
        (lambda: wilson(1, 2, confidence=95), "such as 0.95"),
        (lambda: zero_failures_bound(0), "no cases"),
        (lambda: mean_interval([]), "there are none"),
        (lambda: mean_interval([1.0]), "1 value: an interval needs at least two"),
        (lambda: mean_interval([1.0, math.nan]), "position 1 is nan"),
        (lambda: mean_interval([1.0, None]), "position 1 is nan"),
        (lambda: mean_interval(["a"]), "not numbers"),
        (lambda: mean_interval([[1.0, 2.0]]), "shape"),
        (lambda: mean_interval([1, 2, 3], clusters=[1, 1, 1]), "3 values in 1 cluster"),
        (lambda: mean_interval([1, 2, 3, 4], clusters=[1, 1, 2, 2]), "2 clusters are too few"),
        (lambda: mean_interval([1, 2], clusters=[1]), "one per value"),
    ],
)
def test_bad_input_is_refused_in_words(call, words):
    with pytest.raises(StatisticsError, match=words):
        call()


# ---- bootstrap ----------------------------------------------------------------------------------------------


def test_bca_agrees_with_scipy_on_a_skewed_mean():
    values = np.random.default_rng(0).exponential(size=60)
    ours = bootstrap_interval(values, np.mean, np.random.default_rng(1))
    theirs = scipy_stats.bootstrap(
        (values,), np.mean, n_resamples=10_000, method="BCa", rng=np.random.default_rng(2)
    ).confidence_interval
    assert bounds(ours) == pytest.approx((theirs.low, theirs.high), abs=0.02)
    plain = scipy_stats.bootstrap(
        (values,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    assert ours.high > plain.high + 0.01


def test_the_bootstrap_repeats_with_its_seed():
    first, second = (bootstrap_interval(SLEEP, np.median, np.random.default_rng(7)) for _ in range(2))
    assert first == second


def test_the_bootstrap_keeps_pairs_together():
    rng = np.random.default_rng(0)
    hard = rng.normal(0, 10, 50)
    pairs = np.column_stack([hard + 1, hard])
    found = bootstrap_interval(pairs, lambda rows: float(np.mean(rows[:, 0] - rows[:, 1])), rng, rounds=200)
    assert bounds(found) == pytest.approx((1.0, 1.0))


def test_the_bootstrap_resamples_whole_clusters():
    values = np.repeat(np.random.default_rng(3).normal(size=20), 5)
    labels = np.repeat(np.arange(20), 5)
    naive = bootstrap_interval(values, np.mean, np.random.default_rng(0), rounds=2000)
    honest = bootstrap_interval(values, np.mean, np.random.default_rng(0), labels, rounds=2000)
    assert width(honest) == pytest.approx(width(naive) * math.sqrt(5), rel=0.15)


def test_the_bootstrap_of_equal_values_is_one_point():
    assert bounds(bootstrap_interval([2.0] * 5, np.mean, np.random.default_rng(0))) == (2.0, 2.0)


@pytest.mark.parametrize(
    ("values", "statistic", "words"),
    [
        ([1.0], np.mean, "at least two"),
        ([1.0, math.nan], np.mean, "position 1"),
        ([1.0, 2.0], lambda _: math.nan, "nothing to resample"),
        (np.zeros((2, 2, 2)), np.mean, "not 3"),
    ],
)
def test_the_bootstrap_refuses_what_it_cannot_resample(values, statistic, words):
    with pytest.raises(StatisticsError, match=words):
        bootstrap_interval(values, statistic, np.random.default_rng(0))


def test_an_interval_fits_one_line():
    assert repr(wilson(81, 263)) == "0.308 [0.2553, 0.3662] (95% Wilson, n=263)"


def bounds(interval: Interval) -> tuple[float, float]:
    return interval.low, interval.high


def width(interval: Interval) -> float:
    return interval.high - interval.low


def test_many_resamples_at_a_time_are_the_same_resamples():
    values = np.random.default_rng(0).exponential(size=40)
    for statistic in (np.mean, np.median):
        fast = bootstrap_interval(values, statistic, np.random.default_rng(1), rounds=300)
        plain = bootstrap_interval(values, lambda x, f=statistic: float(f(x)), np.random.default_rng(1), rounds=300)
        assert fast == plain


def test_the_bootstrap_holds_a_bounded_block_in_memory(monkeypatch):
    values = np.random.default_rng(0).exponential(size=40)
    whole = bootstrap_interval(values, np.mean, np.random.default_rng(1), rounds=300)
    monkeypatch.setattr("harness.stats.intervals._BLOCK", 100)
    assert bootstrap_interval(values, np.mean, np.random.default_rng(1), rounds=300) == whole


@settings(max_examples=80)
@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, math.nan, -math.inf]), st.integers(0, 2)), max_size=8),
    st.booleans(),
)
def test_any_values_get_numbers_or_a_refusal(rows, clustered):
    values, labels = [v for v, _ in rows], [c for _, c in rows] if clustered else None
    for call in (
        lambda: mean_interval(values, labels),
        lambda: bootstrap_interval(values, np.mean, np.random.default_rng(0), labels, rounds=100),
    ):
        try:
            found = call()
        except StatisticsError as error:
            units = len(set(labels)) if labels is not None else len(values)
            too_few = units < 6 if clustered else units < 2
            assert too_few or not np.isfinite(values).all(), error  # noqa: PT017
            continue
        assert np.isfinite(values).all()
        assert math.isfinite(found.low)
        assert found.low <= found.estimate + 1e-12
        assert found.estimate - 1e-12 <= found.high
        assert found.n == len(values)


def test_ten_thousand_bca_rounds_of_a_thousand_cases_take_two_seconds_of_the_processor():
    values = np.random.default_rng(0).random(1000)
    once = functools.partial(bootstrap_interval, values, np.mean, np.random.default_rng(0))
    assert min(timeit.repeat(once, timer=time.process_time, number=1, repeat=2)) < 2
