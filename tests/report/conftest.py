from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from browsing import Reader, copied


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
