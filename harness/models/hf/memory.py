"""Batches that shrink when they do not fit."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from harness.errors import GenerationError

_Item = TypeVar("_Item")


def is_out_of_memory(error: BaseException) -> bool:
    """CUDA has an exception of its own; the CPU allocator has only a sentence."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and ("not enough memory" in str(error) or "out of memory" in str(error))
    )


def free() -> None:
    """Give memory back that Python or CUDA's allocator still holds."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


class Batches:
    """Works through items in batches of at most `size`; halves the size whenever one does not fit.

    The smaller size is kept: what did not fit once will not fit the next time.
    """

    def __init__(self, size: int, *, label: str) -> None:
        self.size = size
        self._label = label

    def work(
        self,
        items: Sequence[_Item],
        run: Callable[[Sequence[_Item]], None],
        *,
        fits: Callable[[Sequence[_Item]], bool] = lambda batch: True,
        open_items: Callable[[Sequence[_Item]], Sequence[_Item]] = lambda batch: batch,
    ) -> None:
        """Run all items. `fits(batch)` can end a batch before `size`; `open_items` drops what a failed batch
        had finished. Raises GenerationError when a single item does not fit."""
        rest = list(items)
        while rest:
            count = 1
            while count < min(self.size, len(rest)) and fits(rest[: count + 1]):
                count += 1
            batch = rest[:count]
            if self._attempt(batch, run):
                rest = rest[count:]
                continue
            free()
            if count == 1:
                raise GenerationError(
                    f"{self._label}: out of memory with one request at a time. Use a smaller dtype or max_tokens, "
                    "or a device with more memory; finished answers are kept."
                )
            self.size = max(1, count // 2)
            rest = [*open_items(batch), *rest[count:]]

    def _attempt(self, batch: Sequence[_Item], run: Callable[[Sequence[_Item]], None]) -> bool:
        """False when memory ran out. A function of its own, so that the traceback lets go of the tensors."""
        try:
            run(batch)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            return False
        return True
