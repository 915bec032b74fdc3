"""Exports that were started over: their keys and answers, kept where nothing counts them any more."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness.errors import ReviewError
from harness.review.kept import kept_as
from harness.review.seal import FOLDER, KEY_ENDING, REPLACED, names_form
from harness.review.sending import FORMS, LABELS_FILE


class Replaced(msgspec.Struct, frozen=True, kw_only=True):
    """An export that a later one replaced `on` a day. `answers` is what had been imported of it, None where nothing
    had, or where it still counts (what adjudicators settled stays)."""

    run_id: str
    name: str
    on: str
    answers: Path | None


def set_aside(folder: Path, name: str, now: datetime.datetime) -> Path | None:
    """Take an earlier export of this name out of use: its key, damaged or not, the answers, their labels, and its forms
    in the run's folder. With a review goes its adjudication.

    All of it is kept in a folder of its own, which is returned; None where nothing was out.
    """
    home = folder / FOLDER
    names = ["adjudication", "review"] if name == "review" else [name]
    # What adjudicators settled stands among the review's own answers, and stays there.
    answers = [] if name == "adjudication" else [folder / kept_as(name)]
    labels = [home / LABELS_FILE] if name == "review" else []
    forms = [
        file for one in names for ending in ("html", "csv") for file in sorted((home / FORMS).glob(f"{one}-*.{ending}"))
    ]
    # The key last: whoever is stopped half-way has it still, and says --replace once more.
    keys = [home / f"{one}{KEY_ENDING}" for one in names]
    return _moved(home, now, [file for file in (*answers, *labels, *forms, *keys) if file.exists()])


def set_answers_aside(folder: Path, name: str, now: datetime.datetime) -> Path | None:
    """Keep the answers to other forms of this name than are out, before those that are imported take their place."""
    return _moved(folder / FOLDER, now, [folder / kept_as(name)])


def _moved(home: Path, now: datetime.datetime, files: Sequence[Path]) -> Path | None:
    if not files:
        return None
    aside, number = home / f"{REPLACED}{now:%Y%m%d-%H%M%S}", 2
    while aside.exists():
        aside, number = home / f"{REPLACED}{now:%Y%m%d-%H%M%S}-{number}", number + 1
    file = aside
    try:
        aside.mkdir(parents=True)
        for file in files:
            file.replace(aside / file.name)
    except OSError as error:
        raise ReviewError(f"{file}: cannot be set aside ({error.strerror}). Mend its rights.") from error
    return aside


def find_replaced(reports: Path, form: str) -> Replaced | None:
    """The export that sent out a form of this code and was replaced; None where no run below `reports` had one."""
    for file in sorted(reports.glob(f"*/{FOLDER}/{REPLACED}*/*{KEY_ENDING}")):
        # Even a damaged key tells whose it was; one that cannot be read at all tells nothing.
        with contextlib.suppress(OSError):
            if not names_form(file, form):
                continue
            name, day = file.name.removesuffix(KEY_ENDING), file.parent.name.removeprefix(REPLACED)
            answers = file.parent / kept_as(name)
            return Replaced(
                run_id=file.parents[2].name,
                name=name,
                on=f"{day[:4]}-{day[4:6]}-{day[6:8]}",
                answers=answers if answers.is_file() else None,
            )
    return None
