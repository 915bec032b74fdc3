"""The guards' rule: an alarm for each set that got worse, and one proof of "not worse" for all of them
together.

Asking every set to prove non-inferiority by itself blocks nearly everyone; an alarm per set and a pooled
proof are right and decisive. The price: a modest drop in one small set can hide in the pool.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from harness.errors import StatisticsError
from harness.stats.flips import Discordant, mcnemar
from harness.stats.multiplicity import holm
from harness.stats.paired import PairedComparison, compare_paired
from harness.stats.signflip import sign_flip_test
from harness.stats.values import Floats, as_values


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedSample:
    """The scores of one named set by two models, in the same order of cases.

    `clusters` are labels of cases that are not independent (shared across sets too); a case of weight 2 counts as
    two, in the alarm and in the pool.
    """

    name: str
    candidate: ArrayLike
    baseline: ArrayLike
    clusters: Sequence[str] | None = None
    weights: ArrayLike | None = None
    higher_is_better: bool = True


class Alarm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Did the candidate get worse on this set? `fired` once `adjusted` (over all sets asked) is at most
    alpha.

    `difference` is the mean of candidate - baseline in the set's own direction of better; `discordant` counts
    the cases that got better and worse.
    """

    name: str
    fired: bool
    p_value: float
    adjusted: float
    difference: float
    discordant: Discordant
    n: int
    method: str

    def __repr__(self) -> str:
        word = "ALARM" if self.fired else "quiet"
        return f"{word} {self.name}: {self.difference:+.4g}, p = {self.adjusted:.3g} ({self.method}, n={self.n})"


def alarms(samples: Sequence[PairedSample], alpha: float = 0.05) -> tuple[Alarm, ...]:
    """One alarm per sample, in order; the chance that any fires on an equal model is at most `alpha` (Holm).

    Independent yes/no cases: one-sided mid-p McNemar. Partial scores, weights and clusters: the one-sided sign-flip
    test.
    """
    if not samples:
        return ()
    if not 0 < alpha < 1:
        raise StatisticsError(f"alpha {alpha}: give the false-alarm rate as a share between 0 and 1")
    tests = [_test(sample) for sample in samples]
    adjusted = holm([p for p, *_ in tests])
    return tuple(
        Alarm(
            name=sample.name,
            fired=bool(corrected <= alpha),
            p_value=p,
            adjusted=float(corrected),
            difference=mean,
            discordant=Discordant(
                only_candidate=int(np.count_nonzero(d > 0)), only_baseline=int(np.count_nonzero(d < 0))
            ),
            n=d.size,
            method=method,
        )
        for sample, (p, method, d, mean), corrected in zip(samples, tests, adjusted, strict=True)
    )


def pooled_not_worse(samples: Sequence[PairedSample], margin: float, *, confidence: float = 0.95) -> PairedComparison:
    """Is a drop of `margin` in the mean over all cases of all samples ruled out?

    Raises StatisticsError where there is nothing to pool.
    """
    if not samples:
        raise StatisticsError("no sets: there is nothing to pool. Name at least one guard set.")
    pairs = [_oriented(sample) for sample in samples]
    weights = [_per_case(s, s.weights) for s in samples]
    labels = [_labels(i, s, x.size) for i, (s, (x, _)) in enumerate(zip(samples, pairs, strict=True))]
    return compare_paired(
        np.concatenate([x for x, _ in pairs]),
        np.concatenate([y for _, y in pairs]),
        margin=margin,
        clusters=None if all(s.clusters is None for s in samples) else np.concatenate(labels),
        weights=np.concatenate(weights),
        confidence=confidence,
    )


def _test(sample: PairedSample) -> tuple[float, str, Floats, float]:
    x, y = _oriented(sample)
    d = x - y
    w = _per_case(sample, sample.weights)
    independent = sample.clusters is None or len(set(sample.clusters)) == d.size
    equal = w.min() == w.max()
    if independent and equal and np.all((x == 0) | (x == 1)) and np.all((y == 0) | (y == 1)):
        b, c = int(np.count_nonzero(d > 0)), int(np.count_nonzero(d < 0))
        found = mcnemar(b, c, mid_p=True, alternative="less")
    else:
        weighted = d if equal else d * w
        found = sign_flip_test(weighted, alternative="less", clusters=None if independent else sample.clusters)
    mean = float(d.mean()) if equal else float(np.average(d, weights=w))
    return found.p_value, found.method if equal else f"weighted {found.method}", d, mean


def _oriented(sample: PairedSample) -> tuple[Floats, Floats]:
    """Two sides of which the first should be the higher."""
    x = as_values(sample.candidate, f"{sample.name}: candidate")
    y = as_values(sample.baseline, f"{sample.name}: baseline")
    if x.size != y.size:
        raise StatisticsError(
            f"{sample.name}: {x.size} candidate scores but {y.size} of the baseline. Pair them by case first."
        )
    # Roles change places, not signs: yes/no values stay 0 and 1.
    return (x, y) if sample.higher_is_better else (y, x)


def _per_case(sample: PairedSample, values: ArrayLike | None) -> Floats:
    n = np.asarray(sample.candidate).size
    return np.ones(n) if values is None else as_values(values, f"{sample.name}: weights")


def _labels(i: int, sample: PairedSample, n: int) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
    if sample.clusters is None:
        return np.array([f"{i}\0{k}" for k in range(n)])
    return np.asarray(sample.clusters, dtype=np.str_)
