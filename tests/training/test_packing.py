"""Rows end to end: the same loss and gradients as padded ones, and never on a model whose rows would see each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tiny_chat import tiny_recipe

from harness.models.refs import ModelRef
from harness.training import packing
from harness.training.model import load_base
from harness.training.packing import ATTENTION, end_to_end, lay_rows_end_to_end
from harness.training.trainer import Trainer

MakeTrainer = Callable[..., Trainer]


def test_ids_are_laid_end_to_end_with_positions_that_begin_anew() -> None:
    laid, real, told = end_to_end(torch.tensor([[4, 5, 6], [7, 8, 0], [9, 0, 0]]), torch.tensor([3, 2, 1]))
    assert laid.tolist() == [[4, 5, 6, 7, 8, 9]]
    assert told["position_ids"].tolist() == [[0, 1, 2, 0, 1, 0]]
    assert told["row_lengths"] == (3, 2, 1)
    assert real.sum(dim=1).tolist() == [3, 2, 1]


def test_a_llama_reads_rows_end_to_end(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer()
    assert trainer.end_to_end
    assert trainer.model.config._attn_implementation == ATTENTION


def test_the_padded_form_gives_the_same_loss_and_the_same_gradients(make_trainer: MakeTrainer) -> None:
    found = []
    for end_to_end_too in (True, False):
        trainer = make_trainer(epochs=1)
        trainer.run()  # an adapter that has learned nothing has no gradient at A
        trainer.end_to_end = end_to_end_too
        trainer.optimizer.zero_grad()
        loss = trainer._loss(range(10))
        loss.backward()
        found.append((float(loss.detach()), {n: p.grad for n, p in trainer.parameters.items()}))
    (loss, gradients), (padded_loss, padded) = found
    assert loss == pytest.approx(padded_loss, rel=1e-5)
    for name, gradient in padded.items():
        assert gradient is not None
        assert torch.allclose(gradients[name], gradient, rtol=1e-4, atol=1e-5 * float(gradient.abs().max())), name
    assert any(float(g.abs().max()) > 1e-3 for g in padded.values() if g is not None)


def test_nothing_is_computed_for_padding(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer()
    seen: list[int] = []
    layer = trainer.model.get_base_model().model.layers[0].mlp
    layer.register_forward_hook(lambda module, inputs, output: seen.append(output.shape[0] * output.shape[1]))
    trainer._loss(range(10))
    assert seen == [sum(len(example.ids) - 1 for example in trainer.prepared.train[:10])]


def test_long_rows_take_the_fused_kernel_and_give_the_same(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = float(make_trainer()._loss(range(6)).detach())
    monkeypatch.setattr(packing, "SHORT", 0)
    assert float(make_trainer()._loss(range(6)).detach()) == pytest.approx(short, rel=1e-5)


def test_a_model_whose_rows_would_see_each_other_keeps_the_padding(
    tiny_base: ModelRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_base(tiny_recipe(tiny_base), tiny_base).eval()
    plain = model.forward

    def leaky(**inputs: Any) -> Any:
        """A state that runs along the sequence, as in a recurrent layer."""
        answer = plain(**inputs)
        answer.logits = answer.logits + answer.logits.cumsum(dim=1) * 1e-3
        return answer

    monkeypatch.setattr(model, "forward", leaky)
    assert not lay_rows_end_to_end(model)
    assert model.config._attn_implementation == "sdpa"


def test_a_model_that_takes_no_row_lengths_keeps_the_padding(
    tiny_base: ModelRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_base(tiny_recipe(tiny_base), tiny_base).eval()
    plain = model.forward
    monkeypatch.setattr(model, "forward", lambda input_ids, use_cache: plain(input_ids=input_ids, use_cache=use_cache))
    assert not lay_rows_end_to_end(model)
    assert model.config._attn_implementation == "sdpa"


def test_trying_leaves_the_model_as_it_was(tiny_base: ModelRef) -> None:
    model = load_base(tiny_recipe(tiny_base), tiny_base).eval()
    ids = torch.tensor([[5, 6, 7, 8]])
    before = model(input_ids=ids).logits.detach()
    assert lay_rows_end_to_end(model)
    assert torch.equal(model(input_ids=ids).logits.detach(), before)
