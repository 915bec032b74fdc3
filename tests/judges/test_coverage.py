"""The interval of the win rate covers the truth as often as it says, whatever noise, ties and places do."""

from __future__ import annotations

import numpy as np
import pytest

from harness.judges.judgement import Judgement, OrderJudgement
from harness.judges.summary import rate_of

ROUNDS = 1000


def judged(rng, n, preferred, tie, noise, place):
    """n pairs of a judge that turns `noise` of its verdicts, and `place` of them towards what is shown first."""
    truth = rng.choice([1.0, 0.5, 0.0], size=n, p=[(1 - tie) * preferred, tie, (1 - tie) * (1 - preferred)])
    found = []
    for i in range(n):
        scores = []
        for first in (1.0, 0.0):
            score = truth[i]
            if rng.random() < noise:
                score = rng.choice([1.0, 0.5, 0.0])
            if rng.random() < place:
                score = first
            scores.append(score)
        said = [OrderJudgement(score=score) for score in scores]
        found.append(Judgement(case=str(i), judge="j", score=sum(scores) / 2, first=said[0], second=said[1]))
    return found


def expected(preferred, tie, noise, place):
    """The win rate that such a judge gives in the long run."""
    plain = tie / 2 + (1 - tie) * preferred
    return place * 0.5 + (1 - place) * (noise * 0.5 + (1 - noise) * plain)


@pytest.mark.parametrize(
    ("n", "preferred", "tie", "noise", "place"),
    [
        (40, 0.5, 0.2, 0.0, 0.0),
        (60, 0.8, 0.1, 0.2, 0.1),
        (150, 0.5, 0.3, 0.1, 0.0),
        (150, 0.7, 0.1, 0.2, 0.2),
        (400, 0.9, 0.05, 0.0, 0.3),
    ],
)
def test_the_interval_covers_the_truth_at_its_level(n, preferred, tie, noise, place):
    rng = np.random.default_rng(2026)
    truth = expected(preferred, tie, noise, place)
    covered = 0
    rounds = ROUNDS if n < 100 else ROUNDS // 2
    for _ in range(rounds):
        rate = rate_of(judged(rng, n, preferred, tie, noise, place))
        assert rate is not None
        covered += rate.interval.low <= truth <= rate.interval.high
    # Three standard errors of a share of 95%; Wilson's interval may cover more often, because scores vary less.
    assert covered / rounds >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / rounds)
