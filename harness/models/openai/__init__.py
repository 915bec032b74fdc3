"""Any server that speaks the OpenAI protocol; the only place that knows how HTTP is spoken."""

from __future__ import annotations

from harness.models.openai.asking import EndpointModel

__all__ = ["EndpointModel"]
