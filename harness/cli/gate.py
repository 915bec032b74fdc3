"""`harness gate`: from a run to a verdict."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.child import from_anywhere, suite_command, wait_for
from harness.cli.decision import decide_again, policy_of
from harness.cli.explain import explain
from harness.cli.noise import measure_noise
from harness.cli.places import Writable, record_folder
from harness.cli.status import INCONCLUSIVE, INTERRUPTED_PYTEST, INVALID, PASSED, USAGE

if TYPE_CHECKING:
    from harness.config import Project


class ModelOrCommand(click.Group):
    """`harness gate MODEL` beside `harness gate explain RECORD`: a first word that is a command's name is no model."""

    allow_extra_args = False
    allow_interspersed_args = True

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep a command's words for the command; all others are the gate's own."""
        if args and args[0] in self.commands:
            click.Command.parse_args(self, ctx, [])
            ctx.args = args
            return args
        return click.Command.parse_args(self, ctx, args)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """In the usage of a command, MODEL has no place."""
        params = super().get_params(ctx)
        return params if ctx.command is self else [p for p in params if not isinstance(p, click.Argument)]

    def invoke(self, ctx: click.Context) -> object:
        """Run the command where one was named, else the gate."""
        if not ctx.args:
            return click.Command.invoke(self, ctx)
        name, command, rest = self.resolve_command(ctx, ctx.args)
        assert command is not None, "only known commands are kept"
        with command.make_context(name, rest, parent=ctx) as inner:
            return command.invoke(inner)


@click.group(cls=ModelOrCommand, invoke_without_command=True, subcommand_metavar="| explain RECORD")
@click.argument("model", default="candidate")
@click.option("--baseline", metavar="REF", help="Compare with this model instead of the alias 'baseline'.")
@click.option(
    "--judge",
    metavar="NAME",
    help="Who compares the answers in pairs, as for the suites (default: [tool.harness] judge).",
)
@click.option(
    "--max-cost",
    type=click.FloatRange(min=0),
    metavar="AMOUNT",
    help="Stop asking endpoints once new answers have cost this much: INVALID, and finished answers are kept.",
)
@click.option(
    "--record",
    "record_path",
    type=click.Path(path_type=Path),
    help="Ask nothing: decide this earlier run again (a folder below reports/, or its record.json).",
)
@click.option(
    "--policy",
    "policy_file",
    type=click.Path(path_type=Path),
    help="With --record: a TOML file with the policy to decide under, as [tool.harness.gate] or bare.",
)
@click.option(
    "--summary",
    type=Writable(),
    metavar="FILE",
    help="With --record: write the page for a pull request, of the verdict as it is decided now.",
)
@click.option("--aa", is_flag=True, help="Ask the baseline against itself, and keep how much it differs.")
@click.pass_context
def gate(
    context: click.Context,
    model: str,
    baseline: str | None,
    judge: str | None,
    max_cost: float | None,
    record_path: Path | None,
    policy_file: Path | None,
    summary: Path | None,
    aa: bool,
) -> int:
    """Decide whether MODEL (default: candidate) may ship.

    Runs the suites of [tool.harness.gate] through pytest, all of them, and decides by the policy. Answers
    that the store has are not generated again.

    With --aa nothing is decided: the baseline is asked twice (again; a local one also in batches of another size and in
    another number format). Later runs show beside each margin how many cases flip by themselves.

    Exit status: 0 PASS, 1 FAIL, 10 INCONCLUSIVE, 11 INVALID, 4 wrong usage, 130 Ctrl-C.
    """
    from harness.config import load_project, read_policy

    project = load_project(Path.cwd())
    if aa:
        if any(given is not None for given in (record_path, policy_file, summary, judge, max_cost)):
            raise click.UsageError(
                "--aa asks the baseline anew: leave --record, --policy, --summary, --judge and --max-cost out."
            )
        named = context.get_parameter_source("model") is click.core.ParameterSource.COMMANDLINE
        return measure_noise(project, model if named else None, baseline)
    if record_path is None:
        if policy_file is not None:
            raise click.UsageError("--policy decides an earlier run again: name it with --record.")
        if summary is not None:
            raise click.UsageError("--summary is of an earlier run: name it with --record. A new run writes its own.")
        return run_gate(project, model, baseline, judge=judge, max_cost=max_cost)
    for option, given, what in (("--judge", judge, "names who"), ("--max-cost", max_cost, "limits what")):
        if given is not None:
            raise click.UsageError(f"{option} {what} is asked, and --record asks nothing: leave one of them out.")
    if baseline is not None or context.get_parameter_source("model") is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError("--record names both models already: leave MODEL and --baseline out.")
    folder = record_folder(record_path)
    policy = policy_of(folder, project) if policy_file is None else read_policy(policy_file)
    return decide_again(folder, policy, project.root, summary=summary).exit_code(policy)


gate.add_command(explain)


def run_gate(
    project: Project,
    model: str,
    baseline: str | None = None,
    *,
    judge: str | None = None,
    max_cost: float | None = None,
) -> int:
    """Run all of the project's suites against `model` in a pytest of their own, then decide; the exit status.

    The record is read back from disk, so that the verdict is that of the artefact which promote will read.
    """
    from harness.record import read_record

    reference = from_anywhere(model)
    command = suite_command(project, model, baseline)
    if judge is not None:
        command.append(f"--judge={judge}")
    if max_cost is not None:
        command.append(f"--max-cost={max_cost}")
    before = _records(project.reports)
    ended = wait_for(subprocess.Popen(command, cwd=project.root))
    new = sorted(_records(project.reports) - before, key=lambda folder: folder.stat().st_mtime)
    # Another gate may have run meanwhile: its verdict is of another model.
    written = [folder for folder in new if read_record(folder).candidate.reference == reference]
    if not written:
        if ended in (INTERRUPTED_PYTEST, USAGE):
            return ended  # pytest has said why
        click.echo(f"harness: error: the run left no record (pytest ended with {ended}): no verdict.", err=True)
        return ended or INVALID
    verdict = decide_again(written[-1], project.config.gate, project.root, shown=True)
    status = verdict.exit_code(project.config.gate)
    if status == PASSED and ended not in (PASSED, INCONCLUSIVE):
        click.echo(f"harness: error: the verdict is PASS, but pytest ended with {ended}: see above.", err=True)
        return ended
    return status


def _records(reports: Path) -> set[Path]:
    return {file.parent for file in reports.glob("*/record.json")}
