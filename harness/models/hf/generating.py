"""Batched generation with `model.generate`: left-padded, longest first, finished rows taken out of the batch."""

from __future__ import annotations

import contextlib
import hashlib
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import msgspec
import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)

from harness.errors import GenerationError
from harness.models import Request, Response, Timing
from harness.models.hf.caches import selectable_cache
from harness.models.hf.memory import Batches
from harness.models.hf.prompts import Prompts

#: A batch is made smaller when at most this share of its rows is still talking: a shorter batch is a faster step,
#: but every new start costs some milliseconds.
_SHRINK_AT = 0.75


class _Row:
    """One answer in the making."""

    def __init__(self, index: int, request: Request, prompt: list[int], max_tokens: int) -> None:
        self.index = index
        self.request = request
        self.prompt = prompt
        self.max_tokens = max_tokens
        self.tokens: list[int] = []
        self.text: str | None = None
        self.finish_reason: Literal["stop", "length"] = "stop"
        self.done = False
        self.timing: Timing | None = None
        self._began, self._together = 0.0, 1
        self.rng = random.Random(sample_seed(request))

    def begin(self, together: int) -> None:
        """Start from the prompt, in a batch of so many; again, as after running out of memory."""
        self._began, self._together = time.perf_counter(), together
        self.tokens.clear()
        self.text, self.finish_reason, self.done = None, "stop", False
        self.rng = random.Random(sample_seed(self.request))

    def end(self) -> None:
        """The answer is whole."""
        self.timing = Timing(seconds=round(time.perf_counter() - self._began, 6), together=self._together)


def generate(
    model: Any,
    prompts: Prompts,
    requests: Sequence[Request],
    *,
    batches: Batches,
    label: str,
    on_done: Callable[[int, Response], None],
) -> list[Response]:
    """Answer all requests with `model` (a causal language model, in eval mode), in order."""
    rows = [_row(i, request, prompts, label) for i, request in enumerate(requests)]
    # Longest first: running out of memory shows at once, and rows of one batch need little padding.
    order = sorted(rows, key=lambda row: (-row.max_tokens, -len(row.prompt), row.index))
    responses: list[Response | None] = [None] * len(rows)

    def finished(row: _Row) -> None:
        response = Response(
            text=prompts.text(row.tokens) if row.text is None else row.text,
            finish_reason=row.finish_reason,
            prompt_tokens=len(row.prompt),
            completion_tokens=len(row.tokens),
            timing=row.timing,
        )
        responses[row.index] = response
        on_done(row.index, response)

    with _packed_head(model):
        batches.work(
            order,
            lambda batch: _answer(model, prompts, batch, finished),
            # Not by `done`: a row can have ended in the very call that ran out of memory, before it was handed on.
            open_items=lambda batch: [row for row in batch if responses[row.index] is None],
        )
    return [response for response in responses if response is not None]


@contextlib.contextmanager
def _packed_head(model: Any) -> Iterator[None]:
    """Give the head its hidden states in one piece.

    After the prompts, transformers takes the last position of each row: a view with gaps. For such a view torch copies
    the whole head once per row (on SmolLM2 56 MB, 32 times), and computes the very same.
    """
    head = model.get_output_embeddings()
    if head is None:
        yield
        return
    hook = head.register_forward_pre_hook(lambda module, inputs: (inputs[0].contiguous(), *inputs[1:]))
    try:
        yield
    finally:
        hook.remove()


def _row(index: int, request: Request, prompts: Prompts, label: str) -> _Row:
    prompt = prompts.conversation(request.messages, case=request.case, tools=request.tools)
    max_tokens = request.sampling.max_tokens
    if max_tokens < 1:
        raise GenerationError(f"{label}: max_tokens = {max_tokens} leaves no room for an answer. Set 1 or more.")
    if prompts.limit is not None:
        if len(prompt) >= prompts.limit:
            raise GenerationError(
                f"{label}: case {request.case!r} has {len(prompt)} prompt tokens, and the model reads at most "
                f"{prompts.limit}. Shorten the case."
            )
        max_tokens = min(max_tokens, prompts.limit - len(prompt))
    return _Row(index, request, prompt, max_tokens)


def sample_seed(request: Request) -> int:
    """Of what is asked, not of where it stands in a batch: the same sample comes out however it is batched."""
    asked = (request.sampling.seed, request.sample, request.replica, request.messages)
    return int.from_bytes(hashlib.sha256(msgspec.json.encode(asked)).digest()[:8])


def _answer(model: Any, prompts: Prompts, batch: Sequence[_Row], finished: Callable[[_Row], None]) -> None:
    """Answer one batch: generate until a share of the rows is finished, take those out, go on with the rest."""
    rows = list(batch)
    for row in rows:
        row.begin(len(rows))
    width = max(len(row.prompt) for row in rows)
    ids = torch.tensor([[prompts.pad_id] * (width - len(row.prompt)) + row.prompt for row in rows])
    mask = torch.tensor([[0] * (width - len(row.prompt)) + [1] * len(row.prompt) for row in rows])
    ids, mask = ids.to(model.device), mask.to(model.device)
    cache = selectable_cache(model)
    while rows:
        until = int(_SHRINK_AT * len(rows)) if cache is not None else 0
        watch = _Watch(rows, prompts, until)
        remaining = max(row.max_tokens - len(row.tokens) for row in rows)
        settings = GenerationConfig(  # type: ignore[no-untyped-call]
            max_new_tokens=remaining, do_sample=False, use_cache=True, return_dict_in_generate=True
        )
        output = model.generate(
            input_ids=ids,
            attention_mask=mask,
            generation_config=settings,
            stopping_criteria=StoppingCriteriaList([watch]),
            logits_processor=LogitsProcessorList([_Sampler(rows)] if _samples(rows) else []),
            past_key_values=cache,
        )
        for row in rows:
            if row.done:
                finished(row)
        kept = [i for i, row in enumerate(rows) if not row.done]
        rows = [rows[i] for i in kept]
        if rows and cache is not None:
            chosen = torch.tensor(kept, device=model.device)
            ids = output.sequences[chosen]
            grown = mask.new_ones(mask.shape[0], output.sequences.shape[1] - mask.shape[1])
            mask = torch.cat([mask, grown], dim=1)[chosen]
            cache.batch_select_indices(chosen)


class _Watch(StoppingCriteria):
    """Writes down each row's tokens and sees when it is finished; stops the batch when `until` rows are left."""

    def __init__(self, rows: Sequence[_Row], prompts: Prompts, until: int) -> None:
        self._rows = rows
        self._prompts = prompts
        self._until = until
        self._over = False

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        # On CUDA one step more may be under way when the batch is over; transformers takes it back.
        if not self._over:
            for row, token in zip(self._rows, input_ids[:, -1].tolist(), strict=True):
                if not row.done:
                    self._take(row, token)
                    if row.done:
                        row.end()
            self._over = sum(not row.done for row in self._rows) <= self._until
        over = [self._over or row.done for row in self._rows]
        return torch.tensor(over, device=input_ids.device)

    def _take(self, row: _Row, token: int) -> None:
        if token in self._prompts.stop_ids:
            row.done = True
            return
        row.tokens.append(token)
        for stop in row.request.sampling.stop:
            # A token is at least one byte, so this many tokens hold any new occurrence.
            tail = self._prompts.text(row.tokens[-(4 * len(stop) + 4) :])
            if stop in tail:
                whole = self._prompts.text(row.tokens)
                row.text = whole[: whole.index(stop)] if stop in whole else whole
                row.done = True
                return
        if len(row.tokens) >= row.max_tokens:
            row.done = True
            row.finish_reason = "length"


def _samples(rows: Sequence[_Row]) -> bool:
    return any(row.request.sampling.temperature > 0 for row in rows)


class _Sampler(LogitsProcessor):
    """Draws the next token of each sampled row from that row's own random numbers; greedy rows are left
    alone.

    One uniform number per token, turned into a token by the inverse of the cumulative distribution.
    """

    def __init__(self, rows: Sequence[_Row]) -> None:
        self._rows = rows

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        for i, row in enumerate(self._rows):
            sampling = row.request.sampling
            if row.done or sampling.temperature <= 0:
                continue
            shares, tokens = torch.softmax(scores[i].float() / sampling.temperature, dim=-1).sort(descending=True)
            cumulative = shares.cumsum(dim=-1)
            # Nucleus: the fewest tokens whose shares reach top_p (Holtzman et al. 2020); the first always stays.
            size = int((cumulative - shares < sampling.top_p).sum().clamp(min=1))
            drawn = row.rng.random() * cumulative[size - 1]
            place = int(torch.searchsorted(cumulative[:size], drawn, right=True).clamp(max=size - 1))
            scores[i] = float("-inf")
            scores[i, tokens[place]] = 0.0
        return scores
