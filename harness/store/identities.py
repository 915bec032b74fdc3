"""Who gave the answers: what is kept of a model, so that its answers can be found where its weights are not."""

from __future__ import annotations

import msgspec

from harness.errors import ModelError
from harness.models.refs import ModelRef


class KnownModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model by its digests; `label` and `reference` are its names when it was last asked."""

    label: str
    reference: str
    engine: str
    dtype: str
    base_digest: str
    adapter_digest: str | None = None
    base_name: str = ""
    prompting_digest: str | None = None

    @classmethod
    def of(cls, ref: ModelRef) -> KnownModel:
        """What is kept of a resolved model: no path, no device."""
        return cls(
            label=ref.label,
            reference=ref.text,
            engine=ref.engine,
            dtype=ref.dtype,
            base_digest=ref.base_digest,
            adapter_digest=ref.adapter_digest,
            base_name=ref.base_name,
            prompting_digest=ref.prompting_digest,
        )

    @property
    def digest(self) -> str:
        """Identity of the weights, as in records."""
        return ModelRef(
            text=self.reference,
            label=self.label,
            engine="hf",
            base=self.base_name,
            base_digest=self.base_digest,
            adapter_digest=self.adapter_digest,
            prompting_digest=self.prompting_digest,
        ).digest

    def ref(self, text: str) -> ModelRef:
        """The model as `text` names it. It can be looked up in a store, and not be loaded.

        Raises ModelError for an engine that this harness does not know.
        """
        values = {
            "text": text,
            "label": self.label,
            "engine": self.engine,
            "base": self.base_name or self.label,
            "base_digest": self.base_digest,
            "base_name": self.base_name,
            "adapter": self.label if self.adapter_digest is not None else None,
            "adapter_digest": self.adapter_digest,
            "prompting_digest": self.prompting_digest,
            "dtype": self.dtype,
            "device": "none",
        }
        try:
            return msgspec.convert(values, type=ModelRef)
        except msgspec.ValidationError as error:
            raise ModelError(f"{self.label}: the store's entry cannot be used ({error}). Upgrade harness.") from error


class KnownRun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run whose answers were imported: who was judged against whom."""

    run_id: str
    candidate: KnownModel
    baseline: KnownModel | None = None
    root: KnownModel | None = None

    def models(self) -> tuple[KnownModel, ...]:
        """All that answered in it."""
        return tuple(model for model in (self.candidate, self.baseline, self.root) if model is not None)
