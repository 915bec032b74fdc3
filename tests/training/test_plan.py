"""From a recipe's files to the rows that are trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_chat import row, tiny_recipe

from harness.data.formats import Prompt, Row
from harness.errors import DataError
from harness.models import Message
from harness.models.refs import ModelRef
from harness.training.plan import load_sources, plan_digest, prepare, split
from harness.training.recipe import Recipe, ReplayRecipe
from harness.training.replay import choose_prompts


def prompts(n: int) -> list[Prompt]:
    return [Prompt(messages=(Message(role="user", content=f"q{i}"),), where=f"p.jsonl:{i + 1}") for i in range(n)]


@given(
    questions=st.lists(st.integers(0, 12), min_size=1, max_size=40),
    share=st.floats(0, 0.9),
    seed=st.integers(0, 3),
)
def test_rows_with_one_prompt_stay_on_one_side_of_the_split(questions: list[int], share: float, seed: int) -> None:
    rows = [row(f"Question {q}?", f"answer {i}") for i, q in enumerate(questions)]
    train, validation = split(rows, share=share, seed=seed)
    assert sorted(r.messages[1].content for r in train + validation) == sorted(r.messages[1].content for r in rows)
    assert not {r.prompt for r in train} & {r.prompt for r in validation}
    assert train
    assert len(validation) <= round(len(rows) * share)
    assert split(rows, share=share, seed=seed) == (train, validation)


def test_the_split_holds_out_the_share_that_was_asked_for() -> None:
    rows = [row(f"Question {i}?", "x") for i in range(100)]
    assert [len(side) for side in split(rows, share=0.1, seed=0)] == [90, 10]
    assert split(rows, share=0.1, seed=0) != split(rows, share=0.1, seed=1)
    assert split(rows, share=0.0, seed=0) == (rows, [])


@pytest.mark.parametrize(("rows", "ratio", "wanted"), [(90, 0.3, 39), (100, 0.5, 100), (10, 0.01, 1)])
def test_the_ratio_is_replay_rows_by_all_rows(rows: int, ratio: float, wanted: int) -> None:
    recipe = ReplayRecipe(prompts="p.jsonl", ratio=ratio)
    chosen = choose_prompts(prompts(200), recipe, rows=rows, seed=0)
    assert len(chosen) == len({p.where for p in chosen}) == wanted
    assert chosen == choose_prompts(prompts(200), recipe, rows=rows, seed=0)


def test_too_few_prompts_are_refused_with_the_number_that_is_needed() -> None:
    recipe = ReplayRecipe(prompts="p.jsonl", ratio=0.5)
    with pytest.raises(DataError, match=r"p\.jsonl: replay\.ratio = 0\.5 beside 100 rows needs 100 prompts.*has 20"):
        choose_prompts(prompts(20), recipe, rows=100, seed=0)


def test_the_plan_digest_follows_the_bytes_of_the_data(tiny_base: ModelRef, tmp_path: Path) -> None:
    recipe = tiny_recipe(tiny_base)
    file = tmp_path / "rows.jsonl"
    file.write_text('{"prompt": "a", "completion": "b"}\n')
    before = plan_digest(recipe, tiny_base, tmp_path)
    assert plan_digest(recipe, tiny_base, tmp_path) == before
    file.write_text('{"prompt": "a", "completion": "c"}\n')
    assert plan_digest(recipe, tiny_base, tmp_path) != before
    other_base = msgspec.structs.replace(tiny_base, base_digest="1" * 64)
    assert plan_digest(recipe, other_base, tmp_path) != plan_digest(recipe, tiny_base, tmp_path)


def prepared(recipe: Recipe, base: ModelRef, tokenizer: Any, folder: Path, rows: list[Row]) -> Any:
    lines = [{"messages": [{"role": m.role, "content": m.content} for m in r.messages]} for r in rows]
    (folder / "rows.jsonl").write_bytes(b"\n".join(msgspec.json.encode(line) for line in lines))
    sources = load_sources(recipe, folder, [])
    return prepare(recipe, sources, base, tokenizer, frozenset({2}), store=folder / "store.sqlite")


def test_overlong_rows_are_left_out_and_named_or_refused(tiny_base: ModelRef, tokenizer: Any, tmp_path: Path) -> None:
    recipe = msgspec.structs.replace(tiny_recipe(tiny_base), max_length=80)
    rows = [row(f"q{i}", "short") for i in range(5)] + [row("q", "long " * 40)]
    made = prepared(recipe, tiny_base, tokenizer, tmp_path, rows)
    assert made.overlong == ("rows.jsonl:6",)
    assert len(made.train) + len(made.validation) == 5
    strict = msgspec.structs.replace(recipe, overlong="error")
    with pytest.raises(DataError, match=r"rows\.jsonl:6: \d+ tokens, and max_length is 80"):
        prepared(strict, tiny_base, tokenizer, tmp_path, rows)
    with pytest.raises(DataError, match="no row is left to train on"):
        prepared(recipe, tiny_base, tokenizer, tmp_path, rows[-1:])
