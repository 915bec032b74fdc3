"""The model that is trained: a frozen base, a fresh adapter on it, and the loss of its answers."""

from __future__ import annotations

import os
from typing import Any

import torch

from harness.errors import ModelError
from harness.models.bases import pinned
from harness.models.hf.memory import is_out_of_memory
from harness.models.hf.quiet import quiet_transformers
from harness.models.refs import ModelRef
from harness.training.batches import IGNORED
from harness.training.packing import end_to_end
from harness.training.recipe import Recipe


def load_tokenizer(base: ModelRef) -> Any:
    """The base's tokenizer. Raises ModelError where it has no chat template: nothing could be rendered."""
    from transformers import AutoTokenizer

    name, revision = pinned(base.base)
    try:
        with quiet_transformers():
            # Said outright: where it is left open, transformers asks on the terminal whether to run foreign code.
            tokenizer = AutoTokenizer.from_pretrained(name, revision=revision, trust_remote_code=False)
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise ModelError(f"{base.label}: its tokenizer cannot be loaded ({_one_line(error)}).") from error
    if not tokenizer.chat_template:
        raise ModelError(f"{base.label}: its tokenizer has no chat template. Train from an instruction-tuned model.")
    return tokenizer


def load_base(recipe: Recipe, base: ModelRef) -> Any:
    """The frozen base on its device, for QLoRA in 4 bits. Raises ModelError where it cannot be loaded."""
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    dtype = getattr(torch, recipe.dtype)
    options: dict[str, Any] = {}
    if recipe.method == "qlora":
        options["quantization_config"] = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    name, revision = pinned(base.base)
    try:
        with quiet_transformers():
            model = AutoModelForCausalLM.from_pretrained(
                name,
                revision=revision,
                dtype=dtype,
                device_map={"": _device(base)},
                use_safetensors=True,
                trust_remote_code=False,
                **options,
            )
    except (OSError, ValueError, ImportError, RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            smaller = "a smaller base" if recipe.method == "qlora" else "method: qlora, a smaller base"
            raise ModelError(
                f"{base.label}: out of memory while it was loaded for training. Use {smaller} or a device with more "
                "memory, or free what other programs hold."
            ) from error
        raise ModelError(f"{base.label}: cannot be loaded for training ({_one_line(error)}).") from error
    model.config.use_cache = False
    return model


def add_adapter(model: Any, recipe: Recipe) -> Any:
    """The base with a fresh LoRA adapter: B = 0, so that it answers exactly as the base does, and float32, because
    updates of 1e-4 vanish in bfloat16's 8 bits."""
    with quiet_transformers():  # bitsandbytes talks when it is imported
        from peft import LoraConfig, get_peft_model

    targets = recipe.lora.targets
    config = LoraConfig(
        r=recipe.lora.r,
        # PEFT asks for an int and works with any number.
        lora_alpha=recipe.lora.alpha,  # type: ignore[arg-type]
        lora_dropout=recipe.lora.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type="CAUSAL_LM",
    )
    torch.manual_seed(recipe.seed)
    try:
        with quiet_transformers():
            peft_model = get_peft_model(model, config)
    except ValueError as error:
        raise ModelError(f"lora.targets = {targets!r}: {_one_line(error)}.") from error
    census = {str(p.dtype) for p in peft_model.parameters() if p.requires_grad}
    if census != {"torch.float32"}:
        raise ModelError(f"the adapter's weights are {', '.join(sorted(census))}, and must be torch.float32.")
    return peft_model


def quiet_layers(model: Any) -> None:
    """Evaluation mode, without dropout, for a model that goes on training.

    Layers in 4 bits stay in training mode: on a CPU bitsandbytes repacks their weights in the first forward pass in
    evaluation mode, and the next backward pass would read them in the wrong order.
    """
    model.eval()
    for module in model.modules():
        if type(module).__name__ == "Linear4bit" and not hasattr(module, "base_layer"):
            module.train()


class AnswerLoss(torch.nn.Module):
    """What an update minimises, summed over the labelled positions, in nats.

    Rows that are to be learned: cross-entropy of their labels. Rows that are to be kept: KL(base, model), the
    divergence from what the base says at these positions with the adapter off (Li and Hoiem 2016, arXiv 1606.09282).

    Logits are computed at those positions only. A vocabulary of 49,152 makes them the largest thing in memory, and
    two thirds of them would be thrown away. The selection sits in front of the model's own head, so that whatever
    an architecture does behind it (soft-capping, scaling) still happens. Rows whose lengths are told are laid end to
    end before the model reads them; the order of the labelled positions is the same.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self._labelled: torch.Tensor | None = None
        model.get_output_embeddings().register_forward_pre_hook(self._select)

    def _select(self, head: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | None:
        return None if self._labelled is None else (inputs[0][self._labelled], *inputs[1:])

    def forward(
        self,
        ids: torch.Tensor,
        labels: torch.Tensor,
        kept: torch.Tensor | None = None,
        lengths: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """ids and labels of shape (rows, longest), labels already shifted; `kept` (rows,) marks the rows whose
        distribution is kept; `lengths` (rows,) counts each row's own ids, where the model can read rows end to end.
        A scalar."""
        labelled = labels != IGNORED
        logits = self._logits(ids, labelled, lengths)
        if kept is None or not bool(kept.any()):
            return torch.nn.functional.cross_entropy(logits, labels[labelled], reduction="sum")
        of_kept = kept[:, None].expand_as(labels)[labelled]
        learned = torch.nn.functional.cross_entropy(logits[~of_kept], labels[labelled][~of_kept], reduction="sum")
        with torch.no_grad(), self.model.disable_adapter():
            of_rows = None if lengths is None else lengths[kept]
            base = torch.log_softmax(self._logits(ids[kept], labelled[kept], of_rows), dim=-1)
        model = torch.log_softmax(logits[of_kept], dim=-1)
        return learned + torch.nn.functional.kl_div(model, base, reduction="sum", log_target=True)

    def _logits(self, ids: torch.Tensor, labelled: torch.Tensor, lengths: torch.Tensor | None) -> torch.Tensor:
        """(labelled positions, vocabulary), in float32."""
        told: dict[str, Any] = {}
        if lengths is not None:
            ids, real, told = end_to_end(ids, lengths)
            labelled = labelled[real][None]
        self._labelled = labelled
        try:
            logits: torch.Tensor = self.model(input_ids=ids, use_cache=False, **told).logits
        finally:
            self._labelled = None
        return logits.float()


def _device(base: ModelRef) -> str:
    """Under `accelerate launch` every process has a GPU of its own."""
    local = os.environ.get("LOCAL_RANK")
    return f"{base.device}:{local}" if base.device == "cuda" and local is not None else base.device


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
