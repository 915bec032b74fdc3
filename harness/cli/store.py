"""`harness store`: the answers that are kept, checked, thrown away, and carried to another machine."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.places import Writable, record_folder
from harness.cli.status import FAILED, PASSED
from harness.errors import ConfigError, RecordError

if TYPE_CHECKING:
    from harness.config import Project
    from harness.record import ModelIdentity, RunRecord
    from harness.store import Store
    from harness.store.identities import KnownModel, KnownRun
    from harness.store.upkeep import ModelShare

#: Of many wrong rows so many are named.
_NAMED = 10

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_AGES = {"h": 3600, "d": 86400, "w": 7 * 86400}


class Size(click.ParamType[int]):
    """`500MB`, `2GB`: bytes."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes, or an error that shows how to write them."""
        found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([KMGT]?B?)", str(value).upper())
        if found is None or found[2] not in _UNITS:
            self.fail(f"{value!r} is no size: write 500MB or 2GB.", param, ctx)
        return int(float(found[1]) * _UNITS[found[2]])


class Age(click.ParamType[int]):
    """`30d`, `12h`, `8w`: seconds."""

    name = "age"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Seconds, or an error that shows how to write them."""
        found = re.fullmatch(r"([0-9]+) ?([hdw])", str(value))
        if found is None:
            self.fail(f"{value!r} is no age: write 30d (days), 12h (hours) or 8w (weeks).", param, ctx)
        return int(found[1]) * _AGES[found[2]]


@click.group()
def store() -> None:
    """Answers that were paid for: check them, throw old ones away, carry them to another machine."""


@store.command()
@click.option(
    "--record",
    "record_path",
    type=click.Path(path_type=Path),
    help="Also check that this run's answers are here, the same as in its record.",
)
@click.option("--drop", is_flag=True, help="Forget the rows that are wrong.")
def verify(record_path: Path | None, drop: bool) -> int:
    """Check the digest of every stored answer, and the file itself.

    Exit status: 0 all is as it was written, 1 something is wrong.
    """
    from harness.store import Store, upkeep

    project = _project()
    rows = 0
    sound = True
    if project.store.is_file():
        found = upkeep.verify(project.store)
        rows, sound = found.rows, found.sound
        if found.damage is not None:
            click.echo(
                f"{project.store}: damaged ({found.damage}). The next run that meets it sets it aside; or delete it."
            )
        for key, kind in found.wrong[:_NAMED]:
            click.echo(f"wrong: {kind} {str(key)[:12]} does not match its digest")
        if len(found.wrong) > _NAMED:
            click.echo(f"wrong: {len(found.wrong) - _NAMED} more")
        if drop and found.wrong and found.damage is None:
            with Store(project.store) as opened:
                opened.drop(found.wrong)
            click.echo(f"{len(found.wrong)} wrong rows dropped; their answers are asked again")
        elif found.wrong:
            click.echo(
                "A wrong row is never used: the next look-up drops it. Drop all now: harness store verify --drop"
            )
        click.echo(f"{project.store}: {rows - len(found.wrong)} of {rows} rows are as they were written")
    else:
        click.echo(f"{project.store}: not there; nothing is stored yet")
    if record_path is not None:
        sound = _verify_record(project, record_path) and sound
    return PASSED if sound else FAILED


@store.command()
def stats() -> None:
    """How much is stored: rows, bytes, by model and age."""
    from harness.report.visible import visible
    from harness.store import Store
    from harness.store.upkeep import file_bytes, shares

    project = _project()
    if not project.store.is_file():
        click.echo(f"{project.store}: not there; nothing is stored yet")
        return
    with Store(project.store) as opened:
        parts = shares(opened)
    rows = sum(part.responses + part.scores for part in parts)
    click.echo(f"{project.store}: {rows} rows, {_size(file_bytes(project.store))} on disk")
    if not parts:
        return
    header = ("model", "digest", "engine", "dtype", "answers", "scores", "text", "oldest", "newest")
    lines = [header, *map(_cells, parts)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        # Names to the left, numbers to the right.
        cells = [c.ljust(w) if i < 4 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))]
        click.echo(visible("  ".join(cells)))


def _cells(part: ModelShare) -> tuple[str, ...]:
    model = part.model
    who = ("not noted", "", "", "") if model is None else (model.label, model.digest[:12], model.engine, model.dtype)
    return (*who, str(part.responses), str(part.scores), _size(part.bytes), _day(part.oldest), _day(part.newest))


@store.command()
@click.option("--older-than", type=Age(), metavar="AGE", help="Drop answers written longer ago: 30d, 12h, 8w.")
@click.option("--unregistered", is_flag=True, help="Drop answers of adapters that the registry no longer has.")
@click.option(
    "--max-size", type=Size(), metavar="SIZE", help="Drop the oldest until the file has this size: 500MB, 2GB."
)
@click.option("--dry-run", is_flag=True, help="Only say how many would go.")
def prune(older_than: int | None, unregistered: bool, max_size: int | None, dry_run: bool) -> None:
    """Throw stored answers away. What any of the options names goes; the rest stays.

    Bases and endpoints are no adapters: --unregistered keeps them.
    """
    from harness.registry import Registry
    from harness.store import Store, upkeep

    if older_than is None and max_size is None and not unregistered:
        raise click.UsageError("say what may go: --older-than 30d, --unregistered or --max-size 500MB.")
    project = _project()
    if not project.store.is_file():
        click.echo(f"{project.store}: not there; nothing is stored yet")
        return
    before = upkeep.file_bytes(project.store)
    with Store(project.store) as opened:
        gone: set[int] = set()
        if older_than is not None:
            gone |= upkeep.older_than(opened, older_than)
        if unregistered:
            registry = Registry(project.registry)
            kept = {registry.version(label).manifest.adapter_digest for label in registry.labels()}
            gone |= upkeep.of_models(opened, lambda m: m.adapter_digest is not None and m.adapter_digest not in kept)
        if max_size is not None:
            gone |= upkeep.beyond_size(opened, max_size, without=gone)
        if dry_run:
            click.echo(f"{project.store}: {len(gone)} rows would go")
            return
        dropped = upkeep.forget(opened, gone)
    click.echo(f"{project.store}: {dropped} rows dropped; {_size(before)} -> {_size(upkeep.file_bytes(project.store))}")


@store.command("export")
@click.argument("file", type=Writable())
@click.option(
    "--record",
    "record_path",
    type=click.Path(path_type=Path),
    help="Only what this run needs (a folder below reports/).",
)
@click.option("--model", "model", metavar="NAME", help="Only what this model answered: its label, or how it was named.")
def export(file: Path, record_path: Path | None, model: str | None) -> None:
    """Write stored answers to FILE, compressed, each with its digest. Default: all of them.

    With --record, the file also names the run's models by their digests: where it is imported,
    `pytest suites/ --model=NAME --store-only` needs no weights.
    """
    from harness.store import Store
    from harness.store.travel import export_rows

    if record_path is not None and model is not None:
        raise click.UsageError("--record and --model: take one of them.")
    project = _project()
    if not project.store.is_file():
        raise ConfigError(f"{project.store}: not there, so there is nothing to export. Run the suites first.")
    with Store(project.store) as opened:
        if record_path is not None:
            record = _record(record_path)
            keys = record.answer_keys() | set(record.asked)
            _refuse_missing(opened, record, keys)
            rows = export_rows(opened, file, keys=keys, run=_run(record))
        elif model is not None:
            rows = export_rows(opened, file, models=_named(opened, model))
        else:
            rows = export_rows(opened, file)
    click.echo(
        f"{file}: {rows} rows, {_size(file.stat().st_size)}. Take them in elsewhere: harness store import {file.name}"
    )


@store.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def import_(file: Path) -> None:
    """Take in the answers of FILE, which `harness store export` wrote.

    Every row is verified before the first one is taken; a wrong one keeps the whole file out. Where this store has
    another answer to the same question, that of the file replaces it.
    """
    from harness.store import Store
    from harness.store.travel import import_rows

    project = _project()
    with Store(project.store) as opened:
        done = import_rows(opened, file)
    click.echo(
        f"{file}: {done.rows} rows verified; {done.new} are new, {done.replaced} replaced another answer, "
        f"{done.rows - done.new - done.replaced} were here"
    )
    if done.run is not None:
        versus = "" if done.run.baseline is None else f", against {done.run.baseline.label}"
        click.echo(f"run {done.run.run_id}: {done.run.candidate.label}{versus}")
        click.echo(f"next: pytest suites/ --model={done.run.candidate.reference} --store-only")


def _project() -> Project:
    from harness.config import load_project

    return load_project(Path.cwd())


def _record(path: Path) -> RunRecord:
    from harness.record import read_record

    record = read_record(record_folder(path))
    if record.source == "judged":
        raise RecordError(f"{path}: these answers came from files, so none of them was ever stored.")
    if record.source == "scores":
        raise RecordError(f"{path}: other tools gave these scores, so no answer of this run was ever stored.")
    return record


def _verify_record(project: Project, path: Path) -> bool:
    """Are the texts those of the record, and the stored answers those texts? Says what is not."""
    from harness.record import read_texts
    from harness.store import Store

    record = _record(path)
    texts = read_texts(record_folder(path), record)
    own = record.answer_keys()
    keys = own | set(record.asked)
    with Store(project.store) as opened:
        responses = opened.responses(keys)
        missing = keys - responses.keys() - opened.scores(keys).keys()
    other = {key for key in own & responses.keys() if texts.get(key) != responses[key]}
    for key in sorted(other)[:_NAMED]:
        click.echo(f"other: the stored answer {key[:12]} is not the one in the record")
    said = f"{path}: {len(keys) - len(missing) - len(other)} of {len(keys)} answers are here and the record's"
    click.echo(f"{said}; {len(other)} are other ones, {len(missing)} are missing" if missing or other else said)
    return not missing and not other


def _refuse_missing(opened: Store, record: RunRecord, keys: set[str]) -> None:
    missing = keys - opened.responses(keys).keys() - opened.scores(keys).keys()
    if missing:
        raise RecordError(
            f"run {record.run_id}: {len(missing)} of its {len(keys)} answers are no longer in {opened.path}. "
            "Run the suites again, then export the new run."
        )


def _run(record: RunRecord) -> KnownRun:
    """Who was judged against whom, as it travels."""
    from harness.store.identities import KnownRun

    root = record.root
    return KnownRun(
        run_id=record.run_id,
        candidate=_known(record.candidate, root),
        baseline=None if record.baseline is None else _known(record.baseline, root),
        root=None if root is None else _known(root, None),
    )


def _known(model: ModelIdentity, root: ModelIdentity | None) -> KnownModel:
    from harness.store.identities import KnownModel

    return KnownModel(
        label=model.label,
        reference=model.reference,
        engine=model.engine,
        dtype=model.dtype,
        base_digest=model.base_digest,
        adapter_digest=model.adapter_digest,
        base_name=root.label if root is not None and root.base_digest == model.base_digest else "",
        prompting_digest=model.prompting_digest,
    )


def _named(opened: Store, name: str) -> list[KnownModel]:
    models = opened.models()
    found = [m for m in models if name in (m.label, m.reference) or (len(name) >= 8 and m.digest.startswith(name))]
    if not found:
        known = ", ".join(sorted({m.label for m in models})) or "none"
        raise ConfigError(f"{opened.path}: no answers of {name!r}. Models in it: {known}")
    return found


def _size(count: int) -> str:
    size, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if size >= 100 or unit == "B" else f"{size:.1f} {unit}"


def _day(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d")
