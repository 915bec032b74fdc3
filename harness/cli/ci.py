"""`harness ci`: workflows to start from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.places import near
from harness.errors import ConfigError

if TYPE_CHECKING:
    from harness.ci.workflow import Road, Site
    from harness.config import Project


@click.group()
def ci() -> None:
    """Gate every change: workflows for GitHub Actions and GitLab."""


@ci.command()
@click.option("--github", "site", flag_value="github", default="github", help="A workflow of GitHub Actions (default).")
@click.option("--gitlab", "site", flag_value="gitlab", help="A pipeline of GitLab.")
@click.option(
    "--road",
    type=click.Choice(["both", "gpu", "record"]),
    default="both",
    show_default=True,
    help="gpu: gate on a GPU runner. record: decide on a plain one, from a run in the repository. both: both in turn.",
)
@click.option("--model", metavar="REF", help="Gate this model as it is. Default: train the recipe, gate the candidate.")
@click.option("--baseline", metavar="REF", help="Compare with this model instead of the alias 'baseline'.")
@click.option("--recipe", metavar="FILE", help="Train this recipe first. Default: the only one in recipes/.")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Write to this file instead.")
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
def init(
    site: Site,
    road: Road,
    model: str | None,
    baseline: str | None,
    recipe: str | None,
    output: Path | None,
    force: bool,
) -> None:
    """Write a workflow that gates every pull request, and say what to set.

    The GPU runner trains, gates and packs the record with the answers; the plain runner verifies every digest and
    decides again, without a GPU and without weights. A file that is there is not overwritten without --force.
    """
    from harness.ci.workflow import FILES, Workflow
    from harness.config import load_project
    from harness.settings import find_settings

    project = load_project(Path.cwd())
    root = _repository(project.root)
    if model is None and recipe is None and road != "record":
        recipe = _only_recipe(project)
    if recipe is not None and not (project.root / recipe).is_file():
        raise ConfigError(f"{recipe}: no such recipe below {project.root}. Name one with --recipe, or a --model.")
    workflow = Workflow(
        site=site,
        road=road,
        model=model or "candidate",
        baseline=baseline,
        recipe=recipe,
        suites=tuple(project.config.gate.suites),
        reports=project.config.reports.rstrip("/"),
        folder=project.root.relative_to(root).as_posix(),
    )
    file = output or root / FILES[site]
    if file.exists() and not force:
        raise ConfigError(
            f"{file}: is there already, and nothing was written. --force overwrites it; --output FILE writes elsewhere"
            + (", to be taken in by `include: [{local: FILE}]`." if site == "gitlab" else ".")
        )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(workflow.text(), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written ({error.strerror}). Name another with --output.") from error
    click.echo(f"{near(file)} written: {_does(workflow.recipe, workflow.model, road)}")
    if find_settings(Path.cwd()) is None:
        click.echo(
            f"harness: warning: neither {Path.cwd() / 'pyproject.toml'} nor one above it has a [tool.harness] table, "
            "so the job finds no project to gate. Next: harness init",
            err=True,
        )
    click.echo("\nTo do")
    for step in workflow.to_set():
        click.echo(f"  * {step}")


def _does(recipe: str | None, model: str, road: Road) -> str:
    asked = f"{'' if recipe is None else f'train {recipe}, '}gate {model}"
    decided = "verify the travelled run and decide again"
    return {"gpu": asked, "record": decided, "both": f"{asked}; then {decided}"}[road]


def _only_recipe(project: Project) -> str | None:
    found = sorted((project.root / "recipes").glob("*.yaml"))
    if len(found) > 1:
        names = ", ".join(file.relative_to(project.root).as_posix() for file in found)
        raise ConfigError(f"several recipes: {names}. Name the one to train with --recipe, or a model with --model.")
    return found[0].relative_to(project.root).as_posix() if found else None


def _repository(folder: Path) -> Path:
    """The folder that git knows, at or above the project's; the project's own where there is none."""
    return next((parent for parent in (folder, *folder.parents) if (parent / ".git").exists()), folder)
