"""Teacher-forced log-likelihoods: how probable is a given text, token by token?"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import torch

from harness.errors import GenerationError
from harness.models import Message, ScoreRequest, TokenScores
from harness.models.hf.memory import Batches
from harness.models.hf.prefixes import Logits, Passage, Reader, opening
from harness.models.hf.prompts import Prompts

#: Logits held at once (1.3e8 are 270 MB in bfloat16), and rows of them that are worked on in float32.
_MAX_LOGITS = 1 << 27
_ROWS_AT_ONCE = 256


class _Text(Passage):
    """One text to be scored. `opening` is what it shares with all texts under the same system prompt; `siblings` is
    how many texts follow the same messages, itself included."""

    def __init__(self, index: int, request: ScoreRequest, context: list[int], tokens: list[int]) -> None:
        super().__init__(context, tokens)
        self.index = index
        self.request = request
        self.opening: tuple[int, ...] = ()
        self.siblings = 1
        self.done = False


def score(
    model: Any,
    prompts: Prompts,
    requests: Sequence[ScoreRequest],
    *,
    batches: Batches,
    label: str,
    adapter_off: Callable[[], contextlib.AbstractContextManager[object]] | None,
    on_done: Callable[[int, TokenScores], None],
    share: bool = True,
) -> list[TokenScores]:
    """Score all texts, in order.

    With messages, the text's tokens follow the rendered prompt (`add_generation_prompt=True`); text and
    prompt are tokenised apart and then joined, as the model would have produced them. With none, they follow
    BOS (EOS where there is no BOS). `adapter_off` is where the divergence from the base can be measured.
    What texts begin with in common is computed once, or each time with `share=False`; the scores are equal but for
    rounding.
    """
    texts = _texts(requests, prompts, label)
    results: list[TokenScores | None] = [None] * len(texts)
    vocabulary = int(model.get_output_embeddings().weight.shape[0])
    own, base = (Reader(model, pad_id=prompts.pad_id, share=share) for _ in range(2))

    def fits(batch: Sequence[_Text]) -> bool:
        return _alike(batch[0], batch[-1]) and sum(len(text.tokens) for text in batch) * vocabulary <= _MAX_LOGITS

    def run(batch: Sequence[_Text]) -> None:
        logits = own.logits(batch, batch[0].opening)
        logprobs = _logprobs(logits, [token for text in batch for token in text.tokens])
        divergences: list[float] | None = None
        if adapter_off is not None and any(text.request.kl for text in batch):
            with adapter_off():
                divergences = _divergences(logits, base.logits(batch, batch[0].opening))
        start = 0
        for text in batch:
            end = start + len(text.tokens)
            kl = tuple(divergences[start:end]) if divergences is not None and text.request.kl else None
            scores = TokenScores(logprobs=tuple(logprobs[start:end]), kl_to_base=kl)
            results[text.index] = scores
            text.done = True
            on_done(text.index, scores)
            start = end

    batches.work(_in_order(texts), run, fits=fits, open_items=lambda batch: [text for text in batch if not text.done])
    return [scores for scores in results if scores is not None]


def _texts(requests: Sequence[ScoreRequest], prompts: Prompts, label: str) -> list[_Text]:
    texts: list[_Text] = []
    asked: dict[tuple[Message, ...], list[_Text]] = {}
    for i, request in enumerate(requests):
        same = asked.setdefault(request.messages, [])
        context = same[0].context if same else _context(request, prompts)
        same.append(_text(i, request, context, prompts, label))
        texts.append(same[-1])
    systems: dict[Message | None, list[_Text]] = {}
    for messages, same in asked.items():
        if messages:
            for text in same:
                text.siblings = len(same)
            systems.setdefault(messages[0] if messages[0].role == "system" else None, []).extend(same)
    for group in systems.values():
        shared = opening(group)
        for text in group:
            text.opening = shared
    return texts


def _in_order(texts: Sequence[_Text]) -> list[_Text]:
    """Longest first, so that running out of memory shows at once, but texts that share something together."""
    families: dict[object, list[_Text]] = {}
    for text in texts:
        families.setdefault((text.opening, text.siblings > 1), []).append(text)
    ordered = []
    for family in families.values():
        # The choices of a question stay side by side, and questions of one length come together.
        first = {id(text.context): text.index for text in reversed(family)}
        ordered += sorted(
            family,
            key=lambda text: (
                (-len(text.context), first[id(text.context)], text.index)
                if text.siblings > 1
                else (-len(text.all), text.index, 0)
            ),
        )
    return ordered


def _alike(first: _Text, last: _Text) -> bool:
    """Can these share a batch? Of questions with several choices, what is longer than the shortest is read with each
    choice, so their lengths must be close."""
    close = last.siblings == 1 or 8 * len(last.context) >= 7 * len(first.context)
    return close and first.opening == last.opening


def _context(request: ScoreRequest, prompts: Prompts) -> list[int]:
    return prompts.conversation(request.messages, case=request.case) if request.messages else prompts.opening()


def _text(index: int, request: ScoreRequest, context: list[int], prompts: Prompts, label: str) -> _Text:
    tokens = prompts.plain(request.text)
    if not tokens:
        raise GenerationError(f"{label}: case {request.case!r} asks for the score of an empty text. Write one.")
    text = _Text(index, request, context, tokens)
    if prompts.limit is not None and len(text.all) > prompts.limit:
        raise GenerationError(
            f"{label}: case {request.case!r} has {len(text.all)} tokens, and the model reads at most {prompts.limit}. "
            "Split the text."
        )
    return text


def _logprobs(logits: Logits, targets: Sequence[int]) -> list[float]:
    wanted = torch.tensor(targets, device=logits.rows.device)
    values: list[float] = []
    for part in _parts(len(targets)):
        rows = logits.rows[logits.index[part]].float()
        chosen = rows.gather(1, wanted[part].unsqueeze(1)).squeeze(1)
        values += (chosen - rows.logsumexp(dim=-1)).tolist()
    return values


def _divergences(logits: Logits, base: Logits) -> list[float]:
    """KL(base || model) per position in nats."""
    values: list[float] = []
    for part in _parts(len(logits.index)):
        log_p = logits.rows[logits.index[part]].float().log_softmax(dim=-1)
        log_base = base.rows[base.index[part]].float().log_softmax(dim=-1)
        values += (log_base.exp() * (log_base - log_p)).sum(dim=-1).tolist()
    return values


def _parts(count: int) -> list[slice]:
    return [slice(start, start + _ROWS_AT_ONCE) for start in range(0, count, _ROWS_AT_ONCE)]
