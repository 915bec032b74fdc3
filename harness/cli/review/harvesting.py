"""What people said as rows: a golden set, or pairs for preference training."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.places import Writable, near
from harness.cli.review.runs import run_folder
from harness.errors import ReviewError

if TYPE_CHECKING:
    from harness.review.harvest import Harvest


@click.command("to-golden")
@click.argument("run")
@click.option("--set", "name", required=True, metavar="NAME", help="Name of the new golden set.")
@click.option("--owner", required=True, metavar="NAME", help="Who answers for these targets.")
def to_golden(run: str, name: str, owner: str) -> None:
    """Write a golden set of the cases on which people clearly prefer one answer; that answer becomes the target.

    Each case names the run, the votes, the model and the owner, and is a variant of the case that it came from.
    """
    from harness.config import load_project
    from harness.golden import load_golden_set
    from harness.record import read_texts
    from harness.review.harvest import golden_rows
    from harness.review.kept import reviewed_record

    project = load_project(Path.cwd())
    file = project.golden_sets / f"{name}.jsonl"
    if not file.resolve().is_relative_to(project.golden_sets.resolve()):
        raise ReviewError(f"--set {name}: lies outside {near(project.golden_sets)}. Give a name below it: refunds.")
    folder = run_folder(project, run)
    record, found = reviewed_record(folder)
    harvest = golden_rows(record, found, read_texts(folder, record), owner=owner)
    _write_rows(
        file,
        harvest,
        lambda unfinished: load_golden_set(unfinished, root=project.golden_sets),
    )
    click.echo(
        "next: give the cases checks, or compare answers with their targets in a suite; then harness suites check"
    )


@click.command("to-preferences")
@click.argument("run")
@click.option("--out", required=True, type=Writable(), help="JSONL file to write.")
def to_preferences(run: str, out: Path) -> None:
    """Write pairs for preference training: prompt, chosen, rejected, and how clear people were (margin, 0 to 1)."""
    from harness.config import load_project
    from harness.record import read_texts
    from harness.review.harvest import preference_rows
    from harness.review.kept import reviewed_record

    project = load_project(Path.cwd())
    folder = run_folder(project, run)
    record, found = reviewed_record(folder)
    _write_rows(out, preference_rows(record, found, read_texts(folder, record)))
    click.echo(
        "note: these prompts are golden cases. Trained on, they measure nothing any more: take the cases out of the "
        "golden sets first, or the plan of the training refuses them."
    )


def _write_rows(file: Path, harvest: Harvest, check: Callable[[Path], object] = lambda file: None) -> None:
    """Write the file whole, or not at all: not where `check` refuses it."""
    import msgspec

    for why, many in harvest.left_out.items():
        click.echo(f"left out: {many}: {why}")
    if not harvest.rows:
        raise ReviewError("no case is left to write: see above.")
    if file.exists():
        raise ReviewError(f"{file} is there already, and is not overwritten. Name another.")
    unfinished = file.with_name(f".{file.stem}.{os.getpid()}.tmp{file.suffix}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(msgspec.json.Encoder().encode_lines(harvest.rows))
        check(unfinished)
        unfinished.replace(file)
    except OSError as error:
        raise ReviewError(f"{file}: cannot be written ({error.strerror}). Make room or mend its rights.") from error
    finally:
        unfinished.unlink(missing_ok=True)
    click.echo(f"{len(harvest.rows)} rows: {near(file)}")
