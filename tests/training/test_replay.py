"""Replay rows: asked once, cut-off answers marked."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness.data.formats import Prompt
from harness.models import Message
from harness.models.refs import ModelRef
from harness.models.resolution import Surroundings, resolve
from harness.training.replay import answer_prompts


def prompt(text: str) -> Prompt:
    return Prompt(messages=(Message(role="user", content=text),), where=f"p.jsonl:{text}")


@pytest.fixture
def base(tmp_path: Path) -> ModelRef:
    file = tmp_path / "answers.jsonl"
    rows = [{"input": "a", "output": " one \n"}, {"input": "b", "output": "two"}, {"input": "c", "output": " "}]
    file.write_bytes(b"\n".join(msgspec.json.encode(row) for row in rows))
    return resolve(f"scripted:{file}", Surroundings(root=tmp_path))


def test_answers_become_rows_and_empty_ones_are_counted(base: ModelRef, tmp_path: Path) -> None:
    replay = answer_prompts([prompt(t) for t in "abc"], base, max_tokens=16, store=tmp_path / "store.sqlite")
    assert [(row.messages[-1].content, row.kind, row.stops) for row in replay.rows] == [
        ("one", "replay", True),
        ("two", "replay", True),
    ]
    assert (replay.empty, replay.cut_off, replay.generated) == (1, 0, 3)


def test_a_second_training_asks_nothing_again(base: ModelRef, tmp_path: Path) -> None:
    first = answer_prompts([prompt(t) for t in "ab"], base, max_tokens=16, store=tmp_path / "store.sqlite")
    again = answer_prompts([prompt(t) for t in "ab"], base, max_tokens=16, store=tmp_path / "store.sqlite")
    assert again.rows == first.rows
    assert (first.generated, again.generated) == (2, 0)


@pytest.mark.slow
def test_an_answer_that_reached_the_limit_does_not_learn_to_stop(tiny_base: ModelRef, tmp_path: Path) -> None:
    replay = answer_prompts([prompt("a")], tiny_base, max_tokens=3, store=tmp_path / "store.sqlite")
    assert [row.stops for row in replay.rows] == [False]
    assert replay.cut_off == 1
