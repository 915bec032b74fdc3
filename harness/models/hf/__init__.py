"""A local transformers model: loading, generating, scoring. The only room of `models` that knows torch."""

from __future__ import annotations

from harness.models.hf.loading import HfModel, LoadedBase

__all__ = ["HfModel", "LoadedBase"]
