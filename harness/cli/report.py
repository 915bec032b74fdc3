"""`harness report`: from a record to a page, a comment, a table."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.places import Writable, near, record_folder

#: The page of a record whose texts are gone since.
_EARLIER = "index.before.html"


@click.command()
@click.argument("record", type=click.Path(path_type=Path))
@click.option(
    "--csv",
    "csv_file",
    type=Writable(),
    metavar="FILE",
    help="Write the cases as CSV instead: a row for each case, model and sample.",
)
@click.option(
    "--parquet",
    "parquet_file",
    type=Writable(),
    metavar="FILE",
    help="Write the same rows as Parquet instead (needs pandas and pyarrow).",
)
def report(record: Path, csv_file: Path | None, parquet_file: Path | None) -> None:
    """Write the report of an earlier run again: index.html, and summary.md to be posted on a pull request.

    RECORD is a folder below reports/, or its record.json. The verdict is that of the policy the run was made with; the
    language is the project's ([tool.harness] language). Where texts.json.gz is not beside the record, the page has no
    answers, and says so.
    """
    from harness.ci.comment import comment
    from harness.ci.files import write_comment
    from harness.config import load_project
    from harness.gate import decide
    from harness.record import TEXTS_FILE, read_record, read_texts
    from harness.report.html import REPORT_FILE, write_page
    from harness.review.kept import review_for

    folder = record_folder(record)
    run = read_record(folder)
    review = review_for(folder, run)
    verdict = decide(run, run.policy, review=review)
    texts = {}
    if (folder / TEXTS_FILE).exists():
        texts = read_texts(folder, run)
    else:
        told = "what is written has all numbers and no answers. It lies beside record.json: copy both."
        page, kept = folder / REPORT_FILE, folder / _EARLIER
        if csv_file is None and parquet_file is None and page.exists() and not kept.exists():
            # Perhaps the last copy of the answers.
            page.rename(kept)
            told += f" The page that stood here is kept as {near(kept)}."
        click.echo(f"harness: warning: {folder / TEXTS_FILE}: not there, so {told}", err=True)
    if csv_file is not None or parquet_file is not None:
        from harness.tables import write_csv, write_parquet

        for file, write in ((csv_file, write_csv), (parquet_file, write_parquet)):
            if file is not None:
                click.echo(f"{file}: {write(file, run, texts):,} rows")
        return
    language = load_project(Path.cwd()).config.language
    click.echo(str(write_page(folder, run, verdict, texts, language, review)))
    click.echo(str(write_comment(folder, comment(run, verdict, texts))))
