"""What a number of cases can show, against the design's tables."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import StatisticsError
from harness.stats.guards import PairedSample, alarms, pooled_not_worse
from harness.stats.power import (
    cases_needed,
    detectable_drop,
    minimum_detectable_effect,
    rule_power,
    smallest_margin,
)

SIZES = (60, 40, 120, 150)
#: The flips of a set that lost something: no fewer than what was lost, and a few either way.
AT_LEAST = 0.02


@pytest.mark.parametrize(("n", "percent"), [(50, 15.8), (100, 11.2), (200, 7.9), (500, 5.0)])
def test_minimum_detectable_effects(n, percent):
    assert 100 * minimum_detectable_effect(0.4, n) == pytest.approx(percent, abs=0.05)


def test_the_constants_of_power():
    assert minimum_detectable_effect(1, 1) == pytest.approx(2.801585, abs=5e-7)
    assert minimum_detectable_effect(1, 1, alternative="less") ** 2 == pytest.approx(6.1826, abs=5e-5)


@pytest.mark.parametrize(
    ("margin", "psi", "n"),
    [(0.05, 0.05, 124), (0.05, 0.1, 248), (0.05, 0.2, 495), (0.02, 0.05, 773), (0.02, 0.1, 1546), (0.02, 0.2, 3092)],
)
def test_cases_for_non_inferiority(margin, psi, n):
    assert cases_needed(psi, margin) == n


def test_millers_sample_size():
    assert cases_needed(1 / 9, 0.03, alternative="two-sided") == 969


def test_the_smallest_margins_of_the_table():
    table = {60: (0.10, 0.12, 0.15), 100: (0.07, 0.09, 0.12), 300: (0.04, 0.05, 0.07), 1000: (0.02, 0.03, 0.04)}
    for n, margins in table.items():
        assert tuple(smallest_margin(n, psi) for psi in (0.05, 0.1, 0.2)) == margins


@pytest.mark.parametrize(("psi", "passes", "alarm"), [(0.05, 0.98, 0.018), (0.10, 0.89, 0.029), (0.20, 0.68, 0.047)])
def test_an_equal_model_under_the_rule(psi, passes, alarm):
    found = rule_power(SIZES, [psi] * 4)
    assert found.passes == pytest.approx(passes, abs=0.006)
    assert found.fails == pytest.approx(alarm, abs=0.004)


@pytest.mark.parametrize(("psi", "passes", "alarm"), [(0.05, 0.040, 0.78), (0.10, 0.046, 0.62), (0.20, 0.049, 0.40)])
def test_five_points_worse_everywhere_under_the_rule(psi, passes, alarm):
    found = rule_power(SIZES, [max(psi, 0.05 + AT_LEAST)] * 4, [0.05] * 4)
    assert found.passes == pytest.approx(passes, abs=0.003)
    assert found.fails == pytest.approx(alarm, abs=0.012)


@pytest.mark.parametrize(("psi", "passes", "alarm"), [(0.05, 0.005, 0.99), (0.10, 0.005, 0.99), (0.20, 0.014, 0.96)])
def test_fifteen_points_worse_in_one_set_under_the_rule(psi, passes, alarm):
    flips = [psi, psi, max(psi, 0.15 + AT_LEAST), psi]
    found = rule_power(SIZES, flips, [0, 0, 0.15, 0])
    assert found.passes == pytest.approx(passes, abs=0.003)
    assert found.fails == pytest.approx(alarm, abs=0.006)


def test_asking_every_set_to_prove_it_alone_would_block_nearly_everyone():
    for psi, printed in ((0.05, 0.048), (0.10, 0.020), (0.20, 0.005)):
        alone = np.prod([rule_power([n], [psi], alpha=1e-9).passes for n in SIZES])
        assert alone == pytest.approx(printed, abs=0.009)


@pytest.mark.parametrize(("drops", "flips"), [((0, 0, 0, 0), (0.1,) * 4), ((0, 0, 0.15, 0), (0.1, 0.1, 0.17, 0.1))])
def test_the_rule_does_in_simulation_what_its_power_says(drops, flips):
    rng = np.random.default_rng(11)
    rounds, passed, alarmed = 300, 0, 0
    for _ in range(rounds):
        samples = []
        for n, drop, psi in zip(SIZES, drops, flips, strict=True):
            gained, lost = (psi - drop) / 2, (psi + drop) / 2
            kind = rng.choice(3, size=n, p=[gained, lost, 1 - gained - lost])
            samples.append(PairedSample(name=str(n), candidate=(kind != 1) * 1.0, baseline=(kind != 0) * 1.0))
        fired = any(alarm.fired for alarm in alarms(samples))
        alarmed += fired
        passed += not fired and pooled_not_worse(samples, 0.05).answer.status == "PASS"
    exact = rule_power(SIZES, flips, drops)
    assert passed / rounds == pytest.approx(exact.passes, abs=4 * 0.5 / rounds**0.5 * 0.7)
    assert alarmed / rounds == pytest.approx(exact.fails, abs=4 * 0.5 / rounds**0.5 * 0.7)


def test_the_three_answers_share_out_all_chances():
    found = rule_power([30], [0.3], [0.1])
    assert found.passes + found.inconclusive + found.fails == pytest.approx(1)
    assert min(found.passes, found.inconclusive, found.fails) >= 0
    assert "PASS" in repr(found)


def test_a_set_without_flips_does_not_see_everything():
    # All that flips is lost: sqrt(n drop) = z_.95 + z_.80 sqrt(1 - drop).
    drop = detectable_drop(0.0, 100)
    assert (100 * drop) ** 0.5 == pytest.approx(1.644854 + 0.841621 * (1 - drop) ** 0.5, abs=1e-5)
    assert detectable_drop(0.0, 3) == 1.0


def test_more_flips_hide_more():
    seen = [detectable_drop(psi, 120) for psi in (0.0, 0.1, 0.2, 0.4)]
    assert seen == sorted(seen)
    assert seen[2] == pytest.approx(minimum_detectable_effect(0.2**0.5, 120, alternative="less"), rel=0.02)


def test_a_detectable_drop_is_detected_eight_times_in_ten():
    for n, psi in ((120, 0.1), (240, 0.2), (1000, 0.05)):
        drop = detectable_drop(psi, n)
        assert rule_power([n], [max(psi, drop)], [drop]).fails == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize(
    "call",
    [
        lambda: minimum_detectable_effect(0.4, 0),
        lambda: minimum_detectable_effect(-1, 10),
        lambda: minimum_detectable_effect(1, 10, alpha=5),
        lambda: cases_needed(0.1, 0),
        lambda: detectable_drop(1.5, 10),
        lambda: rule_power([], []),
        lambda: rule_power([10], [0.1, 0.2]),
        lambda: rule_power([10], [0.1], [1.2]),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(StatisticsError):
        call()
