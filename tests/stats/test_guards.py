"""Alarms per set and one proof for all of them."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import StatisticsError
from harness.stats.guards import PairedSample, alarms, pooled_not_worse
from harness.stats.paired import compare_paired, mcnemar


def sample(name: str, b: int, c: int, same: int, **fields: object) -> PairedSample:
    return PairedSample(
        name=name,
        candidate=[1.0] * b + [0.0] * c + [1.0] * same,
        baseline=[0.0] * b + [1.0] * c + [1.0] * same,
        **fields,
    )


def test_an_alarm_is_a_one_sided_mid_p_test_corrected_by_holm():
    first, second = alarms([sample("a", 1, 8, 50), sample("b", 8, 1, 50)])
    assert first.p_value == mcnemar(1, 8, mid_p=True, alternative="less").p_value
    assert first.adjusted == pytest.approx(2 * first.p_value)
    assert (first.fired, second.fired) == (True, False)
    assert repr(first).startswith("ALARM a: -0.1186")


def test_getting_better_is_no_alarm():
    assert not alarms([sample("a", 30, 0, 50)])[0].fired


def test_lower_can_be_better():
    rising = PairedSample(
        name="nll", candidate=np.linspace(2, 3, 20), baseline=np.linspace(1, 2.5, 20), higher_is_better=False
    )
    found = alarms([rising])[0]
    assert found.fired
    assert found.difference == pytest.approx(-0.75)
    assert (found.discordant.only_candidate, found.discordant.only_baseline) == (0, 20)


def test_yes_and_no_of_something_unwanted_are_yes_and_no():
    bleeding = PairedSample(name="bleed", candidate=[1.0] * 9 + [0.0] * 40, baseline=[0.0] * 49, higher_is_better=False)
    found = alarms([bleeding])[0]
    assert found.method == "mid-p McNemar"
    assert found.p_value == mcnemar(0, 9, mid_p=True, alternative="less").p_value
    assert found.difference == pytest.approx(-9 / 49)


def test_rewordings_are_tested_as_one():
    alone = sample("a", 0, 6, 10)
    together = sample("a", 0, 6, 10, clusters=["x"] * 6 + [f"y{i}" for i in range(10)])
    assert alarms([alone])[0].fired
    assert not alarms([together])[0].fired


def test_no_samples_raise_no_alarm_and_prove_nothing():
    assert alarms([]) == ()
    with pytest.raises(StatisticsError, match="nothing to pool"):
        pooled_not_worse([], 0.05)


def test_the_pool_is_all_cases_together():
    pooled = pooled_not_worse([sample("a", 2, 3, 55), sample("b", 1, 0, 39)], 0.05)
    joined = sample("ab", 3, 3, 94)
    assert pooled == compare_paired(joined.candidate, joined.baseline, margin=0.05)


def test_clusters_may_span_sets():
    shared = [f"q{i}" for i in range(30)]
    pooled = pooled_not_worse([sample("a", 1, 2, 27, clusters=shared), sample("b", 1, 2, 27, clusters=shared)], 0.05)
    assert (pooled.n, pooled.n_clusters) == (60, 30)


def test_a_set_that_does_not_pair_is_named():
    with pytest.raises(StatisticsError, match="refunds: 2 candidate scores but 1"):
        alarms([PairedSample(name="refunds", candidate=[1, 0], baseline=[1])])


def test_false_alarms_stay_within_alpha():
    rng = np.random.default_rng(3)
    fired = 0
    for _ in range(300):
        kinds = [rng.choice(3, size=100, p=[0.1, 0.1, 0.8]) for _ in range(3)]
        fired += any(
            a.fired
            for a in alarms([PairedSample(name="s", candidate=(k != 1) * 1.0, baseline=(k != 0) * 1.0) for k in kinds])
        )
    assert fired / 300 <= 0.08
