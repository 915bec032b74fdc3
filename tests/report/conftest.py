from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from browsing import NAMES, Reader, copied


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    found = next((path for path in map(shutil.which, NAMES) if path), None)
    assert found is not None, "no Chromium on this machine: run .ci/chromium, or apt-get install chromium"
    with sync_playwright() as playwright:
        # CI runs as root, where Chromium has no sandbox.
        opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def english(tmp_path_factory: pytest.TempPathFactory) -> str:
    return copied(tmp_path_factory.mktemp("english")).as_uri()


@pytest.fixture(scope="session")
def chinese(tmp_path_factory: pytest.TempPathFactory) -> str:
    return copied(tmp_path_factory.mktemp("chinese"), "zh").as_uri()


@pytest.fixture
def reader(browser: Any) -> Iterator[Reader]:
    """Every test of the page also asserts that it stays quiet: no error, no request but for the file itself."""
    opened = Reader(browser)
    yield opened
    opened.close()
    assert opened.complaints == []
    assert all(url.startswith(("file://", "data:,")) for url in opened.asked)
    assert len({url.split("#")[0] for url in opened.asked if url.startswith("file://")}) <= 1
