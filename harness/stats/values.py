"""What every function of this room starts from: plain numbers, all of them there."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.errors import StatisticsError

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


def as_values(values: ArrayLike, name: str) -> Floats:
    """`values` as a one-dimensional array of finite numbers, at least one.

    Raises StatisticsError naming `name` and the position of the first value that is no number.
    """
    try:
        x = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise StatisticsError(f"{name}: not numbers ({error}). Leave no gaps: drop or score them.") from error
    if x.ndim != 1:
        raise StatisticsError(f"{name}: one number per case is needed, not an array of shape {x.shape}")
    if x.size == 0:
        raise StatisticsError(f"{name}: there are none, so there is nothing to tell. Add cases.")
    refuse_nan(x, name)
    return x


def cluster_index(n: int, clusters: ArrayLike) -> Labels:
    """Cluster labels of any kind as whole numbers from 0; raises StatisticsError unless there is one per
    value.
    """
    labels = np.asarray(clusters)
    if labels.shape != (n,):
        raise StatisticsError(f"{n} values but cluster labels of shape {labels.shape}: give one per value")
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def normal_quantile(p: float) -> float:
    """The standard normal quantile."""
    return NormalDist().inv_cdf(p)


def level_of(confidence: float) -> float:
    """`confidence` itself; raises StatisticsError unless it is a share between 0 and 1."""
    if not 0 < confidence < 1:
        raise StatisticsError(f"confidence {confidence}: give a share between 0 and 1, such as 0.95")
    return confidence


def refuse_nan(x: Floats, name: str) -> None:
    """Raises StatisticsError naming `name` and the position of the first value that is no finite number."""
    bad = np.flatnonzero(~np.isfinite(x))
    if bad.size:
        raise StatisticsError(f"{name}: the value at position {bad[0]} is {x[bad[0]]}, not a number")
