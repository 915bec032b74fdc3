"""`harness gate explain`: an earlier run's verdict in plain words."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.decision import today
from harness.cli.places import record_folder

if TYPE_CHECKING:
    from harness.explain import Section

WIDTH = 96


@click.command()
@click.argument("record", type=click.Path(path_type=Path))
@click.option(
    "--policy",
    "policy_file",
    type=click.Path(path_type=Path),
    help="Explain under this policy, a TOML file, and today's date. Default: the policy and the day of the run.",
)
def explain(record: Path, policy_file: Path | None) -> None:
    """Say in plain words why RECORD has the verdict that it has.

    RECORD is a folder below reports/, or its record.json. Every number is computed again from the record: pairs and
    flips, what an equal model would do by chance, the worst case over all guard sets, and what the run could not see.
    """
    from harness.config import read_policy
    from harness.explain import explain as explained
    from harness.record import read_record
    from harness.review.kept import review_for

    folder = record_folder(record)
    run = read_record(folder)
    policy = run.policy if policy_file is None else read_policy(policy_file)
    sections = explained(run, policy, today=None if policy_file is None else today(), review=review_for(folder, run))
    click.echo("\n".join(lines(sections)))


def lines(sections: Sequence[Section]) -> Iterator[str]:
    """The sections for a terminal. Text from golden sets is spelled out where it would command the terminal."""
    from harness.report.visible import visible

    for i, section in enumerate(sections):
        if i:
            yield ""
        title = visible(section.title)
        yield title
        yield "-" * len(title)
        for paragraph in section.paragraphs:
            indent = "  " if paragraph.startswith("  ") else ""
            yield from textwrap.wrap(
                visible(paragraph.strip()),
                WIDTH,
                initial_indent=indent,
                subsequent_indent=indent * 2,
                break_on_hyphens=False,
            )
