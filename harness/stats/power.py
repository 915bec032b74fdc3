"""What a number of cases can show: before the run in margins, after it in cases still missing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from harness.errors import StatisticsError
from harness.stats.flips import Alternative, tango_excess, worse_p_values
from harness.stats.values import Floats, normal_quantile


class RulePower(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often the guards' rule gives each answer, under a supposed truth."""

    passes: float
    inconclusive: float
    fails: float

    def __repr__(self) -> str:
        return f"PASS {self.passes:.1%}, INCONCLUSIVE {self.inconclusive:.1%}, FAIL {self.fails:.1%}"


def minimum_detectable_effect(
    sd: float, n: int, *, alpha: float = 0.05, power: float = 0.8, alternative: Alternative = "two-sided"
) -> float:
    """The true difference that `n` pairs whose differences have standard deviation `sd` see with that power.

    In the unit of `sd`. Source: Miller 2024, arXiv 2411.00640, equation 9 solved for the effect.
    """
    if n < 1 or sd < 0:
        raise StatisticsError(f"sd={sd}, n={n}: give a standard deviation of 0 or more and at least one pair")
    return _reach(alpha, power, alternative) * sd / math.sqrt(n)


def detectable_drop(discordance: float, n: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The drop in pass rate that the one-sided alarm sees with that power, alone, on `n` yes/no pairs.

    `discordance` is the share of flips between equal models; a larger drop brings its own flips, so that no
    flips seen does not mean that anything would be seen. 1 where even the loss of every case would not be.
    """
    if n < 1 or not 0 <= discordance <= 1:
        raise StatisticsError(f"discordance={discordance}, n={n}: give a share and at least one pair")
    z_alpha, z_power = normal_quantile(1 - alpha), normal_quantile(power)
    if 0.5 ** (n + 1) > alpha:
        # Even the loss of every case has a larger mid-p.
        return 1.0

    def shortfall(drop: float) -> float:
        flips = max(discordance, drop)
        return z_alpha * math.sqrt(flips) + z_power * math.sqrt(flips - drop * drop) - drop * math.sqrt(n)

    unseen, seen = 0.0, 1.0
    if shortfall(seen) > 0:
        return 1.0
    for _ in range(60):
        middle = (unseen + seen) / 2
        unseen, seen = (middle, seen) if shortfall(middle) > 0 else (unseen, middle)
    return seen


def cases_needed(
    variance: float,
    margin: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    alternative: Alternative = "greater",
) -> int:
    """Pairs needed to rule out a drop of `margin` between equal models ("greater"), or to see an effect of
    that size ("two-sided"), with that power.

    `variance` is that of one pair's difference; for yes/no pairs the share of flips.
    Source: Miller 2024, arXiv 2411.00640, equation 9.
    """
    if margin <= 0 or variance < 0:
        raise StatisticsError(f"variance={variance}, margin={margin}: the margin must be above 0")
    return max(1, math.ceil(_reach(alpha, power, alternative) ** 2 * variance / margin**2 - 1e-9))


def rule_power(
    sizes: Sequence[int],
    discordance: Sequence[float],
    drops: Sequence[float] | None = None,
    *,
    margin: float = 0.05,
    alpha: float = 0.05,
) -> RulePower:
    """How often the guards' rule passes, fails or cannot tell, exactly, for yes/no cases in independent sets.

    Set i has `sizes[i]` cases, of which a share `discordance[i]` flips (at least `drops[i]`), so that the
    rate falls by `drops[i]`. FAIL: the one-sided mid-p McNemar test of any set fires (Holm over sets at
    `alpha`). PASS: none does, and Tango's one-sided 95% limit of the pooled difference lies above `-margin`.
    """
    drops = [0.0] * len(sizes) if drops is None else drops
    if not (len(sizes) == len(discordance) == len(drops)) or not sizes:
        raise StatisticsError("give one size, one share of flips and one drop per set, for at least one set")
    quiet = np.ones((1, 1))
    for n, flips, drop in zip(sizes, discordance, drops, strict=True):
        if n < 1 or not 0 <= flips <= 1 or not 0 <= drop <= 1:
            raise StatisticsError(f"set of {n} cases with {flips} flips and a drop of {drop}: impossible")
        gained = max(0.0, flips - drop) / 2
        table = _flip_table(n, gained, gained + drop)
        b, c = _counts(table)
        # Holm raises an alarm at all exactly where the smallest p-value passes Bonferroni's bound.
        silent = np.where(worse_p_values(b, c) > alpha / len(sizes), table, 0.0)
        quiet = _sum_of_flips(quiet, silent)
    b, c = _counts(quiet)
    gap, error = tango_excess(b, c, sum(sizes), -margin)
    passes = float(quiet[gap > normal_quantile(0.95) * error].sum())
    silent_share = min(1.0, float(quiet.sum()))
    return RulePower(passes=passes, inconclusive=max(0.0, silent_share - passes), fails=1 - silent_share)


def smallest_margin(
    n: int, discordance: float, *, power: float = 0.8, step: float = 0.01, alpha: float = 0.05
) -> float | None:
    """The smallest margin, in steps, with which an equal model passes that often on one set; None if none
    does.

    The steps are what people write in a policy: whole points.
    """
    for k in range(1, math.ceil(1 / step)):
        margin = round(k * step, 10)
        if rule_power([n], [discordance], margin=margin, alpha=alpha).passes >= power:
            return margin
    return None


def _counts(table: Floats) -> tuple[Floats, Floats]:
    rows, columns = table.shape
    b, c = np.meshgrid(np.arange(rows, dtype=np.float64), np.arange(columns, dtype=np.float64), indexing="ij")
    return b, c


def _sum_of_flips(one: Floats, other: Floats) -> Floats:
    """The table of the summed flips of two independent sets: their convolution."""
    rows, columns = (a + b - 1 for a, b in zip(one.shape, other.shape, strict=True))
    size, axes = (rows, columns), (0, 1)
    product = np.fft.rfft2(one, size, axes) * np.fft.rfft2(other, size, axes)
    return np.maximum(np.fft.irfft2(product, size, axes), 0.0)


def _flip_table(n: int, gained: float, lost: float) -> Floats:
    """P(b, c) for b gains and c losses among `n` cases, cut where less than 1e-12 is left."""
    b = np.arange(_most(n, gained) + 1.0)[:, None]
    c = np.arange(_most(n, lost) + 1.0)[None, :]
    share = gained / (1 - lost) if lost < 1 else 0.0
    return _chance(c, np.float64(n), lost) * _chance(b, np.maximum(n - c, 0), min(1.0, share))


def _most(n: int, p: float) -> int:
    """The count out of `n` that is exceeded with a probability below 1e-12, and one more."""
    from scipy.special import bdtrc

    return min(n, int(np.count_nonzero(bdtrc(np.arange(n), n, p) > 1e-12)) + 1) if p > 0 else 0


def _chance(k: Floats, n: Floats | np.float64, p: float) -> Floats:
    """P(X = k) for X ~ Binomial(n, p); 0 where k is more than n."""
    from scipy.special import betaln, xlog1py, xlogy

    rest = np.maximum(n - k, 0)
    logarithm = xlogy(k, p) + xlog1py(rest, -p) - betaln(rest + 1, k + 1) - np.log1p(n)
    return np.where(k <= n, np.exp(logarithm), 0.0)


def _reach(alpha: float, power: float, alternative: Alternative) -> float:
    if not 0 < alpha < 1 or not 0 < power < 1:
        raise StatisticsError(f"alpha={alpha}, power={power}: give shares between 0 and 1")
    tail = alpha / 2 if alternative == "two-sided" else alpha
    return normal_quantile(1 - tail) + normal_quantile(power)
