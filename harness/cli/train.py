"""`harness train`: from a recipe to a registered candidate, and on to the gate."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.status import INTERRUPTED, PASSED
from harness.errors import RecipeError

if TYPE_CHECKING:
    from harness.models.refs import ModelRef
    from harness.registry import ModelVersion, Registry
    from harness.training.plan import Prepared
    from harness.training.recipe import Recipe
    from harness.training.trainer import Trained


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Override a key: optim.lr=1e-3.")
@click.option("--gate/--no-gate", default=True, help="Ask the gate afterwards (default), or stop before it.")
@click.option("--restart", is_flag=True, help="Begin again, even where a checkpoint or this version exists.")
@click.option("--device", help="cpu, cuda or auto (default: [tool.harness] device).")
@click.option(
    "--checkpoint-every",
    type=click.IntRange(min=1),
    default=25,
    show_default=True,
    help="Updates between checkpoints.",
)
def train(
    recipe: Path,
    overrides: tuple[str, ...],
    gate: bool,
    restart: bool,
    device: str | None,
    checkpoint_every: int,
) -> int:
    """Train the adapter that RECIPE describes, register it as the candidate, and ask the gate.

    An interrupted run goes on from its checkpoint; an unchanged recipe on unchanged data reuses its version.
    On several GPUs: accelerate launch -m harness train RECIPE

    Exit status: the gate's (0 PASS, 1 FAIL, 10 INCONCLUSIVE, 11 INVALID), 4 wrong usage, 130 Ctrl-C.
    """
    from harness.config import load_project
    from harness.golden import select_golden_sets
    from harness.naming import local_models
    from harness.registry import Registry, refuse_name
    from harness.training.plan import load_sources, plan_digest
    from harness.training.recipe import load_recipe

    project = load_project(Path.cwd())
    loaded = load_recipe(recipe, overrides)
    refuse_name(loaded.name)
    registry = Registry(project.registry, project.root)
    base = local_models(project, device, loaded.dtype)(loaded.base)
    if base.adapter is not None or base.engine != "hf":
        raise RecipeError(
            f"{recipe}: base = {loaded.base!r} is no whole local model. Name `smollm2`, a folder or a hub id."
        )
    sets = select_golden_sets(project.golden_sets, ["*"]) if project.golden_sets.is_dir() else []
    sources = load_sources(loaded, project.root, sets)
    digest = plan_digest(loaded, base, project.root)
    version = None if restart else made_before(registry, loaded.name, digest)
    if version is None:
        folder = project.root / project.config.state / "training" / digest[:16]
        with _one_at_a_time(folder):
            if restart and _is_main_process():
                shutil.rmtree(folder, ignore_errors=True)
            from harness.training.progress import Display
            from harness.training.trainer import TrainingInterruptedError, prepare_rows
            from harness.training.trainer import train as train_adapter

            with Display(sys.stderr, quiet=not _is_main_process()) as display:
                try:
                    tokenizer, prepared = prepare_rows(
                        loaded, sources, base, store=project.store, on_progress=display.answering
                    )
                    display.note(summary(loaded, prepared))
                    made = train_adapter(
                        loaded,
                        prepared,
                        base,
                        tokenizer,
                        digest=digest,
                        folder=folder,
                        checkpoint_every=checkpoint_every,
                        listener=display,
                    )
                except TrainingInterruptedError as stopped:
                    display.note(f"harness: {stopped}")
                    return INTERRUPTED
            if _is_main_process():
                version = _register(registry, loaded, _from(recipe, project.root), base, made)
                shutil.rmtree(folder, ignore_errors=True)
    elif _is_main_process():
        click.echo(f"recipe and data are unchanged: {version.label} is reused (--restart trains it again)")
    if version is None:
        return PASSED  # another process of the same training: the main one goes on alone
    registry.move_alias("candidate", version.label, reason=f"trained from {recipe}")
    click.echo(f"{version.label} is the candidate: {version.folder}")
    if not gate:
        click.echo(f"next:   harness gate {version.label}")
        return PASSED
    from harness.cli.gate import run_gate

    return run_gate(project, "candidate")


def made_before(registry: Registry, name: str, digest: str) -> ModelVersion | None:
    """The newest version of `name` that was trained by the very same plan, or None."""
    for label in reversed(registry.labels()):
        if label.partition("@")[0] == name:
            version = registry.version(label)
            training = version.training
            if training is not None and training.get("plan_digest") == digest:
                return version
    return None


def summary(recipe: Recipe, prepared: Prepared) -> str:
    """What will be trained on, in two or three lines."""
    rows = [example.row for example in prepared.train]
    replayed = sum(row.kind == "replay" for row in rows)
    lines = [
        f"{recipe.name}: {len(rows) - replayed} rows + {replayed} replayed, {len(prepared.validation)} held out; "
        f"{prepared.tokens} tokens an epoch, {prepared.targets / prepared.tokens:.0%} of them learned; "
        f"{recipe.optim.epochs} epochs"
    ]
    if prepared.replay.cut_off or prepared.replay.empty:
        lines.append(
            f"replay: {prepared.replay.cut_off} answers reached max_tokens (their stop token is not learned), "
            f"{prepared.replay.empty} were empty and left out"
        )
    if prepared.overlong:
        shown = ", ".join(prepared.overlong[:3]) + (", ..." if len(prepared.overlong) > 3 else "")
        lines.append(f"{len(prepared.overlong)} rows are longer than max_length and left out: {shown}")
    return "\n".join(lines)


def _from(recipe: Path, root: Path) -> str:
    """The recipe's file as it is named from the project's root, where it lies below it."""
    whole = recipe.resolve()
    return whole.relative_to(root).as_posix() if whole.is_relative_to(root) else str(recipe)


def _register(registry: Registry, recipe: Recipe, file: str, base: ModelRef, made: Trained) -> ModelVersion:
    # Whoever reads why a candidate was blocked wants to know what to change.
    version = registry.add(recipe.name, made.adapter, {**made.training, "recipe_file": file})
    facts = made.training
    click.echo(
        f"trained {facts['steps']} steps in {facts['seconds']:.0f} s, {facts['tokens_per_second']:.0f} tokens/s, "
        f"peak memory {facts['peak_memory_bytes'] / 2**30:.1f} GiB on {base.device}"
    )
    for finding in made.findings:
        click.echo(f"note:   {finding}")
    return version


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Two runs of one plan would take turns at overwriting each other's checkpoints."""
    from filelock import FileLock, Timeout

    if not _is_main_process():
        yield
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RecipeError(
            "this very recipe is being trained by another process. Wait for it, or change the recipe."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _is_main_process() -> bool:
    """Under `accelerate launch`, is this the process that writes? Asked before torch is imported."""
    return os.environ.get("RANK", "0") == "0"
