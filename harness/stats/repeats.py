"""Several samples of one case: does any succeed, do all?

Source: Chen 2021, arXiv 2107.03374 (pass@k); Yao 2024, arXiv 2406.12045 (pass^k).
"""

from __future__ import annotations

import math

from harness.errors import StatisticsError


def pass_at_k(n: int, c: int, k: int) -> float:
    """The chance that at least one of `k` answers passes, from `c` passes in `n` samples: what a user with
    retries sees."""
    _refuse_impossible(n, c, k)
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def pass_hat_k(n: int, c: int, k: int) -> float:
    """The chance that all of `k` answers pass, from `c` passes in `n` samples: the production promise."""
    _refuse_impossible(n, c, k)
    return math.comb(c, k) / math.comb(n, k)


def _refuse_impossible(n: int, c: int, k: int) -> None:
    if not 1 <= k <= n:
        raise StatisticsError(f"k={k} of n={n} samples: k lies between 1 and n. Draw more samples or ask a smaller k.")
    if not 0 <= c <= n:
        raise StatisticsError(f"{c} passes of {n} samples: the count must lie between 0 and {n}")
