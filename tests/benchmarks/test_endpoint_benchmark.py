"""The benchmark of calls: its stub counts truly, and a run of it makes each call once."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

pytest.importorskip("aiohttp")

import endpoint
from stub import counts, stub


@pytest.fixture(scope="module")
def port():
    with stub(0.02) as port:
        yield port


def test_the_bare_client_makes_every_call_and_keeps_its_number_open(port, monkeypatch):
    monkeypatch.setattr(endpoint, "CALLS", 100)
    assert asyncio.run(endpoint.bare(port)) >= 2 * 0.02
    seen = counts(port)
    assert seen["calls"] == 100
    assert 2 <= seen["most"] <= endpoint.IN_FLIGHT
    assert counts(port) == {"calls": 0, "most": 0}


def test_a_suite_asks_each_question_once_and_a_second_run_asks_none(port, tmp_path, monkeypatch):
    root = str(Path(__file__).resolve().parents[2])
    monkeypatch.setattr(endpoint.rivals, "environment", lambda: {"PYTHONPATH": root})
    whole, generating = endpoint.suite(Path(sys.executable), tmp_path, port, 30)
    assert 0 < generating < whole
    assert counts(port)["calls"] == 30
    endpoint.suite(Path(sys.executable), tmp_path, port, 30)
    assert counts(port)["calls"] == 0
