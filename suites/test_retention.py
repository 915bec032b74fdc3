"""General abilities: closed questions, multiple choice, refusals and prose, against the shipped model and the base."""

from __future__ import annotations

import pytest


@pytest.mark.golden("retention/*")
def test_nothing_was_forgotten(retention):
    assert retention.not_worse()
