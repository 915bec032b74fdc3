"""Win rates, both orders, position bias and strengths: printed values, closed forms, statsmodels."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from scipy.optimize import minimize
from statsmodels.tools.sm_exceptions import PerfectSeparationWarning

from harness.errors import StatisticsError
from harness.stats.preference import (
    both_orders,
    bradley_terry,
    davidson,
    length_adjusted_win_rate,
    position_bias,
    rao_kupper,
    win_rate,
)

TEAMS = ["Mil", "Det", "Tor", "NY", "Bos", "Cle", "Bal"]
BASEBALL = [
    [0, 7, 9, 7, 7, 9, 11],
    [6, 0, 7, 5, 11, 9, 9],
    [4, 6, 0, 7, 7, 8, 12],
    [6, 8, 6, 0, 6, 7, 10],
    [6, 2, 6, 7, 0, 7, 12],
    [4, 4, 5, 6, 6, 0, 6],
    [2, 4, 1, 3, 1, 7, 0],
]

# ---- win rates ----------------------------------------------------------------------------------------------


def test_ties_are_half_a_win():
    found = win_rate([1, 0.5, 0.5, 0])
    assert (found.estimate, found.wins, found.ties, found.losses) == (0.5, 1, 2, 1)


def test_what_was_not_read_is_counted_and_scored_as_nothing():
    found = win_rate([1, None, 1, 0, None])
    assert found.estimate == pytest.approx(2 / 3)
    assert (found.unparsed, found.interval.n) == (2, 3)
    assert repr(found).endswith("2/0/1 won/tied/lost, 2 unparsed")


def test_many_cases_use_students_t_and_few_wilsons_range():
    scores = np.random.default_rng(0).choice([0, 0.25, 0.5, 1], 150)
    found = win_rate(scores)
    theirs = scipy_stats.ttest_1samp(scores, 0).confidence_interval(0.95)
    assert (found.interval.low, found.interval.high) == pytest.approx((theirs.low, theirs.high))
    assert found.standard_error == pytest.approx(scores.std(ddof=1) / math.sqrt(150))
    assert win_rate([1] * 8 + [0] * 2).interval.method == "Wilson"


@pytest.mark.parametrize("n", [1, 2, 50, 500])
def test_wins_only_leave_room_for_a_loss(n):
    found = win_rate([1] * n)
    assert found.interval.low < 1 == found.interval.high


def test_both_wordings_of_a_question_are_one_case():
    scores = np.random.default_rng(0).choice([0.0, 1.0], 120)
    once, twice = win_rate(scores), win_rate(np.tile(scores, 2), clusters=list(range(120)) * 2)
    assert (twice.interval.low, twice.interval.high) == pytest.approx((once.interval.low, once.interval.high))
    assert win_rate([1] * 200, clusters=[0] * 200).interval.low == win_rate([1]).interval.low


@settings(max_examples=80)
@given(st.lists(st.tuples(st.sampled_from([0, 0.25, 0.5, 0.75, 1, None]), st.integers(0, 3)), max_size=15))
def test_a_win_rate_is_a_rate_or_a_refusal(pairs):
    scores, labels = [s for s, _ in pairs], [c for _, c in pairs]
    for clusters in (None, labels):
        if all(s is None for s in scores):
            with pytest.raises(StatisticsError):
                win_rate(scores, clusters)
        else:
            found = win_rate(scores, clusters).interval
            assert 0 <= found.low <= found.estimate <= found.high <= 1


@pytest.mark.parametrize("scores", [[], [None], [1.2], [-0.1], [math.nan, 1]])
def test_scores_that_are_no_rate_are_refused(scores):
    with pytest.raises(StatisticsError):
        win_rate(scores)


# ---- both orders --------------------------------------------------------------------------------------------


def test_a_pair_scores_the_mean_of_both_orders_and_wins_only_where_they_agree():
    found = both_orders([1, 1, 1, 0, 0.5, 0, 0.5, None], [1, 0.5, 0, 1, 0.5, 0, 0, 1])
    assert found.scores == (1, 0.75, 0.5, 0.5, 0.5, 0, 0.25, None)
    assert (found.wins, found.ties, found.losses, found.unparsed) == (1, 5, 1, 1)
    assert (found.first_first, found.second_second, found.consistent) == (1, 1, 3)
    assert found.consistency == pytest.approx(3 / 7)
    assert both_orders([None], [1]).consistency is None
    assert "\n" not in repr(found)


@pytest.mark.parametrize(("first", "second"), [([1], []), ([0.7], [1]), ([math.nan], [1])])
def test_judgements_that_do_not_pair_are_refused(first, second):
    with pytest.raises(StatisticsError):
        both_orders(first, second)


def test_a_judge_that_looks_at_the_place_is_found_out():
    assert position_bias(16, 2).p_value == pytest.approx(0.00131, abs=5e-6)
    assert position_bias(2, 16).p_value == position_bias(16, 2).p_value
    assert position_bias(16, 2).share == pytest.approx(16 / 18)


def test_no_turned_pair_is_no_evidence():
    found = position_bias(0, 0)
    assert (found.p_value, found.share) == (1, None)


@given(st.integers(0, 200), st.integers(0, 200))
def test_position_bias_is_the_exact_binomial_test(first, second):
    if first + second:
        theirs = scipy_stats.binomtest(first, first + second).pvalue
        assert position_bias(first, second).p_value == pytest.approx(theirs, rel=1e-9)


def test_negative_counts_are_refused():
    with pytest.raises(StatisticsError):
        position_bias(-1, 2)


# ---- two models with ties -----------------------------------------------------------------------------------


def test_davidson_and_rao_kupper_match_the_design():
    found = davidson(40, 25, 35)
    assert (found.strength, found.ties) == pytest.approx((0.470004, 1.106797), abs=5e-7)
    found = rao_kupper(40, 25, 35)
    assert (found.strength, found.ties) == pytest.approx((0.346574, 0.752039), abs=5e-7)


@settings(max_examples=25)
@given(st.integers(1, 200), st.integers(1, 200), st.integers(1, 200))
def test_both_tie_models_reproduce_the_shares_and_their_errors(w, lost, t):
    n = w + lost + t
    d, r = davidson(w, lost, t), rao_kupper(w, lost, t)
    ratio = math.exp(d.strength)
    total = ratio + 1 + d.ties * math.sqrt(ratio)
    assert (ratio / total, 1 / total) == pytest.approx((w / n, lost / n))
    ratio, theta = math.exp(r.strength), math.exp(r.ties)
    assert (ratio / (ratio + theta), 1 / (theta * ratio + 1)) == pytest.approx((w / n, lost / n))

    # Standard errors: the gradient of the closed form over the multinomial's covariance.
    p = np.array([w, lost]) / n
    covariance = (np.diag(p) - np.outer(p, p)) / n
    for model, gradient in (
        (d, np.array([1 / p[0], -1 / p[1]])),
        (r, np.array([1 / (p[0] * (1 - p[0])), -1 / (p[1] * (1 - p[1]))]) / 2),
    ):
        assert model.standard_error == pytest.approx(math.sqrt(gradient @ covariance @ gradient))


def test_without_ties_both_are_the_log_odds():
    assert davidson(30, 10, 0).strength == pytest.approx(math.log(3))
    assert rao_kupper(30, 10, 0).strength == pytest.approx(math.log(3))
    assert rao_kupper(30, 10, 0).ties == pytest.approx(0, abs=1e-12)
    assert rao_kupper(30, 10, 0).standard_error == pytest.approx(davidson(30, 10, 0).standard_error)


@pytest.mark.parametrize("model", [davidson, rao_kupper])
@pytest.mark.parametrize("counts", [(0, 0, 0), (5, 0, 3), (0, 5, 3), (-1, 2, 3)])
def test_a_side_that_never_wins_has_no_strength(model, counts):
    with pytest.raises(StatisticsError):
        model(*counts)


# ---- Bradley-Terry ------------------------------------------------------------------------------------------


def test_agrestis_baseball():
    found = bradley_terry(BASEBALL, TEAMS)
    assert found.strengths == pytest.approx((1.5814, 1.4364, 1.2945, 1.2476, 1.1077, 0.6839, 0), abs=5e-5)
    assert found.standard_errors == pytest.approx((0.3433, 0.3396, 0.3367, 0.3359, 0.3339, 0.3319, 0), abs=5e-5)
    assert (found.reference, found.n) == ("Bal", 273)
    assert repr(found).startswith("Mil 1.581, Det 1.436")


def test_another_reference_only_moves_the_scale():
    found, moved = bradley_terry(BASEBALL, TEAMS), bradley_terry(BASEBALL, TEAMS, reference="Mil")
    assert np.diff(found.strengths) == pytest.approx(np.diff(moved.strengths))
    assert moved.strengths[0] == moved.standard_errors[0] == 0
    assert moved.standard_errors[-1] == pytest.approx(found.standard_errors[0])


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(3, 6))
def test_strengths_agree_with_a_logistic_regression_of_statsmodels(seed, k):
    rng = np.random.default_rng(seed)
    wins = rng.integers(1, 12, size=(k, k))
    np.fill_diagonal(wins, 0)
    rows, counts = [], []
    for i in range(k):
        for j in range(i + 1, k):
            row = np.zeros(k)
            row[i], row[j] = 1, -1
            rows.append(row[:-1])
            counts.append((wins[i, j], wins[j, i]))
    with warnings.catch_warnings():
        # Rates that the model meets exactly look like separation to statsmodels; its estimates are finite and right.
        warnings.simplefilter("ignore", PerfectSeparationWarning)
        fit = sm.GLM(np.array(counts), np.array(rows), family=sm.families.Binomial()).fit(tol=1e-12)
    found = bradley_terry(wins)
    assert found.strengths[:-1] == pytest.approx(fit.params, abs=1e-6)
    assert found.standard_errors[:-1] == pytest.approx(fit.bse, abs=1e-5)


def test_lopsided_games_still_have_a_maximum():
    wins = [[0, 1000, 0], [1, 0, 1000], [0, 1, 0]]
    found = bradley_terry(wins)
    assert found.strengths == pytest.approx((2 * math.log(1000), math.log(1000), 0), rel=1e-6)


@pytest.mark.parametrize(
    ("wins", "words"),
    [
        ([[0, 3], [2, 0]], "for three or more"),
        ([[0, 1, 0], [1, 0, 0], [0, 0, 0]], "3 never met 1"),
        ([[0, 1, 1], [0, 0, 1], [0, 1, 0]], "2, 3 never beat any of 1"),
        ([[0, 1, 1], [1, 0, 1], [0, 0, 0]], "3 never beat any of 1, 2"),
        ([[0, 0, 0]] * 3, "never met"),
        ([[1, 1, 1]] * 3, "cannot beat itself"),
        ([[0, -1, 1], [1, 0, 1], [1, 1, 0]], "0 or more"),
        ([[0, math.nan, 1], [1, 0, 1], [1, 1, 0]], "0 or more"),
        ([[0, 1, 1], [1, 0, 1]], "one row and one column"),
        ([], "one row and one column"),
        ("abc", "not a table"),
    ],
)
def test_games_that_give_no_strengths_are_refused_in_words(wins, words):
    with pytest.raises(StatisticsError, match=words):
        bradley_terry(wins)


def test_names_must_fit():
    with pytest.raises(StatisticsError, match="one name per model"):
        bradley_terry(BASEBALL, ["a"])
    with pytest.raises(StatisticsError, match="'Bos2' is none of"):
        bradley_terry(BASEBALL, TEAMS, reference="Bos2")


@settings(max_examples=80)
@given(st.integers(3, 5).flatmap(lambda k: st.lists(st.integers(0, 2), min_size=k * k, max_size=k * k)))
def test_sparse_games_get_finite_strengths_or_a_refusal(flat):
    k = math.isqrt(len(flat))
    wins = np.array(flat).reshape(k, k)
    np.fill_diagonal(wins, 0)
    try:
        found = bradley_terry(wins)
    except StatisticsError:
        return
    assert np.isfinite(found.strengths).all()
    assert np.isfinite(found.standard_errors).all()
    # At the maximum every model is expected to win as often as it did.
    gaps = np.subtract.outer(found.strengths, found.strengths)
    expected = ((wins + wins.T) / (1 + np.exp(-gaps))).sum(axis=1)
    assert expected == pytest.approx(wins.sum(axis=1), abs=1e-6)


# ---- length -------------------------------------------------------------------------------------------------


def judged(n: int = 400, pull: float = 1.5, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Equal answers, the candidate's longer on average, and a judge that likes length."""
    rng = np.random.default_rng(seed)
    baseline = rng.normal(500, 80, n)
    candidate = baseline + rng.normal(100, 120, n)
    z = (candidate - baseline) / np.std(candidate - baseline, ddof=1)
    return (rng.random(n) < 1 / (1 + np.exp(-pull * np.tanh(z)))) * 1.0, candidate, baseline


def test_what_length_alone_won_is_taken_away():
    found = length_adjusted_win_rate(*judged(2000), np.random.default_rng(0), rounds=300)
    assert found.raw.interval.low > 0.55
    assert found.adjusted.low < 0.5 < found.adjusted.high
    assert found.pull == pytest.approx(1.5, abs=0.35)
    assert "at the same length" in repr(found)


def test_the_reading_is_a_logistic_regressions():
    y, candidate, baseline = judged()
    gap = candidate - baseline
    x = np.tanh(gap / gap.std(ddof=1))

    def loss(beta: np.ndarray) -> float:
        odds = beta[0] + beta[1] * x
        return float(np.sum(np.logaddexp(0, odds) - y * odds))

    theirs = minimize(loss, [0, 0], method="BFGS", options={"gtol": 1e-8}).x
    found = length_adjusted_win_rate(y, candidate, baseline, np.random.default_rng(0), rounds=200)
    assert found.adjusted.estimate == pytest.approx(1 / (1 + math.exp(-theirs[0])), abs=1e-6)
    assert found.pull == pytest.approx(theirs[1], abs=1e-5)


def test_the_range_is_from_resampled_cases_fitted_again():
    from harness.stats.intervals import bootstrap_interval

    y, candidate, baseline = judged(150)

    def plain(rows: np.ndarray) -> float:
        gap = rows[:, 1] - rows[:, 2]
        x = sm.add_constant(np.tanh(gap / gap.std(ddof=1)))
        fit = sm.GLM(rows[:, 0], x, family=sm.families.Binomial()).fit(tol=1e-12)
        return 1 / (1 + math.exp(-fit.params[0]))

    slow = bootstrap_interval(np.column_stack([y, candidate, baseline]), plain, np.random.default_rng(3), rounds=100)
    fast = length_adjusted_win_rate(y, candidate, baseline, np.random.default_rng(3), rounds=100).adjusted
    assert (fast.low, fast.high) == pytest.approx((slow.low, slow.high), abs=1e-6)


@pytest.mark.parametrize(
    ("scores", "candidate", "baseline", "words"),
    [
        ([1.0] * 99, [1.0] * 99, [2.0] * 99, "99 pairs are too few"),
        ([1.0, 0.0] * 60, [5.0] * 120, [2.0] * 120, "nothing to adjust for"),
        ([1.0, 0.0] * 60, [900.0, 100.0] * 60, [500.0] * 120, "only 0.0% of the pairs"),
        ([1.0] * 120, list(range(120)), [60.0] * 120, "no fit"),
        ([1.0] * 60 + [0.0] * 60, list(range(120)), [60.0] * 120, "no fit"),
        ([1.0] * 120, [1.0], [1.0] * 120, "give one per pair"),
        ([2.0] * 120, [1.0] * 120, [1.0] * 120, "between 0 and 1"),
        ([1.0] * 120, [math.nan] * 120, [1.0] * 120, "candidate_lengths"),
    ],
)
def test_lengths_that_cannot_be_adjusted_for_are_refused_in_words(scores, candidate, baseline, words):
    with pytest.raises(StatisticsError, match=words):
        length_adjusted_win_rate(scores, candidate, baseline, np.random.default_rng(0))
