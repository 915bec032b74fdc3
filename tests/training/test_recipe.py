"""Recipes: read, refused, digested."""

from __future__ import annotations

import types
import typing
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from harness.errors import RecipeError
from harness.training.recipe import DataRecipe, OptimRecipe, Recipe, ReplayRecipe, load_recipe

MINIMAL = "name: t\ndata: {train: rows.jsonl}\n"


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    file = tmp_path / "t.yaml"
    file.write_text(MINIMAL)
    return file


def written(file: Path, text: str) -> Path:
    file.write_text(text)
    return file


def test_defaults_are_those_that_published_evidence_supports(recipe_file: Path) -> None:
    recipe = load_recipe(recipe_file)
    assert recipe == Recipe(name="t", data=DataRecipe(train="rows.jsonl"))
    assert (recipe.lora.r, recipe.lora.alpha, recipe.lora.dropout, recipe.lora.targets) == (16, 32, 0, "all-linear")
    assert (recipe.optim.lr, recipe.optim.batch_size, recipe.data.validation) == (2e-4, 16, 0.1)


def test_a_rate_written_as_1e_3_is_a_number(recipe_file: Path) -> None:
    recipe = load_recipe(written(recipe_file, MINIMAL + "optim: {lr: 1e-3}\n"))
    assert recipe.optim.lr == 1e-3
    assert load_recipe(recipe_file, ["optim.lr=5e-4"]).optim.lr == 5e-4


def test_overrides_reach_into_groups_that_the_file_leaves_out(recipe_file: Path) -> None:
    recipe = load_recipe(
        recipe_file,
        ["lora.targets=[q_proj, v_proj]", "replay.prompts=p.jsonl", "replay.ratio=0.3", "replay.max_tokens=9"],
    )
    assert recipe.lora.targets == ("q_proj", "v_proj")
    assert recipe.replay == ReplayRecipe(prompts="p.jsonl", ratio=0.3, max_tokens=9)
    assert load_recipe(recipe_file, ["replay.prompts=p", "replay.ratio=0.3", "replay=null"]).replay is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name: t\ndata: {train: x}\nepoch: 3\n", r"t\.yaml: unknown key 'epoch'.*Known: "),
        ("name: t\ndata: {train: x}\noptim: {learning_rate: 1, epoch: 3}\n", r"unknown key 'learning_rate'"),
        (
            "name: t\ndata: {train: x}\noptim: {epoch: 3}\n",
            r"unknown key 'epoch': did you mean 'epochs'\?.* in 'optim'",
        ),
        ("name: t\ndata: {train: x}\nreplay: {promts: x}\n", r"did you mean 'prompts'\?"),
        ("name: t\n", r"missing required field `data`"),
        ("name: t\ndata: {train: x}\nmethod: full\n", r"Invalid enum value 'full' - at `\$\.method`"),
        ("name: t\ndata: {train: x}\noptim: {lr: fast}\n", r"Expected `float`, got `str` - at `\$\.optim\.lr`"),
        ("name: t\ndata: {train: x}\noptim: {epochs: 0}\n", r"optim\.epochs = 0: train at least one epoch"),
        ("name: t\ndata: {train: x}\nreplay: {prompts: p, ratio: 1.5}\n", r"replay\.ratio = 1\.5"),
        ("name: t\ndata: {train: x, validation: 0}\noptim: {early_stopping: 1}\n", r"needs a validation split"),
        ("name: ../t\ndata: {train: x}\n", r"name = '\.\./t'"),
        ("name: t\nname: u\ndata: {train: x}\n", r"duplicate key 'name'.*line 2"),
        ("name: [t\n", r"not valid YAML"),
        ("- name\n", r"a recipe is a mapping"),
        ("", r"a recipe is a mapping"),
    ],
)
def test_a_wrong_recipe_is_refused_with_file_and_key(recipe_file: Path, text: str, sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence) as refusal:
        load_recipe(written(recipe_file, text))
    assert str(recipe_file) in str(refusal.value)


def test_a_missing_recipe_lists_what_lies_beside_it(recipe_file: Path) -> None:
    with pytest.raises(RecipeError, match=r"no such recipe\. There is: t\.yaml"):
        load_recipe(recipe_file.with_name("triage.yaml"))


@pytest.mark.parametrize("override", ["optim.lr", "=3", "name.x=3", "optim.lr=[1"])
def test_a_wrong_override_is_refused(recipe_file: Path, override: str) -> None:
    with pytest.raises(RecipeError, match="--set"):
        load_recipe(recipe_file, [override])


FULL = Recipe(
    name="t",
    data=DataRecipe(train="rows.jsonl", limit=50),
    replay=ReplayRecipe(prompts="p.jsonl", ratio=0.3),
    optim=OptimRecipe(micro_batch_size=2, early_stopping=2),
)


def fields(value: msgspec.Struct, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every leaf of the schema, as a path of names."""
    found = []
    for name in value.__struct_fields__:
        inner = getattr(value, name)
        found += fields(inner, (*path, name)) if isinstance(inner, msgspec.Struct) else [(*path, name)]
    return found


def another(value: Any, hint: Any) -> Any:
    """A value of the same type that is not `value`."""
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    for option in options:
        if typing.get_origin(option) is Literal:
            others = [choice for choice in typing.get_args(option) if choice != value]
            if others:
                return others[0]
        if typing.get_origin(option) is tuple:
            return ("q_proj",)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value / 2 + 0.01
    return value + "x"


# replay.source has one value so far, and cannot be changed.
@pytest.mark.parametrize("path", [p for p in fields(FULL) if p != ("replay", "source")], ids=".".join)
def test_every_field_changes_the_plan_digest(path: tuple[str, ...]) -> None:
    def changed(value: Any, rest: tuple[str, ...]) -> Any:
        name, *more = rest
        inner = getattr(value, name)
        if more:
            return msgspec.structs.replace(value, **{name: changed(inner, tuple(more))})
        return msgspec.structs.replace(value, **{name: another(inner, typing.get_type_hints(type(value))[name])})

    assert changed(FULL, path).digest(["data"]) != FULL.digest(["data"])


def test_data_and_base_are_part_of_the_plan_digest() -> None:
    assert FULL.digest(["data", "base"]) != FULL.digest(["data", "other"])
    assert FULL.digest(["data", "base"]) == FULL.digest(["data", "base"])
