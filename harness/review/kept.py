"""Reviews as they lie beside records, and which of them holds for a run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from harness.errors import ReviewError
from harness.record import RECORD_FILE, RunRecord, read_record
from harness.review.opinions import Review, awaited, digested
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


def review_for(folder: Path, record: RunRecord) -> Review | None:
    """The review of the run in `folder`, or of another run beside it with exactly these models and texts.

    A gate that is asked again makes a new run; where every answer is the same, people need not read it again. Where
    forms are out and nothing came back, it is a review without readers; so it is where this run's export was started
    over. Raises ReviewError for a damaged review of this run; another run's is passed over.
    """
    own, out = read_review(folder), _forms_out(folder)
    if out is not None and own is not None and own.seal != out.seal:
        return awaited(out)
    if own is not None:
        return own
    if out is not None and any((folder / FOLDER).glob(f"{REPLACED}*/{_KEY}")):
        return awaited(out)
    for file in _beside(folder, record, REVIEW_FILE):
        with contextlib.suppress(ReviewError):
            found = read_review(file.parent)
            if found is not None and found.is_of(record):
                return found
    if out is not None:
        return awaited(out)
    for file in _beside(folder, record, f"{FOLDER}/{_KEY}"):
        out = _forms_out(file.parent.parent)
        if out is not None and awaited(out).is_of(record):
            return awaited(out)
    return None


def _forms_out(folder: Path) -> Key | None:
    """The key of the run's forms; None where none are out, or nobody could unblind them."""
    try:
        return read_key(folder / FOLDER / _KEY)
    except ReviewError:
        return None


def _beside(folder: Path, record: RunRecord, name: str) -> Iterator[Path]:
    """Files of this name of the runs beside `folder`, newest first, that are of the record's texts."""
    for file in sorted(folder.parent.glob(f"*/{name}"), reverse=True):
        with contextlib.suppress(OSError):
            # Most are of other texts: that is seen without decoding them.
            run = folder.parent / file.relative_to(folder.parent).parts[0]
            if (run / RECORD_FILE).is_file() and record.texts_digest.encode() in file.read_bytes():
                yield file


def reviewed_record(folder: Path) -> tuple[RunRecord, Review]:
    """A run and its review. Raises ReviewError where nothing was imported."""
    record = read_record(folder)
    review = review_for(folder, record)
    if review is None or not review.readers:
        told = "Send forms out with harness review export, then harness review import."
        if review is not None:
            told = f"Forms of run {review.run_id} are out: waiting for {', '.join(review.invited)}."
        raise ReviewError(f"{folder}: no review was imported. {told}")
    return record, review
