"""`harness review`: forms for people who read blind, and their answers back in the gate."""

from __future__ import annotations

import contextlib
import datetime
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.places import near
from harness.cli.status import PASSED
from harness.errors import ReviewError

if TYPE_CHECKING:
    from harness.config import GatePolicy, Project
    from harness.gate import Verdict
    from harness.review.harvest import Harvest
    from harness.review.replaced import Replaced
    from harness.review.seal import Key, Mode
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


@click.group()
def review() -> None:
    """Let people read answers without knowing whose they are, and let the gate hear them."""


@review.command()
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
@click.option("--to", "to", type=click.Path(path_type=Path), help="Folder of the forms. Default: forms/ in the run's.")
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
    if to is not None:
        _refuse_nowhere(to)
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


@review.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Take a later file of a reviewer although answers, judgements, marks or "
              "comments of the earlier one would be lost.")  # fmt: skip
def import_(files: tuple[Path, ...], replace: bool) -> int:
    """Check what reviewers sent back, unblind it, and let the gate decide again.

    FILES are the JSON files that pages save, or the CSV. More may follow: what the same reviewer sends later replaces
    what came before, and is refused where answers would be lost. Says whether reviewers agree with each other, with
    themselves and with the judge.

    Exit status: that of the verdict under today's policy; 4 for a file that cannot be used, and nothing is imported.
    """
    from harness.config import load_project
    from harness.record import read_record, read_texts
    from harness.review.findings import findings
    from harness.review.kept import counted, kept_as, read_review, write_review
    from harness.review.opinions import joined, replacements, unblind
    from harness.review.replaced import find_replaced, set_answers_aside
    from harness.review.returned import read_returned
    from harness.review.seal import find_key
    from harness.review.sending import keep_labels, keep_returned
    from harness.review.telling import review_lines

    project = load_project(Path.cwd())
    returned = list({one.digest: one for one in map(read_returned, files)}.values())
    places: dict[str, tuple[Path, Key]] = {}
    for one in returned:
        place = find_key(project.reports, one.form)
        if place is None:
            earlier = find_replaced(project.reports, one.form)
            if earlier is not None:
                raise ReviewError(f"{one.file}: {_of_earlier(earlier)}")
            raise ReviewError(
                f"{one.file}: answers to a form of another project or run: no key below {near(project.reports)} has "
                f"form {one.form}. Import it where the forms were exported."
            )
        places[place[1].seal] = place
    if len(places) > 1:
        runs = ", ".join(sorted(f"{key.run_id} ({key.name})" for _, key in places.values()))
        raise ReviewError(f"these files answer different reviews: {runs}. Import them one after the other.")
    folder, key = next(iter(places.values()))
    kept = kept_as(key.name)
    settles = key.name == "adjudication"
    before = counted(folder) if settles else read_review(folder, kept)
    opinions = [unblind(one, key) for one in returned]
    found = joined(before, key, opinions, settles=settles)
    replaced = list(replacements(before, key, opinions, settles=settles))
    for late in replaced:
        if late.lost and not replace:
            raise ReviewError(
                f"{late.file}: {late.reviewer} sent {late.before} answers before, and this file has {late.after}: "
                f"{late.lost} would be lost. Nothing was imported. Import the fuller file, or take this one with "
                "--replace."
            )
    record = read_record(folder) if key.mode == "pairs" else None
    texts = {} if record is None else read_texts(folder, record)
    keep_returned(folder, files)
    if before is not None and before.seal != key.seal and not settles:
        set_answers_aside(folder, key.name, datetime.datetime.now(datetime.UTC))
    file = write_review(folder, found, kept)
    told = findings(found, record)
    notes = [f"note: {reader.file}: {note}" for reader in found.readers for note in reader.notes]
    late_ones = [
        f"{late.reviewer}: replaces {late.before} answers with {late.after}{late.lost and f'; lost: {late.lost}'}"
        for late in replaced
        if late.before
    ]
    _say([*late_ones, *notes, *review_lines(found, told)])
    click.echo(f"review: {near(file)}")
    if record is None:
        return PASSED
    for judge in told.judges:
        for line in keep_labels(folder, project.judges, judge, texts):
            click.echo(line)
    if told.disputed:
        click.echo(
            f"to settle {len(told.disputed)} cases: harness review export {folder.name} --adjudicate --reviewers NAME"
        )
    return _decide(project, folder)


@review.command()
@click.argument("run", required=False)
def status(run: str | None) -> None:
    """Who got a form of RUN (default: every run with forms out), what came back, and what the policy still misses."""
    from harness.cli.gate import policy_of
    from harness.config import load_project
    from harness.record import read_record
    from harness.review.criteria import review_criteria
    from harness.review.kept import kept_as, read_review, review_for
    from harness.review.seal import FOLDER, KEY_ENDING, keys_in

    project = load_project(Path.cwd())
    if run is None:
        folders = sorted({file.parent.parent for file in project.reports.glob(f"*/{FOLDER}/*{KEY_ENDING}")})
    else:
        folders = [_reviewed_folder(project, run)]
    if not folders:
        click.echo(f"No forms are out for any run below {near(project.reports)}. Next: harness review export RUN")
    for folder in folders:
        click.echo(str(near(folder)))
        for key in keys_in(folder):
            found = read_review(folder, kept_as(key.name))
            if found is not None and key.name != "adjudication" and found.seal != key.seal:
                found = None  # answers to forms that were out before these
            settled = {(*one.name, one.reviewer) for one in found.adjudicated} if found is not None else set()
            readers = {} if found is None else {reader.name: reader for reader in found.readers}
            skips = [] if found is None else [one.reviewer for one in found.opinions if one.score is None]
            click.echo(f"  {key.name}, {key.created[:10]}:")
            for form in key.forms:
                reader = readers.get(form.reviewer) if key.name != "adjudication" else None
                done = reader.done if reader is not None else 0
                if key.name == "adjudication":
                    done = sum((slot.set, slot.case, form.reviewer) in settled for slot in form.slots)
                state = "complete" if done == len(form.slots) else "open" if done else "nothing yet"
                if reader is not None and (skipped := sum(reader.name == name for name in skips)):
                    state += f", {skipped} skipped"
                click.echo(f"    {form.reviewer}: {done} of {len(form.slots)} pages, {state}")
        if (folder / "record.json").is_file():
            record = read_record(folder)
            said = review_criteria(record, policy_of(folder, project), review_for(folder, record))
            _say(f"  {one.status} review: {one.summary}" for one in said)


@review.command("to-golden")
@click.argument("run")
@click.option("--set", "name", required=True, metavar="NAME", help="Name of the new golden set.")
@click.option("--owner", required=True, metavar="NAME", help="Who answers for these targets.")
def to_golden(run: str, name: str, owner: str) -> None:
    """Write a golden set of the cases on which people clearly prefer one answer; that answer becomes the target.

    Each case names the run, the votes, the model and the owner, and is a variant of the case that it came from.
    """
    from harness.config import load_project
    from harness.golden import load_golden_set
    from harness.record import read_texts
    from harness.review.harvest import golden_rows
    from harness.review.kept import reviewed_record

    project = load_project(Path.cwd())
    file = project.golden_sets / f"{name}.jsonl"
    if not file.resolve().is_relative_to(project.golden_sets.resolve()):
        raise ReviewError(f"--set {name}: lies outside {near(project.golden_sets)}. Give a name below it: refunds.")
    folder = run_folder(project, run)
    record, found = reviewed_record(folder)
    harvest = golden_rows(record, found, read_texts(folder, record), owner=owner)
    _write_rows(
        file,
        harvest,
        lambda unfinished: load_golden_set(unfinished, root=project.golden_sets),
    )
    click.echo(
        "next: give the cases checks, or compare answers with their targets in a suite; then harness suites check"
    )


@review.command("to-preferences")
@click.argument("run")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="JSONL file to write.")
def to_preferences(run: str, out: Path) -> None:
    """Write pairs for preference training: prompt, chosen, rejected, and how clear people were (margin, 0 to 1)."""
    from harness.config import load_project
    from harness.record import read_texts
    from harness.review.harvest import preference_rows
    from harness.review.kept import reviewed_record

    _refuse_nowhere(out)
    project = load_project(Path.cwd())
    folder = run_folder(project, run)
    record, found = reviewed_record(folder)
    _write_rows(out, preference_rows(record, found, read_texts(folder, record)))
    click.echo(
        "note: these prompts are golden cases. Trained on, they measure nothing any more: take the cases out of the "
        "golden sets first, or the plan of the training refuses them."
    )


def run_folder(project: Project, run: str) -> Path:
    """The run's folder, from its id, the folder itself or its record.json."""
    from harness.cli.gate import record_folder

    named = project.reports / run
    return named if (named / "record.json").is_file() else record_folder(Path(run))


def _reviewed_folder(project: Project, run: str) -> Path:
    for folder in (project.reports / run, Path(run)):
        if (folder / "review").is_dir():
            return folder
    return run_folder(project, run)


def _decide(project: Project, folder: Path) -> int:
    """Decide the run again with its review, and write its report again under the same policy."""
    from harness.cli.gate import decide_again

    _, policy = _retell(project, folder)
    return decide_again(folder, policy, project.root).exit_code(policy)


def _retell(project: Project, folder: Path) -> tuple[Verdict, GatePolicy]:
    """Write the run's report and summary by today's review and policy; the verdict that they tell, and the policy."""
    from harness.ci.comment import comment
    from harness.ci.files import write_comment
    from harness.cli.gate import policy_of, today
    from harness.gate import decide
    from harness.record import read_record, read_texts
    from harness.report.html import write_page
    from harness.review.kept import review_for

    policy, record = policy_of(folder, project), read_record(folder)
    review = review_for(folder, record)
    verdict = decide(record, policy, today=today(), review=review)
    texts = read_texts(folder, record)
    write_page(folder, record, verdict, texts, project.config.language, review)
    write_comment(folder, comment(record, verdict, texts))
    return verdict, policy


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
        verdict, _ = _retell(project, folder)
        click.echo(f"gate: {verdict.status}, without the earlier answers")
    if before is not None:
        _say(forget_agreement(project.judges, findings(before, read_record(folder)).judges))


def _of_earlier(export: Replaced) -> str:
    """Why answers to a replaced form cannot be imported, and where those lie that were."""
    told = (
        f"made for an earlier export of run {export.run_id}, which was replaced on {export.on}. Nothing was imported. "
    )
    if export.name == "adjudication":
        told += "What was imported of that export before still counts. "
    elif export.answers is None:
        told += "Of that export nothing had been imported. "
    else:
        told += f"Answers of it lie in {near(export.answers)}, and count no more. "
    return told + f"Have the newer form answered: harness review status {export.run_id} names it."


def _write_rows(file: Path, harvest: Harvest, check: Callable[[Path], object] = lambda file: None) -> None:
    """Write the file whole, or not at all: not where `check` refuses it."""
    import msgspec

    for why, many in harvest.left_out.items():
        click.echo(f"left out: {many}: {why}")
    if not harvest.rows:
        raise ReviewError("no case is left to write: see above.")
    if file.exists():
        raise ReviewError(f"{file} is there already, and is not overwritten. Name another.")
    unfinished = file.with_name(f".{file.stem}.{os.getpid()}.tmp{file.suffix}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(msgspec.json.Encoder().encode_lines(harvest.rows))
        check(unfinished)
        unfinished.replace(file)
    except OSError as error:
        raise ReviewError(f"{file}: cannot be written ({error.strerror}). Make room or mend its rights.") from error
    finally:
        unfinished.unlink(missing_ok=True)
    click.echo(f"{len(harvest.rows)} rows: {near(file)}")


def _refuse_nowhere(path: Path) -> None:
    """A mistyped path makes no folders all the way up."""
    if not path.parent.is_dir():
        raise ReviewError(f"{path}: there is no folder {path.parent}. Make it, or name a place that is there.")


def _say(lines: Iterable[str]) -> None:
    from harness.report.visible import visible

    for line in lines:
        click.echo(visible(line))
