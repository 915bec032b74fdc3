"""Slow tests run when they are asked for by marker; `pytest tests/` alone stays fast."""

from __future__ import annotations

import pytest

ON_REQUEST = ("slow", "vllm", "browser", "gpu")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.option.markexpr:
        return
    kept = [item for item in items if not any(item.get_closest_marker(name) for name in ON_REQUEST)]
    dropped = [item for item in items if item not in set(kept)]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept
