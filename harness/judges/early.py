"""Many pairs, judged in a fixed random order until the evidence is enough; a later run goes on where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from harness.generation import Progress
from harness.judges.asking import Judged, judge_pairs
from harness.judges.judgement import Judgement
from harness.judges.prompts import Pair
from harness.judges.refs import JudgeRef
from harness.models.opening import OpenModels
from harness.stats.sequential import WinRateSequence
from harness.store import Store

#: With fewer pairs all are judged: an early stop saves little, and costs certainty.
FEWEST = 300
#: Pairs between two looks: few at first, then a share of what is done, so that a server has enough to do.
_FIRST, _SHARE = 10, 3


class EarlyJudged(msgspec.Struct, frozen=True, kw_only=True):
    """What was judged, in the order of judging, and what it proves. `saved` are the calls that were not needed."""

    judgements: tuple[Judgement, ...]
    sequence: WinRateSequence
    total: int
    calls: int
    seconds: float
    cost: float | None
    saved: int
    cost_saved: float | None
    asked: tuple[str, ...]


def judge_until_decided(
    judge: JudgeRef,
    pairs: Sequence[Pair],
    store: Store | None,
    *,
    seed: int,
    alpha: float = 0.05,
    max_cost: float | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> EarlyJudged:
    """Judge pairs in the random order of `seed` until it is proven that the candidate's win rate is above or below one
    half, or none is left.

    Every reply is in the store as it comes, and the order is fixed by the seed: a stopped run continues, and asks
    nothing twice. Unread pairs tell nothing.
    """
    order = [int(i) for i in np.random.default_rng(seed).permutation(len(pairs))]
    sequence = WinRateSequence(null=0.5, alpha=alpha)
    judgements: list[Judgement] = []
    batches: list[Judged] = []
    with OpenModels() as models:
        while len(judgements) < len(pairs) and sequence.decided is None:
            many = max(_FIRST, len(judgements) // _SHARE)
            chosen = [pairs[i] for i in order[len(judgements) : len(judgements) + many]]
            spent = sum(one.cost or 0.0 for one in batches)
            batch = judge_pairs(
                judge,
                chosen,
                store,
                max_cost=None if max_cost is None else max(0.0, max_cost - spent),
                on_progress=on_progress,
                models=models,
            )
            batches.append(batch)
            judgements += batch.judgements
            for judgement in batch.judgements:
                if judgement.score is not None:
                    sequence = sequence.update(judgement.score)
    calls = sum(one.calls for one in batches)
    costs = [one.cost for one in batches if one.cost is not None]
    left = len(pairs) - len(judgements)
    saved = 2 * left * sum(one.kind == "model" for one in judge.judges)
    cost = sum(costs) if costs else None
    return EarlyJudged(
        judgements=tuple(judgements),
        sequence=sequence,
        total=len(pairs),
        calls=calls,
        seconds=sum(one.seconds for one in batches),
        cost=cost,
        saved=saved,
        cost_saved=None if cost is None or not calls else cost / calls * saved,
        asked=tuple(key for one in batches for key in one.asked),
    )
