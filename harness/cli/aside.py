"""A run of the suites for its record alone: nothing of it stays among the reports."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.child import wait_for
from harness.cli.status import INTERRUPTED_PYTEST, INVALID, USAGE
from harness.errors import GenerationError

if TYPE_CHECKING:
    from harness.config import Project
    from harness.models import Response
    from harness.record import RunRecord

#: Of a run that left no record, so many of its last lines are shown.
_LAST_LINES = 30


def run_aside(
    project: Project, command: list[str], *, what: str, without: str, with_texts: bool = False
) -> tuple[RunRecord, dict[str, Response]] | int:
    """The record of one run of pytest, and its texts where they are wanted; or the status that it ended with, after
    saying why, where it left no record.

    `what` names the run and `without` what there is not, in messages. Raises GenerationError where a test ended in an
    error.
    """
    from harness.record import read_record, read_texts

    project.store.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="aside-", dir=project.store.parent))
    try:
        output = folder / "output.txt"
        with output.open("wb") as stream:
            ended = wait_for(
                subprocess.Popen(
                    [*command, f"--report-dir={folder}"], cwd=project.root, stdout=stream, stderr=subprocess.STDOUT
                )
            )
        written = [file.parent for file in folder.glob("*/record.json")]
        if not written or ended in (INTERRUPTED_PYTEST, USAGE):
            lines = output.read_text(encoding="utf-8", errors="replace").splitlines()
            click.echo("\n".join(lines[-_LAST_LINES:]), err=True)
            click.echo(f"harness: error: {what} left no record (pytest ended with {ended}): {without}.", err=True)
            return ended or INVALID
        record = read_record(written[0])
        texts = read_texts(written[0], record) if with_texts else {}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if record.errors:
        first = record.errors[0]
        raise GenerationError(f"{what}: {first.test}: {first.reason} So there is {without}.")
    return record, texts
