"""Teacher-forced log-likelihoods: how probable is a given text, token by token?"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import torch

from harness.errors import GenerationError
from harness.models import ScoreRequest, TokenScores
from harness.models.hf.memory import Batches
from harness.models.hf.prompts import Prompts

#: Logits held at once (1.3e8 are 270 MB in bfloat16), and rows of them that are worked on in float32.
_MAX_LOGITS = 1 << 27
_ROWS_AT_ONCE = 256


class _Text:
    """One text to be scored: what it follows, and its own tokens."""

    def __init__(self, index: int, request: ScoreRequest, context: list[int], tokens: list[int]) -> None:
        self.index = index
        self.request = request
        self.context = context
        self.tokens = tokens
        self.done = False

    @property
    def length(self) -> int:
        return len(self.context) + len(self.tokens)


def score(
    model: Any,
    prompts: Prompts,
    requests: Sequence[ScoreRequest],
    *,
    batches: Batches,
    label: str,
    adapter_off: Callable[[], contextlib.AbstractContextManager[object]] | None,
    on_done: Callable[[int, TokenScores], None],
) -> list[TokenScores]:
    """Score all texts, in order.

    With messages, the text's tokens follow the rendered prompt (`add_generation_prompt=True`); text and
    prompt are tokenised apart and then joined, as the model would have produced them. With none, they follow
    BOS (EOS where there is no BOS). `adapter_off` is where the divergence from the base can be measured.
    """
    texts = [_text(i, request, prompts, label) for i, request in enumerate(requests)]
    order = sorted(texts, key=lambda text: (-text.length, text.index))
    results: list[TokenScores | None] = [None] * len(texts)
    vocabulary = int(model.get_output_embeddings().weight.shape[0])

    def fits(batch: Sequence[_Text]) -> bool:
        return sum(len(text.tokens) for text in batch) * vocabulary <= _MAX_LOGITS

    def run(batch: Sequence[_Text]) -> None:
        for text, scores in zip(batch, _score_batch(model, prompts, batch, adapter_off), strict=True):
            results[text.index] = scores
            text.done = True
            on_done(text.index, scores)

    batches.work(order, run, fits=fits, open_items=lambda batch: [text for text in batch if not text.done])
    return [scores for scores in results if scores is not None]


def _text(index: int, request: ScoreRequest, prompts: Prompts, label: str) -> _Text:
    context = prompts.conversation(request.messages, case=request.case) if request.messages else prompts.opening()
    tokens = prompts.plain(request.text)
    if not tokens:
        raise GenerationError(f"{label}: case {request.case!r} asks for the score of an empty text. Write one.")
    text = _Text(index, request, context, tokens)
    if prompts.limit is not None and text.length > prompts.limit:
        raise GenerationError(
            f"{label}: case {request.case!r} has {text.length} tokens, and the model reads at most {prompts.limit}. "
            "Split the text."
        )
    return text


def _score_batch(
    model: Any,
    prompts: Prompts,
    batch: Sequence[_Text],
    adapter_off: Callable[[], contextlib.AbstractContextManager[object]] | None,
) -> list[TokenScores]:
    width = max(text.length for text in batch)
    # Padded on the right, where a causal model cannot see it: no mask is needed, and attention takes its fast path.
    ids = torch.tensor(
        [text.context + text.tokens + [prompts.pad_id] * (width - text.length) for text in batch],
        device=model.device,
    )
    # The logits at position t tell of token t + 1.
    rows = [row for row, text in enumerate(batch) for _ in text.tokens]
    columns = [len(text.context) - 1 + t for text in batch for t in range(len(text.tokens))]
    targets = torch.tensor([token for text in batch for token in text.tokens], device=model.device)
    logits = _logits_at(model, ids, rows, columns)
    logprobs = _in_parts(lambda part, wanted: _target_logprobs(part, wanted), logits, targets)
    divergences: list[float] | None = None
    if adapter_off is not None and any(text.request.kl for text in batch):
        with adapter_off():
            base = _logits_at(model, ids, rows, columns)
        divergences = _in_parts(_divergence, logits, base)
    scores = []
    start = 0
    for text in batch:
        end = start + len(text.tokens)
        kl = tuple(divergences[start:end]) if divergences is not None and text.request.kl else None
        scores.append(TokenScores(logprobs=tuple(logprobs[start:end]), kl_to_base=kl))
        start = end
    return scores


def _logits_at(model: Any, ids: torch.Tensor, rows: list[int], columns: list[int]) -> torch.Tensor:
    """Logits at the chosen (row, column) positions only, shape (positions, vocabulary).

    The hidden states are thinned out just before the head, so that whatever the model does with its logits
    afterwards (scaling, capping) still happens, and the full (batch, width, vocabulary) never exists.
    """

    def thin(module: Any, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (inputs[0][rows, columns].unsqueeze(0), *inputs[1:])

    hook = model.get_output_embeddings().register_forward_pre_hook(thin)
    try:
        with torch.inference_mode():
            logits: torch.Tensor = model(input_ids=ids, use_cache=False).logits
    finally:
        hook.remove()
    if logits.shape[:2] == (1, len(rows)):
        return logits[0]
    # A model that goes around its own head module: it made them all, choose now.
    return logits[rows, columns]


def _in_parts(
    measure: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], first: torch.Tensor, second: torch.Tensor
) -> list[float]:
    values: list[float] = []
    for start in range(0, first.shape[0], _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        values += measure(first[part], second[part]).tolist()
    return values


def _target_logprobs(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    logits = logits.float()
    chosen = logits.gather(1, targets.unsqueeze(1)).squeeze(1)
    return chosen - logits.logsumexp(dim=-1)


def _divergence(logits: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
    """KL(base || model) per position in nats."""
    log_p = logits.float().log_softmax(dim=-1)
    log_base = base.float().log_softmax(dim=-1)
    return (log_base.exp() * (log_base - log_p)).sum(dim=-1)
