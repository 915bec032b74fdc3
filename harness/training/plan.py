"""What a recipe amounts to before anything is trained: rows read, checked, split, rendered and counted."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness.data.formats import Prompt, Row, file_digest, load_prompts, load_rows
from harness.data.leakage import normal_form, refuse_leaks
from harness.errors import DataError
from harness.generation import Progress
from harness.golden import GoldenSet
from harness.models.refs import ModelRef
from harness.training.recipe import Recipe
from harness.training.replay import Replay, answer_prompts, choose_prompts
from harness.training.template import Example, render


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """The rows and prompts of a recipe as they stand in its files, checked against the golden sets."""

    rows: tuple[Row, ...]
    prompts: tuple[Prompt, ...]


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a run will see. `overlong` names the rows that were dropped ("file:line")."""

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    replay: Replay
    overlong: tuple[str, ...]

    @property
    def tokens(self) -> int:
        """Tokens of one epoch, padding not counted."""
        return sum(len(example.ids) for example in self.train)

    @property
    def targets(self) -> int:
        """Tokens of one epoch that carry loss."""
        return sum(example.targets for example in self.train)


def plan_digest(recipe: Recipe, base: ModelRef, root: Path) -> str:
    """Identity of the run: recipe, data files, base weights with their tokenizer and template, trainer version.

    Computed from files alone, so that an unchanged recipe is recognised before anything heavy is imported.
    """
    inputs = [base.base_digest, file_digest(root / recipe.data.train)]
    if recipe.replay is not None:
        inputs.append(file_digest(root / recipe.replay.prompts))
    return recipe.digest(inputs)


def load_sources(recipe: Recipe, root: Path, golden_sets: Sequence[GoldenSet]) -> Sources:
    """Read the recipe's files. Raises DataError with "file:line" for a bad row, and for one that is in a golden
    set."""
    rows = load_rows(root / recipe.data.train, root=root, limit=recipe.data.limit)
    prompts = [] if recipe.replay is None else load_prompts(root / recipe.replay.prompts, root=root)
    refuse_leaks([*rows, *prompts], golden_sets)
    return Sources(rows=tuple(rows), prompts=tuple(prompts))


def prepare(
    recipe: Recipe,
    sources: Sources,
    base: ModelRef,
    tokenizer: Any,
    stops: frozenset[int],
    *,
    store: Path,
    on_progress: Callable[[Progress], None] | None = None,
) -> Prepared:
    """Split, render and mask every row, and have the base answer its replay prompts."""
    learned, held_out = split(sources.rows, share=recipe.data.validation, seed=recipe.seed)
    train, long_train = _render_all(tokenizer, learned, stops, recipe)
    validation, long_validation = _render_all(tokenizer, held_out, stops, recipe)
    if not train:
        raise DataError(f"{recipe.data.train}: no row is left to train on. Raise max_length ({recipe.max_length}).")
    replay = Replay()
    long_replay: list[str] = []
    if recipe.replay is not None:
        chosen = choose_prompts(sources.prompts, recipe.replay, rows=len(train), seed=recipe.seed)
        replay = answer_prompts(chosen, base, max_tokens=recipe.replay.max_tokens, store=store, on_progress=on_progress)
        extra, long_replay = _render_all(tokenizer, replay.rows, stops, recipe)
        train += extra
    return Prepared(
        train=tuple(train),
        validation=tuple(validation),
        replay=replay,
        overlong=(*long_train, *long_validation, *long_replay),
    )


def split(rows: Sequence[Row], *, share: float, seed: int) -> tuple[list[Row], list[Row]]:
    """(train, validation). Rows with the same prompt (in normal form) stay on one side: a duplicate across the split
    would make the validation loss praise memory."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(normal_form(row.prompt), []).append(row)
    order = list(groups)
    random.Random(f"split:{seed}").shuffle(order)
    wanted, taken = round(len(rows) * share), 0
    held_out: set[str] = set()
    for key in order:
        # One group must remain to be trained on.
        if taken + len(groups[key]) > wanted or len(held_out) == len(groups) - 1:
            continue
        held_out.add(key)
        taken += len(groups[key])
    sides: tuple[list[Row], list[Row]] = ([], [])
    for row in rows:
        sides[normal_form(row.prompt) in held_out].append(row)
    return sides


def _render_all(
    tokenizer: Any, rows: Sequence[Row], stops: frozenset[int], recipe: Recipe
) -> tuple[list[Example], list[str]]:
    examples, overlong = [], []
    for row in rows:
        example = render(tokenizer, row, stops=stops)
        if len(example.ids) <= recipe.max_length:
            examples.append(example)
        elif recipe.overlong == "error":
            raise DataError(
                f"{row.where}: {len(example.ids)} tokens, and max_length is {recipe.max_length}. Shorten the row, "
                f"raise max_length, or set `overlong: drop`."
            )
        else:
            overlong.append(row.where)
    return examples, overlong
