"""`harness init`: a project to start from."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.status import PASSED
from harness.errors import ConfigError


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path("."))
@click.option(
    "--language",
    type=click.Choice(["en", "zh"]),
    default="en",
    show_default=True,
    help="Language of the golden sets, the training rows and the comments.",
)
@click.option(
    "--flips",
    type=click.FloatRange(0, 1),
    default=0.2,
    show_default=True,
    help="Share of answers that change between two equally good models; the margin is worked out from it.",
)
def init(folder: Path, language: str, flips: float) -> int:
    """Write a project to start from into FOLDER (default: here).

    Golden sets, suites, a recipe, training rows, and a policy whose margin is worked out from the sizes of the sets. It
    runs at once on the embedded model. A file that is there already is never overwritten: it is listed and kept.
    """
    from harness.starter import LANGUAGES, SETTINGS, plan_project, write_project

    chosen = next(known for known in LANGUAGES if known == language)
    project = plan_project(folder, chosen, flips=flips)
    try:
        write_project(project)
    except OSError as error:
        raise ConfigError(
            f"{error.filename or folder}: cannot be written ({error.strerror}). Name a folder that can be written to; "
            "what was written stays, and the same command goes on."
        ) from error
    click.echo(f"{folder}: {len(project.new)} files written")
    for file in project.new:
        click.echo(f"  {file.path}")
    if project.kept:
        click.echo(f"{len(project.kept)} kept as they were")
        for file in project.kept:
            click.echo(f"  {file.path}")
    if not project.configured:
        click.echo(f"\nYour {folder / 'pyproject.toml'} has no [tool.harness] yet. Add this to it:\n")
        click.echo(project.settings)
    margin = project.margin
    own = any(file.path == SETTINGS for file in project.kept)
    click.echo(
        f"\n{'These sets ask for margin' if own else 'margin'} {margin.margin:.2f}: {margin.cases} guard cases, "
        f"{margin.flips:.0%} of answers changing; an equally good candidate passes "
        f"{margin.choices[margin.margin].passes:.0%} of the time"
    )
    click.echo("\nNext")
    if folder.resolve() != Path.cwd():
        click.echo(f"  cd {folder}")
    click.echo("  harness doctor                       what is installed, and what will be slow here")
    click.echo("  harness suites check                 can the sets tell right from wrong? Asks no model")
    click.echo("  pytest suites/ --model=smollm2       ask the embedded model everything")
    click.echo("  harness train recipes/triage.yaml    make a candidate, and ask the gate")
    return PASSED
