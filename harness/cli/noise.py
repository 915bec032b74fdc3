"""`harness gate --aa`: the baseline against itself, so that nobody takes noise for a change."""

from __future__ import annotations

import datetime
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.gate import suite_command, wait_for
from harness.cli.status import INTERRUPTED_PYTEST, INVALID, PASSED, USAGE
from harness.errors import GenerationError

if TYPE_CHECKING:
    from harness.config import Project
    from harness.noise import Variant
    from harness.record import RunRecord

#: Of a run that left no record, so many of its last lines are shown.
_LAST_LINES = 30


def measure_noise(project: Project, model: str | None, baseline: str | None) -> int:
    """Run the suites on the baseline against itself, once a variant; print the floor and keep it.

    The baseline is `baseline`, else the alias, else the base of `model` (default: candidate).
    """
    from harness.noise import LOCAL, VARIANTS, NoiseFloor, noise_of, told, write_floor
    from harness.registry import Registry
    from harness.report.visible import visible

    if baseline is None and Registry(project.registry).alias("baseline") is not None:
        baseline = "baseline"
    # Only the baseline is asked, so no candidate need be there.
    model = baseline or model or "candidate"
    records: list[RunRecord] = []
    for variant in VARIANTS:
        if records and records[0].candidate.engine not in LOCAL:
            break
        click.echo(f"asking the baseline against itself: {variant}")
        found = _ask(project, model, baseline, variant)
        if isinstance(found, int):
            return found
        records.append(found)
    identity = records[0].baseline
    assert identity is not None, "an A/A run has two roles"
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    floor = NoiseFloor(baseline=identity, created=created, sets=noise_of(records))
    file = write_floor(project.noise, floor)
    for line in told(floor, project.config.gate):
        click.echo(visible(line))
    click.echo(f"kept:   {file.relative_to(project.root)}; later runs show it beside their margins")
    return PASSED


def _ask(project: Project, model: str, baseline: str | None, variant: Variant) -> RunRecord | int:
    """The record of one A/A run, or the exit status of one that gave none, after saying why."""
    from harness.record import read_record

    command = suite_command(project, model, baseline)
    project.store.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="aa-", dir=project.store.parent))
    try:
        output = folder / "output.txt"
        command += [f"--aa={variant}", f"--report-dir={folder}"]
        with output.open("wb") as stream:
            ended = wait_for(subprocess.Popen(command, cwd=project.root, stdout=stream, stderr=subprocess.STDOUT))
        written = [file.parent for file in folder.glob("*/record.json")]
        if not written or ended in (INTERRUPTED_PYTEST, USAGE):
            lines = output.read_text(encoding="utf-8", errors="replace").splitlines()
            click.echo("\n".join(lines[-_LAST_LINES:]), err=True)
            click.echo(f"harness: error: the A/A run left no record (pytest ended with {ended}): no floor.", err=True)
            return ended or INVALID
        record = read_record(written[0])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if record.errors:
        first = record.errors[0]
        raise GenerationError(f"A/A run ({variant}): {first.test}: {first.reason} No floor was kept.")
    return record
