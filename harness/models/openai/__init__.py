"""Any server that speaks the OpenAI protocol; the only place that knows the package openai."""

from __future__ import annotations

from harness.models.openai.asking import EndpointModel

__all__ = ["EndpointModel"]
