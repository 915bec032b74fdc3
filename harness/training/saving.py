"""What a run leaves behind: a PEFT folder that was read back, and what is written about it."""

from __future__ import annotations

import importlib.util
import resource
import sys
from collections.abc import Sequence
from importlib.metadata import version as distribution_version
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError

from harness.errors import HarnessError, ModelError
from harness.models.hf.quiet import quiet_transformers
from harness.models.refs import ModelRef
from harness.training.checkpoints import State
from harness.training.model import quiet_layers
from harness.training.plan import Prepared
from harness.training.recipe import Recipe
from harness.training.template import rendered_digest, template_digest


def save_adapter(model: Any, recipe: Recipe, folder: Path) -> None:
    """Write the PEFT folder: safetensors and a configuration that is the same bytes for the same adapter."""
    config = model.peft_config["default"]
    config.base_model_name_or_path = recipe.base
    config.inference_mode = True
    try:
        with quiet_transformers():
            # "auto" would ask the hub for the base's configuration, to see whether the vocabulary grew.
            model.save_pretrained(str(folder), safe_serialization=True, save_embedding_layers=False)
    except SafetensorError as error:
        raise HarnessError(
            f"{folder}: the adapter could not be written ({error}). Free some space; the same command goes on from the "
            "last checkpoint."
        ) from error
    (folder / "README.md").unlink(missing_ok=True)
    file = folder / "adapter_config.json"
    table = msgspec.json.decode(file.read_bytes())
    # PEFT writes sets in the order of this process's hash seed: another order would be another digest.
    for key, value in table.items():
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            table[key] = sorted(value)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(table, order="sorted"), indent=2))


def refuse_inert(model: Any, folder: Path, probe: torch.Tensor, *, trained: bool) -> None:
    """Raises ModelError unless the saved adapter, read back, gives the live one's logits, and others than the base.

    Keys with a wrong prefix load without an error and do nothing: the model that is served is then the base.
    """
    quiet_layers(model)
    with torch.no_grad(), quiet_transformers():
        live = model(input_ids=probe).logits
        with model.disable_adapter():
            off = model(input_ids=probe).logits
        model.load_adapter(str(folder), "reloaded")
        quiet_layers(model)  # PEFT puts everything into evaluation mode
        model.set_adapter("reloaded")
        again = model(input_ids=probe).logits
        model.set_adapter("default")
        model.delete_adapter("reloaded")
    if not torch.equal(live, again):
        worst = float((live - again).abs().max())
        raise ModelError(
            f"{folder}: read back, the adapter gives other logits than the trained one (by up to {worst:.3g}). "
            "Nothing was registered; please report this with the recipe."
        )
    if trained and torch.equal(live, off):
        raise ModelError("the adapter changes nothing: it answers exactly as the base. Look at lora.targets.")


def describe(
    recipe: Recipe,
    prepared: Prepared,
    base: ModelRef,
    tokenizer: Any,
    state: State,
    *,
    digest: str,
    findings: Sequence[str],
    device: torch.device,
    processes: int,
    parameters: int,
) -> dict[str, Any]:
    """The contents of training.json: what was trained, on what, how it went."""
    processed = sum(step.tokens for step in state.history)
    packages = ["torch", "transformers", "peft", "accelerate", "bitsandbytes", "finetune-harness"]
    return {
        "plan_digest": digest,
        "recipe": msgspec.to_builtins(recipe),
        "base": recipe.base,
        "base_digest": base.base_digest,
        "template_digest": template_digest(tokenizer),
        "data_digest": rendered_digest(prepared.train),
        "seed": recipe.seed,
        "rows": {
            "task": sum(example.row.kind == "task" for example in prepared.train),
            "replay": sum(example.row.kind == "replay" for example in prepared.train),
            "validation": len(prepared.validation),
            "dropped_overlong": list(prepared.overlong),
            "replay_cut_off": prepared.replay.cut_off,
            "replay_empty": prepared.replay.empty,
        },
        "tokens_per_epoch": prepared.tokens,
        "learned_share": round(prepared.targets / prepared.tokens, 4),
        "steps": state.step,
        "stopped_early": state.stopped,
        "best_epoch": None if state.best_epoch is None else state.best_epoch + 1,
        "seconds": round(state.seconds, 1),
        "tokens_per_second": round(processed / max(1e-9, state.seconds), 1),
        "peak_memory_bytes": peak_memory(device),
        "device": device.type,
        "processes": processes,
        "trained_parameters": parameters,
        "findings": list(findings),
        "loss": [msgspec.to_builtins(step) for step in state.history],
        "validation": [msgspec.to_builtins(epoch) for epoch in state.epochs],
        "versions": {name: distribution_version(name) for name in packages if _installed(name)},
    }


def peak_memory(device: torch.device) -> int:
    """The most memory that was held, in bytes: the GPU's own count there, else this process's resident set."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _installed(name: str) -> bool:
    return importlib.util.find_spec(name.replace("finetune-harness", "harness")) is not None
