"""Reviews as they lie beside records, and which of them holds for a run."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

from harness.errors import RecordError, ReviewError
from harness.record import RECORD_FILE, RunRecord, read_record
from harness.review.opinions import Review, awaited, digested, set_aside_of
from harness.review.seal import FOLDER, KEY_ENDING, REPLACED, Key, read_key

REVIEW_FILE = "review.json"
_KEY = f"review{KEY_ENDING}"


def kept_as(name: str) -> str:
    """The file that answers to forms of this name end in: an adjudicator's with those that they settle."""
    return REVIEW_FILE if name in ("review", "adjudication") else f"review-{name}.json"


def write_review(folder: Path, review: Review, name: str = REVIEW_FILE) -> Path:
    """Keep the review beside the run's record, whole or not at all."""
    file = folder / name
    unfinished = folder / f".{name}.{os.getpid()}.tmp"
    try:
        unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(review, order="sorted")))
        unfinished.replace(file)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise ReviewError(
            f"{file}: the review cannot be written ({error.strerror}). Make room or mend its rights."
        ) from (error)
    return file


def read_review(folder: Path, name: str = REVIEW_FILE) -> Review | None:
    """The review in a run's folder; None where nothing was imported.

    Raises ReviewError for a file that is none, and for one that was changed by hand.
    """
    file = folder / name
    try:
        review = msgspec.json.decode(file.read_bytes(), type=Review)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ReviewError(f"{file}: cannot be read ({error.strerror}). Check its permissions.") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ReviewError(
            f"{file}: not a review ({error}). Delete it and import the reviewers' files again."
        ) from error
    if digested(review).digest != review.digest:
        raise ReviewError(f"{file}: changed by hand. Delete it and import the reviewers' files again.")
    return review


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """The review that holds for a run, and the folder of the run that it lies in."""

    folder: Path
    review: Review


def review_for(folder: Path, record: RunRecord) -> Review | None:
    """The review of the run in `folder`, or of another run beside it with exactly these models and texts.

    A gate that is asked again makes a new run; where every answer is the same, people need not read it again. Where
    nothing came back yet, or what came was set aside, it is a review without readers. Raises ReviewError for a damaged
    review of this run; another run's is passed over.
    """
    found = standing_for(folder, record)
    return None if found is None else found.review


def standing_for(folder: Path, record: RunRecord) -> Standing | None:
    """Which run's review holds: this run's own before any other, and answers, or where they were set aside, before
    forms that nobody has answered; of the others the newest."""
    waiting = None
    own = _review_in(folder)
    if own is not None:
        waiting = Standing(folder=folder, review=own)
        if _heard(own):
            return waiting
    for other in _beside(folder, record):
        with contextlib.suppress(ReviewError, RecordError):
            found = _review_in(other)
            if found is not None and found.is_of(record):
                standing = Standing(folder=other, review=found)
                if _heard(found):
                    return standing
                waiting = waiting or standing
    return waiting


def refuse_elsewhere(folder: Path, record: RunRecord) -> None:
    """Raises ReviewError where people's word on this run lies with another: forms of its own would take nothing of that
    out of use."""
    found = standing_for(folder, record)
    if found is None or found.folder == folder or not _heard(found.review):
        return
    run = found.folder.name
    raise ReviewError(
        f"{folder}: what people said of run {run} holds for this run too, whose models and answers are the same. "
        f"Import what came back there, or start over there: harness review export {run} --reviewers NAMES --replace."
    )


def counted(folder: Path) -> Review | None:
    """The answers in a run's folder; None where none were imported, or those are to other forms than are out."""
    own, out = read_review(folder), _forms_out(folder)
    return None if own is not None and out is not None and own.seal != out.seal else own


def _heard(review: Review) -> bool:
    """Did people say something, even where it was set aside since?"""
    return bool(review.readers) or review.anew is True


def _review_in(folder: Path) -> Review | None:
    """What lies with one run: its answers; else whom it waits for, and whether that is in place of earlier answers."""
    own, out = counted(folder), _forms_out(folder)
    if own is not None:
        return own
    anew = (folder / REVIEW_FILE).exists() or any((folder / FOLDER).glob(f"{REPLACED}*/{REVIEW_FILE}"))
    if out is not None:
        return msgspec.structs.replace(awaited(out), anew=True) if anew else awaited(out)
    return set_aside_of(read_record(folder)) if anew else None


def _forms_out(folder: Path) -> Key | None:
    """The key of the run's forms; None where none are out, or nobody could unblind them."""
    try:
        return read_key(folder / FOLDER / _KEY)
    except ReviewError:
        return None


def _beside(folder: Path, record: RunRecord) -> list[Path]:
    """The runs beside `folder` whose review, forms or set-aside answers are of the record's texts, newest first."""
    home = folder.resolve()
    found = set()
    for name in (REVIEW_FILE, f"{FOLDER}/{_KEY}", f"{FOLDER}/{REPLACED}*/{REVIEW_FILE}"):
        for file in home.parent.glob(f"*/{name}"):
            run = home.parent / file.relative_to(home.parent).parts[0]
            with contextlib.suppress(OSError):
                # Most are of other texts: that is seen without decoding them.
                if run not in found and record.texts_digest.encode() in file.read_bytes():
                    found.add(run)
    return [run for run in sorted(found - {home}, reverse=True) if (run / RECORD_FILE).is_file()]


def reviewed_record(folder: Path) -> tuple[RunRecord, Review]:
    """A run and its review. Raises ReviewError where nothing was imported."""
    record = read_record(folder)
    review = review_for(folder, record)
    if review is None or not review.readers:
        told = "Send forms out with harness review export, then harness review import."
        if review is not None and review.invited:
            told = f"Forms of run {review.run_id} are out: waiting for {', '.join(review.invited)}."
        raise ReviewError(f"{folder}: no review was imported. {told}")
    return record, review
