"""`harness suites`: what the golden sets are worth, before any model is asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.places import record_folder
from harness.cli.status import FAILED, PASSED, USAGE
from harness.errors import GoldenSetError, HarnessError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.config import Project
    from harness.controls import Finding, SetControl
    from harness.foresight import Foresight, PlannedSet
    from harness.golden import GoldenSet
    from harness.record import RunRecord


@click.group()
def suites() -> None:
    """Check the golden sets, and print what they can see. No model is asked."""


@suites.command()
@click.argument("patterns", nargs=-1, metavar="[SET]...")
def check(patterns: tuple[str, ...]) -> int:
    """Validate golden sets, and control them (T20).

    SET is a name or pattern (refunds, 'retention/*'); default: all. Each set's own targets must pass its own checks,
    targets of other cases must fail them, and no check may pass whatever is answered. Where there is a record, sets
    on which its baseline is near 0 or 1 are named.

    Exit status: 0 sound, warnings or not; 1 a control failed; 4 a set cannot be read.
    """
    from harness.config import load_project
    from harness.controls import control, stray_variants
    from harness.report.visible import visible

    project = load_project(Path.cwd())
    golden, unreadable = _load(project, patterns)
    files = {one.name: _file(project, one) for one in golden}
    controls = [control(one, file=files[one.name]) for one in golden]
    findings = [finding for one in controls for finding in one.findings]
    findings += _saturated(project, golden, files)
    whole, others = _load(project, ()) if patterns else (golden, unreadable)
    if not others:  # else nobody knows which cases there are
        findings += stray_variants(whole, files)
    for one in controls:
        click.echo(visible(_line(one)))
    for finding in findings:
        click.echo(visible(repr(finding)))
    for message in unreadable:
        click.echo(visible(message))
    faults = sum(finding.severity == "fault" for finding in findings)
    click.echo(
        f"{_many(len(controls), 'set')}, {_many(sum(one.cases for one in controls), 'case')}: "
        f"{_many(faults, 'fault')}, {_many(len(findings) - faults, 'warning')}, {len(unreadable)} unreadable"
    )
    if unreadable:
        return USAGE
    return FAILED if faults else PASSED


@suites.command()
@click.option(
    "--record",
    "record_path",
    type=click.Path(path_type=Path),
    help="Measure flips on this run (a folder below reports/, or its record.json); default: the newest complete one.",
)
def power(record_path: Path | None) -> None:
    """Print what each golden set can see alone, and all guard sets together.

    Per set: the share of cases that flip between models, how often the set alone would pass an equal model and one a
    margin worse, and the smallest margin with which an equal model passes 8 times in 10. Flips are measured on the
    newest complete run of the same files; where there is none, 5, 10 and 20% stand side by side.
    """
    from harness.config import load_project
    from harness.foresight import foresee
    from harness.record import newest_record, read_record
    from harness.report.visible import visible

    project = load_project(Path.cwd())
    record = newest_record(project.reports) if record_path is None else read_record(record_folder(record_path))
    golden, unreadable = _load(project, ())
    if unreadable:
        raise GoldenSetError(unreadable[0])
    planned = _planned(golden, record)
    foresight = foresee(planned, project.config.gate, record=record, details=True)
    for line in (*_table(foresight), *_unrated(golden, planned)):
        click.echo(visible(line))


def _planned(golden: list[GoldenSet], record: RunRecord | None) -> list[PlannedSet]:
    """The sets with rated cases. A run of the same file knows how many it rated; else all that are no red line."""
    from harness.foresight import PlannedSet, measured_flips

    known = {} if record is None else measured_flips(record)
    planned = []
    for one in golden:
        rate = known.get(one.name)
        n = 0 if one.kind == "text" else sum(not case.red_line for case in one.cases)
        if rate is not None and rate.digest == one.digest:
            n = rate.n
        if n:
            planned.append(PlannedSet(name=one.name, n=n, digest=one.digest))
    return planned


def _unrated(golden: list[GoldenSet], planned: list[PlannedSet]) -> Iterator[str]:
    """Of each set that counts fewer cases here than it has, which ones are left out and why."""
    rated = {one.name: one.n for one in planned}
    for one in golden:
        red, n, cases = sum(case.red_line for case in one.cases), rated.get(one.name, 0), len(one.cases)
        if one.kind == "text" or n == cases:
            continue
        why = "the run on which flips are measured rated no others"
        if n + red == cases:
            lines = f"{_many(red, 'red line')} {'is' if red == 1 else 'are'}"
            why = f'{lines} judged one by one, and rated only where a test has lane="rate"'
        yield f"{one.name}: {n:,} of {_many(cases, 'case')}: {why}."


def _table(foresight: Foresight) -> Iterator[str]:
    from harness.verdict import in_cases, plural, points

    yield f"Each set alone ({foresight.where_from()}):"
    names = {one.name: f"{one.name} (target)" if one.target else one.name for one in foresight.sets}
    width = max((len(name) for name in names.values()), default=3)
    yield f"  {'set':<{width}} {'cases':>6} {'flips':>6} {'margin':>6}  P(PASS|equal)  P(PASS|worse)  smallest margin"
    for one in foresight.sets:
        start = f"{names[one.name]:<{width}} {one.n:>6,}"
        for sight in one.sights:
            least = "none" if sight.smallest is None else in_cases(sight.smallest, one.n)
            flips, margin = f"{points(sight.flips)}%", points(sight.margin)
            yield f"  {start} {flips:>6} {margin:>6} {sight.equal:>14.1%} {sight.worse:>14.1%}  {least}"
            start = " " * len(start)
    for pool in foresight.pools:
        flips = "" if pool.assumed is None else f" at {points(pool.assumed)}% flips"
        yield (
            f"All {plural(foresight.guards, 'guard case')} together{flips}: P(PASS | equal) {pool.equal:.1%}, "
            f"P(PASS | {points(foresight.margin)} points worse) {pool.worse:.1%}."
        )
    if foresight.pools:
        yield f"The margin: {in_cases(foresight.margin, foresight.guards)}."
    yield (
        "smallest: the smallest margin with which an equal model passes 8 times in 10. worse: by the margin. "
        "A set without a bar of its own answers through the pool."
    )


def _load(project: Project, patterns: tuple[str, ...]) -> tuple[list[GoldenSet], list[str]]:
    """Every set that can be read, and what is wrong with the others: all of them, not only the first."""
    import fnmatch

    from harness.checks import validate
    from harness.errors import unknown_name
    from harness.golden import ENDING, find_golden_sets, load_golden_set

    names = find_golden_sets(project.golden_sets) if project.golden_sets.is_dir() else []
    if not names:
        raise GoldenSetError(f"{project.golden_sets}: no golden set. Write one: refunds.jsonl, a case a line.")
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(name, pattern) for name in names):
            raise GoldenSetError(f"{project.golden_sets}: {unknown_name('golden set', pattern, names)}")
    found, unreadable = [], []
    for name in names:
        if patterns and not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            continue
        try:
            path = project.golden_sets / f"{name}{ENDING}"
            found.append(load_golden_set(path, root=project.golden_sets, validate_check=validate))
        except HarnessError as error:
            unreadable.append(str(error))
    return found, unreadable


def _saturated(project: Project, golden: list[GoldenSet], files: dict[str, str]) -> list[Finding]:
    from harness.controls import saturated
    from harness.record import newest_record

    record = newest_record(project.reports)
    if record is None:
        return []
    digests = {one.name: one.digest for one in golden}
    current = {one.name: files[one.name] for one in record.sets if digests.get(one.name) == one.digest}
    return saturated(record, project.config.gate, current)


def _line(one: SetControl) -> str:
    told = [f"{one.name}: {_many(one.cases, 'case')}"]
    if one.kind == "text":
        told.append("prose: nothing to control")
    elif one.own is None:
        told.append("no targets with checks: only pinned checks show")
    else:
        told.append(f"{one.targets} targets, own {one.own:.0%}")
    if one.shuffled is not None:
        told.append(f"shuffled {one.shuffled:.0%} (chance {one.chance:.0%})")
    return ", ".join(told)


def _file(project: Project, golden: GoldenSet) -> str:
    return str(golden.path.relative_to(project.root) if golden.path.is_relative_to(project.root) else golden.path)


def _many(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
