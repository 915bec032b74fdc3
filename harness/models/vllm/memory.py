"""Do weights and one whole context fit? Reckoned from the model's files and the machine, before anything is loaded."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec

from harness.config import VllmConfig
from harness.errors import ModelError
from harness.models.devices import see_devices
from harness.models.vllm.adapters import weights

GIB = 1 << 30

#: What vLLM may take for the cache of a model on a CPU where nobody says how much: enough for many requests of a
#: small model, and never more than this share of the free memory.
_CPU_CACHE, _CPU_SHARE = 4 * GIB, 0.25

#: Of a card's memory, as vLLM's own default.
_CARD_SHARE = 0.92

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What memory depends on, from a model's folder. `weights` are bytes in the number format that is asked for;
    `per_token` the bytes of one token in the cache; `context` the longest text the model reads, None where its
    configuration does not say it."""

    weights: int
    per_token: int
    context: int | None


def read_shape(folder: Path, number_format: str) -> Shape:
    """The shape of the model in `folder`. Raises ModelError where its files cannot be read."""
    file = folder / "config.json"
    try:
        config = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError) as error:
        raise ModelError(f"{file}: cannot be read ({error}). Save the model again.") from error
    # Models that see or hear keep the language model's shape one level down.
    config = config.get("text_config") or config
    width = _BYTES[number_format]
    stored = [described for part in sorted(folder.glob("*.safetensors")) for _, described in weights(part)]
    # Quantised weights stay as they are; others are turned into the number format.
    total = sum(
        math.prod(tensor["shape"]) * (width if tensor["dtype"] in ("F32", "BF16", "F16") else 1) for tensor in stored
    )
    return Shape(weights=total, per_token=_per_token(config, width), context=config.get("max_position_embeddings"))


def _per_token(config: dict[str, Any], width: int) -> int:
    """Keys and values of all layers; 0 where the configuration has other words for them."""
    heads = config.get("num_attention_heads") or 0
    layers, hidden = config.get("num_hidden_layers") or 0, config.get("hidden_size") or 0
    if not (heads and layers and hidden):
        return 0
    head = config.get("head_dim") or hidden // heads
    return int(2 * layers * (config.get("num_key_value_heads") or heads) * head * width)


def context_of(shape: Shape, settings: VllmConfig, label: str) -> int | None:
    """The longest text that will be read. Raises ModelError where more is asked for than the model knows."""
    wanted = settings.max_model_len
    if wanted is not None and shape.context is not None and wanted > shape.context:
        raise ModelError(
            f"{label}: max_model_len = {wanted} in [tool.harness.vllm], and the model reads at most {shape.context} "
            "tokens. Lower it, or leave it out."
        )
    return wanted or shape.context


def cache_bytes(shape: Shape, settings: VllmConfig, device: str, label: str) -> int | None:
    """How much memory the engine's cache is given; None where vLLM takes what a card has left.

    Raises ModelError where the weights, or one text of full length, do not fit.
    """
    context = context_of(shape, settings, label)
    least = shape.per_token * (context or 0)
    asked = None if settings.kv_cache_gib is None else int(settings.kv_cache_gib * GIB)
    if asked is not None and asked < least:
        raise ModelError(
            f"{label}: a text of {context} tokens takes {_gib(least)} of cache, and kv_cache_gib = "
            f"{settings.kv_cache_gib:g} in [tool.harness.vllm]. Raise it, or lower max_model_len."
        )
    if device == "cpu":
        free = free_memory()
        cache = asked or max(least, min(_CPU_CACHE, int(_CPU_SHARE * free)))
        if shape.weights + cache > free:
            raise _too_big(shape, cache, free, f"{_gib(free)} of memory are free", context, label)
        return cache
    for free in _cards():
        share = _CARD_SHARE if settings.gpu_memory_utilization is None else settings.gpu_memory_utilization
        usable = int(share * free) * settings.tensor_parallel_size
        if shape.weights + max(least, asked or 0) > usable:
            told = f"{_gib(usable)} of the card's memory may be used"
            raise _too_big(shape, max(least, asked or 0), usable, told, context, label)
        break
    return asked


def _cards() -> list[int]:
    """Free bytes of the visible cards."""
    devices = see_devices()
    return [] if devices is None else [gpu.free for gpu in devices.gpus]


def _too_big(shape: Shape, cache: int, free: int, told: str, context: int | None, label: str) -> ModelError:
    if shape.weights > free:
        next_step = "Choose a smaller model or number format, or more cards (tensor_parallel_size)."
    else:
        next_step = f"Lower max_model_len (now {context}) or kv_cache_gib in [tool.harness.vllm]."
    return ModelError(
        f"{label}: {_gib(shape.weights)} of weights and {_gib(cache)} of cache do not fit: {told}. {next_step}"
    )


def free_memory() -> int:
    """Bytes that can be had without swapping, as the kernel reckons it; where it does not say, all there are."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    import os

    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _gib(count: int) -> str:
    return f"{count / GIB:.1f} GiB"
