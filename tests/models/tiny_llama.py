"""Tiny models of random weights with a real tokenizer and chat template: everything but the size is real."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.models import Message, Request, Sampling, ScoreRequest

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build_base(folder: Path, *, hidden: int = 32, seed: int = 0) -> Path:
    """A two-layer Llama that reads bytes. Letters end its answers too, so that these differ in length."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    vocabulary = {token: i for i, token in enumerate([*specials, *letters])}
    raw = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    raw.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<|im_start|>", eos_token="<|endoftext|>", pad_token="<|endoftext|>"
    )
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_end|>"]})
    tokenizer.chat_template = TEMPLATE
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=hidden,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.4,
        bos_token_id=1,
        eos_token_id=0,
        pad_token_id=0,
    )
    torch.manual_seed(seed)
    model = LlamaForCausalLM(config)
    model.generation_config.eos_token_id = [0, *(vocabulary[letter] for letter in "etaoinsr")]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def build_adapter(base: Path, folder: Path, *, scale: float, rank: int = 4) -> Path:
    """A LoRA adapter on all linear layers; with scale 0 it changes nothing."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaForCausalLM

    torch.manual_seed(1)
    config = LoraConfig(r=rank, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(LlamaForCausalLM.from_pretrained(base), config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_().mul_(scale)
    model.save_pretrained(folder)
    return folder


def ask(text: str, **sampling: Any) -> Request:
    sample = sampling.pop("sample", 0)
    messages = (Message(role="user", content=text),)
    return Request(messages=messages, sampling=Sampling(**{"max_tokens": 24, **sampling}), case=text, sample=sample)


def score(text: str, after: str | None = None, *, kl: bool = False) -> ScoreRequest:
    messages = () if after is None else (Message(role="user", content=after),)
    return ScoreRequest(text=text, messages=messages, case=text, kl=kl)
