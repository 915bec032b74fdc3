"""`harness review status`: who got a form, and what came back."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.decision import policy_of
from harness.cli.places import near
from harness.cli.review.runs import reviewed_folder, say


@click.command()
@click.argument("run", required=False)
def status(run: str | None) -> None:
    """Who got a form of RUN (default: every run with forms out), what came back, and what the policy still misses."""
    from harness.config import load_project
    from harness.record import read_record
    from harness.review.criteria import review_criteria
    from harness.review.kept import kept_as, read_review, review_for
    from harness.review.seal import FOLDER, KEY_ENDING, keys_in

    project = load_project(Path.cwd())
    if run is None:
        folders = sorted({file.parent.parent for file in project.reports.glob(f"*/{FOLDER}/*{KEY_ENDING}")})
    else:
        folders = [reviewed_folder(project, run)]
    if not folders:
        click.echo(f"No forms are out for any run below {near(project.reports)}. Next: harness review export RUN")
    for folder in folders:
        click.echo(str(near(folder)))
        for key in keys_in(folder):
            found = read_review(folder, kept_as(key.name))
            if found is not None and key.name != "adjudication" and found.seal != key.seal:
                found = None  # answers to forms that were out before these
            settled = {(*one.name, one.reviewer) for one in found.adjudicated} if found is not None else set()
            readers = {} if found is None else {reader.name: reader for reader in found.readers}
            skips = [] if found is None else [one.reviewer for one in found.opinions if one.score is None]
            click.echo(f"  {key.name}, {key.created[:10]}:")
            for form in key.forms:
                reader = readers.get(form.reviewer) if key.name != "adjudication" else None
                done = reader.done if reader is not None else 0
                if key.name == "adjudication":
                    done = sum((slot.set, slot.case, form.reviewer) in settled for slot in form.slots)
                state = "complete" if done == len(form.slots) else "open" if done else "nothing yet"
                if reader is not None and (skipped := sum(reader.name == name for name in skips)):
                    state += f", {skipped} skipped"
                click.echo(f"    {form.reviewer}: {done} of {len(form.slots)} pages, {state}")
        if (folder / "record.json").is_file():
            record = read_record(folder)
            said = review_criteria(record, policy_of(folder, project), review_for(folder, record))
            say(f"  {one.status} review: {one.summary}" for one in said)
