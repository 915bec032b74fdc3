"""Yes/no answers in pairs: what can be read from the cases on which two models disagree."""

from __future__ import annotations

import math
from typing import Literal

import msgspec
import numpy as np

from harness.errors import StatisticsError
from harness.stats.intervals import Interval
from harness.stats.values import Floats, normal_quantile

Alternative = Literal["two-sided", "less", "greater"]


class Discordant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Cases that only one side passes: b and c of McNemar. With partial scores, cases that one side scores
    higher.
    """

    only_candidate: int
    only_baseline: int

    @property
    def total(self) -> int:
        """How many cases flipped."""
        return self.only_candidate + self.only_baseline


class Significance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How surprising the data would be if nothing had changed: `p_value`, by `method`, from `n` changed
    units.

    "less" asks whether the candidate is worse, "greater" whether it is better.
    """

    p_value: float
    method: str
    alternative: Alternative
    n: int

    def __repr__(self) -> str:
        return f"p = {self.p_value:.4g} ({self.method}, {self.alternative}, n={self.n})"


def mcnemar(b: int, c: int, mid_p: bool = False, alternative: Alternative = "two-sided") -> Significance:
    """Are flips to the better (`b`: only the candidate passes) and to the worse (`c`: only the baseline)
    alike?

    Exact binomial; with `mid_p` the observed table counts half, which keeps the stated level on average and
    is less timid. No flips at all are no evidence: p = 1.
    Source: McNemar 1947; mid-p: Fagerland, Lydersen and Laake 2013.
    """
    if b < 0 or c < 0:
        raise StatisticsError(f"b={b}, c={c}: counts of cases cannot be negative")
    m = b + c
    method = "mid-p McNemar" if mid_p else "exact McNemar"
    if m == 0:
        p = 1.0
    elif alternative == "two-sided":
        p = _tail(min(b, c), m, mid_p)
        p = min(1.0, 2 * p)
    else:
        p = _tail(b if alternative == "less" else c, m, mid_p)
    return Significance(p_value=p, method=method, alternative=alternative, n=m)


def worse_p_values(b: Floats, c: Floats) -> Floats:
    """One-sided mid-p values ("the candidate is worse") of many tables at once; 1 where nothing flipped."""
    from scipy.special import bdtr

    m = (b + c).astype(np.int64)
    # The outcome itself counts half: half-way between P(X <= b) and P(X < b).
    p = (bdtr(b, m, 0.5) + np.where(b > 0, bdtr(np.maximum(b - 1, 0), m, 0.5), 0.0)) / 2
    return np.where(m == 0, 1.0, p)


def tango_interval(b: int, c: int, n: int, confidence: float = 0.95) -> Interval:
    """Range of the paired difference of two pass rates, `(b - c) / n`, by inverting the score test.

    Honest for few flips and none, where the plain interval shrinks to a point.
    Source: Tango 1998, Statistics in Medicine 17, 891-908.
    """
    if n < 1:
        raise StatisticsError("no pairs: a difference needs at least one. Add cases.")
    if b < 0 or c < 0 or b + c > n:
        raise StatisticsError(f"b={b}, c={c}, n={n}: flips cannot be negative or more than the pairs")
    if not 0 < confidence < 1:
        raise StatisticsError(f"confidence {confidence}: give a share between 0 and 1, such as 0.95")
    low, high = tango_limits(b, c, n, (1 - confidence) / 2)
    return Interval(estimate=(b - c) / n, low=low, high=high, confidence=confidence, method="Tango score", n=n)


def tango_limits(b: float, c: float, n: float, tail: float) -> tuple[float, float]:
    """Lower and upper limit, each missed with probability `tail`. Counts may be fractional (effective sizes)."""
    z = normal_quantile(1 - tail)
    return _lower_limit(b, c, n, z), -_lower_limit(c, b, n, z)


def tango_excess(b: Floats, c: Floats, n: float, difference: float) -> tuple[Floats, Floats]:
    """Numerator and null standard error of Tango's z at a supposed `difference`, for many tables at once.

    The difference lies below the lower limit exactly where `numerator > z_crit * error`.
    """
    d = difference
    first = -b - c + (2 * n - b + c) * d
    constant = -c * d * (1 - d)
    root = np.sqrt(np.maximum(first * first - 8 * n * constant, 0.0))
    q = np.clip((root - first) / (4 * n), 0.0, 1.0)
    error = np.sqrt(n * np.maximum(2 * q + d * (1 - d), 0.0))
    return b - c - n * d, error


def _lower_limit(b: float, c: float, n: float, z: float) -> float:
    def below(d: float) -> bool:
        # `tango_excess` of one table in plain numbers: a limit asks sixty times, and numpy's calls would be all of it.
        first = -b - c + (2 * n - b + c) * d
        root = math.sqrt(max(first * first + 8 * n * c * d * (1 - d), 0.0))
        q = min(max((root - first) / (4 * n), 0.0), 1.0)
        return b - c - n * d > z * math.sqrt(n * max(2 * q + d * (1 - d), 0.0))

    outside, inside = -1.0, (b - c) / n
    if not below(outside):
        return outside
    for _ in range(60):
        middle = (outside + inside) / 2
        outside, inside = (middle, inside) if below(middle) else (outside, middle)
    return inside


def _tail(k: int, m: int, mid_p: bool) -> float:
    """P(X <= k) for X ~ Binomial(m, 1/2), the outcome k itself counting half for mid-p."""
    if k < 0:
        return 0.0
    if 2 * k > m:
        # From the other end, where the terms only fall.
        return 1 - (_tail(m - k, m, True) if mid_p else _tail(m - k - 1, m, False))
    term = math.comb(m, k) / (1 << m)
    total = term / 2 if mid_p else term
    while k > 0 and term > 1e-18 * total:
        term *= k / (m - k + 1)
        total += term
        k -= 1
    return total
