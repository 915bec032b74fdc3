"""`harness review import`: what people sent back, unblinded, and heard by the gate."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.decision import decide_again
from harness.cli.places import near
from harness.cli.review.runs import retell, say
from harness.cli.status import PASSED
from harness.errors import ReviewError

if TYPE_CHECKING:
    from harness.config import Project
    from harness.review.replaced import Replaced
    from harness.review.seal import Key


@click.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Take a later file of a reviewer although answers, judgements, marks or "
              "comments of the earlier one would be lost.")  # fmt: skip
def import_(files: tuple[Path, ...], replace: bool) -> int:
    """Check what reviewers sent back, unblind it, and let the gate decide again.

    FILES are the JSON files that pages save, or the CSV. More may follow: what the same reviewer sends later replaces
    what came before, and is refused where answers would be lost. Says whether reviewers agree with each other, with
    themselves and with the judge.

    Exit status: that of the verdict under today's policy; 4 for a file that cannot be used, and nothing is imported.
    """
    from harness.config import load_project
    from harness.record import read_record, read_texts
    from harness.review.findings import findings
    from harness.review.kept import counted, kept_as, read_review, write_review
    from harness.review.opinions import joined, replacements, unblind
    from harness.review.replaced import find_replaced, set_answers_aside
    from harness.review.returned import read_returned
    from harness.review.seal import find_key
    from harness.review.sending import keep_labels, keep_returned
    from harness.review.telling import review_lines

    project = load_project(Path.cwd())
    returned = list({one.digest: one for one in map(read_returned, files)}.values())
    places: dict[str, tuple[Path, Key]] = {}
    for one in returned:
        place = find_key(project.reports, one.form)
        if place is None:
            earlier = find_replaced(project.reports, one.form)
            if earlier is not None:
                raise ReviewError(f"{one.file}: {_of_earlier(earlier)}")
            raise ReviewError(
                f"{one.file}: answers to a form of another project or run: no key below {near(project.reports)} has "
                f"form {one.form}. Import it where the forms were exported."
            )
        places[place[1].seal] = place
    if len(places) > 1:
        runs = ", ".join(sorted(f"{key.run_id} ({key.name})" for _, key in places.values()))
        raise ReviewError(f"these files answer different reviews: {runs}. Import them one after the other.")
    folder, key = next(iter(places.values()))
    kept = kept_as(key.name)
    settles = key.name == "adjudication"
    before = counted(folder) if settles else read_review(folder, kept)
    opinions = [unblind(one, key) for one in returned]
    found = joined(before, key, opinions, settles=settles)
    replaced = list(replacements(before, key, opinions, settles=settles))
    for late in replaced:
        if late.lost and not replace:
            raise ReviewError(
                f"{late.file}: {late.reviewer} sent {late.before} answers before, and this file has {late.after}: "
                f"{late.lost} would be lost. Nothing was imported. Import the fuller file, or take this one with "
                "--replace."
            )
    record = read_record(folder) if key.mode == "pairs" else None
    texts = {} if record is None else read_texts(folder, record)
    keep_returned(folder, files)
    if before is not None and before.seal != key.seal and not settles:
        set_answers_aside(folder, key.name, datetime.datetime.now(datetime.UTC))
    file = write_review(folder, found, kept)
    told = findings(found, record)
    notes = [f"note: {reader.file}: {note}" for reader in found.readers for note in reader.notes]
    late_ones = [
        f"{late.reviewer}: replaces {late.before} answers with {late.after}{late.lost and f'; lost: {late.lost}'}"
        for late in replaced
        if late.before
    ]
    say([*late_ones, *notes, *review_lines(found, told)])
    click.echo(f"review: {near(file)}")
    if record is None:
        return PASSED
    for judge in told.judges:
        for line in keep_labels(folder, project.judges, judge, texts):
            click.echo(line)
    if told.disputed:
        click.echo(
            f"to settle {len(told.disputed)} cases: harness review export {folder.name} --adjudicate --reviewers NAME"
        )
    return _decide(project, folder)


def _decide(project: Project, folder: Path) -> int:
    """Decide the run again with its review, and write its report again under the same policy."""
    _, policy = retell(project, folder)
    return decide_again(folder, policy, project.root).exit_code(policy)


def _of_earlier(export: Replaced) -> str:
    """Why answers to a replaced form cannot be imported, and where those lie that were."""
    told = (
        f"made for an earlier export of run {export.run_id}, which was replaced on {export.on}. Nothing was imported. "
    )
    if export.name == "adjudication":
        told += "What was imported of that export before still counts. "
    elif export.answers is None:
        told += "Of that export nothing had been imported. "
    else:
        told += f"Answers of it lie in {near(export.answers)}, and count no more. "
    return told + f"Have the newer form answered: harness review status {export.run_id} names it."
