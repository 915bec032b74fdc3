"""What a chain of candidates kept: each trained on one more task, each scored on all of them.

`scores[i][j]` is the score on task j after training on task i (higher is better).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from harness.errors import StatisticsError
from harness.stats.values import Floats


def backward_transfer(scores: ArrayLike) -> float:
    """How much later training changed earlier tasks: the mean of last score minus the score right after training on
    the task. Below 0: something was forgotten.

    Source: Lopez-Paz and Ranzato 2017, arXiv 1706.08840.
    """
    table = _chain(scores)
    return float(np.mean(table[-1, :-1] - np.diag(table)[:-1]))


def average_forgetting(scores: ArrayLike) -> float:
    """How far earlier tasks fell below the best that any earlier candidate of the chain reached on them.

    Source: Chaudhry 2018, arXiv 1801.10112.
    """
    table = _chain(scores)
    return float(np.mean(table[:-1, :-1].max(axis=0) - table[-1, :-1]))


def _chain(scores: ArrayLike) -> Floats:
    try:
        table = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise StatisticsError(f"scores: not a table of numbers ({error})") from error
    if table.ndim != 2 or table.shape[0] != table.shape[1]:
        raise StatisticsError(f"scores: one row per candidate and one column per task, not shape {table.shape}")
    if len(table) < 2:
        raise StatisticsError(f"{len(table)} candidates: forgetting needs at least two tasks, one after the other")
    if not np.isfinite(table).all():
        row, column = (int(v[0]) for v in np.nonzero(~np.isfinite(table)))
        raise StatisticsError(
            f"scores: task {column + 1} after training {row + 1} is {table[row, column]}, not a number. Score every "
            "candidate on every task."
        )
    return table
