"""The store's benchmark builds what it says and times right answers; its committed result keeps the budget."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import store
from machine import RESULTS

from harness.store import Store


def test_a_smaller_store_is_built_and_looked_up(tmp_path: Path) -> None:
    measured = store.measure(20_000, 1, lookups=1_000)
    assert (measured["rows"], measured["lookups"]) == (20_000, 1_000)
    assert 0 < store.slowest(measured) < 30


def test_an_answer_that_is_missing_ends_the_benchmark(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    keys = store.keys_of(50)
    store.build(path, keys)
    assert store.lookup_seconds(path, keys, 50, store.together).wall > 0
    with Store(path) as opened:
        opened.drop([(keys[7], "response")])
    for look in (store.together, store.one_by_one):
        with pytest.raises(SystemExit, match="49 of 50"):
            store.lookup_seconds(path, keys, 50, look)


def test_the_committed_result_is_of_a_million_rows_and_within_budget() -> None:
    result = json.loads((RESULTS / "store.json").read_text())
    assert (result["rows"], result["lookups"]) == (1_000_000, 10_000)
    assert store.slowest(result) <= result["budget_s"] == 1.0
