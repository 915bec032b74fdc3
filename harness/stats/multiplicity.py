"""Asking many questions at once without being fooled by one of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from harness.errors import StatisticsError
from harness.stats.values import Floats, as_values


def holm(p_values: ArrayLike) -> Floats:
    """Adjusted p-values, in the order given: with those up to alpha, the chance of any false alarm is alpha.

    Source: Holm 1979.
    """
    p = _p_values(p_values)
    order = np.argsort(p, kind="stable")
    raised = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    return _in_order(np.minimum(raised, 1.0), order)


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Adjusted p-values, in the order given: among those up to alpha, a share of alpha is false. For
    exploring.

    Source: Benjamini and Hochberg 1995.
    """
    p = _p_values(p_values)
    order = np.argsort(p, kind="stable")
    raised = p[order] * p.size / np.arange(1, p.size + 1)
    return _in_order(np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1.0), order)


def _p_values(p_values: ArrayLike) -> Floats:
    p = as_values(p_values, "p-values")
    if p.min() < 0 or p.max() > 1:
        raise StatisticsError(f"p-values lie between 0 and 1, not {p.min():g} to {p.max():g}")
    return p


def _in_order(adjusted: Floats, order: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Floats:
    result = np.empty_like(adjusted)
    result[order] = adjusted
    return result
