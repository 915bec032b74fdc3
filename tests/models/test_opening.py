"""What stays in memory between two runs, and what is freed for the next."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.models import Message, Request, Response, opening
from harness.models.opening import OpenModels, open_models
from harness.models.refs import ModelRef


class Weights:
    """What takes the memory."""


class Answers:
    """A model that says which it is."""

    def __init__(self, ref: ModelRef, weights: Weights) -> None:
        self.ref = ref
        self.weights: Weights | None = weights

    def generate(self, requests: Sequence[Request], *, on_done: Callable[[int, Response], None]) -> list[Response]:
        return [Response(text=self.ref.label) for _ in requests]

    def close(self) -> None:
        self.weights = None


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is loaded and freed, as it happens."""
    told: list[str] = []
    loaded: list[weakref.ref[Weights]] = []

    class Base:
        def __init__(self, refs: Sequence[ModelRef]) -> None:
            assert not any(weights() for weights in loaded), "the last weights are in memory still"
            self.base = refs[0].base
            self.weights: Weights | None = Weights()
            loaded.append(weakref.ref(self.weights))
            told.append(f"load {self.base}")

        def model(self, ref: ModelRef) -> Answers:
            assert self.weights is not None
            return Answers(ref, self.weights)

        def close(self) -> None:
            self.weights = None
            told.append(f"free {self.base}")

    monkeypatch.setitem(opening._LOAD, "hf", Base)
    return told


def on(base: str, label: str = "", **fields: Any) -> ModelRef:
    return ModelRef(text=base, label=label or base, engine="hf", base=base, base_digest=base, **fields)


def labels(models: OpenModels, *refs: ModelRef) -> list[str]:
    question = Request(messages=(Message(role="user", content="Who are you?"),))
    return [model.generate([question], on_done=lambda *_: None)[0].text for _, model in models.open(refs)]


def test_a_run_frees_each_base_before_the_next_and_the_last_at_its_end(told: list[str]) -> None:
    opened = []
    for ref, model in open_models([on("a"), on("b"), on("a", "a+x", adapter="x")]):
        opened.append(ref.label)
        held = model  # as a caller does, until the next one comes
    assert isinstance(held, Answers)
    assert opened == ["a", "a+x", "b"]
    assert told == ["load a", "free a", "load b", "free b"]


def test_what_a_run_loaded_is_there_for_the_next(told: list[str]) -> None:
    with OpenModels() as models:
        for _ in range(3):
            assert labels(models, on("a"), on("a", "a+x", adapter="x")) == ["a", "a+x"]
        assert labels(models, on("a", "asked again", replica=1)) == ["asked again"]
        assert told == ["load a"]
    assert told == ["load a", "free a"]


def test_what_is_in_memory_answers_first(told: list[str]) -> None:
    with OpenModels() as models:
        for _ in range(3):
            assert sorted(labels(models, on("a"), on("b"))) == ["a", "b"]
    assert [word for word in told if word.startswith("load")] == ["load a", "load b", "load a", "load b"]


def test_a_model_that_needs_no_memory_here_frees_none(told: list[str], tmp_path: Path) -> None:
    file = tmp_path / "said.jsonl"
    file.write_text('{"input": "Who are you?", "output": "a script"}\n')
    script = ModelRef(text="s", label="s", engine="scripted", base=str(file), base_digest="s")
    with OpenModels() as models:
        for _ in range(2):
            assert labels(models, on("a"), script) == ["a", "a script"]
    assert told == ["load a", "free a"]


@pytest.mark.parametrize(
    "other",
    [on("b"), on("a", dtype="float32"), on("a", device="cuda"), on("a", adapter="y"), on("a", options="{}")],
    ids=["base", "dtype", "device", "an adapter that it was not loaded for", "settings"],
)
def test_another_is_loaded_when_the_first_is_freed(told: list[str], other: ModelRef) -> None:
    with OpenModels() as models:
        labels(models, on("a"))
        labels(models, other)
    assert told == ["load a", "free a", f"load {other.base}", f"free {other.base}"]


def test_a_run_that_breaks_frees_what_it_loaded(told: list[str]) -> None:
    def broken() -> None:
        for _ in open_models([on("a")]):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken()
    assert told == ["load a", "free a"]
