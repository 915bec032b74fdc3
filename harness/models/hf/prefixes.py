"""Teacher-forced logits of many texts, with the beginnings that they share computed once.

The choices of one question share its prompt, and the prompts of a model share what its chat template opens with. A
shared beginning is read once into a key-value cache, and each text goes on from its copy. Beginnings are cut where all
rows are equally long, so nothing is padded but the ends, which a causal model cannot see: neither an attention mask
nor position ids are needed, and every architecture with a plain cache is served alike.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache

from harness.models.hf.caches import selectable_cache

#: Tokens that sharing must save before a pass of its own is worth it.
_WORTH = 64
#: An opening shorter than this is read with each text.
_SHORTEST_OPENING = 8


class Passage:
    """Tokens of a text and of what it follows (at least one token); logits are wanted for the text's only."""

    def __init__(self, context: list[int], tokens: list[int]) -> None:
        self.context = context
        self.tokens = tokens
        self.all = context + tokens


class Logits:
    """The logits that tell of each wanted token: row `index[i]` of `rows` for token i, texts in order."""

    def __init__(self, rows: torch.Tensor, index: Sequence[int]) -> None:
        self.rows = rows
        self.index = torch.tensor(index, device=rows.device)


def opening(passages: Sequence[Passage]) -> tuple[int, ...]:
    """What all contexts begin with, at most all but their last token; empty where sharing it saves too little."""
    first = min(passage.context for passage in passages)
    last = max(passage.context for passage in passages)
    # Between the smallest and the largest lie all others, so they begin with what these two share.
    length = min(len(passage.context) for passage in passages) - 1
    same = next((i for i in range(length) if first[i] != last[i]), length)
    worth = same >= _SHORTEST_OPENING and same * (len(passages) - 1) >= _WORTH
    return tuple(first[:same]) if worth else ()


class Reader:
    """Reads batches of passages with a model as it is now; the opening of the last batch is kept for the next.

    A model whose adapter was switched needs another reader. `share=False` reads every text from its first token.
    """

    def __init__(self, model: Any, *, pad_id: int, share: bool = True) -> None:
        self._model = model
        self._pad_id = pad_id
        self._share = share and selectable_cache(model) is not None
        self._opening: tuple[int, ...] = ()
        self._opened: DynamicCache | None = None

    def logits(self, batch: Sequence[Passage], opening: tuple[int, ...] = ()) -> Logits:
        """Logits for the batch's texts, whose contexts all begin with `opening` and go on after it."""
        with torch.inference_mode():
            cache: DynamicCache | None = None
            parents = [0] * len(batch)
            begin = 0
            found = _Found(batch)
            if self._share and opening:
                cache, begin = self._open(opening), len(opening)
            if self._share:
                # Of prompts that differ in length the shortest says where; the rest is read with each text.
                cut = min(len(passage.context) for passage in batch)
                stems = list(dict.fromkeys(tuple(passage.context[:cut]) for passage in batch))
                if (len(batch) - len(stems)) * (cut - begin) >= _WORTH:
                    cache = self._read_stems(batch, stems, begin, cache, found)
                    rows = {stem: row for row, stem in enumerate(stems)}
                    parents = [rows[tuple(passage.context[:cut])] for passage in batch]
                    begin = cut
            self._read_ends(batch, begin, cache, parents, found)
        return found.logits()

    def _open(self, opening: tuple[int, ...]) -> DynamicCache:
        if self._opened is None or self._opening != opening:
            cache = selectable_cache(self._model)
            assert cache is not None
            self._forward([list(opening)], [0], [0], cache)
            self._opening, self._opened = opening, cache
        return copy.deepcopy(self._opened)

    def _read_stems(
        self,
        batch: Sequence[Passage],
        stems: Sequence[tuple[int, ...]],
        begin: int,
        cache: DynamicCache | None,
        found: _Found,
    ) -> DynamicCache:
        """Read each stem once. Where it is a whole context, it already tells of the text's first token."""
        if cache is None:
            cache = selectable_cache(self._model)
            assert cache is not None
        else:
            cache.batch_select_indices(self._index([0] * len(stems)))
        cut = len(stems[0])
        rows = [row for row, stem in enumerate(stems) if any(passage.context == list(stem) for passage in batch)]
        logits = self._forward([list(stem[begin:]) for stem in stems], rows, [cut - begin - 1] * len(rows), cache)
        at = found.add(logits)
        place = {stems[row]: at + i for i, row in enumerate(rows)}
        for i, passage in enumerate(batch):
            if len(passage.context) == cut:
                found.places[i].append(place[tuple(passage.context)])
        return cache

    def _read_ends(
        self,
        batch: Sequence[Passage],
        begin: int,
        cache: DynamicCache | None,
        parents: Sequence[int],
        found: _Found,
    ) -> None:
        """Read what is left of each text but its last token, after which nothing is asked."""
        left = [i for i, passage in enumerate(batch) if len(passage.all) - 1 > begin]
        if not left:
            return
        if cache is not None:
            cache.batch_select_indices(self._index([parents[i] for i in left]))
        wanted: list[tuple[int, int]] = []
        start = found.size
        for row, i in enumerate(left):
            # The logits at a position tell of the next token; a stem may have told of the first.
            positions = range(len(batch[i].context) - 1 + len(found.places[i]), len(batch[i].all) - 1)
            found.places[i] += range(start + len(wanted), start + len(wanted) + len(positions))
            wanted += [(row, position - begin) for position in positions]
        width = max(len(batch[i].all) for i in left) - 1 - begin
        ids = [batch[i].all[begin:-1] for i in left]
        padded = [row + [self._pad_id] * (width - len(row)) for row in ids]
        found.add(self._forward(padded, [row for row, _ in wanted], [column for _, column in wanted], cache))

    def _forward(
        self, ids: list[list[int]], rows: list[int], columns: list[int], cache: DynamicCache | None
    ) -> torch.Tensor:
        """Logits at the chosen (row, column) positions only, shape (positions, vocabulary).

        The hidden states are thinned out just before the head, so that whatever the model does with its logits
        afterwards (scaling, capping) still happens, and the full (batch, width, vocabulary) never exists.
        """

        def thin(module: Any, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            return (inputs[0][rows, columns].unsqueeze(0), *inputs[1:])

        hook = self._model.get_output_embeddings().register_forward_pre_hook(thin)
        try:
            output = self._model(input_ids=self._index(ids), past_key_values=cache, use_cache=cache is not None)
        finally:
            hook.remove()
        logits: torch.Tensor = output.logits
        if logits.shape[:2] == (1, len(rows)):
            return logits[0]
        # A model that goes around its own head module: it made them all, choose now.
        return logits[rows, columns]

    def _index(self, values: Sequence[int] | Sequence[Sequence[int]]) -> torch.Tensor:
        return torch.tensor(values, device=self._model.device)


class _Found:
    """Logits as the passes bring them, and for each text in the batch where those of its tokens are."""

    def __init__(self, batch: Sequence[Passage]) -> None:
        self.places: list[list[int]] = [[] for _ in batch]
        self.size = 0
        self._parts: list[torch.Tensor] = []

    def add(self, logits: torch.Tensor) -> int:
        """Keep the rows; gives the place of the first."""
        start = self.size
        self._parts.append(logits)
        self.size += logits.shape[0]
        return start

    def logits(self) -> Logits:
        """All of them, and their order by text and token."""
        rows = self._parts[0] if len(self._parts) == 1 else torch.cat(self._parts)
        return Logits(rows, [place for places in self.places for place in places])
