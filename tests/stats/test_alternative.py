"""The alternative annotator test against scipy's t test and its Benjamini-Yekutieli rule, done by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from harness.errors import StatisticsError
from harness.stats.alternative import alternative_annotator

Labels = dict[int, str]


def crowd(seed: int, people: int, items: int, judge_right: float, *, missing: float = 0.2) -> tuple[Labels, dict]:
    """A judge and people who see the truth with different eyes; each person leaves some items out."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(["a", "b", "tie"], items)

    def seen(right: float) -> list[str]:
        return [str(t) if rng.random() < right else str(rng.choice(["a", "b", "tie"])) for t in truth]

    labelled = {}
    for who in range(people):
        words, kept = seen(0.55 + 0.08 * who), rng.random(items) >= missing
        labelled[f"p{who}"] = {i: words[i] for i in range(items) if kept[i]}
    return dict(enumerate(seen(judge_right))), labelled


def by_hand(judge: Labels, people: dict[str, Labels], bound: float, alpha: float):
    """(winning rate, mean advantage, p values) straight from the paper's definitions."""
    p_values, advantages = [], []
    for name, labels in people.items():
        differences, ahead = [], []
        for item, label in labels.items():
            rest = [words[item] for who, words in people.items() if who != name and item in words]
            if item in judge and rest:
                ours, theirs = (np.mean([word == mine for word in rest]) for mine in (judge[item], label))
                differences.append(float(theirs >= ours) - float(ours >= theirs))
                ahead.append(ours >= theirs)
        p_values.append(stats.ttest_1samp(differences, bound, alternative="less").pvalue)
        advantages.append(np.mean(ahead))
    kept = stats.false_discovery_control(p_values, method="by") <= alpha
    return np.mean(kept), np.mean(advantages), p_values


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("people", [3, 4, 6])
@pytest.mark.parametrize("settings", [{}, {"cost_benefit": 0.05}, {"alpha": 0.2}])
def test_it_is_scipys_t_test_and_scipys_false_discovery_rule(seed, people, settings):
    judge, labelled = crowd(seed, people, 45, 0.5 + 0.08 * seed)
    # Some items have no word of the judge.
    judge = {item: word for item, word in judge.items() if item % 9}
    found = alternative_annotator(judge, labelled, **settings)
    rate, advantage, p_values = by_hand(
        judge, labelled, settings.get("cost_benefit", 0.15), settings.get("alpha", 0.05)
    )
    assert found.p_values == pytest.approx(p_values, abs=1e-12)
    assert found.winning_rate == pytest.approx(rate)
    assert found.advantage == pytest.approx(advantage)


def test_some_of_these_crowds_are_decided_and_some_are_not():
    """Else the comparison above would not reach the rule of rejection."""
    rates = {alternative_annotator(*crowd(seed, 6, 45, 0.5 + 0.08 * seed)).winning_rate for seed in range(6)}
    assert len(rates) > 2


def test_a_person_whose_items_are_all_told_apart_alike_has_no_spread_and_is_no_error():
    people: dict[str, Labels] = {name: dict.fromkeys(range(9), "a") for name in ("ana", "ben", "cleo")}
    same = alternative_annotator(dict.fromkeys(range(9), "a"), people)
    assert (same.p_values, same.winning_rate, same.pairs) == ((0.0, 0.0, 0.0), 1.0, 9)
    contrary = alternative_annotator(dict.fromkeys(range(9), "b"), people)
    assert (contrary.p_values, contrary.winning_rate) == ((1.0, 1.0, 1.0), 0.0)


def test_items_are_counted_once_and_those_of_one_person_alone_not_at_all():
    people: dict[str, Labels] = {name: dict.fromkeys(range(5), "a") for name in ("ana", "ben", "cleo")}
    people["ana"][77] = "b"
    assert alternative_annotator(dict.fromkeys([*range(5), 77], "a"), people).pairs == 5


@pytest.mark.parametrize("count", [0, 1, 2])
def test_two_people_are_too_few_to_leave_one_out(count):
    people = {f"p{i}": {0: "a", 1: "b"} for i in range(count)}
    with pytest.raises(StatisticsError, match=f"{count} people labelled"):
        alternative_annotator({0: "a", 1: "b"}, people)


def test_a_person_who_shares_one_item_is_named():
    people: dict[str, Labels] = {"ana": {0: "a", 1: "b"}, "ben": {0: "a", 1: "b"}, "cleo": {0: "a", 9: "b"}}
    with pytest.raises(StatisticsError, match="'cleo' shares 1 pairs"):
        alternative_annotator({0: "a", 1: "b", 9: "a"}, people)
