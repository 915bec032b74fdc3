"""Growth of a mean: against a closed form, by simulation, and at its edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t

from harness.errors import StatisticsError
from harness.stats.growth import mean_growth


def fieller(x: np.ndarray, y: np.ndarray, tail: float) -> tuple[float, float]:
    """The closed form for independent pairs: roots of the quadratic in the ratio."""
    n = x.size
    q = t.ppf(1 - tail, n - 1) ** 2 / n
    vx, vy, c = x.var(ddof=1), y.var(ddof=1), np.cov(x, y)[0, 1]
    a = y.mean() ** 2 - q * vy
    b = -2 * (x.mean() * y.mean() - q * c)
    d = x.mean() ** 2 - q * vx
    root = math.sqrt(b * b - 4 * a * d)
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


def test_limits_are_those_of_fiellers_closed_form() -> None:
    rng = np.random.default_rng(5)
    y = rng.gamma(5, 10, size=60)
    x = 1.3 * y + rng.gamma(2, 5, size=60)
    found = mean_growth(x, y)
    low, high = fieller(x, y, 0.05)
    assert (found.low + 1, found.high + 1) == pytest.approx((low, high), rel=1e-9)
    assert found.share == pytest.approx(x.mean() / y.mean() - 1)
    assert found.low < found.share < found.high


def test_a_true_growth_is_ruled_out_about_as_often_as_it_may_be() -> None:
    rng = np.random.default_rng(11)
    missed = 0
    for _ in range(800):
        y = rng.gamma(4, 8, size=40)
        x = 1.2 * y * rng.gamma(25, 1 / 25, size=40)
        found = mean_growth(x, y)
        missed += found.high < 0.2
    assert 0.03 <= missed / 800 <= 0.085


def test_rewordings_of_one_question_make_the_limits_wider() -> None:
    rng = np.random.default_rng(2)
    y = np.repeat(rng.gamma(5, 10, size=30), 3)
    x = y * np.repeat(rng.gamma(9, 1 / 9, size=30), 3)
    plain, clustered = mean_growth(x, y), mean_growth(x, y, clusters=np.repeat(np.arange(30), 3))
    assert clustered.high > plain.high > plain.share == clustered.share


def test_the_same_amounts_are_no_growth_at_all() -> None:
    found = mean_growth([3.0, 5.0, 9.0], [3.0, 5.0, 9.0])
    assert (found.share, found.low, found.high) == pytest.approx((0, 0, 0), abs=1e-9)


def test_one_pair_rules_nothing_out() -> None:
    found = mean_growth([4.0], [2.0])
    assert (found.share, found.low, found.high) == (1.0, -1.0, math.inf)


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        ([1.0], [1.0, 2.0], "pair them by case"),
        ([1.0, 2.0], [0.0, 0.0], "all 0"),
        ([1.0, -2.0], [1.0, 1.0], "amount of -2"),
        ([math.nan], [1.0], "candidate"),
    ],
)
def test_amounts_that_carry_no_answer_are_refused(x: list[float], y: list[float], words: str) -> None:
    with pytest.raises(StatisticsError, match=words):
        mean_growth(x, y)
