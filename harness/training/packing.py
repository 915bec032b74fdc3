"""Rows laid end to end, so that nothing is computed for padding.

A micro-batch of rows of 137, 90, 80 and 75 tokens costs 548 positions padded, and 382 laid end to end. Every layer but
attention treats each position by itself; attention is done row by row. Whether a model may be read this way is not
believed but tried (`lay_rows_end_to_end`): a model with state that runs along the sequence, or with an attention of its
own, keeps the padded form. The padded form is the oracle: in float32 both give the same loss and the same gradients.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

#: The name under which transformers finds `attend_within_rows`.
ATTENTION = "harness_rows"
#: On a CPU the fused kernel's backward pass is the slower one for rows up to this length.
SHORT = 192
#: Mean distance, in nats, between the two forms in bfloat16 that is still rounding. Rows that see each other are nats
#: apart.
ROUNDING = 0.25


def attend_within_rows(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    row_lengths: tuple[int, ...] | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention of each row to itself. query, key, value: (1, heads, all rows' positions, head size); what
    comes back: (1, positions, heads, head size). Without `row_lengths` it is transformers' own."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if row_lengths is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    attended = []
    parts = (torch.split(part, list(row_lengths), dim=2) for part in (query, key, value))
    for length, q, k, v in zip(row_lengths, *parts, strict=True):
        with _kernel(query, length):
            attended.append(sdpa_attention_forward(module, q, k, v, None, **options)[0])
    return torch.cat(attended, dim=1), None


def _kernel(query: torch.Tensor, length: int) -> AbstractContextManager[None]:
    short = query.device.type == "cpu" and length <= SHORT
    return sdpa_kernel(SDPBackend.MATH) if short else nullcontext()


def end_to_end(ids: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
    """Padded ids of shape (rows, longest) laid end to end: the ids (1, positions), which of the padded places they
    were (rows, longest), and what else the model has to be told."""
    places = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
    real = places < lengths[:, None]
    told = {"position_ids": places[real][None], "row_lengths": tuple(lengths.tolist())}
    return ids[real][None], real, told


def lay_rows_end_to_end(model: Any) -> bool:
    """Prepare the model for rows end to end where it can read them; say whether it can.

    Tried with two short rows: another first row must not change a single bit of what is said behind the second, and
    the padded form must say the same but for rounding. `model`: a causal language model without dropout
    (`quiet_layers`), with an adapter or without.
    """
    from transformers import AttentionInterface

    before = model.config._attn_implementation
    if before != "sdpa":
        return False
    top = int(model.config.get_text_config().vocab_size) - 1
    first, other, second = ([min(i, top) for i in ids] for ids in ((5, 6, 7, 8), (9, 8, 11, 4), (10, 5, 12)))
    try:
        with torch.no_grad():
            plain = _said(model, torch.tensor([second]), {})
            AttentionInterface.register(ATTENTION, attend_within_rows)
            model.set_attn_implementation(ATTENTION)
            beside = [_said_second(model, row, second) for row in (first, other)]
    except (RuntimeError, TypeError, ValueError):
        able = False
    else:
        able = torch.equal(*beside) and float((beside[0] - plain).abs().mean()) < ROUNDING
    if not able:
        model.set_attn_implementation(before)
    return able


def _said_second(model: Any, first: list[int], second: list[int]) -> torch.Tensor:
    ids = torch.tensor([first, [*second, 0]])
    laid, _, told = end_to_end(ids, torch.tensor([len(first), len(second)]))
    return _said(model, laid, told)[:, len(first) :]


def _said(model: Any, ids: torch.Tensor, told: dict[str, Any]) -> torch.Tensor:
    device = next(model.parameters()).device
    moved = {name: value.to(device) if isinstance(value, torch.Tensor) else value for name, value in told.items()}
    logits: torch.Tensor = model(input_ids=ids.to(device), use_cache=False, **moved).logits
    return logits.float().log_softmax(-1)
