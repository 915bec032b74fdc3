"""vLLM: many requests in flight on one engine, base and adapters together; the only place that knows the package vllm.

Importing this room imports neither vllm nor torch; loading an engine does.
"""

from __future__ import annotations
