"""May a judge stand in for people? Compared with each person in turn: who agrees more with all the others?"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import msgspec
import numpy as np

from harness.errors import StatisticsError

#: With fewer pairs per person the test has next to no power. Source: the paper's advice.
FEWEST_PAIRS = 30
FEWEST_PEOPLE = 3

_Item = TypeVar("_Item", bound=Hashable)


class AlternativeAnnotator(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The share of people whom the judge could replace (`winning_rate`; from one half on it may stand in for them),
    and how often it agrees with the others at least as well as the person left out (`advantage`, a mean over people).

    `cost_benefit` is the allowance for being so much cheaper than a person.
    """

    winning_rate: float
    advantage: float
    people: int
    pairs: int
    cost_benefit: float
    p_values: tuple[float, ...]

    @property
    def passed(self) -> bool:
        """May the judge stand in for people?"""
        return self.winning_rate >= 0.5

    def __repr__(self) -> str:
        word = "may" if self.passed else "may not"
        return (
            f"{word} stand in for people: replaces {self.winning_rate:.0%} of {self.people} over {self.pairs} pairs, "
            f"advantage {self.advantage:.2f}"
        )


def alternative_annotator(
    judge: Mapping[_Item, object],
    people: Mapping[str, Mapping[_Item, object]],
    *,
    cost_benefit: float = 0.15,
    alpha: float = 0.05,
) -> AlternativeAnnotator:
    """The alternative annotator test. `judge` and each of `people` map items to labels; items may be missing.

    For each person: over the items that they, the judge and somebody else labelled, is the share on which the judge
    agrees with the others at least as well as the person does higher than the reverse share less `cost_benefit`?
    One-sided t tests, false discoveries bounded by Benjamini and Yekutieli.
    Source: Calderon, Reichart and Dror 2025, arXiv 2501.10970.
    Raises StatisticsError for fewer than three people, or one who shares fewer than two items with the others.
    """
    if len(people) < FEWEST_PEOPLE:
        raise StatisticsError(
            f"{len(people)} people labelled: leaving one out needs at least {FEWEST_PEOPLE}. Ask more people."
        )
    p_values: list[float] = []
    advantages: list[float] = []
    shared: set[_Item] = set()
    for name, labels in people.items():
        wins, losses = [], []
        for item, label in labels.items():
            others = [one[item] for who, one in people.items() if who != name and item in one]
            if item not in judge or not others:
                continue
            machine, person = others.count(judge[item]), others.count(label)
            wins.append(float(machine >= person))
            losses.append(float(person >= machine))
            shared.add(item)
        if len(wins) < 2:
            raise StatisticsError(f"{name!r} shares {len(wins)} pairs with the others: at least two are needed.")
        advantages.append(float(np.mean(wins)))
        p_values.append(_p_value(np.subtract(losses, wins), cost_benefit))
    return AlternativeAnnotator(
        winning_rate=_rejected(p_values, alpha) / len(people),
        advantage=float(np.mean(advantages)),
        people=len(people),
        pairs=len(shared),
        cost_benefit=cost_benefit,
        p_values=tuple(p_values),
    )


def _p_value(differences: np.ndarray[tuple[int, ...], np.dtype[np.float64]], bound: float) -> float:
    """Of the hypothesis that the person is ahead by `bound` or more; one-sided t."""
    from scipy.special import stdtr

    n = differences.size
    mean, spread = float(np.mean(differences)), float(np.std(differences, ddof=1))
    if spread == 0:
        return 0.0 if mean < bound else 1.0
    return float(stdtr(n - 1, (mean - bound) / (spread / math.sqrt(n))))


def _rejected(p_values: Sequence[float], alpha: float) -> int:
    """How many hypotheses Benjamini and Yekutieli's step-up rule rejects."""
    m = len(p_values)
    harmonic = sum(1 / i for i in range(1, m + 1))
    ordered = sorted(p_values)
    return max((i for i in range(1, m + 1) if ordered[i - 1] <= i * alpha / (m * harmonic)), default=0)
