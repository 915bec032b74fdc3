"""Loading a base once and switching adapters on and off it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from harness.errors import HarnessError, ModelError, first_line
from harness.models import Request, Response, ScoreRequest, TokenScores
from harness.models.bases import pinned
from harness.models.hf.generating import generate
from harness.models.hf.memory import Batches, free
from harness.models.hf.prompts import Prompts
from harness.models.hf.quiet import quiet_transformers
from harness.models.hf.scoring import score
from harness.models.refs import ModelRef


class LoadedBase:
    """A base model in memory, and the adapters that were put on it so far.

    Only safetensors are read, and no code that comes with a model is run. Raises ModelError.
    """

    def __init__(self, ref: ModelRef) -> None:
        _require_device(ref)
        name, revision = pinned(ref.base)
        self._name = name
        self._adapters: dict[str, str] = {}
        self._peft: Any = None
        with quiet_transformers(), load_errors(ref.base):
            causal: Any = AutoModelForCausalLM.from_pretrained(
                name,
                revision=revision,
                dtype=getattr(torch, ref.dtype),
                use_safetensors=True,
                trust_remote_code=False,
                **({} if ref.device == "cpu" else {"device_map": {"": ref.device}}),
            )
            self._tokenizer = AutoTokenizer.from_pretrained(name, revision=revision, trust_remote_code=False)
        self._eos = end_ids(causal.generation_config.eos_token_id, getattr(causal.config, "eos_token_id", None))
        # generation_config.json is ignored: `generate` would fill in from it whatever we leave open.
        causal.generation_config = GenerationConfig(pad_token_id=0)  # type: ignore[no-untyped-call]
        self._causal = causal.eval().requires_grad_(False)

    def model(self, ref: ModelRef) -> HfModel:
        """The model with the ref's adapter on, or with all adapters off. It is good until the next call."""
        adapter = None if ref.adapter is None else self._adapter(Path(ref.adapter))
        return HfModel(
            self._causal if self._peft is None else self._peft,
            self._prompts(ref),
            batch_size=ref.batch_size,
            label=ref.label,
            adapter=adapter,
        )

    def close(self) -> None:
        """Free the memory."""
        self._peft = self._causal = None
        free()

    def _prompts(self, ref: ModelRef) -> Prompts:
        """An adapter that brings a tokenizer is asked with it: it was trained with that template."""
        tokenizer = self._tokenizer
        if ref.adapter is not None and (Path(ref.adapter) / "tokenizer_config.json").is_file():
            with quiet_transformers(), load_errors(ref.adapter):
                tokenizer = AutoTokenizer.from_pretrained(ref.adapter, trust_remote_code=False)
            rows = self._causal.get_input_embeddings().weight.shape[0]
            if len(tokenizer) > rows:
                raise ModelError(
                    f"{ref.adapter}: its tokenizer has {len(tokenizer)} tokens, its base only {rows}: tokens were "
                    "added in training. Merge the adapter and name the merged folder."
                )
        limit = getattr(self._causal.config.get_text_config(decoder=True), "max_position_embeddings", None)
        return Prompts(tokenizer, eos=self._eos, limit=limit, label=ref.label)

    def _adapter(self, folder: Path) -> str:
        """The name under which the adapter is loaded."""
        known = self._adapters.get(str(folder))
        if known is not None:
            return known
        from peft import PeftModel

        name = f"adapter{len(self._adapters)}"
        with quiet_transformers(), _adapter_errors(folder, self._name):
            _refuse_own_base_weights(self._causal, folder)
            if self._peft is None:
                self._peft = PeftModel.from_pretrained(self._causal, folder, adapter_name=name)
            else:
                self._peft.load_adapter(folder, adapter_name=name)
            self._peft.eval()
            _require_same_keys(self._peft, name, folder)
        self._adapters[str(folder)] = name
        return name


class HfModel:
    """One model that answers: a loaded base, with one adapter on or all off."""

    def __init__(self, model: Any, prompts: Prompts, *, batch_size: int, label: str, adapter: str | None) -> None:
        self._model = model
        self._prompts = prompts
        self._adapter = adapter
        self._label = label
        self._batches = Batches(batch_size, label=label)

    def generate(self, requests: Sequence[Request], *, on_done: Callable[[int, Response], None]) -> list[Response]:
        """Answers in order, by the model's own chat template.

        Greedy texts are those of `model.generate` on the same batches. In float32 they do not depend on the batch
        at all; in bfloat16 rounding does, and a near-tie can then end in another text: on SmolLM2 a third of
        free answers differ somewhere between batches of 32 and of 1.

        When memory runs out the batch is halved, down to one request; then GenerationError.
        """
        with quiet_transformers(), self._switched():
            return generate(
                self._model,
                self._prompts,
                requests,
                batches=self._batches,
                label=self._label,
                on_done=on_done,
            )

    def score(
        self, requests: Sequence[ScoreRequest], *, on_done: Callable[[int, TokenScores], None]
    ) -> list[TokenScores]:
        """Log-likelihoods in order; `kl_to_base` is None where there is no adapter that could be switched
        off."""
        with quiet_transformers(), self._switched():
            return score(
                self._model,
                self._prompts,
                requests,
                batches=self._batches,
                label=self._label,
                adapter_off=None if self._adapter is None else self._model.disable_adapter,
                on_done=on_done,
            )

    def close(self) -> None:
        """Let go of the base, which frees itself when its last model is closed."""
        self._model = None

    @contextlib.contextmanager
    def _switched(self) -> Iterator[None]:
        if self._adapter is not None:
            self._model.set_adapter(self._adapter)
            self._model.requires_grad_(False)
            yield
        elif hasattr(self._model, "disable_adapter"):
            with self._model.disable_adapter():
                yield
        else:
            yield


def _require_device(ref: ModelRef) -> None:
    try:
        torch.empty(0, device=ref.device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(
            f"{ref.label}: device {ref.device!r} cannot be used ({first_line(error)}). Use --device cpu, or install "
            "a torch build for your card."
        ) from error


@contextlib.contextmanager
def load_errors(name: str) -> Iterator[None]:
    """Whatever transformers raises while it reads the model of this name becomes a ModelError."""
    try:
        yield
    except HarnessError:
        raise
    except Exception as error:
        raise ModelError(
            f"{name}: cannot be loaded as a causal language model ({first_line(error)}). "
            "Check that the folder is whole and holds safetensors."
        ) from error


@contextlib.contextmanager
def _adapter_errors(folder: Path, base: str) -> Iterator[None]:
    try:
        yield
    except HarnessError:
        raise
    except Exception as error:
        raise ModelError(_does_not_fit(folder, base, first_line(error, lines=2))) from error


def _require_same_keys(model: Any, name: str, folder: Path) -> None:
    """PEFT only warns when weights are left over or missing; such a model would answer as something else."""
    from peft import get_peft_model_state_dict
    from safetensors import safe_open

    with safe_open(folder / "adapter_model.safetensors", framework="pt") as file:
        there = set(file.keys())
    wanted = set(get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False))
    missing, left_over = sorted(wanted - there), sorted(there - wanted)
    left_over = [key for key in left_over if "embed" not in key and "lm_head" not in key]
    if missing or left_over:
        what = f"{len(missing)} weights are missing" if missing else f"{len(left_over)} weights have no place"
        raise ModelError(
            _does_not_fit(folder, model.base_model.config.name_or_path, f"{what}: {(missing or left_over)[0]}")
        )


def _refuse_own_base_weights(base: Any, folder: Path) -> None:
    """PEFT writes embeddings that were saved with an adapter into the base itself, where no switch takes them out
    again: the base would then answer as another model, under its own name."""
    from safetensors import safe_open

    config = msgspec.json.decode((folder / "adapter_config.json").read_bytes())
    # Copies of these are kept apart, and are switched like the adapter.
    apart = set(config.get("modules_to_save") or ())
    weights = dict(base.named_parameters())
    with safe_open(folder / "adapter_model.safetensors", framework="pt") as file:
        for key in file.keys():  # noqa: SIM118  (no dict)
            name = key.removeprefix("base_model.model.")
            own = weights.get(name)
            if own is None or not apart.isdisjoint(name.split(".")):
                continue
            brought = file.get_tensor(key).to(own.device)
            if not (torch.equal(brought.to(own.dtype), own) or torch.equal(brought, own.to(brought.dtype))):
                raise ModelError(
                    f"{folder}: this adapter brings its own {name}, which would change the base for every model on it. "
                    "Merge the adapter and name the merged folder."
                )


def _does_not_fit(folder: Path, base: str, why: str) -> str:
    return (
        f"{folder}: this adapter was made for another base than {base} ({why}). "
        f"Name the base it was trained on: hf:BASE+{folder}"
    )


def end_ids(*values: int | list[int] | None) -> list[int]:
    """The tokens that end an answer, from the configurations that name one, several or none."""
    found: set[int] = set()
    for value in values:
        found.update([] if value is None else [value] if isinstance(value, int) else value)
    return sorted(found)
