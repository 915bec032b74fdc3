"""Checkpoints: everything that the next update depends on, written whole or not at all.

The order of rows is a function of seed and epoch, the rate of the step, and random numbers (dropout) are seeded at
every step, so the weights, the optimizer's moments and the step are the whole state. A folder appears under its
final name only when it is complete: a run that is killed while writing leaves a `.partial` folder that nobody reads.
Only safetensors and JSON: nothing here can run code when it is read.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from harness.errors import HarnessError

_STATE, _TENSORS = "state.json", "tensors.safetensors"
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


class StepRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One update. `loss` is nats per learned token over the whole window; `norm` the gradient's, before clipping;
    `seconds` since training began, interruptions not counted."""

    step: int
    epoch: int
    loss: float
    rate: float
    norm: float
    tokens: int
    seconds: float


class EpochRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The validation loss after an epoch, nats per learned token."""

    epoch: int
    step: int
    validation_loss: float


class State(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where a run stands. `rows` is the digest of the rendered rows it learns from and is validated on; `best_epoch`
    indexes `epochs`, where early stopping keeps the best weights."""

    rows: str = ""
    step: int = 0
    seconds: float = 0.0
    history: list[StepRecord] = []
    epochs: list[EpochRecord] = []
    best_epoch: int | None = None
    stopped: bool = False


Weights = dict[str, torch.Tensor]


def write_checkpoint(
    folder: Path, state: State, parameters: Weights, optimizer: torch.optim.Optimizer, best: Weights | None
) -> Path:
    """Write `folder`/step-N and remove older ones. `parameters` are the trainables by name."""
    tensors = {f"weight.{name}": p.detach() for name, p in parameters.items()}
    for name, parameter in parameters.items():
        for moment in _MOMENTS:
            if moment in optimizer.state.get(parameter, {}):
                tensors[f"{moment}.{name}"] = optimizer.state[parameter][moment].detach()
    tensors |= {f"best.{name}": p for name, p in (best or {}).items()}
    final = folder / f"step-{state.step:08d}"
    partial = folder / f".partial-{os.getpid()}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        save_file({name: t.cpu().contiguous() for name, t in tensors.items()}, partial / _TENSORS)
        (partial / _STATE).write_bytes(msgspec.json.encode(state))
        for file in partial.iterdir():
            _sync(file)
        older = _complete(folder)
        if final in older:
            # The same step again: an interruption right after a checkpoint. What stands is the same.
            shutil.rmtree(partial)
            return final
        partial.rename(final)
        _sync(folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise HarnessError(
            f"{final}: the checkpoint could not be written ({error}). Free some space; the same command goes on from "
            "the last whole checkpoint, where there is one."
        ) from error
    for old in older:
        shutil.rmtree(old, ignore_errors=True)
    return final


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint below `folder`."""
    return max(_complete(folder), default=None)


def read_state(checkpoint: Path) -> State:
    """Where the run stood that wrote the checkpoint."""
    return msgspec.json.decode((checkpoint / _STATE).read_bytes(), type=State)


def read_checkpoint(
    checkpoint: Path, parameters: Weights, optimizer: torch.optim.Optimizer
) -> tuple[State, Weights | None]:
    """Put a checkpoint back into the live parameters and optimizer; returns its state and best weights."""
    state = read_state(checkpoint)
    tensors = load_file(checkpoint / _TENSORS)
    best = {name.removeprefix("best."): t for name, t in tensors.items() if name.startswith("best.")}
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[f"weight.{name}"])
            if f"exp_avg.{name}" in tensors:
                moments = {m: tensors[f"{m}.{name}"] for m in _MOMENTS}
                # AdamW keeps its own step on the CPU.
                optimizer.state[parameter] = {
                    m: t if m == "step" else t.to(parameter.device) for m, t in moments.items()
                }
    return state, best or None


def _complete(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("step-*") if (p / _STATE).is_file()) if folder.is_dir() else []


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
