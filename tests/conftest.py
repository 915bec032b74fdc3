"""Slow tests run when they are asked for by marker; `pytest tests/` alone stays fast."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

# A busy machine may take any time for an example. In CI hypothesis' own profile draws the same ones each time.
settings.register_profile("unhurried", parent=settings(), deadline=None)
settings.load_profile("unhurried")

#: What Chromium is called on different systems.
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
ON_REQUEST = ("slow", "vllm", "browser", "gpu")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.option.markexpr:
        return
    kept = [item for item in items if not any(item.get_closest_marker(name) for name in ON_REQUEST)]
    dropped = [item for item in items if item not in set(kept)]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One Chromium for all tests that need one: Playwright runs once in a process."""
    from playwright.sync_api import sync_playwright

    found = next((path for path in map(shutil.which, CHROMIUM) if path), None)
    assert found is not None, "no Chromium on this machine: run .ci/chromium, or apt-get install chromium"
    with sync_playwright() as playwright:
        # CI runs as root, where Chromium has no sandbox.
        opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()
