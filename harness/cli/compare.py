"""`harness compare`: the gate's verdict on scores that other tools gave."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.ownrun import finish, heading

if TYPE_CHECKING:
    from harness.policy import GatePolicy
    from harness.scorefiles.pairing import Missing


@click.command()
@click.argument("candidate", metavar="A", type=click.Path(path_type=Path))
@click.argument("baseline", metavar="B", type=click.Path(path_type=Path))
@click.option("--margin", type=float, help="Largest drop that still counts as not worse, as a share. Default: 0.05.")
@click.option("--improve", metavar="SET", multiple=True, help="A set (or pattern) that must get better; repeatable.")
@click.option("--set", "sets", metavar="SET", multiple=True, help="Compare only this set (or pattern); repeatable.")
@click.option("--metric", "metrics", metavar="NAME", multiple=True, help="Metric or scorer, where there are several.")
@click.option("--lower-is-better", metavar="NAME", multiple=True, help="A metric or score column where less is better.")
@click.option("--range", "ends", nargs=2, type=float, default=(0.0, 1.0), help="Ends of the scale. Default: 0 1.")
@click.option("--id", "id_column", metavar="COLUMN", help="Of a table: the case's id.")
@click.option("--score", "score_column", metavar="COLUMN", help="Of a table: the score.")
@click.option("--set-column", metavar="COLUMN", help="Of a table: the set that the case belongs to.")
@click.option("--sample", "sample_column", metavar="COLUMN", help="Of a table: number of a repeated answer.")
@click.option("--cluster", "cluster_column", metavar="COLUMN", help="Of a table: label of cases that belong together.")
@click.option(
    "--missing",
    type=click.Choice(["error", "drop"]),
    default="error",
    help="Cases without both scores: an error that names them (default), or left out, counted and shown.",
)
@click.option(
    "--policy",
    "policy_file",
    type=click.Path(path_type=Path),
    help="Decide under this policy: a TOML file with [tool.harness.gate] or its bare keys.",
)
def compare(
    candidate: Path,
    baseline: Path,
    margin: float | None,
    improve: tuple[str, ...],
    sets: tuple[str, ...],
    metrics: tuple[str, ...],
    lower_is_better: tuple[str, ...],
    ends: tuple[float, float],
    id_column: str | None,
    score_column: str | None,
    set_column: str | None,
    sample_column: str | None,
    cluster_column: str | None,
    missing: Missing,
    policy_file: Path | None,
) -> int:
    """Decide whether A (the candidate's scores) is no worse than B (the baseline's), case by case.

    A and B are CSV, JSONL, samples_*.jsonl of lm-evaluation-harness, .eval or JSON logs of inspect_ai, or folders of
    them. No model is asked. Writes the same record and report as a run of the suites.

    Exit status: 0 PASS, 1 FAIL, 10 INCONCLUSIVE, 11 INVALID, 4 wrong usage or a file that cannot be read.
    """
    from harness.config import load_project
    from harness.scorefiles.comparison import comparison_record
    from harness.scorefiles.pairing import pair
    from harness.scorefiles.reading import read_scores, refuse_unknown
    from harness.scorefiles.values import Columns

    if not ends[0] < ends[1]:
        raise click.UsageError(f"--range {ends[0]:g} {ends[1]:g}: give the lowest score first, then the highest.")
    columns = Columns(
        id=id_column,
        score=score_column,
        set=set_column,
        sample=sample_column,
        cluster=cluster_column,
        metrics=metrics,
        lower_is_better=lower_is_better,
        low=ends[0],
        high=ends[1],
    )
    policy = _policy(policy_file, margin, improve)
    ours, theirs = read_scores(candidate, columns), read_scores(baseline, columns)
    refuse_unknown(columns, (ours, theirs))
    pairing = pair(ours, theirs, sets=sets, missing=missing)
    project = load_project(Path.cwd())
    record, texts = comparison_record(
        ours,
        theirs,
        pairing,
        policy,
        **heading(project, ("compare",), ours.label)._asdict(),
    )
    return finish(project, record, texts).exit_code(policy)


def _policy(file: Path | None, margin: float | None, improve: tuple[str, ...]) -> GatePolicy:
    """The file's policy or the default one, with what was typed in its place; suites play no part."""
    import msgspec

    from harness.config import read_policy
    from harness.policy import GatePolicy

    policy = GatePolicy() if file is None else read_policy(file)
    try:
        return msgspec.structs.replace(
            policy,
            margin=policy.margin if margin is None else margin,
            improve=improve or policy.improve,
            suites=(),
        )
    except ValueError as error:
        raise click.UsageError(f"--{error}") from error
