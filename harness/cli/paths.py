"""`harness compare-paths`: prompt, examples, retrieval and training side by side."""

from __future__ import annotations

import fnmatch
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.aside import run_aside
from harness.cli.child import from_anywhere
from harness.cli.status import PASSED
from harness.errors import ConfigError, GoldenSetError, unknown_name

if TYPE_CHECKING:
    from harness.config import Project
    from harness.golden import GoldenCase
    from harness.models import Sampling
    from harness.models.refs import ModelRef
    from harness.pathtable import PathTable
    from harness.record import RunRecord


@click.command("compare-paths")
@click.argument("models", metavar="MODEL MODEL...", nargs=-1, required=True)
@click.option(
    "--suite",
    "suites",
    metavar="PATH",
    multiple=True,
    help="Ask these suites (files or folders). Default: those of the policy.",
)
@click.option(
    "--set",
    "sets",
    metavar="SET",
    multiple=True,
    help="Ask these golden sets (names or patterns) by their own checks, no suite; repeatable.",
)
@click.option(
    "--alone",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    help="Ask N cases again one at a time, to see what a single user would wait. Default: 0.",
)
@click.option("--device", metavar="DEVICE", help="Where local models run: auto, cpu, cuda, cuda:1.")
@click.option("--dtype", metavar="DTYPE", help="Number format of local models: auto (bfloat16), float32, float16.")
@click.option("--store-only", is_flag=True, help="Use stored answers only; never load a model.")
@click.option(
    "--max-cost",
    type=click.FloatRange(min=0),
    metavar="AMOUNT",
    help="Stop asking endpoints once the new answers for one path have cost this much.",
)
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the table as Markdown.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def compare_paths(
    models: tuple[str, ...],
    suites: tuple[str, ...],
    sets: tuple[str, ...],
    alone: int,
    device: str | None,
    dtype: str | None,
    store_only: bool,
    max_cost: float | None,
    as_markdown: bool,
    as_json: bool,
) -> int:
    """Put two or more ways to the same answers side by side: bare prompt, examples, retrieval, fine-tune.

    A MODEL is any reference: a model YAML, triage@3, smollm2. Each is asked the same cases and compared, case by case,
    with the first: quality with intervals, tokens, latency, cost, and what must be done when the knowledge changes.
    Answers that the store has are not generated again. Nothing is decided; `harness gate` does that.

    Exit status: 0 the table was printed, 11 a run broke, 4 wrong usage, 130 Ctrl-C.
    """
    import msgspec

    from harness.config import load_project
    from harness.models.endpoints import price_of
    from harness.pathtable import cut_off_cases, markdown, path_table

    if len(models) < 2:
        raise click.UsageError("name two models or more: they are compared with the first.")
    if suites and sets:
        raise click.UsageError("--suite asks suites, --set golden sets by their own checks: leave one of them out.")
    project = load_project(Path.cwd())
    named = [from_anywhere(model) for model in models]
    asked = _asked(project, suites, sets)
    refs = _resolved(project, named, device, dtype)
    options = [*([f"--device={device}"] if device else []), *([f"--dtype={dtype}"] if dtype else [])]
    options += ["--store-only"] if store_only else []
    options += [] if max_cost is None else [f"--max-cost={max_cost}"]
    records: list[RunRecord] = []
    cut_off: list[int] = []
    for name, ref in zip(named[1:], refs[1:], strict=True):
        click.echo(f"asking {ref.label}, against {refs[0].label}", err=True)
        # A project's addopts may select tests; every path is asked all of them.
        command = [sys.executable, "-m", "pytest", "-m", "", "-k", "", *asked]
        command += [f"--model={name}", f"--baseline={named[0]}", *options]
        found = run_aside(project, command, what=f"the run of {ref.label}", without="no table", with_texts=True)
        if isinstance(found, int):
            return found
        record, texts = found
        records.append(record)
        cut_off += [cut_off_cases(record, texts, "baseline")] if not cut_off else []
        cut_off.append(cut_off_cases(record, texts, "candidate"))
    waits: list[tuple[float, ...]] = []
    if alone:
        waits = _wait_alone(project, records[0], refs, alone, store_only, max_cost)
    table = path_table(
        records,
        project.config.gate,
        prices=[price_of(ref) for ref in refs],
        updates=[_update(ref) for ref in refs],
        alone=waits,
        cut_off=cut_off,
    )
    table = msgspec.structs.replace(table, arguments=(*models, *asked))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(table), indent=1).decode())
    elif as_markdown:
        click.echo("\n".join(markdown(table)))
    else:
        _print(table)
    return PASSED


def _asked(project: Project, suites: tuple[str, ...], sets: tuple[str, ...]) -> list[str]:
    """What pytest is to collect."""
    if sets:
        from harness.golden import ENDING, find_golden_sets

        names = find_golden_sets(project.golden_sets) if project.golden_sets.is_dir() else []
        found: dict[str, None] = {}
        for pattern in sets:
            matching = [name for name in names if fnmatch.fnmatchcase(name, pattern)]
            if not matching:
                raise GoldenSetError(f"{project.golden_sets}: {unknown_name('golden set', pattern, names)}")
            found.update(dict.fromkeys(matching))
        return [str(project.golden_sets / f"{name}{ENDING}") for name in found]
    chosen = suites or project.config.gate.suites
    for suite in chosen:
        if not (project.root / suite).exists() and not Path(suite).exists():
            raise ConfigError(f"{suite}: there is no such suite in {project.root}. Name a file or folder of tests.")
    return [str(Path(suite).resolve()) if Path(suite).exists() else suite for suite in chosen]


def _resolved(project: Project, models: list[str], device: str | None, dtype: str | None) -> list[ModelRef]:
    """The models, each another one. Raises ConfigError for two that are the same."""
    from harness.naming import local_models

    local = local_models(project, device, dtype)
    refs: dict[str, ModelRef] = {}
    for model in models:
        ref = local(model)
        same = refs.setdefault(ref.digest, ref)
        if same is not ref:
            raise ConfigError(
                f"{ref.label} and {same.label} are the same weights, asked in the same way. Leave one of them out."
            )
    return list(refs.values())


def _wait_alone(
    project: Project, record: RunRecord, refs: list[ModelRef], count: int, store_only: bool, max_cost: float | None
) -> list[tuple[float, ...]]:
    from harness.latency import seconds_alone, spread
    from harness.store import Store

    click.echo(f"asking each {count} cases one at a time", err=True)
    cases = spread(_cases(project, record), count)
    with Store(project.store) as store:
        return seconds_alone(refs, cases, store, store_only=store_only, max_cost=max_cost)


def _cases(project: Project, record: RunRecord) -> list[tuple[GoldenCase, Sampling]]:
    """Every case that the run asked, as it asked it."""
    from harness.golden import load_golden_set
    from harness.models import Sampling

    own = project.config.sampling
    found = []
    for one in record.sets:
        golden = load_golden_set(project.root / one.path, root=project.golden_sets)
        sampling = Sampling(
            max_tokens=project.config.max_tokens(golden.name),
            temperature=own.temperature,
            top_p=own.top_p,
            stop=own.stop,
            seed=own.seed,
        )
        asked = {case.case for case in one.cases}
        found += [(case, sampling) for case in golden.cases if case.id in asked and case.kind == "ask"]
    return found


def _update(ref: ModelRef) -> tuple[str, ...]:
    """What must be done when the knowledge changes, as far as it was measured."""
    from harness.models.digests import training_seconds
    from harness.models.prompting import load_prompting
    from harness.models.prompting.retrieval import Index

    told: list[str] = []
    for layer in load_prompting(ref.prompting, ref.prompting_digest or "").layers if ref.prompting else ():
        if layer.file.system or layer.examples:
            told.append("edit the prompt")
        if layer.passages:
            started = time.perf_counter()
            Index(layer.passages).best("", 1)
            took = time.perf_counter() - started
            told.append(f"edit a document: {len(layer.passages)} passages are indexed again in {took:.2g} s")
    if ref.adapter is not None:
        seconds = training_seconds(Path(ref.adapter))
        told.append("train again" if seconds is None else f"train again: {seconds:.0f} s when it was trained")
    return tuple(dict.fromkeys(told)) or ("nothing can be changed but the question",)


def _print(table: PathTable) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from harness.pathtable import rows
    from harness.report.visible import visible

    shown = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="")
    for column in ("", *(path.model.label for path in table.paths)):
        shown.add_column(Text(visible(column)), overflow="fold")
    for name, cells in rows(table):
        shown.add_row(*(Text(visible(cell)) for cell in (name, *cells)))
    Console().print(shown)
    click.echo(f"{table.cases} cases each; rates with 95% intervals, changes case by case with 95% intervals")
