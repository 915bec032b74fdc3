"""A tiny chat model: random weights, a byte-level tokenizer, and SmolLM2's own chat template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from harness.data.formats import Row
from harness.models import Message
from harness.models.refs import ModelRef
from harness.training.plan import Prepared
from harness.training.recipe import DataRecipe, LoraRecipe, OptimRecipe, Recipe
from harness.training.replay import Replay
from harness.training.template import Example

CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nBe helpful<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def tiny_tokenizer(template: str = CHATML) -> Any:
    """One token a byte, eos = pad = <|im_end|>, as SmolLM2 has it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(special + letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|im_start|>", eos_token="<|im_end|>", pad_token="<|im_end|>"
    )
    fast.chat_template = template
    return fast


def save_tiny_model(folder: Path) -> ModelRef:
    """A two-layer Llama on disk."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=260,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        eos_token_id=2,
        pad_token_id=2,
        bos_token_id=1,
        tie_word_embeddings=True,
        initializer_range=0.2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return ModelRef(
        text=str(folder),
        label="tiny",
        engine="hf",
        base=str(folder),
        base_digest="0" * 64,
        dtype="float32",
        device="cpu",
    )


def row(*turns: str, where: str = "rows.jsonl:1", stops: bool = True) -> Row:
    """user, assistant, user, ..."""
    roles = ("user", "assistant")
    messages = tuple(Message(role=roles[i % 2], content=t) for i, t in enumerate(turns))  # type: ignore[arg-type]
    return Row(messages=messages, where=where, stops=stops)


def ragged_rows(n: int = 10) -> list[Row]:
    return [
        row("q" * (1 + 3 * i % 11), "answer " * (1 + i % 4) + str(i), where=f"rows.jsonl:{i + 1}") for i in range(n)
    ]


def tiny_recipe(base: ModelRef, **optim: Any) -> Recipe:
    dropout = optim.pop("dropout", 0.0)
    options = {"lr": 1e-2, "epochs": 2, "batch_size": 4, "warmup": 0.0} | optim
    return Recipe(
        name="tiny",
        base=base.base,
        data=DataRecipe(train="rows.jsonl", validation=0.2),
        lora=LoraRecipe(r=4, alpha=8, dropout=dropout),
        optim=OptimRecipe(**options),
        dtype="float32",
    )


def prepared_rows(examples: list[Example], validation: int = 0) -> Prepared:
    held_out = tuple(examples[len(examples) - validation :])
    return Prepared(
        train=tuple(examples[: len(examples) - validation]), validation=held_out, replay=Replay(), overlong=()
    )
