"""`harness gate --aa`: the baseline against itself, so that nobody takes noise for a change."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import click

from harness.cli.aside import run_aside
from harness.cli.child import suite_command
from harness.cli.status import PASSED

if TYPE_CHECKING:
    from harness.config import Project
    from harness.record import RunRecord


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
        command = [*suite_command(project, model, baseline), f"--aa={variant}"]
        found = run_aside(project, command, what=f"the A/A run ({variant})", without="no floor")
        if isinstance(found, int):
            return found
        records.append(found[0])
    identity = records[0].baseline
    assert identity is not None, "an A/A run has two roles"
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    floor = NoiseFloor(baseline=identity, created=created, sets=noise_of(records))
    file = write_floor(project.noise, floor)
    for line in told(floor, project.config.gate):
        click.echo(visible(line))
    click.echo(f"kept:   {file.relative_to(project.root)}; later runs show it beside their margins")
    return PASSED
