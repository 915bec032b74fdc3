"""`harness review export`: forms for people who read blind."""

from __future__ import annotations

import contextlib
import datetime
import secrets
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.places import Writable, near
from harness.cli.review.runs import retell, run_folder, say
from harness.errors import ReviewError

if TYPE_CHECKING:
    from harness.config import Project
    from harness.review.seal import Mode
    from harness.review.words import Language


class Share(click.ParamType[float]):
    """A share as people write it: 20%, 0.2."""

    name = "share"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The share as a number from 0 to 1."""
        text = str(value).strip()
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            self.fail(f"{text!r} is no share: write 20% or 0.2", param, ctx)
        if not 0 <= share <= 1:
            self.fail(f"{text}: a share lies between 0 and 100%", param, ctx)
        return share


@click.command()
@click.argument("run")
@click.option("--reviewers", required=True, metavar="NAMES", help="Who reads, by commas: ana,ben. One form each.")
@click.option(
    "--cases", "many", type=click.IntRange(min=1), default=60, show_default=True, help="How many cases in all."
)
@click.option("--overlap", type=Share(), default="20%", show_default=True, help="Share that everybody reads.")
@click.option("--random", "random_share", type=Share(), default="50%", show_default=True, help="Least share drawn at "
              "random; the win rate comes from it alone. The rest are cases that machines disagree on.")  # fmt: skip
@click.option("--repeats", type=Share(), default="10%", show_default=True, help="Share of a form that comes twice, "
              "with the sides exchanged.")  # fmt: skip
@click.option("--set", "sets", multiple=True, metavar="SET", help="Only this set (or pattern); repeatable.")
@click.option("--single", is_flag=True, help="The candidate's answers one at a time, rated from 1 to 5.")
@click.option("--data", "data", type=click.IntRange(min=1), metavar="N", help="RUN is a JSONL file of training rows: "
              "have N of them audited.")  # fmt: skip
@click.option("--adjudicate", is_flag=True, help="Only the cases on which the imported reviewers disagree.")
@click.option("--language", type=click.Choice(["en", "zh"]), help="Of the forms. Default: the project's language.")
@click.option("--rubric", type=click.Path(path_type=Path), help="A text file that says what matters, for the forms.")
@click.option("--show-target", is_flag=True, help="Show the golden set's right answer too.")
@click.option("--keep-format", is_flag=True, help="Leave bullets, headings and bold letters as they are.")
@click.option("--seed", type=int, help="Draw by this seed. Whoever knows it can unblind. Default: a secret one.")
@click.option("--to", "to", type=Writable(folder=True), help="Folder of the forms. Default: forms/ in the run's.")
@click.option("--replace", is_flag=True, help="Start over: earlier forms and answers are set aside, and "
              "count no more.")  # fmt: skip
def export(
    run: str,
    reviewers: str,
    many: int,
    overlap: float,
    random_share: float,
    repeats: float,
    sets: tuple[str, ...],
    single: bool,
    data: int | None,
    adjudicate: bool,
    language: str | None,
    rubric: Path | None,
    show_target: bool,
    keep_format: bool,
    seed: int | None,
    to: Path | None,
    replace: bool,
) -> None:
    """Write one form for each reviewer, as a page and as CSV, on cases of RUN.

    RUN is a run's id, its folder below reports/, or its record.json. Which side is whose stays in the run's folder;
    nothing in a form tells. Send each reviewer the page or the CSV, whichever they like, and import what comes back.
    """
    import msgspec

    from harness.config import load_project
    from harness.record import read_record
    from harness.review.blinding import blind
    from harness.review.exporting import send_out
    from harness.review.kept import kept_as, refuse_elsewhere
    from harness.review.seal import refuse_second
    from harness.review.selection import WHY
    from harness.review.sending import read_rubric
    from harness.review.subject import Drawing, of_disputes, of_rows, of_run

    if single + (data is not None) + adjudicate > 1:
        raise click.UsageError("--single, --data and --adjudicate ask different things: choose one of them.")
    project = load_project(Path.cwd())
    said = "" if rubric is None else read_rubric(rubric)
    spoken: Language = "zh" if (language or project.config.language) == "zh" else "en"
    mode: Mode = "single" if single else "rows" if data is not None else "pairs"
    seed = secrets.randbits(63) if seed is None else seed
    names = [name.strip() for name in reviewers.split(",") if name.strip()]
    now = datetime.datetime.now(datetime.UTC)
    settings = Drawing(many=many, random_share=random_share, seed=seed, sets=sets, keep_format=keep_format)
    if data is not None:
        folder = project.reports / f"{now:%Y%m%d-%H%M%S}-audit-{Path(run).stem}"
        subject = of_rows(Path(run), folder.name, msgspec.structs.replace(settings, many=data))
    else:
        folder = run_folder(project, run)
        hide = project.config.review.hide
        if mode == "pairs" and not adjudicate:
            refuse_elsewhere(folder, read_record(folder))
        subject = of_disputes(folder, names, hide, settings) if adjudicate else of_run(folder, mode, hide, settings)
    drawn = blind(
        subject,
        names,
        overlap=1.0 if adjudicate else overlap,
        repeats=0.0 if adjudicate else repeats,
        seed=seed,
        created=now.isoformat(timespec="seconds"),
        show_target=show_target,
    )
    if not replace:
        refuse_second(folder, subject.name, kept_as(subject.name))
    sent = send_out(drawn, folder, to, now, spoken, said)
    pool, chosen = subject.pool, subject.chosen
    for i, form in enumerate(drawn.forms):
        own = ", ".join(str(near(file)) for file in sent.forms[2 * i : 2 * i + 2])
        click.echo(f"{form.reviewer}: {len(form.pages)} pages: {own}")
    reasons = Counter(one.why for one in chosen)
    told = ", ".join(f"{reasons[why]} {words}" for why, words in WHY.items() if reasons[why])
    click.echo(f"cases: {len(chosen)} of {len(pool.cases)}: {told}")
    if pool.same:
        click.echo(f"left out: {pool.same} whose two answers read the same")
    click.echo(f"key: {near(sent.key)} (keep it here; never send it)")
    if sent.aside is not None:
        _say_aside(project, folder, sent.aside)
    click.echo("next: send each reviewer one of their two files; then harness review import FILES…")


def _say_aside(project: Project, folder: Path, aside: Path) -> None:
    """Name what an export has set aside; answers among it leave the report, the verdict and the judges' cards."""
    from harness.record import read_record
    from harness.review.findings import findings
    from harness.review.kept import read_review
    from harness.review.sending import forget_agreement

    click.echo(f"set aside: {', '.join(sorted(file.name for file in aside.iterdir()))}: now in {near(aside)}")
    before = None
    # What a damaged review gave the judges' cards nobody can tell.
    with contextlib.suppress(ReviewError):
        before = read_review(aside)
    if (aside / "review.json").is_file():
        verdict, _ = retell(project, folder)
        click.echo(f"gate: {verdict.status}, without the earlier answers")
    if before is not None:
        say(forget_agreement(project.judges, findings(before, read_record(folder)).judges))
