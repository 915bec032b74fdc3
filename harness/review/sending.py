"""Files that leave and files that come back."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from harness.errors import ConfigError, ReviewError
from harness.judges.cards import read_card, write_card
from harness.models import Response
from harness.review.blinding import Blinded
from harness.review.findings import JudgeFinding
from harness.review.page import render
from harness.review.seal import FOLDER
from harness.review.spreadsheet import write_csv
from harness.review.words import Language

FORMS = "forms"
LABELS_FILE = "labels.jsonl"


@contextlib.contextmanager
def forms_written(drawn: Blinded, to: Path, language: Language, rubric: str = "") -> Iterator[list[Path]]:
    """Each reviewer's page and CSV, in a folder of their own in `to` until they are `handed_out`: whoever is stopped
    before has overwritten nothing. All are of one time: when each was written says nothing, and so it looks.

    Raises ReviewError where the disk refuses.
    """
    made = datetime.datetime.fromisoformat(drawn.key.created).timestamp()
    unfinished = to / f".forms.{os.getpid()}.tmp"
    files = []
    try:
        unfinished.mkdir(parents=True, exist_ok=True)
        for form in drawn.forms:
            texts = {"html": render(form, language, rubric), "csv": write_csv(form, language)}
            for ending, text in texts.items():
                file = unfinished / f"{drawn.key.name}-{form.reviewer}.{ending}"
                file.write_text(text, encoding="utf-8", newline="")
                os.utime(file, (made, made))
                files.append(file)
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise _unwritten(to, error) from error
    try:
        yield files
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def handed_out(forms: Sequence[Path], to: Path) -> list[Path]:
    """The finished forms, in `to`. Raises ReviewError where one of the name is there: it may be answered already."""
    placed = [to / file.name for file in forms]
    try:
        for file, place in zip(forms, placed, strict=True):
            refuse_taken([place])
            file.replace(place)
    except OSError as error:
        raise _unwritten(to, error) from error
    return placed


def refuse_taken(places: Iterable[Path]) -> None:
    """Raises ReviewError where a form would be written over another file: people answer in such files."""
    taken = next((place for place in places if place.exists()), None)
    if taken is not None:
        raise ReviewError(f"{taken} is there already, and is not overwritten. Name another --to.")


def _unwritten(to: Path, error: OSError) -> ReviewError:
    return ReviewError(
        f"{to}: the forms cannot be written ({error.strerror}). Make room, mend its rights or name another --to."
    )


def read_rubric(file: Path) -> str:
    """The user's words on what matters. Raises ConfigError for a file that is no text."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: the rubric cannot be read ({error}). Name a text file.") from error


def keep_returned(folder: Path, files: Sequence[Path]) -> None:
    """Nothing that a reviewer sent is ever lost, whatever comes later."""
    kept = folder / FOLDER / "returned"
    kept.mkdir(parents=True, exist_ok=True)
    for file in files:
        data = file.read_bytes()
        (kept / f"{hashlib.sha256(data).hexdigest()[:12]}-{file.name}").write_bytes(data)


def keep_labels(folder: Path, cards: Path, judge: JudgeFinding, texts: Mapping[str, Response]) -> Iterator[str]:
    """People's labels as a file for `harness judge card --labels`, and the agreement on the judge's card; says what was
    written."""
    rows = [
        msgspec.structs.replace(label, input=prompt.text, a=texts[keys[0]].text, b=texts[keys[1]].text)
        for label in judge.labels
        if (keys := judge.keys.get(label.id)) is not None
        and set(keys) <= texts.keys()
        and (prompt := texts.get(f"prompt:{_case(label.id)}")) is not None
    ]
    if rows:
        file = folder / FOLDER / LABELS_FILE
        file.write_bytes(msgspec.json.Encoder().encode_lines(rows))
        yield f"labels: {file} (for harness judge card {judge.judge} --labels)"
    card = read_card(cards, judge.digest)
    if card is not None and judge.human is not None:
        write_card(cards, msgspec.structs.replace(card, human=judge.human))
        yield f"card of {judge.judge}: agreement with people updated"


def forget_agreement(cards: Path, judges: Iterable[JudgeFinding]) -> Iterator[str]:
    """Take the agreement with people whose answers were set aside off the judges' cards; says of whose. What other
    people gave since stays."""
    for judge in judges:
        card = read_card(cards, judge.digest)
        if card is not None and judge.human is not None and card.human == judge.human:
            write_card(cards, msgspec.structs.replace(card, human=None))
            yield f"card of {judge.judge}: agreement with people removed"


def _case(id_: str) -> str:
    """set/case as the record's texts are named, set:case; a case's id holds no slash."""
    set_, _, case = id_.rpartition("/")
    return f"{set_}:{case}"
