"""How often a judge is loaded."""

from __future__ import annotations

import pytest

from harness.models import opening


@pytest.fixture
def loads(monkeypatch):
    """What was loaded of models behind servers, once for each loading."""
    loads = []

    def load(refs, wrapped=opening._LOAD["openai"]):
        loads.append(refs[0].label)
        return wrapped(refs)

    monkeypatch.setitem(opening._LOAD, "openai", load)
    return loads
