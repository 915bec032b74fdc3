"""Corners that planted faults (benchmarks/mutants.py) showed to be unwatched."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from harness.errors import StatisticsError
from harness.stats.agreement import cohen_kappa, gwet_ac1
from harness.stats.classification import macro_f1_difference
from harness.stats.clusters import ClusterMean
from harness.stats.guards import PairedSample, alarms, pooled_not_worse
from harness.stats.intervals import bca_limits, bootstrap_interval, mean_interval, normal_quantile, wilson
from harness.stats.paired import compare_paired
from harness.stats.power import rule_power, smallest_margin
from harness.stats.preference import both_orders
from harness.stats.sequential import ScoreSequence, WinRateSequence
from harness.stats.signflip import sign_flip_test
from harness.stats.strength import bradley_terry, davidson
from harness.stats.winrate import win_rate


@pytest.mark.parametrize("partial", ["candidate", "baseline"])
def test_partial_scores_on_one_side_are_not_counted_as_yes_and_no(partial):
    whole, parts = [1.0, 0.0] * 6, [0.5, 0.0] * 6
    scores = {"candidate": whole, "baseline": whole} | {partial: parts}
    assert alarms([PairedSample(name="a", **scores)])[0].method == "exact sign flips"


def test_an_unknown_alternative_is_refused():
    with pytest.raises(StatisticsError, match="choose two-sided, less or greater"):
        sign_flip_test([0.1, -0.3], alternative="worse")


def test_one_case_is_a_set():
    found = rule_power([1], [0.0])
    assert found.passes + found.inconclusive + found.fails == pytest.approx(1)


def test_the_last_step_below_one_is_a_margin_too():
    # One case without a flip leaves drops up to z^2 / (1 + z^2) = .73 possible.
    assert smallest_margin(1, 0.0, step=0.3) == 0.9


def test_a_sequence_without_cases_knows_nothing_at_its_own_confidence():
    found = WinRateSequence(alpha=0.1).interval
    assert (found.estimate, found.low, found.high, found.confidence) == (0.5, 0.0, 1.0, 0.9)


def test_equal_partial_differences_leave_as_much_open_as_so_many_cases_do():
    found = compare_paired([0.5] * 20, [1.0] * 20, margin=0.05)
    other = 1 - 0.05 ** (1 / 20)
    assert found.lower_limit == pytest.approx(-0.5 * (1 - other) - other)
    assert found.upper_limit == pytest.approx(-0.5 * (1 - other) + other)


def test_a_pair_is_unparsed_whichever_order_was():
    assert both_orders([1, None, 1], [None, 1, 1]).scores == (None, None, 1.0)


def test_six_clusters_are_enough_for_an_interval_and_five_are_not():
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    twice, labels = np.repeat(values, 2), np.repeat(np.arange(6), 2)
    found = mean_interval(twice, labels)
    # Of 64 patterns one may be left out at either end: the least and the largest mean of any clusters.
    assert (found.low, found.high) == (1.0, 6.0)
    with pytest.raises(StatisticsError, match="5 clusters are too few"):
        mean_interval(twice[:10], labels[:10])


def test_limits_of_shares_stay_on_the_scale():
    gains = np.ones(40)
    gains[0] = 0.0
    found = compare_paired(gains, np.zeros(40), margin=0.05, clusters=np.repeat(np.arange(20), 2))
    assert found.upper_limit == found.interval.high == 1.0
    lost = compare_paired(np.zeros(40), gains, margin=0.05, clusters=np.repeat(np.arange(20), 2))
    assert lost.lower_limit == lost.interval.low == -1.0


def test_a_side_without_wins_is_named_as_it_was_given():
    with pytest.raises(StatisticsError, match="wins=5, losses=0:"):
        davidson(5, 0, 1)


def test_a_win_rate_of_a_hundred_pairs_has_a_t_interval():
    scores = [1.0, 0.0, 0.5, 1.0] * 25
    assert win_rate(scores).interval.method == "Student t"
    assert win_rate(scores[:99]).interval.method == "Wilson"


def test_limits_of_few_clusters_are_counted_from_the_ends():
    values = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    subsets = itertools.chain.from_iterable(itertools.combinations(values, k) for k in range(1, 7))
    means = sorted(float(np.mean(one)) for one in subsets)
    # A quarter of 64 patterns is 16; of a little less, 15 may be left out.
    for confidence, left_out in ((0.5, 16), (0.502, 15)):
        found = mean_interval(np.repeat(values, 2), np.repeat(np.arange(6), 2), confidence=confidence)
        assert (found.low, found.high) == (means[left_out - 1], means[-left_out])


def test_a_big_cluster_of_judgements_counts_less_than_its_size():
    found = win_rate([1.0, 1.0, 0.0, 1.0, 0.0, 0.0], clusters=["a", "a", "a", "b", "c", "d"])
    effective = wilson(1.5, 3)  # 6^2 / (3^2 + 1 + 1 + 1)
    assert (found.interval.low, found.interval.high) == (effective.low, effective.high)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 5.0])
def test_a_false_alarm_rate_is_a_share(alpha):
    with pytest.raises(StatisticsError, match="give the false-alarm rate as a share"):
        alarms([PairedSample(name="a", candidate=[1.0], baseline=[1.0])], alpha)


@pytest.mark.parametrize("measure", [cohen_kappa, gwet_ac1])
def test_two_judges_label_the_same_cases(measure):
    with pytest.raises(StatisticsError, match="3 labels of the first judge but 2"):
        measure(["a", "b", "a"], ["a", "b"], np.random.default_rng(0))


def test_a_long_sequence_may_have_rounded_its_shares():
    assert WinRateSequence(wins=5e6, losses=5e6 + 1e-5, n=10_000_000).n == 10_000_000
    with pytest.raises(StatisticsError, match="do not add up"):
        WinRateSequence(wins=5.0, losses=5.1, n=10)


@pytest.mark.parametrize("sequence", [WinRateSequence(), ScoreSequence()])
def test_a_sequence_keeps_the_case_at_which_it_was_decided(sequence):
    for _ in range(40):
        sequence = sequence.update(1.0)
    decided_at = sequence.decided_at
    assert sequence.decided == "above"
    assert decided_at is not None
    assert decided_at < 30
    for _ in range(200):
        sequence = sequence.update(0.0)
    assert (sequence.decided, sequence.decided_at) == ("above", decided_at)


@pytest.mark.parametrize(
    ("gold", "candidate", "baseline"),
    [
        ([0, -1], [0, 1], [0, 1]),
        ([0, 2], [0, 1], [0, 1]),
        ([0, 1], [0, 2], [0, 1]),
        ([0, 1], [0, 1], [2, 1]),
    ],
)
def test_a_class_that_is_none_is_refused(gold, candidate, baseline):
    with pytest.raises(StatisticsError, match="classes are numbers from 0 to 1"):
        macro_f1_difference(gold, candidate, baseline, classes=2, rng=np.random.default_rng(0), rounds=100)


def test_some_sets_may_have_rewordings_and_others_none():
    one = PairedSample(name="a", candidate=[1.0, 0.5, 1.0], baseline=[1.0, 1.0, 0.0], clusters=["x", "x", "y"])
    other = PairedSample(name="b", candidate=[0.0, 1.0], baseline=[1.0, 1.0])
    for samples in ((one, other), (other, one)):
        found = pooled_not_worse(samples, 0.05)
        assert (found.n, found.n_clusters) == (5, 4)


def test_rounding_of_large_numbers_is_no_spread():
    values = np.full(20, 1e9 / 3)
    labels = np.repeat([0, 1, 2, 3], [11, 5, 3, 1])
    assert ClusterMean.of(values, clusters=labels).standard_error == 0.0


def test_a_set_that_is_lost_altogether_has_power_to_show_it():
    found = rule_power([12], [1.0], [1.0])
    assert (found.passes, found.fails) == (0.0, pytest.approx(1.0))


def test_strengths_far_apart_are_found_too():
    chain = [[0, 999, 0], [1, 0, 999], [0, 1, 0]]
    found = bradley_terry(chain, ["a", "b", "c"], reference="c")
    assert found.strengths == pytest.approx((2 * math.log(999), math.log(999), 0.0))


@pytest.mark.parametrize("side", [1, -1])
def test_an_estimate_beyond_all_its_resamples_is_corrected_by_half_a_resample(side):
    replicates = np.sort(side * np.linspace(1, 2, 200))
    low, high = bca_limits(0.0, replicates, np.zeros(10), 0.025)
    bias = side * normal_quantile(0.5 / 200)
    levels = [0.5 * math.erfc(-(2 * bias + z) / math.sqrt(2)) for z in (normal_quantile(0.025), normal_quantile(0.975))]
    assert (low, high) == pytest.approx(tuple(np.quantile(replicates, levels)))


def test_a_few_rounds_are_too_few():
    rng = np.random.default_rng(0)
    irregular = rng.random(40) - 0.5
    with pytest.raises(StatisticsError, match="99 random flips are too few"):
        sign_flip_test(irregular, rng=rng, rounds=99)
    with pytest.raises(StatisticsError, match="99 bootstrap rounds are too few"):
        bootstrap_interval(irregular, np.mean, rng, rounds=99)
    assert sign_flip_test(irregular, rng=rng, rounds=100).method == "100 random sign flips"


def test_both_tails_are_the_same_whichever_side_is_called_better():
    d = np.array([0.25, 0.5, 0.125, 0.25, -0.125, 0.25, -0.375])
    assert 0 < d.sum() < 1
    assert sign_flip_test(d).p_value == pytest.approx(sign_flip_test(-d).p_value)
    assert sign_flip_test(d).p_value < 0.5
