"""A stand-in where no judge is set: which answer is more like the target? Deterministic, and no judge of quality.

Advisory only: a paraphrase of the target loses to a copy of it with one fact changed.
"""

from __future__ import annotations

from collections import Counter

from harness.checks.folding import fold, words_and_characters
from harness.judges.judgement import Judgement, OrderJudgement
from harness.judges.prompts import Pair

#: Closer than this, the two are as alike.
SAME = 0.02


def judge_by_reference(pair: Pair, digest: str) -> Judgement:
    """The answer that shares more of its words with the target. Both orders are the same: it has no sense of place."""
    if not pair.reference.strip():
        said = OrderJudgement(score=None, fault="nothing", reason="the case has no target to compare with")
    else:
        ours, theirs = (similarity(text, pair.reference) for text in (pair.candidate, pair.baseline))
        score = 0.5 if abs(ours - theirs) < SAME else float(ours > theirs)
        said = OrderJudgement(
            score=score, reason=f"similarity to the target: candidate {ours:.2f}, baseline {theirs:.2f}"
        )
    return Judgement(case=pair.case, judge=digest, score=said.score, first=said, second=said)


def similarity(answer: str, target: str) -> float:
    """F1 of shared words, in Chinese of characters, each as often as it occurs: 1 the same words, 0 none."""
    ours, right = (Counter(words_and_characters(fold(text))) for text in (answer, target))
    shared = sum((ours & right).values())
    return 2 * shared / (ours.total() + right.total()) if shared else 0.0
