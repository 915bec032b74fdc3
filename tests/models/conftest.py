"""A tiny base, two adapters on it, and references to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_llama import build_adapter, build_base

from harness.models.refs import ModelRef
from harness.models.resolution import Surroundings, resolve


@pytest.fixture(autouse=True, scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Digests go to a folder of the session, not to the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_base(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture(scope="session")
def adapter(base: Path) -> Path:
    return build_adapter(base, base.parent / "adapter", scale=0.3)


@pytest.fixture(scope="session")
def inert_adapter(base: Path) -> Path:
    return build_adapter(base, base.parent / "inert", scale=0.0)


@pytest.fixture
def refer(tmp_path: Path) -> Callable[..., ModelRef]:
    """Resolve a reference in an empty project with no registry, in float32 on the CPU."""

    def resolved(text: str, **settings: Any) -> ModelRef:
        settings = {"device": "cpu", "dtype": "float32", **settings}
        return resolve(text, Surroundings(root=tmp_path, **settings))

    return resolved
