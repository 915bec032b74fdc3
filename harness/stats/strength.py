"""How strong models are, from who beat whom: two of them with ties (Davidson, Rao and Kupper), three or more without
(Bradley and Terry).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from harness.errors import StatisticsError
from harness.stats.values import Floats

_MOST_STEPS = 100


class TieModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The log strength of the candidate over the baseline, and `ties`, the model's own measure of how often nothing
    is decided (0: never).
    """

    strength: float
    standard_error: float
    ties: float
    method: str
    n: int

    def __repr__(self) -> str:
        return f"{self.strength:+.4g} (SE {self.standard_error:.3g}), ties {self.ties:.4g} ({self.method}, n={self.n})"


class BradleyTerry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Log strengths of models in the order of `names`, that of `reference` being 0; i beats j with chance
    `1 / (1 + exp(strength_j - strength_i))`. `n` is the number of games.
    """

    names: tuple[str, ...]
    strengths: tuple[float, ...]
    standard_errors: tuple[float, ...]
    reference: str
    n: float

    def __repr__(self) -> str:
        order = np.argsort(-np.array(self.strengths), kind="stable")
        told = ", ".join(f"{self.names[i]} {self.strengths[i]:.3f}" for i in order)
        return f"{told} (Bradley-Terry, {self.reference} = 0, n={self.n:g})"


def davidson(wins: int, losses: int, ties: int) -> TieModel:
    """Two models with ties as chances of their own, in proportion to the geometric mean of both strengths.

    `ties` is nu, t / sqrt(w l). Source: Davidson 1970.
    """
    n = _games(wins, losses, ties)
    return TieModel(
        strength=math.log(wins / losses),
        standard_error=math.sqrt(1 / wins + 1 / losses),
        ties=ties / math.sqrt(wins * losses),
        method="Davidson",
        n=n,
    )


def rao_kupper(wins: int, losses: int, ties: int) -> TieModel:
    """Two models with ties where neither is ahead by more than a threshold.

    `ties` is that threshold, eta, on the scale of log strengths. Source: Rao and Kupper 1967.
    """
    n = _games(wins, losses, ties)
    won, lost = math.log(wins / (n - wins)), math.log(losses / (n - losses))
    # By the delta method, of multinomial counts.
    variance = (1 / wins + 1 / (n - wins) + 1 / losses + 1 / (n - losses)) / 4 + n / (2 * (n - wins) * (n - losses))
    return TieModel(
        strength=(won - lost) / 2,
        standard_error=math.sqrt(variance),
        ties=max(0.0, -(won + lost) / 2),
        method="Rao-Kupper",
        n=n,
    )


def bradley_terry(wins: ArrayLike, names: Sequence[str] | None = None, *, reference: str | None = None) -> BradleyTerry:
    """Strengths of three or more models by maximum likelihood. `wins[i][j]` counts how often i beat j (a tie: half to
    each). `reference`, by default the last, has strength 0; the others' standard errors are of the difference to it.

    Source: Bradley and Terry 1952; when a maximum exists: Ford 1957.
    Raises StatisticsError where it does not: models that never met even in a chain, or some that beat all the rest.
    """
    table = _table(wins)
    k = len(table)
    labels = tuple(str(i + 1) for i in range(k)) if names is None else tuple(names)
    if len(labels) != k or len(set(labels)) != k:
        raise StatisticsError(f"{k} models but names {list(labels)}: give one name per model, no two alike")
    if reference is not None and reference not in labels:
        raise StatisticsError(f"reference {reference!r} is none of {', '.join(labels)}")
    _refuse_one_sided(table, labels)
    last = k - 1 if reference is None else labels.index(reference)
    free = np.array([i for i in range(k) if i != last])
    strengths, information = _maximum(table, free)
    errors = np.zeros(k)
    errors[free] = np.sqrt(np.diag(np.linalg.inv(information)))
    return BradleyTerry(
        names=labels,
        strengths=tuple(strengths.tolist()),
        standard_errors=tuple(errors.tolist()),
        reference=labels[last],
        n=float(table.sum()),
    )


def _maximum(table: Floats, free: np.ndarray[tuple[int], np.dtype[np.int64]]) -> tuple[Floats, Floats]:
    """The strengths of the greatest likelihood and the information about the free ones, by Newton's steps."""
    games, won = table + table.T, table.sum(axis=1)
    strengths = np.zeros(len(table))
    for _ in range(_MOST_STEPS):
        gaps = strengths[:, None] - strengths[None, :]
        chance = 1 / (1 + np.exp(-gaps))
        slope = won - (games * chance).sum(axis=1)
        weight = games * chance * (1 - chance)
        information = (np.diag(weight.sum(axis=1)) - weight)[np.ix_(free, free)]
        step = np.linalg.solve(information, slope[free])
        if np.abs(step).max() < 1e-10:
            return strengths, information
        # Far off the quadratic overshoots; no step changes any odds more than e to the 2.
        strengths[free] += step * min(1.0, 2 / np.abs(step).max())
    raise StatisticsError(f"Bradley-Terry: no maximum after {_MOST_STEPS} steps. Play more games between all models.")


def _refuse_one_sided(table: Floats, labels: Sequence[str]) -> None:
    """A maximum exists where a chain of wins leads from every model to every other."""
    reaches = (table > 0) | np.eye(len(table), dtype=bool)
    met = reaches | reaches.T
    for _ in labels:
        reaches = reaches | ((reaches.astype(float) @ reaches) > 0)
        met = met | ((met.astype(float) @ met) > 0)
    if not met.all():
        apart = [name for name, known in zip(labels, met[0], strict=True) if not known]
        raise StatisticsError(
            f"{', '.join(apart)} never met {labels[0]}, even in a chain of games: they cannot be placed on one scale. "
            "Play games between the groups."
        )
    if not reaches.all():
        i, j = (int(v[0]) for v in np.nonzero(~reaches))
        unbeaten = [name for name, beats in zip(labels, reaches[:, j], strict=True) if not beats]
        rest = [name for name in labels if name not in unbeaten]
        raise StatisticsError(
            f"{', '.join(unbeaten)} never beat any of {', '.join(rest)}: no strength is low enough for that. "
            f"Play more games, or leave {labels[i]} out."
        )


def _table(wins: ArrayLike) -> Floats:
    try:
        table = np.array(wins, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise StatisticsError(f"wins: not a table of counts ({error})") from error
    if table.ndim != 2 or table.shape[0] != table.shape[1]:
        raise StatisticsError(f"wins: one row and one column per model, not shape {table.shape}")
    if len(table) < 3:
        raise StatisticsError(f"{len(table)} models: Bradley-Terry is for three or more. Of two, use win_rate.")
    if not np.isfinite(table).all() or table.min() < 0:
        raise StatisticsError("wins: every count is 0 or more")
    if np.diag(table).any():
        raise StatisticsError("wins: a model cannot beat itself; leave the diagonal 0")
    return table


def _games(wins: int, losses: int, ties: int) -> int:
    if min(wins, losses, ties) < 0:
        raise StatisticsError(f"wins={wins}, losses={losses}, ties={ties}: counts cannot be negative")
    if wins == 0 or losses == 0:
        raise StatisticsError(
            f"wins={wins}, losses={losses}: a side that never wins has no finite strength. Judge more pairs, or use "
            "win_rate."
        )
    return wins + losses + ties
