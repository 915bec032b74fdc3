"""Which model is meant: plain data, the identity of what answers."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec


class ModelRef(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A resolved model. Plain data, so that it travels to workers and into records.

    `base` is a folder, a hub id pinned to a commit (`org/name@<commit>`) or a scripted file; `adapter` a PEFT
    folder or None; of an endpoint, `base` is its URL and `endpoint` its settings. `root` is the same model with the
    adapter off, known to users as `base_name`. `replica` above 0 is the same model asked once more: its answers are
    kept apart. `prompting` are the model YAMLs through which it is asked, the outermost first; their digest is of all
    that they refer to. `options` are the settings of the vLLM engine; those that may change answers are in `dtype` too,
    after the number format.
    """

    text: str
    label: str
    engine: Literal["hf", "vllm", "scripted", "openai"]
    base: str
    base_digest: str
    base_name: str = ""
    adapter: str | None = None
    adapter_digest: str | None = None
    dtype: str = "bfloat16"
    device: str = "cpu"
    batch_size: int = 32
    replica: int = 0
    endpoint: str = ""
    prompting: tuple[str, ...] = ()
    prompting_digest: str | None = None
    options: str = ""

    @property
    def number_format(self) -> str:
        """The number format alone, without what else is told beside it."""
        return self.dtype.partition(" ")[0]

    @property
    def digest(self) -> str:
        """Identity of what answers: sha256 over base, adapter and what is put around questions; the base's own where
        there is nothing else."""
        digest = self.base_digest
        if self.adapter_digest is not None:
            digest = hashlib.sha256(f"{digest}\n{self.adapter_digest}".encode()).hexdigest()
        if self.prompting_digest is not None:
            digest = hashlib.sha256(f"{digest}\nprompting {self.prompting_digest}".encode()).hexdigest()
        return digest

    @property
    def is_root(self) -> bool:
        """Is it a base alone: no adapter, and nothing around the question?"""
        return self.adapter is None and self.prompting_digest is None

    @property
    def root(self) -> ModelRef:
        """The base with the adapter off, asked as it is."""
        if self.is_root:
            return self
        off = "adapter off" if self.adapter is not None else "no YAML"
        name = f"{VLLM}:{self.base_name}" if self.engine == VLLM and self.base_name else self.base_name
        return msgspec.structs.replace(
            self,
            text=self.base,
            label=name or f"{self.label} ({off})",
            adapter=None,
            adapter_digest=None,
            prompting=(),
            prompting_digest=None,
        )


#: Before any reference to local weights: ask them through vLLM, in process.
VLLM = "vllm"

#: Endings of a model YAML.
MODEL_FILES = (".yaml", ".yml")
