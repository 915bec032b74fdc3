"""Fixtures around the tiny chat model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_chat import prepared_rows, ragged_rows, save_tiny_model, tiny_recipe, tiny_tokenizer

from harness.models.refs import ModelRef
from harness.training.model import add_adapter, load_base
from harness.training.template import Example, render
from harness.training.trainer import Trainer


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return tiny_tokenizer()


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> ModelRef:
    return save_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def examples(tokenizer: Any) -> list[Example]:
    return [render(tokenizer, r, stops={2}) for r in ragged_rows()]


@pytest.fixture
def make_trainer(tiny_base: ModelRef, examples: list[Example]) -> Callable[..., Trainer]:
    """A trainer on the tiny base; keywords are OptimRecipe's, `dropout`, and the trainer's own."""

    def make(
        *,
        rows: list[Example] | None = None,
        validation: int = 0,
        checkpoints: Path | None = None,
        checkpoint_every: int = 1,
        **optim: Any,
    ) -> Trainer:
        recipe = tiny_recipe(tiny_base, **optim)
        return Trainer(
            recipe,
            prepared_rows(examples if rows is None else rows, validation),
            add_adapter(load_base(recipe, tiny_base), recipe),
            pad_id=2,
            checkpoints=checkpoints,
            checkpoint_every=checkpoint_every,
        )

    return make
