"""`harness judge`: what a judge is worth, and two files of answers compared by one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.ownrun import finish, heading
from harness.cli.places import Writable, near
from harness.cli.status import FAILED, PASSED

if TYPE_CHECKING:
    from harness.config import Project
    from harness.judges.judgement import JudgedSet
    from harness.judges.refs import JudgeRef

_MAX_COST = "Stop asking endpoints once new replies have cost this much; finished ones are kept."


@click.group()
def judge() -> None:
    """Calibrate a judge, or let one compare two files of answers."""


@judge.command()
@click.argument("name")
@click.option(
    "--labels",
    "labels_file",
    type=click.Path(path_type=Path),
    help='People\'s labels, JSONL: {"id", "input", "a", "b", "winner": "a" | "b" | "tie", "rater"}; rows without a '
    "winner are only judged.",
)
@click.option("--max-cost", type=click.FloatRange(min=0), metavar="AMOUNT", help=_MAX_COST)
def card(name: str, labels_file: Path | None, max_cost: float | None) -> int:
    """Find out whether the judge NAME is fit to gate, and keep its card.

    Asks it about pairs whose right verdict is known: identical, empty and damaged answers, in both orders, padded and
    listed ones, and answers that speak to the judge. The card is good for exactly this model, prompt and rubric.

    Exit status: 0 fit, 1 unfit, 4 wrong usage, 11 the judge could not be asked.
    """
    from harness.config import load_project
    from harness.judges.calibration import calibrate, card_lines
    from harness.judges.cards import read_card, write_card
    from harness.judges.human import read_labels_file
    from harness.report.visible import visible
    from harness.store import Store

    project = load_project(Path.cwd())
    ref = _resolve(project, name)
    labels = [] if labels_file is None else read_labels_file(labels_file)
    with Store(project.store) as store:
        found = calibrate(ref, store, labels=labels, before=read_card(project.judges, ref.digest), max_cost=max_cost)
    file = write_card(project.judges, found)
    for line in card_lines(found):
        click.echo(visible(line))
    click.echo(f"card: {near(file)}")
    return PASSED if found.fit else FAILED


@judge.command()
@click.argument("candidate", metavar="[A]", type=click.Path(path_type=Path), required=False)
@click.argument("baseline", metavar="[B]", type=click.Path(path_type=Path), required=False)
@click.option("--judge", "name", metavar="NAME", help="Who judges. Default: [tool.harness] judge.")
@click.option("--margin", type=float, help="Ask whether A is not worse by more than this share; judges every pair.")
@click.option("--all", "everything", is_flag=True, help="Judge every pair, also where fewer would prove it.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random order with an early stop.")
@click.option("--max-cost", type=click.FloatRange(min=0), metavar="AMOUNT", help=_MAX_COST)
def run(
    candidate: Path | None,
    baseline: Path | None,
    name: str | None,
    margin: float | None,
    everything: bool,
    seed: int,
    max_cost: float | None,
) -> int:
    """Let a judge compare the answers in A (the candidate's) with those in B (the baseline's), both orders of each.

    A and B are JSON lines with id, input and output. From 300 pairs on, judging stops once it is proven which is
    preferred; the same command goes on where it was stopped. With --judge replay:FILE no answers are needed.
    Writes the same record and report as a run of the suites.

    Exit status: 0 PASS, 1 FAIL, 10 INCONCLUSIVE, 11 INVALID (an unfit judge), 4 wrong usage or an unreadable file.
    """
    from harness.config import load_project
    from harness.judgedfiles import judge_files, judge_recorded, judged_record
    from harness.judges.answers import read_answers
    from harness.judges.cards import next_step, read_card
    from harness.judges.summary import summarise
    from harness.report.visible import visible
    from harness.store import Store

    if margin is not None and not 0 < margin < 0.5:
        raise click.UsageError(f"--margin {margin:g}: a margin of a win rate lies between 0 and 0.5 (5 points = 0.05).")
    if (candidate is None) != (baseline is None):
        raise click.UsageError("name both files of answers: the candidate's and the baseline's.")
    project = load_project(Path.cwd())
    ref = _resolve(project, name)
    card = read_card(project.judges, ref.digest)
    if candidate is None or baseline is None:
        files = judge_recorded(ref, card, margin=margin)
    else:
        ours, theirs = read_answers(candidate), read_answers(baseline)
        with Store(project.store) as store:
            files = judge_files(
                ref,
                card,
                ours,
                theirs,
                store,
                margin=margin,
                everything=everything,
                seed=seed,
                max_cost=max_cost,
            )
    record, texts = judged_record(
        files,
        project.config.gate,
        **heading(project, ("judge", "run"), files.candidate.label)._asdict(),
    )
    verdict = finish(project, record, texts, [*summarise(files.judged.judgements).lines(), *_calls(files.judged)])
    if verdict.status == "INVALID" and (step := next_step(ref, card)) is not None:
        click.echo(visible(f"next: {step}"))
    return verdict.exit_code(record.policy)


@judge.command()
@click.argument("answers", metavar="A", type=click.Path(path_type=Path))
@click.option("--judge", "name", metavar="NAME", help="Who grades, one model. Default: [tool.harness] judge.")
@click.option("--json", "json_file", type=Writable(), help="Write every grade with its reason there.")
@click.option("--max-cost", type=click.FloatRange(min=0), metavar="AMOUNT", help=_MAX_COST)
def grade(answers: Path, name: str | None, json_file: Path | None, max_cost: float | None) -> None:
    """Grade each answer in A by itself, from 1 to 5, by the judge's rubric.

    For looking at one model. Which of two is better, `harness judge run` tells with more certainty; no gate rests on
    grades.
    """
    import msgspec

    from harness.config import load_project
    from harness.judges.answers import alone, read_answers
    from harness.judges.grading import grade_answers
    from harness.report.visible import visible
    from harness.store import Store

    project = load_project(Path.cwd())
    ref = _resolve(project, name)
    pairs = alone(read_answers(answers))
    with Store(project.store) as store:
        graded = grade_answers(ref, pairs, store, max_cost=max_cost)
    if json_file is not None:
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(graded.grades)))
    counts = ", ".join(f"{n}: {sum(one.grade == n for one in graded.grades)}" for n in range(1, 6))
    mean = "no mean: fewer than two grades could be read" if graded.mean is None else f"mean grade {graded.mean!r}"
    click.echo(visible(f"{len(pairs)} answers graded by {ref.name}: {counts}"))
    click.echo(mean)
    if graded.unread:
        click.echo(visible(f"unread: {len(graded.unread)}: {', '.join(graded.unread[:10])}"))
    click.echo(f"{graded.calls} new calls" + ("" if graded.cost is None else f", cost {graded.cost:.4g}"))


def _resolve(project: Project, name: str | None) -> JudgeRef:
    from harness.errors import ConfigError
    from harness.naming import resolve_project_judge

    found = resolve_project_judge(project, name, None, None)
    if found is None:
        raise ConfigError(
            "no judge is set: name one with --judge (of [tool.harness.judges], a model reference, or replay:FILE), or "
            "set [tool.harness] judge."
        )
    return found


def _calls(one: JudgedSet) -> list[str]:
    """What was asked, and what an early stop saved."""
    cost = "" if one.cost is None else f", cost {one.cost:.4g}"
    lines = [f"{one.calls} new calls to {one.judge.name}{cost}"]
    if one.sequence is not None:
        lines.append(f"early stop: {len(one.judgements)} of {one.total} pairs judged; {one.sequence!r}")
        if one.calls_saved:
            money = "" if one.cost_saved is None else f", about {one.cost_saved:.4g}"
            lines.append(f"saved: {one.calls_saved} calls{money}")
    return lines
