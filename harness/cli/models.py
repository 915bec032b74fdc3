"""`harness models`: which versions there are, and which one is shipped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.decision import today
from harness.errors import RegistryError

if TYPE_CHECKING:
    from rich.table import Table

    from harness.config import Project
    from harness.registry import Registry


@click.group()
def models() -> None:
    """List, inspect, register, promote and roll back versions."""


@models.command("list")
def list_versions() -> None:
    """Every version, what the aliases point at, and the last moves of the baseline."""
    from rich.console import Console
    from rich.text import Text

    _, registry = _open()
    console = Console()
    if not registry.labels():
        console.print(Text("No versions yet. Make one: harness train RECIPE, or register one: harness models add PATH"))
        return
    console.print(_versions(registry))
    moves = [move for move in registry.log() if move.alias == "baseline"][-5:]
    for move in moves:
        after = move.after or "none (the candidate's own base)"
        said = "accepted: " if move.accepted else ""
        console.print(Text(f"{move.when[:16]} {move.kind} -> {after}, {move.owner}: {said}{move.reason}"))


@models.command()
@click.argument("version", default="candidate")
def show(version: str) -> None:
    """All that is known of VERSION: an alias, NAME@NUMBER, or NAME for its newest. Default: candidate."""
    from harness.report.visible import visible

    _, registry = _open()
    found = registry.version(version)
    manifest = found.manifest
    click.echo(found.label)
    aliases = _aliases(registry, found.label)
    rows = [
        ("aliases", ", ".join(aliases) or "none"),
        ("created", manifest.created),
        ("made when the baseline was", manifest.parent or "none"),
        ("base", manifest.base),
        ("base digest", manifest.base_digest),
        ("adapter digest", manifest.adapter_digest),
        ("digest", found.digest),
        ("adapter", str(found.adapter)),
        ("made by harness", manifest.harness_version),
    ]
    for name, value in rows:
        click.echo(f"  {name}: {value}")
    for name, value in (found.training or {}).items():
        if isinstance(value, str | int | float | bool):
            # Notes that came with an adapter from outside are anybody's text.
            click.echo(visible(f"  training {name}: {value}"))
    for move in registry.log():
        if found.label in (move.before, move.after):
            click.echo(f"  {move.when} {move.alias}: {move.before} -> {move.after} ({move.owner}: {move.reason})")


@models.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the model (default: the name of the folder).")
def add(path: Path, name: str | None) -> None:
    """Register the PEFT adapter folder PATH as a new version; it becomes the candidate."""
    _, registry = _open()
    _refuse_yaml(str(path))
    if not path.is_dir():
        raise RegistryError(f"{path}: no such folder. Give the folder that `model.save_pretrained` wrote.")
    known = set(registry.labels())
    version = registry.add(name or path.resolve().name, path)
    if version.label in known:
        click.echo(f"{version.label} has exactly these weights already: kept.")
    else:
        click.echo(f"{version.label} registered in {version.folder}")
    if registry.alias("candidate") != version.label:
        registry.move_alias("candidate", version.label, reason=f"added from {path}")
    click.echo(f"{version.label} is the candidate. Next: harness gate")


@models.command()
@click.argument("version", default="candidate")
@click.option("--accept", metavar="REASON", help="Answer for an INCONCLUSIVE verdict in your own name.")
@click.option("--owner", metavar="NAME", help="Who promotes (default: the user's name), for the log.")
def promote(version: str, accept: str | None, owner: str | None) -> None:
    """Make VERSION (default: candidate) the baseline.

    Takes the newest complete run below reports/ for exactly these weights and decides it again under
    today's policy. Refused, with exit status 1, without a PASS, and where golden sets changed since that run.
    """
    from harness.gate import decide
    from harness.promotion import find_evidence, refuse_outdated
    from harness.review.kept import review_for

    if accept is not None and not accept.strip():
        raise click.UsageError("--accept needs the reason in words: it goes into the log beside your name.")
    project, registry = _open()
    _refuse_yaml(version)
    target = registry.version(version)
    if registry.alias("baseline") == target.label:
        click.echo(f"{target.label} is the baseline already.")
        return
    evidence = find_evidence(
        project.reports, digest=target.digest, baseline_digest=registry.baseline_digest_for(target)
    )
    record = verdict = None
    if evidence is not None:
        record = evidence.record
        review = review_for(evidence.folder, record)
        verdict = decide(record, project.config.gate, today=today(), review=review)
    if record is not None and record.partial is None:
        refuse_outdated(record, project, target.label)
    move = registry.promote(target.label, verdict, record, accept=accept, owner=owner)
    before = move.before or "none: its own base was the baseline"
    click.echo(f"{target.label} is the baseline now (before: {before}). {move.reason}, {move.owner}.")
    if evidence is not None:
        click.echo(f"Proof: {evidence.folder}")
    click.echo("To undo: harness models rollback")


@models.command()
@click.option("--reason", help="Why, for the log.")
@click.option("--owner", metavar="NAME", help="Who rolls back (default: the user's name), for the log.")
def rollback(reason: str | None, owner: str | None) -> None:
    """Undo the last promotion that still stands; again, the one before it."""
    _, registry = _open()
    move = registry.rollback(reason=reason or "", owner=owner)
    after = move.after or "none: a candidate is compared with its own base"
    click.echo(f"Baseline: {after} (was {move.before}). Logged for {move.owner}.")


def _refuse_yaml(name: str) -> None:
    from harness.models.refs import MODEL_FILES

    if name.endswith(MODEL_FILES):
        raise RegistryError(
            f"{name}: the registry holds weights, and a model YAML has none of its own. Keep it and all it refers "
            f"to in git; the record of its gate is the proof: harness gate {name}"
        )


def _open() -> tuple[Project, Registry]:
    from harness.config import load_project
    from harness.registry import Registry

    project = load_project(Path.cwd())
    return project, Registry(project.registry, root=project.root)


def _versions(registry: Registry) -> Table:
    """Narrow enough for 60 columns, and without meaning in its colours."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="")
    for column in ("version", "alias", "created (UTC)", "digest"):
        table.add_column(column, no_wrap=column in ("version", "digest"))
    for label in registry.labels():
        aliases = "\n".join(_aliases(registry, label))
        try:
            version = registry.version(label)
        except RegistryError:
            table.add_row(label, aliases, f"damaged: harness models show {label}")
            continue
        table.add_row(label, aliases, version.manifest.created[:16].replace("T", " "), version.digest[:10])
    return table


def _aliases(registry: Registry, label: str) -> list[str]:
    from harness.aliases import ALIASES

    return [alias for alias in ALIASES if registry.alias(alias) == label]
