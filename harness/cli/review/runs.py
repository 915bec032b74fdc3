"""The run that a review is about: where it lies, and telling it again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.decision import policy_of, today
from harness.cli.places import record_folder

if TYPE_CHECKING:
    from harness.config import Project
    from harness.gate import Verdict
    from harness.policy import GatePolicy


def run_folder(project: Project, run: str) -> Path:
    """The run's folder, from its id, the folder itself or its record.json."""
    named = project.reports / run
    return named if (named / "record.json").is_file() else record_folder(Path(run))


def reviewed_folder(project: Project, run: str) -> Path:
    """The folder in which the run's review lies; of an audit of training rows, which is no run, too."""
    for folder in (project.reports / run, Path(run)):
        if (folder / "review").is_dir():
            return folder
    return run_folder(project, run)


def retell(project: Project, folder: Path) -> tuple[Verdict, GatePolicy]:
    """Write the run's report and summary by today's review and policy; the verdict that they tell, and the policy."""
    from harness.ci.comment import comment
    from harness.ci.files import write_comment
    from harness.gate import decide
    from harness.record import read_record, read_texts
    from harness.report.html import write_page
    from harness.review.kept import review_for

    policy, record = policy_of(folder, project), read_record(folder)
    review = review_for(folder, record)
    verdict = decide(record, policy, today=today(), review=review)
    texts = read_texts(folder, record)
    write_page(folder, record, verdict, texts, project.config.language, review)
    write_comment(folder, comment(record, verdict, texts))
    return verdict, policy


def say(lines: Iterable[str]) -> None:
    """Print lines that may quote what people wrote."""
    from harness.report.visible import visible

    for line in lines:
        click.echo(visible(line))
