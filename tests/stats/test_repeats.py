"""Several samples of one case."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import StatisticsError
from harness.stats.repeats import pass_at_k, pass_hat_k


@pytest.mark.parametrize(
    ("n", "c", "k", "chance"), [(10, 3, 5, 0.9166667), (200, 10, 10, 0.4085479), (4, 2, 2, 0.8333333)]
)
def test_pass_at_k_matches_the_table(n, c, k, chance):
    assert pass_at_k(n, c, k) == pytest.approx(chance, abs=5e-8)


@given(st.integers(1, 7).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_both_count_the_ways_to_draw_k_answers(nck):
    n, c, k = nck
    draws = list(combinations([True] * c + [False] * (n - c), k))
    assert pass_at_k(n, c, k) == pytest.approx(sum(any(d) for d in draws) / len(draws))
    assert pass_hat_k(n, c, k) == pytest.approx(sum(all(d) for d in draws) / len(draws))


@pytest.mark.parametrize("nck", [(0, 0, 1), (5, 2, 0), (5, 2, 6), (5, 6, 1), (5, -1, 1)])
def test_the_impossible_is_refused(nck):
    with pytest.raises(StatisticsError):
        pass_at_k(*nck)
    with pytest.raises(StatisticsError):
        pass_hat_k(*nck)
