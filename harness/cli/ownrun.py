"""A run that no suite made, of files that were given: how it is headed, written and told."""

from __future__ import annotations

import datetime
import importlib.metadata
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import click

from harness.cli.places import near

if TYPE_CHECKING:
    from harness.config import Project
    from harness.gate import Verdict
    from harness.models import Response
    from harness.record import RunRecord


class Heading(NamedTuple):
    """What stands at the head of such a run's record. `arguments` are what was typed after the command."""

    run_id: str
    created: str
    harness_version: str
    arguments: tuple[str, ...]


def heading(project: Project, command: tuple[str, ...], label: str) -> Heading:
    """The heading of a run made now by `command` (`("judge", "run")`), with an id that no other run has: time, the
    command's first word and the candidate's label."""
    now = datetime.datetime.now(datetime.UTC)
    name = "".join(c if c.isalnum() or c in "-." else "-" for c in label)[:40].strip("-.")
    stem = f"{now:%Y%m%d-%H%M%S}-{command[0]}-{name or 'answers'}"
    run_id, number = stem, 2
    while (project.reports / run_id).exists():
        run_id, number = f"{stem}-{number}", number + 1
    typed, many = tuple(sys.argv[1:]), len(command)
    return Heading(
        run_id=run_id,
        created=now.isoformat(timespec="seconds"),
        harness_version=importlib.metadata.version("finetune-harness"),
        arguments=typed[many:] if typed[:many] == command else (),
    )


def finish(project: Project, record: RunRecord, texts: Mapping[str, Response], further: Sequence[str] = ()) -> Verdict:
    """Write the run's record, report and summary, and say its verdict, `further` lines, and where it lies."""
    from harness.ci.comment import comment
    from harness.ci.files import write_comment
    from harness.gate import decide
    from harness.record import write_record
    from harness.report.html import write_page
    from harness.report.visible import visible

    folder = project.reports / record.run_id
    record = write_record(folder, record, texts)
    verdict = decide(record, record.policy)
    page = write_page(folder, record, verdict, texts, project.config.language)
    write_comment(folder, comment(record, verdict, texts))
    for line in (*verdict.lines(), *further):
        click.echo(visible(line))
    click.echo(f"record: {near(folder / 'record.json')}")
    click.echo(f"report: {near(page)}")
    return verdict
