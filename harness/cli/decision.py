"""A run on the disk, decided by a policy: its verdict, the cases to read first and the next step, told to the user."""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.places import near
from harness.errors import RecordError

if TYPE_CHECKING:
    from harness.config import Project
    from harness.gate import Verdict
    from harness.policy import GatePolicy
    from harness.record import RunRecord


def policy_of(folder: Path, project: Project) -> GatePolicy:
    """Today's policy of the project; of a comparison its own, because its sets are not the project's."""
    from harness.record import read_record

    record = read_record(folder)
    return project.config.gate if record.source == "suites" else record.policy


def today() -> str:
    """The day on which a waiver must hold for a decision made now."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def decide_again(
    folder: Path, policy: GatePolicy, root: Path, *, shown: bool = False, summary: Path | None = None
) -> Verdict:
    """Decide the run in `folder`; say the verdict (in short where pytest has `shown` it), its proof, the next step.

    `summary` is a file for the page that tells it on a pull request.
    """
    from harness.ci.files import write_page
    from harness.gate import decide
    from harness.record import read_record
    from harness.review.kept import review_for

    record = read_record(folder)
    # A waiver that has run out since the run excuses nothing any more.
    verdict = decide(record, policy, today=today(), review=review_for(folder, record))
    if shown:
        click.echo(f"gate:   {verdict.status if record.partial is None else 'no verdict'}")
    else:
        page = _say(folder, record, verdict, root)
        if summary is not None:
            write_page(summary, page)
    click.echo(f"record: {near(folder / 'record.json')}")
    if (folder / "index.html").is_file():
        click.echo(f"report: {near(folder / 'index.html')}")
    click.echo(f"next:   {_next_step(record, verdict)}")
    return verdict


def _say(folder: Path, record: RunRecord, verdict: Verdict, root: Path) -> str:
    """Say the verdict and the cases to read first; in a job of GitHub Actions there too. Returns the page of it."""
    from harness.ci.comment import comment
    from harness.ci.console import SHOWN, no_verdict, roles, worst_lines
    from harness.ci.github import MOST, Mute, on_github, tell
    from harness.columns import fold
    from harness.record import read_texts
    from harness.worst import count_worst, worst_cases

    columns = shutil.get_terminal_size().columns
    mute = Mute() if on_github(os.environ) else None
    if mute is not None:
        click.echo(mute.quiet)
    if record.partial is None:
        rows = verdict.lines(columns)
    else:
        # As pytest told it: criteria of a part would read like those of a verdict.
        rows = [row for told in (roles(record), no_verdict(record) or "") for row in fold(told, columns)]
    for row in rows:
        click.echo(row)
    texts = {}
    # The decision rests on the record; without its texts the cases are still named.
    with contextlib.suppress(RecordError):
        texts = read_texts(folder, record)
    worst = () if record.partial is not None else worst_cases(record, verdict, texts, MOST)
    for line in worst_lines(worst[:SHOWN], count_worst(record, verdict), columns):
        click.echo(line.text)
    if mute is not None:
        click.echo(mute.loud)
    page = comment(record, verdict, texts)
    for command in tell(record, verdict, worst, page, environ=os.environ, root=root):
        click.echo(command)
    return page


def _next_step(record: RunRecord, verdict: Verdict) -> str:
    label = record.candidate.label
    missing = verdict.remedy
    if missing is not None and record.partial is None:
        return str(missing.step)
    if record.source == "judged":
        return "none: these answers were made elsewhere, so no version can be promoted on them"
    if record.source == "scores":
        return "none: other tools gave these scores, so no version can be promoted on them"
    if record.partial is not None:
        return f"harness gate {record.candidate.reference}   (a partial run carries no verdict)"
    if verdict.status == "PASS" and record.candidate.prompting_digest is not None:
        return "keep the YAML and all it refers to in git: this record is the proof for exactly these files"
    if verdict.status == "PASS":
        if "@" in label:
            return f"harness models promote {label}"
        if record.candidate.adapter_digest is not None:
            return "register the adapter: harness models add PATH"
        return "none: the registry holds adapters, and this is none. The record is the proof for exactly this model"
    if verdict.status == "INCONCLUSIVE":
        return f'add cases, or: harness models promote {label} --accept "REASON"'
    if verdict.status == "INVALID":
        return f"remove the cause (see above), then: harness gate {record.candidate.reference}"
    return "open the report; change the data or the recipe; harness train RECIPE"
