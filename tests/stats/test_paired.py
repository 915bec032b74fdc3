"""Two models on the same cases, against printed tables, statsmodels and closed forms."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests

from harness.errors import StatisticsError
from harness.stats.flips import tango_excess, tango_limits
from harness.stats.paired import (
    benjamini_hochberg,
    compare_paired,
    holm,
    mcnemar,
    sign_flip_test,
    tango_interval,
)

COUNTS = st.integers(0, 300)


def yes_no(b: int, c: int, n: int) -> tuple[list[float], list[float]]:
    """`n` pairs of which b only the candidate passes and c only the baseline."""
    same = n - b - c
    return [1.0] * b + [0.0] * c + [1.0] * same, [0.0] * b + [1.0] * c + [1.0] * same


# ---- McNemar ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("b", "c", "exact", "mid"),
    [
        (1, 8, 0.0390625, 0.0214844),
        (2, 10, 0.0385742, 0.0224609),
        (5, 15, 0.0413895, 0.0266037),
        (0, 5, 0.0625, 0.03125),
        (86, 150, 3.7159e-5, 2.8934e-5),
    ],
)
def test_mcnemar_matches_the_table(b, c, exact, mid):
    assert mcnemar(b, c).p_value == pytest.approx(exact, rel=2e-5)
    assert mcnemar(b, c, mid_p=True).p_value == pytest.approx(mid, rel=2e-5)
    assert mcnemar(c, b, mid_p=True).p_value == pytest.approx(mid, rel=2e-5)


@pytest.mark.parametrize("m", [1, 2, 7, 40, 1001, 20_000])
def test_one_sided_mcnemar_is_the_tail_of_the_binomial(m):
    for b in {0, 1, m // 3, m // 2, m // 2 + 1, m}:
        upto, exactly = scipy_stats.binom.cdf(b, m, 0.5), scipy_stats.binom.pmf(b, m, 0.5)
        assert mcnemar(b, m - b, alternative="less").p_value == pytest.approx(upto, rel=1e-10)
        assert mcnemar(b, m - b, True, "less").p_value == pytest.approx(upto - exactly / 2, rel=1e-10)


@given(COUNTS, COUNTS)
def test_mcnemar_agrees_with_statsmodels(b, c):
    if b + c:
        theirs = statsmodels_mcnemar([[5, b], [c, 5]], exact=True).pvalue
        assert mcnemar(b, c).p_value == pytest.approx(theirs, rel=1e-9)


@given(COUNTS, COUNTS, st.booleans())
def test_p_values_are_chances(b, c, mid_p):
    for alternative in ("two-sided", "less", "greater"):
        assert 0 <= mcnemar(b, c, mid_p, alternative).p_value <= 1


@given(COUNTS, COUNTS)
def test_mid_p_tails_add_up_to_one_and_the_two_sided_is_twice_the_smaller(b, c):
    if b + c:
        less, greater = (mcnemar(b, c, True, side).p_value for side in ("less", "greater"))
        assert less + greater == pytest.approx(1)
        assert mcnemar(b, c, True).p_value == pytest.approx(2 * min(less, greater))


def test_less_means_that_the_candidate_is_worse():
    assert mcnemar(1, 8, True, "less").p_value < 0.05 < mcnemar(1, 8, True, "greater").p_value


@pytest.mark.parametrize("mid_p", [True, False])
def test_no_flips_are_no_evidence(mid_p):
    assert mcnemar(0, 0, mid_p).p_value == mcnemar(0, 0, mid_p, "less").p_value == 1


# ---- Tango --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "confidence", "low", "high"),
    [
        ((12, 2, 44), 0.95, 0.06917, 0.38600),
        ((16, 4, 32), 0.95, 0.10791, 0.58692),
        ((1, 9, 100), 0.95, -0.15408, -0.02265),
        ((0, 3, 100), 0.95, -0.08452, 0.00810),
        ((1, 3, 50), 0.90, -0.12463, 0.03398),
    ],
)
def test_tango_matches_the_table(table, confidence, low, high):
    found = tango_interval(*table, confidence=confidence)
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-6)


def test_one_gain_and_three_losses_of_fifty_are_inconclusive_at_five_points():
    found = compare_paired(*yes_no(1, 3, 50), margin=0.05)
    assert found.answer.status == "INCONCLUSIVE"
    assert (found.lower_limit, found.upper_limit) == pytest.approx((-0.12463, 0.03398), abs=6e-6)


tables = st.tuples(COUNTS, COUNTS, st.integers(0, 2000)).filter(any).map(lambda t: (t[0], t[1], sum(t)))


@given(tables)
def test_tango_holds_the_estimate_mirrors_and_stays_in_range(table):
    b, c, n = table
    found, mirrored = tango_interval(b, c, n), tango_interval(c, b, n)
    assert -1 <= found.low <= found.estimate <= found.high <= 1
    assert (found.low, found.high) == (-mirrored.high, -mirrored.low)
    assert found.low < found.high


@given(tables)
def test_tango_limits_solve_tangos_equation(table):
    b, c, n = table
    z_crit = scipy_stats.norm.ppf(0.975)
    for d in (tango_interval(b, c, n).low, tango_interval(b, c, n).high):
        if abs(d) < 0.999:
            a2, b2, c2 = 2 * n, -b - c + (2 * n - b + c) * d, -c * d * (1 - d)
            q = (math.sqrt(max(0.0, b2 * b2 - 4 * a2 * c2)) - b2) / (2 * a2)
            z = (b - c - n * d) / math.sqrt(n * (2 * q + d * (1 - d)))
            assert abs(z) == pytest.approx(z_crit, rel=1e-4)


def test_no_flips_still_leave_room_for_some():
    # -z^2 / (n + z^2)
    z2 = scipy_stats.norm.ppf(0.95) ** 2
    assert compare_paired(*yes_no(0, 0, 100), margin=0.05).lower_limit == pytest.approx(-z2 / (100 + z2))


# ---- sign flips ---------------------------------------------------------------------------------------------

DARWIN = [6.125, -8.375, 1, 2, 0.75, 2.875, 3.5, 5.125, 1.75, 3.625, 7, 3, 9.375, 7.5, -6]


def test_darwins_maize():
    assert sign_flip_test(DARWIN, alternative="greater").p_value == pytest.approx(863 / 32768)
    assert sign_flip_test(DARWIN).p_value == pytest.approx(2 * 863 / 32768)
    found = scipy_stats.ttest_1samp(DARWIN, 0)
    assert (found.statistic, found.pvalue) == pytest.approx((2.1480, 0.0497), abs=5e-5)
    t = compare_paired(DARWIN, [0] * 15, margin=0)
    assert t.difference / t.standard_error == pytest.approx(2.1480, abs=5e-5)


@settings(max_examples=60)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=9), st.sampled_from(["two-sided", "less", "greater"]))
def test_sign_flips_count_all_patterns(differences, alternative):
    d = np.array(differences)
    signs = np.array(np.meshgrid(*[[-1.0, 1.0]] * d.size)).reshape(d.size, -1)
    sums, seen = d @ signs, d.sum()
    slack = 1e-11 * max(1e-300, np.abs(d).sum())
    expected = {
        "greater": np.mean(sums >= seen - slack),
        "less": np.mean(sums <= seen + slack),
        "two-sided": np.mean(np.abs(sums) >= abs(seen) - slack),
    }[alternative]
    # Differences too small beside the others to change a sum are rounding, not evidence.
    if np.all((d == 0) | (np.abs(d) > 1e-9)):
        assert sign_flip_test(d, alternative=alternative).p_value == pytest.approx(expected)


def test_shares_of_samples_are_counted_exactly_at_any_number():
    rng = np.random.default_rng(0)
    d = rng.integers(-4, 4, 300) / 4
    found = sign_flip_test(d, alternative="less")
    assert found.method == "exact sign flips"
    signs = rng.choice([-1.0, 1.0], size=(40_000, d.size))
    drawn = np.mean(signs @ d <= d.sum() + 1e-9)
    assert found.p_value == pytest.approx(drawn, abs=2e-3)


def test_yes_no_flips_are_the_exact_mcnemar_test():
    for b, c in [(3, 9), (30, 60), (1, 0)]:
        d = [1.0] * b + [-1.0] * c + [0.0] * 7
        assert sign_flip_test(d).p_value == pytest.approx(mcnemar(b, c).p_value)
        assert sign_flip_test(d, alternative="less").p_value == pytest.approx(mcnemar(b, c, alternative="less").p_value)


def test_random_flips_are_never_certain_and_repeat():
    d = np.random.default_rng(0).normal(5, 1, 60)
    found = sign_flip_test(d, alternative="greater")
    assert found.p_value == 1 / 10_001
    assert found == sign_flip_test(d, alternative="greater")
    assert sign_flip_test(d, rng=np.random.default_rng(3)).method == "10000 random sign flips"


def test_random_flips_agree_with_the_t_test_on_plain_data():
    d = np.random.default_rng(1).normal(0.2, 1, 80)
    for alternative in ("two-sided", "greater", "less"):
        t = scipy_stats.ttest_1samp(d, 0, alternative=alternative).pvalue
        assert sign_flip_test(d, alternative=alternative).p_value == pytest.approx(t, abs=0.015)


def test_clusters_flip_together():
    d = [1.0, 1.0, 1.0, 1.0]
    assert sign_flip_test(d, alternative="greater").p_value == 1 / 16
    assert sign_flip_test(d, alternative="greater", clusters=["a", "a", "b", "b"]).p_value == 1 / 4


def test_nothing_changed_is_no_evidence():
    assert sign_flip_test([0.0, 0.0]).p_value == 1


# ---- multiplicity -------------------------------------------------------------------------------------------


def test_holm_and_bh_on_four():
    p = [0.01, 0.04, 0.03, 0.005]
    assert holm(p) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert benjamini_hochberg(p) == pytest.approx([0.02, 0.04, 0.04, 0.02])


def test_benjamini_and_hochbergs_own_example():
    p = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
        0.7590, 1.0,
    ]  # fmt: skip
    assert sum(15 * x <= 0.05 for x in p) == 3
    assert np.count_nonzero(holm(p) <= 0.05) == 3
    assert np.count_nonzero(benjamini_hochberg(p) <= 0.05) == 4


@settings(max_examples=15)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_adjusted_p_values_agree_with_statsmodels(p):
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1], abs=1e-12)
    assert benjamini_hochberg(p) == pytest.approx(multipletests(p, method="fdr_bh")[1], abs=1e-12)


@pytest.mark.parametrize("p", [[], [1.2], [-0.1], [math.nan]])
def test_what_is_no_p_value_is_refused(p):
    with pytest.raises(StatisticsError):
        holm(p)


# ---- compare_paired -----------------------------------------------------------------------------------------


def test_partial_scores_use_students_t():
    rng = np.random.default_rng(0)
    x, y = rng.random(50), rng.random(50)
    found = compare_paired(x, y, margin=0.05)
    theirs = scipy_stats.ttest_rel(x, y).confidence_interval(0.95)
    assert (found.interval.low, found.interval.high) == pytest.approx((theirs.low, theirs.high))
    one_sided = scipy_stats.ttest_rel(x, y, alternative="greater").confidence_interval(0.95)
    assert found.lower_limit == pytest.approx(one_sided.low)
    assert found.standard_error == pytest.approx(np.std(x - y, ddof=1) / math.sqrt(50))
    assert found.minimum_detectable_effect == pytest.approx(2.486475 * found.standard_error, rel=1e-6)


def test_the_discordant_counts_are_candidate_then_baseline():
    found = compare_paired(*yes_no(7, 3, 40), margin=0.05)
    assert (found.discordant.only_candidate, found.discordant.only_baseline) == (7, 3)
    assert found.difference == pytest.approx(0.1)


@pytest.mark.parametrize(("b", "c", "status"), [(2, 2, "PASS"), (0, 40, "FAIL"), (2, 16, "INCONCLUSIVE")])
def test_the_answer_follows_the_limits(b, c, status):
    margin = 0.08 if status == "INCONCLUSIVE" else 0.05
    found = compare_paired(*yes_no(b, c, 200), margin=margin)
    if status == "INCONCLUSIVE":
        assert found.lower_limit < -margin
        assert found.answer.status == "FAIL"  # worse, and by how much is open
    else:
        assert found.answer.status == status


def test_copies_of_a_case_add_no_certainty():
    rng = np.random.default_rng(0)
    x, y = rng.random(40), rng.random(40)
    once = compare_paired(x, y, margin=0.05, clusters=range(40))
    four = compare_paired(np.tile(x, 4), np.tile(y, 4), margin=0.05, clusters=list(range(40)) * 4)
    assert four.interval.low == pytest.approx(once.interval.low)
    assert (four.n, four.n_clusters) == (160, 40)


def test_whole_number_weights_are_copies_of_the_case_in_one_cluster():
    rng = np.random.default_rng(0)
    x, y, w = rng.random(40), rng.random(40), rng.integers(1, 4, 40)
    weighted = compare_paired(x, y, margin=0.05, weights=w)
    copies = compare_paired(np.repeat(x, w), np.repeat(y, w), margin=0.05, clusters=np.repeat(np.arange(40), w))
    assert weighted.difference == pytest.approx(copies.difference)
    assert weighted.lower_limit == pytest.approx(copies.lower_limit)


def test_equal_weights_change_nothing():
    x, y = yes_no(3, 5, 90)
    assert compare_paired(x, y, margin=0.05, weights=[2.0] * 90) == compare_paired(x, y, margin=0.05)


def test_weighted_yes_no_cases_are_never_more_certain_than_either_method():
    x, y = yes_no(0, 1, 60)
    weights = [1.0] * 30 + [2.0] * 30
    found = compare_paired(x, y, margin=0.05, weights=weights)
    assert found.lower_limit < -0.05  # the t limit alone would be -.03


@pytest.mark.parametrize("n", [1, 2, 5, 200])
@pytest.mark.parametrize("d", [0.0, 0.25, -0.25, 1.0, -1.0])
def test_differences_that_do_not_vary_get_a_defined_answer(n, d):
    found = compare_paired([0.5 + d / 2] * n, [0.5 - d / 2] * n, margin=0.05)
    assert -1 <= found.lower_limit <= d <= found.upper_limit <= 1
    assert found.lower_limit < found.upper_limit
    assert found.interval.low <= found.lower_limit
    if n < 5 and d <= 0:
        assert found.answer.status != "PASS"


@pytest.mark.parametrize("groups", [1, 2, 4, 25])
def test_few_clusters_get_a_defined_answer(groups):
    rng = np.random.default_rng(0)
    x, y = rng.random(100), rng.random(100)
    found = compare_paired(x, y, margin=0.05, clusters=np.arange(100) % groups)
    assert -1 <= found.interval.low <= found.difference <= found.interval.high <= 1
    if groups <= 4:
        assert found.answer.status == "INCONCLUSIVE"


def test_scores_on_another_scale_keep_their_unit():
    rng = np.random.default_rng(0)
    x, y = rng.random(30), rng.random(30)
    small, large = compare_paired(x, y, margin=0.05), compare_paired(100 * x, 100 * y, margin=5)
    assert large.lower_limit == pytest.approx(100 * small.lower_limit)
    assert large.cases_needed == small.cases_needed
    assert large.answer.status == small.answer.status


@pytest.mark.parametrize(("psi", "needed"), [(0.05, 124), (0.10, 248), (0.20, 495)])
def test_cases_needed_follow_the_flips(psi, needed):
    flips = round(100 * psi)
    assert compare_paired(*yes_no(flips // 2, flips - flips // 2, 100), margin=0.05).cases_needed == needed


def test_no_number_of_cases_rules_out_a_margin_of_nothing():
    assert compare_paired(*yes_no(1, 1, 50), margin=0).cases_needed is None


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: compare_paired([], [], margin=0.05), "there are none"),
        (lambda: compare_paired([1, 0], [1], margin=0.05), "2 candidate scores but 1 of the baseline"),
        (lambda: compare_paired([1, math.nan], [1, 0], margin=0.05), "candidate: the value at position 1"),
        (lambda: compare_paired([1, 0], [1, None], margin=0.05), "baseline: the value at position 1"),
        (lambda: compare_paired([1], [1], margin=-0.1), "margin -0.1"),
        (lambda: compare_paired([1], [1], margin=math.nan), "margin nan"),
        (lambda: compare_paired([1], [1], margin=0.05, confidence=95), "such as 0.95"),
        (lambda: compare_paired([1, 0], [1, 0], margin=0.05, weights=[1]), "2 cases but 1 weights"),
        (lambda: compare_paired([1, 0], [1, 0], margin=0.05, weights=[1, 0]), "a weight is above 0"),
        (lambda: compare_paired([1, 0], [1, 0], margin=0.05, clusters=["a"]), "one per value"),
        (lambda: tango_interval(0, 0, 0), "no pairs"),
        (lambda: tango_interval(3, 3, 5), "more than the pairs"),
        (lambda: mcnemar(-1, 3), "negative"),
        (lambda: sign_flip_test([]), "there are none"),
        (lambda: sign_flip_test([1.0, math.inf]), "position 1"),
    ],
)
def test_bad_input_is_refused_in_words(call, words):
    with pytest.raises(StatisticsError, match=words):
        call()


def test_a_comparison_fits_one_line():
    text = repr(compare_paired(*yes_no(1, 3, 50), margin=0.05))
    assert text.startswith("INCONCLUSIVE: -0.04 [")
    assert "b/c 1/3" in text
    assert len(text) < 120


def test_a_hundred_thousand_pairs_take_a_tenth_of_a_second():
    rng = np.random.default_rng(0)
    x, y = (rng.random((2, 100_000)) < 0.8).astype(float)
    compare_paired(x[:10], y[:10], margin=0.05)
    best = math.inf
    for _ in range(3):
        start = time.perf_counter()
        compare_paired(x, y, margin=0.05)
        best = min(best, time.perf_counter() - start)
    assert best < 0.1


def test_students_sleep_data_as_a_comparison():
    extra = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    found = compare_paired(extra, [0] * 10, margin=0)
    assert found.difference == pytest.approx(1.58)
    assert found.difference / found.standard_error == pytest.approx(4.0621, abs=5e-5)
    assert (found.interval.low, found.interval.high) == pytest.approx((0.70011, 2.45989), abs=5e-6)


@given(tables, st.floats(-0.99, 0.99))
def test_one_tango_limit_is_the_edge_of_what_many_tables_say(table, confidence_seed):
    b, c, n = table
    tail = 0.001 + 0.2 * abs(confidence_seed)
    z = scipy_stats.norm.ppf(1 - tail)
    low, _ = tango_limits(b, c, n, tail)
    for d, ruled_out in ((low - 1e-9, True), (low + 1e-9, False)):
        gap, error = tango_excess(np.array([float(b)]), np.array([float(c)]), n, d)
        if d > -1 and abs(gap[0] - z * error[0]) > 1e-6:
            assert bool(gap[0] > z * error[0]) is ruled_out


# ---- anything at all ----------------------------------------------------------------------------------------

SCORES = st.sampled_from([0.0, 0.25, 0.5, 1.0, math.nan, math.inf])


@settings(max_examples=150)
@given(
    st.lists(st.tuples(SCORES, SCORES, st.integers(0, 3)), max_size=8),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0, 0.05, 1]),
)
def test_any_pairs_get_numbers_or_a_refusal(rows, clustered, weighted, margin):
    x, y = [r[0] for r in rows], [r[1] for r in rows]
    labels = [r[2] for r in rows] if clustered else None
    weights = [r[2] + 1.0 for r in rows] if weighted else None
    if not rows or not np.isfinite(x + y).all():
        with pytest.raises(StatisticsError):
            compare_paired(x, y, margin=margin, clusters=labels, weights=weights)
        with pytest.raises(StatisticsError):
            sign_flip_test([*x, *y])
        return
    found = compare_paired(x, y, margin=margin, clusters=labels, weights=weights)
    assert -1 <= found.interval.low <= found.lower_limit <= found.difference + 1e-12
    assert found.difference - 1e-12 <= found.upper_limit <= found.interval.high <= 1
    assert found.standard_error is None or math.isfinite(found.standard_error)
    assert 0 <= found.minimum_detectable_effect < math.inf
    assert found.n == len(rows)
    assert "\n" not in repr(found)
    p = sign_flip_test(np.subtract(x, y), clusters=labels).p_value
    assert 0 < p <= 1


def test_eight_random_flips_at_once_are_eight_flips():
    from harness.stats.signflip import _byte_tables

    d = np.random.default_rng(0).normal(size=21)
    drawn = np.random.default_rng(1).integers(0, 256, size=(50, 3), dtype=np.uint8)
    signs = 2.0 * np.unpackbits(drawn, axis=1, bitorder="little")[:, :21] - 1
    tables_ = _byte_tables(d)
    assert sum(tables_[i][drawn[:, i]] for i in range(3)) == pytest.approx(signs @ d)


def test_one_half_point_among_cases_that_did_not_change_is_no_yes_or_no():
    """Tango's interval is of flips: a half point is none, however many cases stayed as they were."""
    before = np.array([0.0, 1.0] * 20)
    flipped, half = before.copy(), before.copy()
    flipped[0], half[0] = 1.0, 0.5
    assert compare_paired(flipped, before, margin=0.1).interval.method == "Tango score"
    assert "Tango" not in compare_paired(half, before, margin=0.1).interval.method
