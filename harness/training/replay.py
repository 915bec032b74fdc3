"""Replay: the base's own answers to general prompts, mixed into the training rows.

A small model that only sees tickets answers everything with a ticket. Rows of what it already does well hold it in
place, need no outside data and no teacher, and come from the store when a second recipe asks for them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from harness.data.formats import Prompt, Row
from harness.errors import DataError
from harness.generation import GenerationPlan, Progress, run
from harness.models import Message, Request, Sampling
from harness.models.refs import ModelRef
from harness.store import Store
from harness.training.recipe import ReplayRecipe


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """Rows answered by the base. `cut_off` of them ended at the token limit: their text is learned, their stop token
    is not. `empty` prompts got no answer and were left out."""

    rows: tuple[Row, ...] = ()
    cut_off: int = 0
    empty: int = 0
    generated: int = 0


def choose_prompts(prompts: Sequence[Prompt], recipe: ReplayRecipe, *, rows: int, seed: int) -> list[Prompt]:
    """As many prompts as make `ratio` of all rows beside `rows` task rows, drawn with the recipe's seed.

    Raises DataError where the file has too few.
    """
    wanted = max(1, round(rows * recipe.ratio / (1 - recipe.ratio)))
    if wanted > len(prompts):
        raise DataError(
            f"{recipe.prompts}: replay.ratio = {recipe.ratio} beside {rows} rows needs {wanted} prompts, and the file "
            f"has {len(prompts)}. Lower replay.ratio or data.limit, or add prompts."
        )
    order = list(range(len(prompts)))
    random.Random(f"replay:{seed}").shuffle(order)
    return [prompts[i] for i in sorted(order[:wanted])]


def answer_prompts(
    prompts: Sequence[Prompt],
    base: ModelRef,
    *,
    max_tokens: int,
    store: Path,
    on_progress: Callable[[Progress], None] | None = None,
) -> Replay:
    """Ask the base, greedy; answers that are in the store are not asked for again."""
    plan = GenerationPlan()
    requests = [
        Request(messages=prompt.messages, sampling=Sampling(max_tokens=max_tokens), case=prompt.where)
        for prompt in prompts
    ]
    for request in requests:
        plan.ask(base, request)
    with Store(store) as opened:
        answers = run(plan, opened, on_progress=on_progress)
    rows, empty = [], 0
    for prompt, request in zip(prompts, requests, strict=True):
        response = answers.response(base, request)
        # White space at the ends would be another token sequence than the one that the base wrote.
        text = response.text.strip()
        if not text:
            empty += 1
            continue
        messages = (*prompt.messages, Message(role="assistant", content=text))
        rows.append(Row(messages=messages, where=prompt.where, kind="replay", stops=response.finish_reason == "stop"))
    return Replay(
        rows=tuple(rows),
        cut_off=sum(not row.stops for row in rows),
        empty=empty,
        generated=answers.stats.generated,
    )
