"""In which order rows are seen, and how they share a forward pass.

The rule, which is a pure function of (lengths, seed, epoch), so that a resumed run sees the same rows:

1. Shuffle all rows with the epoch's own generator.
2. Cut them into windows of `batch_size` rows: a window is one update, drawn at random like any batch.
3. Sort each window by length, longest first, and cut it into micro-batches of `micro_batch_size` rows: rows of like
   length share a forward pass, so that little is spent on padding.

Windows are not sorted against each other: a batch of only short rows is a batch of only one kind of row, and the
updates would pull one way and then the other.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from harness.training.template import Example

IGNORED = -100


def plan_epoch(
    lengths: Sequence[int], *, batch_size: int, micro_batch_size: int | None = None, seed: int, epoch: int
) -> list[list[list[int]]]:
    """The windows of one epoch, each a list of micro-batches, each a list of row indices. The last window may be
    short. Every row appears once."""
    order = list(range(len(lengths)))
    random.Random(f"{seed}:{epoch}").shuffle(order)
    windows = []
    for start in range(0, len(order), batch_size):
        rows = sorted(order[start : start + batch_size], key=lambda i: -lengths[i])
        size = micro_batch_size or len(rows)
        windows.append([rows[i : i + size] for i in range(0, len(rows), size)])
    return windows


def pad(examples: Sequence[Example], pad_id: int) -> tuple[list[list[int]], list[list[int]]]:
    """(ids, labels), right-padded to the longest row, each of shape (rows, longest - 1).

    `labels[i][t]` is the id to be predicted from the ids up to t, already shifted; IGNORED where there is none.
    Labels come from the mask, never from `id == pad_id`: the pad token is often the stop token, and masking it
    would leave a model that never stops. There is no attention mask: with causal attention a token sees only what
    is to its left, and the padding is on the right.
    """
    longest = max(len(example.ids) for example in examples) - 1
    ids, labels = [], []
    for example in examples:
        padding = longest - len(example.ids) + 1
        # The last id is only ever a target, so nothing has to be computed from it.
        ids.append([*example.ids[:-1], *[pad_id] * padding])
        shifted = [i if learned else IGNORED for i, learned in zip(example.ids, example.learned, strict=True)][1:]
        labels.append([*shifted, *[IGNORED] * padding])
    return ids, labels
