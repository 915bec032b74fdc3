"""Stopping early: printed values, simulated error rates, and a run that is stopped and goes on."""

from __future__ import annotations

import json
import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import beta

from harness.errors import StatisticsError
from harness.stats.sequential import ScoreSequence, WinRateSequence

MIXED = [1, 1, 0, 1, 1, 0.5, 1, 0, 1, 1] * 10


def after(wins: int, losses: int) -> WinRateSequence:
    sequence = WinRateSequence()
    for score in [1] * wins + [0] * losses:
        sequence = sequence.update(score)
    return sequence


# ---- win rates ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wins", "losses", "e"),
    [(8, 2, 1.67578), (15, 5, 2.40446), (30, 10, 23.44399), (60, 40, 0.596072), (9, 0, 94.96094)],
)
def test_e_values_match_the_table(wins, losses, e):
    assert after(wins, losses).e_value == pytest.approx(e, abs=6e-6)


@settings(max_examples=30)
@given(st.integers(0, 40), st.integers(0, 40), st.floats(0.1, 0.9))
def test_e_values_are_the_formula(wins, losses, null):
    sequence = WinRateSequence(null=null, wins=wins, losses=losses, n=wins + losses)
    plain = beta(0.5 + wins, 0.5 + losses) / (beta(0.5, 0.5) * null**wins * (1 - null) ** losses)
    assert sequence.e_value == pytest.approx(plain, rel=1e-9)


@pytest.mark.parametrize(
    ("wins", "losses", "low", "high"),
    [(15, 5, 0.4111, 0.9527), (60, 40, 0.4343, 0.7514), (300, 200, 0.5209, 0.6758)],
)
def test_ranges_match_the_table(wins, losses, low, high):
    found = after(wins, losses).interval
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_seven_straight_wins_decide():
    assert after(6, 0).decided is None
    assert (after(7, 0).decided, after(7, 0).decided_at) == ("above", 7)
    assert (after(0, 7).decided, after(0, 7).decided_at) == ("below", 7)
    assert repr(after(7, 0)) == (
        "above 0.5 since case 7: e = 26.81, win rate 1 [0.5214, 1] (95% Beta-binomial sequence, n=7)"
    )


def test_what_was_decided_stays_decided():
    sequence = after(7, 0)
    for _ in range(50):
        sequence = sequence.update(0)
    assert (sequence.decided, sequence.decided_at) == ("above", 7)
    assert sequence.n == 57


def test_ties_are_half_a_win_and_keep_the_bound():
    sequence = WinRateSequence()
    for _ in range(200):
        sequence = sequence.update(0.5)
    assert sequence.decided is None
    assert sequence.e_value < 1
    rng = np.random.default_rng(0)
    # Fair judgements in quarters: the mean of the e-value is at most 1.
    totals = rng.choice([0, 0.25, 0.5, 0.75, 1], size=(20_000, 12), p=[0.25, 0.1, 0.3, 0.1, 0.25]).sum(axis=1)
    e = beta(0.5 + totals, 12.5 - totals) / beta(0.5, 0.5) * 2.0**12
    assert e.mean() <= 1


def test_looking_after_every_case_raises_no_more_false_alarms_than_promised():
    rng = np.random.default_rng(0)
    won = np.cumsum(rng.random((2000, 300)) < 0.5, axis=1)
    n = np.arange(1, 301)
    z = np.abs(won - n / 2) / np.sqrt(n / 4)
    # What a test at 5% does when looked at after every case, from case 10 and from the first.
    assert 0.33 <= (z[:, 9:] > 1.96).any(axis=1).mean() <= 0.39
    assert 0.40 <= (z > 1.96).any(axis=1).mean() <= 0.50
    e = beta(0.5 + won, 0.5 + n - won) / beta(0.5, 0.5) * 2.0**n
    assert (e >= 20).any(axis=1).mean() <= 0.05


def test_a_stopped_run_goes_on_where_it_was():
    scores = list(np.random.default_rng(2).choice([0.0, 0.25, 0.5, 1.0], size=60, p=[0.1, 0.1, 0.1, 0.7]))
    for empty in (WinRateSequence(null=0.6), ScoreSequence(null=0.6)):
        through, stopped = empty, empty
        for i, score in enumerate(scores):
            through = through.update(score)
            stopped = stopped.update(score)
            if i % 7 == 0:
                kept = json.dumps(msgspec.to_builtins(stopped))
                stopped = msgspec.convert(json.loads(kept), type(empty))
        assert stopped == through
        assert stopped.e_value == through.e_value
        assert stopped.interval == through.interval


def test_before_the_first_case_everything_is_open():
    for sequence in (WinRateSequence(), ScoreSequence()):
        assert sequence.e_value == (1 if isinstance(sequence, WinRateSequence) else 0.5)
        assert (sequence.interval.low, sequence.interval.high, sequence.interval.n) == (0, 1, 0)
        assert sequence.decided is None


@settings(max_examples=60)
@given(st.lists(st.floats(0, 1), max_size=40), st.sampled_from([0.05, 0.5, 0.99]))
def test_sequences_always_give_numbers(scores, null):
    for sequence in (WinRateSequence(null=null), ScoreSequence(null=null)):
        for score in scores:
            sequence = sequence.update(score)
        found = sequence.interval
        assert 0 <= found.low <= found.high <= 1
        assert math.isfinite(sequence.e_value)
        assert "\n" not in repr(sequence)
        # One range, two ways to say it.
        if sequence.e_value >= 20.001:
            assert not found.low <= null <= found.high


def test_a_great_many_wins_stay_a_number():
    sequence = WinRateSequence(wins=100_000, losses=0, n=100_000)
    assert math.isfinite(sequence.e_value)
    assert sequence.interval.low > 0.999


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: WinRateSequence().update(1.5), "score 1.5"),
        (lambda: WinRateSequence().update(math.nan), "score nan"),
        (lambda: ScoreSequence().update(-0.1), "score -0.1"),
        (lambda: ScoreSequence(scores=(0.5, math.nan)), "between 0 and 1"),
        (lambda: ScoreSequence(scores=(0.5, 7.0)), "score 7.0"),
        (lambda: WinRateSequence(null=1), "null=1"),
        (lambda: ScoreSequence(alpha=0), "alpha=0"),
        (lambda: WinRateSequence(wins=3, losses=1, n=5), "do not add up"),
        (lambda: WinRateSequence(wins=-1, losses=1, n=0), "impossible counts"),
        (lambda: WinRateSequence(wins=math.nan, losses=1, n=0), "impossible counts"),
        (lambda: WinRateSequence(prior=0), "impossible counts"),
    ],
)
def test_impossible_sequences_are_refused_in_words(call, words):
    with pytest.raises(StatisticsError, match=words):
        call()


# ---- scores -------------------------------------------------------------------------------------------------


def test_the_betting_range_is_the_designs_and_narrower_than_hoeffdings():
    sequence = ScoreSequence()
    for score in MIXED:
        sequence = sequence.update(score)
        assert sequence.interval.low <= 0.75 <= sequence.interval.high
    found = sequence.interval
    assert (found.low, found.high) == pytest.approx((0.618, 0.867), abs=0.004)
    # Hoeffding's, time-uniform or not, is wider.
    assert found.low > 0.599
    assert found.high < 0.901
    assert sequence.decided == "above"


def test_the_betting_range_is_the_plain_product_over_a_grid():
    scores = np.random.default_rng(5).beta(4, 2, 50)
    sequence = ScoreSequence(scores=tuple(scores))
    grid, open_ = np.linspace(0.001, 0.999, 999), []
    for m in grid:
        up = down = 1.0
        seen, squares = 0.5, 0.25
        for t, x in enumerate(scores, start=1):
            bet = math.sqrt(2 * math.log(2 / 0.05) / (squares / t * t * math.log(1 + t)))
            up *= 1 + min(bet, 0.5 / m) * (x - m)
            down *= 1 - min(bet, 0.5 / (1 - m)) * (x - m)
            seen += x
            squares += (x - seen / (t + 1)) ** 2
        if max(up, down) / 2 < 20:
            open_.append(m)
    assert (sequence.interval.low, sequence.interval.high) == pytest.approx((min(open_), max(open_)), abs=1.1e-3)


def test_the_betting_range_holds_at_all_times_at_once():
    rng = np.random.default_rng(1)
    broken = 0
    for _ in range(150):
        sequence = ScoreSequence(null=0.3)
        for score in (rng.random(150) < 0.3) * 1.0:
            sequence = sequence.update(float(score))
        broken += sequence.decided is not None
    assert broken / 150 <= 0.08


def test_steady_scores_are_decided_sooner_than_wild_ones():
    steady = ScoreSequence(scores=(0.7, 0.6) * 50)
    wild = ScoreSequence(scores=(1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.5, 1.0) * 10)
    assert steady.interval.high - steady.interval.low < 0.6 * (wild.interval.high - wild.interval.low)
