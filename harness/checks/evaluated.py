"""Any metric of Hugging Face's `evaluate`, by the name or path that `evaluate.load` takes."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.checks.overlap import library
from harness.checks.score import clip, one_line
from harness.errors import CheckError, unknown_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Evaluated:
    """A metric as `evaluate` computes it, over all answers at once; `key` is the number of its results that counts."""

    scale: float | None = None

    def __init__(
        self,
        name: str,
        *,
        key: str | None = None,
        options: Mapping[str, object] | None = None,
        higher_is_better: bool = True,
    ) -> None:
        self.name = name if key is None else f"{name} {key}"
        self.higher_is_better = higher_is_better
        self._path, self._key, self._options = name, key, dict(options or {})
        self._quick: bool | None = None
        self._answers: list[str] = []
        self._references: list[str | list[str]] = []

    @property
    def rounds(self) -> int:
        """The metric's own code runs once a round, over all cases; through `compute` that takes 5 ms at least."""
        return 1_000 if self._quick else 200

    def of_one(self, answer: str, references: Sequence[str]) -> float:
        """One answer's score."""
        return compute(self._path, [answer], [_reference(references)], key=self._key, options=self._options)

    def rows(self, answers: Sequence[str], references: Sequence[Sequence[str]]) -> list[list[float]]:
        # The metric does not say what one answer contributes, so a row is the place where the answer is kept.
        first = len(self._answers)
        self._answers += answers
        self._references += map(_reference, references)
        return [[float(first + i)] for i in range(len(answers))]

    def value(self, rows: NDArray[np.float64]) -> float:
        places = [int(row[0]) for row in rows]
        answers, references = [self._answers[i] for i in places], [self._references[i] for i in places]

        def ask(quick: bool) -> float:
            return compute(self._path, answers, references, key=self._key, options=self._options, quick=quick)

        if self._quick is None:
            # The first question is about the whole set: where the metric's inner function says the same of it as the
            # whole, the inner one is asked from then on.
            value = ask(quick=False)
            try:
                self._quick = ask(quick=True) == value
            except CheckError:
                self._quick = False
            return value
        return ask(self._quick)


def compute(
    name: str,
    answers: Sequence[str],
    references: Sequence[str | list[str]],
    *,
    key: str | None,
    options: Mapping[str, object],
    quick: bool = False,
) -> float:
    """The metric's one number; `quick` spares the checks and conversions of `evaluate`.

    Raises CheckError where it cannot be loaded, crashes, or gives no such number.
    """
    metric = _load(name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function = metric._compute if quick else metric.compute
            result = function(predictions=list(answers), references=list(references), **options)
    except Exception as error:
        raise CheckError(
            f"metric {name!r} crashed ({type(error).__name__}: {clip(one_line(str(error)), 200)}). It must take "
            "texts as predictions and references; its further arguments go into options."
        ) from error
    return _number(name, key, result)


@functools.cache
def _load(name: str) -> Any:
    if name.endswith(".py") and not Path(name).is_file():
        # Not to be asked of a hub, minutes long where there is no network.
        raise CheckError(
            f"metric {name!r} cannot be loaded: there is no such file. Correct the path; it counts from where pytest "
            "was started."
        )
    evaluate = library("evaluate")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # In memory, so that workers do not fight over one cache file.
            return evaluate.load(name, module_type="metric", keep_in_memory=True)
    except Exception as error:
        raise CheckError(
            f"metric {name!r} cannot be loaded ({type(error).__name__}: {clip(one_line(str(error)), 160)}). A hub name "
            "needs the network and may need further packages; without a network give the path of a metric's script, "
            "such as metrics/my_metric/my_metric.py."
        ) from error


def _number(name: str, key: str | None, result: object) -> float:
    if not isinstance(result, Mapping):
        raise CheckError(f"metric {name!r} gave {type(result).__name__}, not its results by name: it cannot be used.")
    numbers: dict[str, float] = {}
    for label, value in result.items():
        # numpy's numbers are numbers too.
        value = value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value
        if isinstance(value, (int, float)):
            numbers[str(label)] = float(value)
    if key is None:
        if len(numbers) != 1:
            listed = ", ".join(sorted(numbers)) or "none"
            raise CheckError(f"metric {name!r} gives {len(numbers)} numbers ({listed}). Say which one counts with key.")
        key = next(iter(numbers))
    elif key not in numbers:
        raise CheckError(f"metric {name!r}: {unknown_name('key', key, numbers)}")
    if not math.isfinite(numbers[key]):
        raise CheckError(f"metric {name!r} gave {numbers[key]} as {key}: no number, so no score.")
    return numbers[key]


def _reference(references: Sequence[str]) -> str | list[str]:
    """One reference as it is; several as the list that metrics with many references take."""
    return references[0] if len(references) == 1 else list(references)
