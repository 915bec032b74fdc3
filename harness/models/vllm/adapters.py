"""Can vLLM serve this adapter as it was trained? Read from its files, before anything is loaded (failure T13)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import ModelError

#: The way out for everything that vLLM cannot do with an adapter.
MERGE_FIRST = "Merge it into its base and name the merged folder, vllm:FOLDER (docs/vllm.md has the lines for it)."

#: Ranks that vLLM makes room for; an adapter takes the next one up.
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)

#: Starting values that PEFT subtracts from the base when it loads the adapter. vLLM does not.
_CHANGES_THE_BASE = ("pissa", "olora", "corda", "loftq")

#: Settings that change what an adapter computes and that vLLM has no code for, and how each is called.
_UNSERVED = {
    "use_dora": "it is a DoRA adapter",
    "lora_bias": "its LoRA layers have biases",
    "alora_invocation_tokens": "it is an activated LoRA",
    "layer_replication": "it replicates layers",
    "use_bdlora": "it is a block-diagonal LoRA",
    "use_qalora": "it is a QA-LoRA adapter",
    "trainable_token_indices": "it trained single tokens",
}


class AdapterFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What matters of one PEFT folder. `targets` are the last names of the modules that it changes."""

    folder: Path
    rank: int
    targets: frozenset[str]


def read_adapter(folder: Path) -> AdapterFacts:
    """The adapter's facts. Raises ModelError, with the way out, for one that vLLM cannot serve as it was trained."""
    file = folder / "adapter_config.json"
    try:
        config = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError) as error:
        raise ModelError(f"{file}: cannot be read ({error}). Save the adapter again.") from error
    why = next(_unserved(config, folder), None)
    if why is not None:
        raise ModelError(f"{folder}: vLLM cannot serve this adapter: {why}. {MERGE_FIRST}")
    rank = max([int(config.get("r") or 0), *map(int, (config.get("rank_pattern") or {}).values())])
    if rank < 1:
        raise ModelError(f"{file}: r = {config.get('r')!r} is no rank. Save the adapter again.")
    names = weight_names(folder / "adapter_model.safetensors")
    targets = frozenset(name.partition(".lora_")[0].rpartition(".")[2] for name in names)
    return AdapterFacts(folder=folder, rank=rank, targets=targets)


def target_modules(adapters: list[AdapterFacts]) -> list[str] | None:
    """The modules for which the engine makes room; None is all that it can, where experts are trained by other names.

    Without this, vLLM wraps the head as well, and its likelihoods of several prompts at once are then wrong or fail: it
    takes the adapter's part of the head for the last position of each prompt only (0.32).
    """
    found = frozenset[str]().union(*(adapter.targets for adapter in adapters))
    return None if not found.isdisjoint(("experts", "base_layer")) else sorted(found)


def lora_rank(adapters: list[AdapterFacts], allowed: int | None) -> int:
    """The rank to make room for: the least that vLLM knows and every adapter fits in.

    `allowed` is the project's own limit. Raises ModelError where an adapter has a higher rank than it, or than vLLM
    can serve.
    """
    highest = max(adapters, key=lambda adapter: adapter.rank)
    if allowed is not None and highest.rank > allowed:
        raise ModelError(
            f"{highest.folder}: rank {highest.rank}, and the project allows {allowed}. Raise max_lora_rank in "
            "[tool.harness.vllm], or leave it out: the rank is then read from the adapters."
        )
    if highest.rank > RANKS[-1]:
        raise ModelError(
            f"{highest.folder}: rank {highest.rank}, and vLLM serves adapters up to rank {RANKS[-1]}. {MERGE_FIRST}"
        )
    return next(rank for rank in RANKS if rank >= (allowed or highest.rank))


def _unserved(config: dict[str, Any], folder: Path) -> Iterator[str]:
    kind = str(config.get("peft_type") or "LORA")
    if kind != "LORA":
        yield f"it is of kind {kind}, and vLLM knows LoRA only"
    for key, what in _UNSERVED.items():
        if config.get(key):
            yield f"{what} ({key})"
    if config.get("bias") not in (None, "none"):
        yield f"it trained biases (bias = {config['bias']!r})"
    if config.get("modules_to_save"):
        yield f"it brings whole modules of its own (modules_to_save: {', '.join(config['modules_to_save'])})"
    init = config.get("init_lora_weights")
    if isinstance(init, str) and init.lower().startswith(_CHANGES_THE_BASE):
        yield f"loading it changes the base (init_lora_weights = {init!r})"
    for key in weight_names(folder / "adapter_model.safetensors"):
        if ".lora_" not in key:
            yield f"it brings weights that are no LoRA ({key})"


def weight_names(file: Path) -> list[str]:
    """Names of the tensors in a safetensors file, from its header alone. Raises ModelError for a damaged one."""
    return [name for name, _ in weights(file)]


def weights(file: Path) -> list[tuple[str, dict[str, Any]]]:
    """Name and description ("dtype", "shape") of the tensors in a safetensors file, from its header alone."""
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            # 100 MB, the format's own limit.
            header = stream.read(length) if 0 < length <= 100_000_000 else b""
        table = msgspec.json.decode(header, type=dict[str, dict[str, Any]])
    except OSError as error:
        raise ModelError(f"{file}: cannot be read ({error.strerror}). Save the model again.") from error
    except msgspec.MsgspecError as error:
        raise ModelError(f"{file}: not a safetensors file ({error}). Save the model again.") from error
    return [(name, table[name]) for name in sorted(table) if name != "__metadata__"]
