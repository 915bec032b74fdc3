"""Sharing beginnings changes how much is read, and no score."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_llama import score
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from harness.models import Message, ScoreRequest, TokenScores
from harness.models.hf import scoring
from harness.models.hf.memory import Batches
from harness.models.hf.prefixes import Passage, Reader, opening
from harness.models.opening import open_models
from harness.models.refs import ModelRef

SIZE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
HEADS = {**SIZE, "num_key_value_heads": 2, "head_dim": 8, "vocab_size": 64, "initializer_range": 0.4}
#: A window shorter than the passages, so that what slides out of it matters.
WINDOW = 12

ARCHITECTURES = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**HEADS)),
    "sliding window": lambda: MistralForCausalLM(MistralConfig(**HEADS, sliding_window=WINDOW)),
    "windows and capped logits": lambda: Gemma2ForCausalLM(
        Gemma2Config(**HEADS, sliding_window=WINDOW, final_logit_softcapping=3.0, query_pre_attn_scalar=8)
    ),
    "learned positions": lambda: GPT2LMHeadModel(
        GPT2Config(vocab_size=64, n_embd=32, n_layer=2, n_head=4, initializer_range=0.4)
    ),
    "no key-value cache": lambda: MambaForCausalLM(
        MambaConfig(vocab_size=64, hidden_size=32, num_hidden_layers=2, state_size=4, initializer_range=0.4)
    ),
}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def passages() -> list[Passage]:
    """Questions of several lengths under one opening, with one to four choices of one to six tokens."""
    rng = random.Random(0)

    def tokens(count: int) -> list[int]:
        return [rng.randrange(64) for _ in range(count)]

    start = tokens(16)
    found = []
    for length, choices in ((9, 4), (9, 4), (12, 3), (1, 4), (20, 1)):
        context = start + tokens(length)
        found += [Passage(context, tokens(1 + (i * 5) % 6)) for i in range(choices)]
    return found


def one_by_one(model: Any, batch: list[Passage]) -> torch.Tensor:
    """All logits of each text alone, no cache, no padding, no hook."""
    rows = []
    for passage in batch:
        logits = model(torch.tensor([passage.all]), use_cache=False).logits[0]
        rows.append(logits[len(passage.context) - 1 : -1])
    return torch.cat(rows).detach()


@pytest.mark.parametrize("name", list(ARCHITECTURES))
def test_shared_beginnings_give_the_logits_of_each_text_alone(name: str) -> None:
    torch.manual_seed(0)
    model = ARCHITECTURES[name]().eval()
    batch = passages()
    shared = opening(batch)
    assert len(shared) == 16
    reader = Reader(model, pad_id=0)
    # Twice: the second batch goes on from the kept opening.
    for part in (batch[:8], batch[8:], batch):
        found = reader.logits(part, shared)
        torch.testing.assert_close(found.rows[found.index], one_by_one(model, part), atol=1e-4, rtol=1e-4)
        plain = Reader(model, pad_id=0, share=False).logits(part, shared)
        torch.testing.assert_close(plain.rows[plain.index], one_by_one(model, part), atol=1e-4, rtol=1e-4)


def test_an_opening_leaves_each_context_a_token_and_is_not_worth_little() -> None:
    same = list(range(40))
    several = [Passage(same, [1]), Passage(same, [2]), Passage([*same, 1], [2]), Passage(same[:30], [3])]
    assert opening(several) == tuple(range(29))
    assert opening([Passage(same, [1])]) == ()
    assert opening([Passage([1, 2, 3, i], [1]) for i in range(50)]) == ()
    assert opening([Passage([i, *same], [1]) for i in range(50)]) == ()


QUESTIONS = ["Which animal lives in a hive?", "Which animal do jockeys ride in races?", "狗怎么叫？"]
CHOICES = ["fox", "a cow", "bee", "猫头鹰"]


def choices(system: str | None = None) -> list[ScoreRequest]:
    opened = () if system is None else (Message(role="system", content=system),)
    return [
        ScoreRequest(text=choice, messages=(*opened, Message(role="user", content=question)), case=question, kl=kl)
        for question, kl in zip(QUESTIONS, (True, False, False), strict=True)
        for choice in CHOICES
    ]


def mixed() -> list[ScoreRequest]:
    """Choices under two system prompts and none, prose, and answers that stand alone, all stirred together."""
    texts = [
        *choices(),
        *choices("Answer in one word, please."),
        *choices("Be brief."),
        score("The cat sat on the mat."),
        score("Prose with no question at all, and rather a lot of it.", kl=True),
        *(score(f"The answer is {n}.", f"How much is {n} and nothing?", kl=n % 2 == 0) for n in range(9)),
    ]
    random.Random(1).shuffle(texts)
    return texts


def read_both_ways(ref: ModelRef, asked: list[ScoreRequest]) -> dict[bool, tuple[list[TokenScores], int]]:
    """Scores and the tokens that the model read for them, by whether beginnings were shared."""
    found = {}
    for _, model in open_models([ref]):
        hf: Any = model
        for share in (True, False):
            embedded: list[torch.Tensor] = []
            hook = hf._model.get_input_embeddings().register_forward_pre_hook(
                lambda module, inputs, embedded=embedded: embedded.append(inputs[0])
            )
            with hf._switched():
                scores = scoring.score(
                    hf._model,
                    hf._prompts,
                    asked,
                    batches=Batches(ref.batch_size, label="x"),
                    label="x",
                    adapter_off=hf._model.disable_adapter if ref.adapter else None,
                    on_done=lambda index, result: None,
                    share=share,
                )
            hook.remove()
            found[share] = (scores, sum(ids.numel() for ids in embedded))
    return found


@pytest.mark.parametrize("batch_size", [1, 5, 32])
def test_sharing_changes_no_score_and_no_divergence(base: Path, adapter: Path, refer: Any, batch_size: int) -> None:
    asked = mixed()
    found = read_both_ways(refer(f"hf:{base}+{adapter}", batch_size=batch_size), asked)
    for request, shared, plain in zip(asked, found[True][0], found[False][0], strict=True):
        assert shared.logprobs == pytest.approx(plain.logprobs, abs=2e-5)
        assert (shared.kl_to_base is not None) == request.kl
        if plain.kl_to_base is not None:
            assert shared.kl_to_base == pytest.approx(plain.kl_to_base, abs=2e-5)


def test_choices_read_their_question_once(base: Path, refer: Any) -> None:
    asked = choices("Answer in one word, please.")
    found = read_both_ways(refer(f"hf:{base}"), asked)
    assert found[True][1] < found[False][1] / 3


def test_equally_likely_choices_stay_equal(base: Path, refer: Any) -> None:
    question = (Message(role="user", content=QUESTIONS[0]),)
    asked = [ScoreRequest(text=text, messages=question, case="x") for text in ("bee", "fox", "bee")]
    first, other, again = read_both_ways(refer(f"hf:{base}", dtype="bfloat16"), asked)[True][0]
    assert first == again != other
