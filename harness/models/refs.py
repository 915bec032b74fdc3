"""Which model is meant: from what the user typed to files and digests, without loading anything."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec


class ModelRef(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A resolved model. Plain data, so that it travels to workers and into records.

    `base` is a folder, a hub id or a scripted file; `adapter` a PEFT folder or None. `root` is the same model with
    the adapter off.
    """

    text: str
    label: str
    engine: Literal["hf", "scripted"]
    base: str
    base_digest: str
    adapter: str | None = None
    adapter_digest: str | None = None
    dtype: str = "bfloat16"
    device: str = "cpu"
    batch_size: int = 32

    @property
    def digest(self) -> str:
        """Identity of the weights: sha256 over base and adapter; the base's own where there is no adapter."""
        if self.adapter_digest is None:
            return self.base_digest
        return hashlib.sha256(f"{self.base_digest}\n{self.adapter_digest}".encode()).hexdigest()

    @property
    def root(self) -> ModelRef:
        """The base with the adapter off."""
        if self.adapter is None:
            return self
        return msgspec.structs.replace(
            self, text=self.base, label=f"{self.label} (adapter off)", adapter=None, adapter_digest=None
        )
