"""`harness gate`: from a run to a verdict."""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.explain import explain
from harness.cli.places import Writable, near
from harness.cli.status import INCONCLUSIVE, INTERRUPTED_PYTEST, INVALID, PASSED, USAGE
from harness.errors import ConfigError, RecordError

if TYPE_CHECKING:
    from harness.config import GatePolicy, Project
    from harness.gate import Verdict
    from harness.record import RunRecord


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
    from harness.config import load_project

    project = load_project(Path.cwd())
    if aa:
        from harness.cli.noise import measure_noise

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


def suite_command(project: Project, model: str, baseline: str | None) -> list[str]:
    """pytest on all of the policy's suites. Raises ConfigError for a suite that is not there."""
    suites = project.config.gate.suites
    for suite in suites:
        if not (project.root / suite).exists():
            raise ConfigError(
                f"{project.root / 'pyproject.toml'}: [tool.harness.gate] suites: {suite!r} does not exist. "
                "Write a suite there, or name the folder that has them."
            )
    # A project's addopts may select tests; a gate judges them all.
    command = [sys.executable, "-m", "pytest", *suites, "-m", "", "-k", "", f"--model={from_anywhere(model)}"]
    return command if baseline is None else [*command, f"--baseline={from_anywhere(baseline)}"]


def decide_again(
    folder: Path, policy: GatePolicy, root: Path, *, shown: bool = False, summary: Path | None = None
) -> Verdict:
    """Decide the run in `folder`; say the verdict (in short where pytest has `shown` it), its proof, the next step.

    `summary` is a file for the page that tells it on a pull request.
    """
    from harness.ci.files import write_page
    from harness.gate import decide
    from harness.record import read_record
    from harness.review.kept import review_for

    record = read_record(folder)
    # A waiver that has run out since the run excuses nothing any more.
    verdict = decide(record, policy, today=today(), review=review_for(folder, record))
    if shown:
        click.echo(f"gate:   {verdict.status if record.partial is None else 'no verdict'}")
    else:
        page = _say(folder, record, verdict, root)
        if summary is not None:
            write_page(summary, page)
    click.echo(f"record: {near(folder / 'record.json')}")
    if (folder / "index.html").is_file():
        click.echo(f"report: {near(folder / 'index.html')}")
    click.echo(f"next:   {_next_step(record, verdict)}")
    return verdict


def _say(folder: Path, record: RunRecord, verdict: Verdict, root: Path) -> str:
    """Say the verdict and the cases to read first; in a job of GitHub Actions there too. Returns the page of it."""
    from harness.ci.comment import comment
    from harness.ci.console import SHOWN, no_verdict, roles, worst_lines
    from harness.ci.github import MOST, Mute, on_github, tell
    from harness.columns import fold
    from harness.record import read_texts
    from harness.worst import count_worst, worst_cases

    columns = shutil.get_terminal_size().columns
    mute = Mute() if on_github(os.environ) else None
    if mute is not None:
        click.echo(mute.quiet)
    if record.partial is None:
        rows = verdict.lines(columns)
    else:
        # As pytest told it: criteria of a part would read like those of a verdict.
        rows = [row for told in (roles(record), no_verdict(record) or "") for row in fold(told, columns)]
    for row in rows:
        click.echo(row)
    texts = {}
    # The decision rests on the record; without its texts the cases are still named.
    with contextlib.suppress(RecordError):
        texts = read_texts(folder, record)
    worst = () if record.partial is not None else worst_cases(record, verdict, texts, MOST)
    for line in worst_lines(worst[:SHOWN], count_worst(record, verdict), columns):
        click.echo(line.text)
    if mute is not None:
        click.echo(mute.loud)
    page = comment(record, verdict, texts)
    for command in tell(record, verdict, worst, page, environ=os.environ, root=root):
        click.echo(command)
    return page


def today() -> str:
    """The day on which a waiver must hold for a decision made now."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def policy_of(folder: Path, project: Project) -> GatePolicy:
    """Today's policy of the project; of a comparison its own, because its sets are not the project's."""
    from harness.record import read_record

    record = read_record(folder)
    return project.config.gate if record.source == "suites" else record.policy


def read_policy(file: Path) -> GatePolicy:
    """A policy from a TOML file: its [tool.harness.gate] table where it has one, else the whole file."""
    import tomllib

    from harness.config import parse_config

    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror}). Name a TOML file with a policy.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not valid TOML ({error}). Fix the file, then run again.") from error
    if "tool" in table:
        table = table["tool"].get("harness", {}).get("gate")
        if table is None:
            raise ConfigError(
                f"{file}: no [tool.harness.gate] in it. Add the table, or write its keys at the top level."
            )
    return parse_config({"gate": table}, where=str(file)).gate


def record_folder(path: Path) -> Path:
    """The run's folder, from the folder itself or its record.json."""
    folder = path.parent if path.name == "record.json" else path
    if not (folder / "record.json").is_file():
        raise ConfigError(f"{path}: no run record there. Runs write theirs to reports/<run-id>/record.json.")
    return folder


def _next_step(record: RunRecord, verdict: Verdict) -> str:
    label = record.candidate.label
    missing = verdict.remedy
    if missing is not None and record.partial is None:
        return str(missing.step)
    if record.source == "judged":
        return "none: these answers were made elsewhere, so no version can be promoted on them"
    if record.source == "scores":
        return "none: other tools gave these scores, so no version can be promoted on them"
    if record.partial is not None:
        return f"harness gate {record.candidate.reference}   (a partial run carries no verdict)"
    if verdict.status == "PASS" and record.candidate.prompting_digest is not None:
        return "keep the YAML and all it refers to in git: this record is the proof for exactly these files"
    if verdict.status == "PASS":
        return f"harness models promote {label}" if "@" in label else "register the adapter: harness models add PATH"
    if verdict.status == "INCONCLUSIVE":
        return f'add cases, or: harness models promote {label} --accept "REASON"'
    if verdict.status == "INVALID":
        return f"remove the cause (see above), then: harness gate {record.candidate.reference}"
    return "open the report; change the data or the recipe; harness train RECIPE"


def wait_for(child: subprocess.Popen[bytes]) -> int:
    """The child's exit status. Ctrl-C reaches the child too: it gets the time to keep what it has."""
    try:
        return child.wait()
    except KeyboardInterrupt:
        child.wait()
        raise


def from_anywhere(model: str) -> str:
    """The suites run in the project's root: a folder or YAML named from below it keeps its meaning."""
    from harness.models.refs import MODEL_FILES

    here = ("/" in model and Path(model).is_dir()) or (model.endswith(MODEL_FILES) and Path(model).is_file())
    return str(Path(model).resolve()) if here else model


def _records(reports: Path) -> set[Path]:
    return {file.parent for file in reports.glob("*/record.json")}
