"""What a run can show, said before anything is asked: how large a drop each set sees, how often an equal model passes.

Flips are the cases on which two models differ. Their share decides what n cases can show, so it is measured on an
earlier run of the same sets where there is one; else three assumptions stand side by side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from harness.pairs import pair_sets
from harness.policy import GatePolicy
from harness.record import RunRecord
from harness.stats.flips import mcnemar
from harness.stats.intervals import normal_quantile
from harness.stats.power import detectable_drop, rule_power, smallest_margin
from harness.verdict import listed, number, plural, points

#: Shares of flips between equal models, where none were measured: few, usual, many.
ASSUMED = (0.05, 0.10, 0.20)

#: Up to so many cases the chances are exact; the table of all outcomes of more would not fit.
_EXACT = 4000
_DRAWS = 20_000


class PlannedSet(msgspec.Struct, frozen=True, kw_only=True):
    """A set that is about to be asked: how many rated cases it has."""

    name: str
    n: int
    digest: str = ""


class FlipRate(msgspec.Struct, frozen=True, kw_only=True):
    """Cases that changed between two models in an earlier run, of `n`, without what was a real change.

    Where the run's two models differed for certain (two-sided mid-p McNemar under .05), only the flips that cancel
    each other out count. No flip at all counts as half of one: the next run may have one.
    """

    flipped: int
    n: int
    digest: str

    @property
    def share(self) -> float:
        """Of the cases, above 0."""
        return max(self.flipped, 0.5) / self.n


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What one set sees at one share of flips, alone, under its margin (its own, or the policy's).

    `equal` and `worse`: how often it would pass alone where the candidate is equal, and where it is a margin worse.
    `smallest` is the smallest margin, in whole points, with which an equal model passes 8 times in 10; None where none
    does. `sees` is the drop that the alarm notices 8 times in 10.
    """

    flips: float
    margin: float
    sees: float
    equal: float
    worse: float
    smallest: float | None


class SetSight(msgspec.Struct, frozen=True, kw_only=True):
    """One set at its measured share of flips, or at each assumed one."""

    name: str
    n: int
    target: bool
    measured: FlipRate | None
    sights: tuple[Sight, ...]


class PoolSight(msgspec.Struct, frozen=True, kw_only=True):
    """All guard sets together: how often the policy's rule passes an equal model, and one a margin worse everywhere.

    `assumed` is the share of flips of the sets that were never measured; None where all were.
    """

    assumed: float | None
    equal: float
    worse: float


class Foresight(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a run before it begins. `source` is the run on which flips were measured, if any."""

    margin: float
    source: str | None
    sets: tuple[SetSight, ...]
    pools: tuple[PoolSight, ...]

    @property
    def guards(self) -> int:
        """Rated cases of all guard sets."""
        return sum(one.n for one in self.sets if not one.target)

    def lines(self) -> list[str]:
        """A short block for a terminal: one line a guard set, and the pool."""
        if not self.pools:
            return []
        lines = [f"what this run can see ({self.where_from()}):"]
        width = min(28, max(len(one.name) for one in self.sets))
        for one in self.sets:
            if one.target:
                continue
            sees = [points(sight.sees) for sight in one.sights]
            told = _joined(sees, "") if min(s.sees for s in one.sights) < 1 else "no drop at all"
            reach = f"alone, sees drops of {told} points or more" if told[0].isdigit() else f"alone, sees {told}"
            lines.append(f"  {one.name:<{width}} {plural(one.n, 'case')}, {self._flips_of(one)}: {reach}")
        equal = _joined([_percent(pool.equal) for pool in self.pools], "%")
        worse = _joined([_percent(pool.worse) for pool in self.pools], "%")
        cases = number(round(self.margin * self.guards, 1))
        lines.append(
            f"  together {plural(self.guards, 'case')}: an equal model passes {equal}, "
            f"one {points(self.margin)} points ({cases} cases) worse {worse}"
        )
        return lines

    def where_from(self) -> str:
        """Whence the shares of flips are."""
        assumed = _joined([points(share) for share in ASSUMED], "%")
        guards = [one for one in self.sets if not one.target]
        unmeasured = tuple(one.name for one in guards if one.measured is None)
        if not unmeasured:
            return f"flips as in run {self.source}"
        if len(unmeasured) == len(guards):
            return f"no earlier run of these sets: {assumed} flips assumed"
        return f"flips as in run {self.source}; of {listed(unmeasured)} {assumed} assumed"

    def _flips_of(self, one: SetSight) -> str:
        if one.measured is not None:
            return f"{one.measured.flipped} of {one.measured.n} flipped"
        return f"{_joined([points(sight.flips) for sight in one.sights], '%')} flips"


def measured_flips(record: RunRecord) -> dict[str, FlipRate]:
    """How many cases of each set changed between candidate and baseline of an earlier run."""
    found = {}
    for one in pair_sets(record, record.policy):
        compared = one.comparisons.get("baseline")
        if compared is None:
            continue
        gained, lost = compared.discordant.only_candidate, compared.discordant.only_baseline
        real = mcnemar(gained, lost, mid_p=True).p_value < 0.05
        flipped = 2 * min(gained, lost) if real else gained + lost
        found[one.name] = FlipRate(flipped=flipped, n=compared.n, digest=one.result.digest)
    return found


def foresee(
    sets: Sequence[PlannedSet],
    policy: GatePolicy,
    *,
    record: RunRecord | None = None,
    details: bool = False,
) -> Foresight:
    """What these sets can show under this policy. Flips are measured on `record`, for the sets whose file is still the
    same. `details`: every set's own chances and smallest margin as well, which takes longer than the pool."""
    known = {} if record is None else measured_flips(record)
    sights = []
    for one in sets:
        rate = known.get(one.name)
        measured = rate if rate is not None and one.digest in ("", rate.digest) else None
        shares = ASSUMED if measured is None else (measured.share,)
        own = policy.own_margin(one.name)
        margin = policy.margin if own is None else own
        sights.append(
            SetSight(
                name=one.name,
                n=one.n,
                target=policy.is_target(one.name),
                measured=measured,
                sights=tuple(_sight(one.n, share, margin, policy.alpha, details) for share in shares),
            )
        )
    guards = [one for one in sights if not one.target]
    return Foresight(
        margin=policy.margin,
        source=None if record is None else record.run_id,
        sets=tuple(sights),
        pools=tuple(_pools(guards, policy)),
    )


def _sight(n: int, flips: float, margin: float, alpha: float, details: bool) -> Sight:
    sees = detectable_drop(flips, n, alpha=alpha)
    if not details:
        return Sight(flips=flips, margin=margin, sees=sees, equal=math.nan, worse=math.nan, smallest=None)
    return Sight(
        flips=flips,
        margin=margin,
        sees=sees,
        equal=pass_chance([n], [flips], 0.0, margin, alpha),
        worse=pass_chance([n], [flips], margin, margin, alpha),
        smallest=_smallest(n, flips, alpha),
    )


def _pools(guards: Sequence[SetSight], policy: GatePolicy) -> list[PoolSight]:
    if not guards:
        return []
    sizes = [one.n for one in guards]
    assumed = ASSUMED if any(one.measured is None for one in guards) else (None,)
    pools = []
    for share in assumed:
        flips = [one.measured.share if one.measured is not None else share or 0.0 for one in guards]
        equal = pass_chance(sizes, flips, 0.0, policy.margin, policy.alpha)
        worse = pass_chance(sizes, flips, policy.margin, policy.margin, policy.alpha)
        pools.append(PoolSight(assumed=share, equal=equal, worse=worse))
    return pools


def pass_chance(sizes: Sequence[int], flips: Sequence[float], drop: float, margin: float, alpha: float) -> float:
    """How often the guards' rule passes where every set's rate falls by `drop`: exact up to 4,000 cases, beyond that
    by drawing normal differences, to half a point."""
    if sum(sizes) <= _EXACT:
        return rule_power(sizes, flips, [drop] * len(sizes), margin=margin, alpha=alpha).passes
    # One row a draw, one column a set; a fixed seed, so that the same plan always says the same.
    drawn = np.random.default_rng(0).standard_normal((_DRAWS, len(sizes)))
    n, flipping = np.array(sizes, dtype=np.float64), np.maximum(np.array(flips), drop)
    variance = np.maximum(flipping - drop * drop, 1e-12)
    changes = -drop + drawn * np.sqrt(variance / n)
    alarmed = -changes * np.sqrt(n / flipping) > normal_quantile(1 - alpha / len(sizes))
    error = math.sqrt(float((n * variance).sum())) / n.sum()
    ruled_out = changes @ (n / n.sum()) - normal_quantile(0.95) * error > -margin
    return float((ruled_out & ~alarmed.any(axis=1)).mean())


def _smallest(n: int, flips: float, alpha: float) -> float | None:
    if n <= _EXACT:
        return smallest_margin(n, flips, alpha=alpha)
    steps = (round(0.01 * k, 2) for k in range(1, 100))
    return next((margin for margin in steps if pass_chance([n], [flips], 0.0, margin, alpha) >= 0.8), None)


def _percent(share: float) -> str:
    return f"{100 * share:.0f}" if 0.01 <= share <= 0.99 or share in (0, 1) else f"{100 * share:.1f}"


def _joined(values: Sequence[str], unit: str) -> str:
    """One value, or all of them: "89%", "98 / 89 / 68%"."""
    return " / ".join(dict.fromkeys(values) if len(set(values)) == 1 else values) + unit
