"""The key of a review: which slot of which form shows which case, and on which side the candidate's answer stands.

It stays in the run's folder. Forms carry its seal, a digest that cannot be traced back because the key holds a secret:
what comes back is matched by it, and a key that was changed afterwards no longer fits.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Literal

import msgspec

from harness.errors import ReviewError
from harness.review.selection import Why

KEY_ENDING = ".key.json"
FOLDER = "review"
#: Folders of exports that were started over begin with it.
REPLACED = "replaced-"

Mode = Literal["pairs", "single", "rows"]
Side = Literal["left", "right"]


class Slot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One page of one form. `candidate` is the side of the candidate's answer (None: one answer only).

    `repeats` is the slot that this one shows once more. `shown` is the digest of the texts as they were shown.
    """

    id: str
    set: str
    case: str
    why: Why
    candidate: Side | None
    shown: str
    repeats: str | None = None
    shared: bool = False
    variant_of: str | None = None


class FormKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One reviewer's form, its slots in the order in which they are shown."""

    code: str
    reviewer: str
    slots: tuple[Slot, ...]


class Key(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything needed to unblind. `pool` counts the cases that could have been drawn, `same` those whose answers read
    the same. `models` are the digests of candidate and baseline."""

    name: str
    mode: Mode
    run_id: str
    texts_digest: str
    models: tuple[str, str]
    created: str
    seed: int
    secret: str
    pool: int
    same: int
    forms: tuple[FormKey, ...]
    version: int = 1

    @property
    def seal(self) -> str:
        """The digest that forms carry: 64 letters that no spreadsheet takes for a number."""
        digest = hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()
        return digest.translate(_LETTERS)

    def form(self, code: str) -> FormKey | None:
        """The form with this code."""
        return next((form for form in self.forms if form.code == code), None)


_LETTERS = str.maketrans("0123456789abcdef", "bcdfghjkmnpqrstv")


class SealedKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The key on disk beside the seal that its forms carry."""

    seal: str
    key: Key


def write_key(folder: Path, key: Key) -> Path:
    """Seal the key in a run's folder, readable by its owner only. Raises ReviewError where there is one already."""
    file = folder / FOLDER / f"{key.name}{KEY_ENDING}"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(msgspec.json.format(msgspec.json.encode(SealedKey(seal=key.seal, key=key), order="sorted")))
    except FileExistsError:
        raise _out_already(file) from None
    except OSError as error:
        raise ReviewError(f"{file}: the key cannot be written ({error.strerror}). Make room or mend its rights.") from (
            error
        )
    return file


def refuse_second(folder: Path, name: str, answers: str) -> None:
    """Raises ReviewError where forms of this name are out already, or their `answers` lie there without a key: before
    anything is written over them."""
    file = folder / FOLDER / f"{name}{KEY_ENDING}"
    if file.exists():
        raise _out_already(file)
    if name != "adjudication" and (folder / answers).exists():
        raise ReviewError(
            f"{folder / answers}: this run has answers already, to forms whose key is not here. Export where the key "
            "is, or start over with --replace: these answers are kept, and count no more."
        )


def _out_already(file: Path) -> ReviewError:
    return ReviewError(
        f"{file}: this run has forms out already, and a new key would orphan their answers. Import those, or "
        "start over with --replace: the answers that came are kept, and count no more."
    )


def read_key(file: Path) -> Key:
    """The key in a file. Raises ReviewError for a file that is none, and for one that was changed after the export."""
    try:
        sealed = msgspec.json.decode(file.read_bytes(), type=SealedKey)
    except OSError as error:
        raise ReviewError(f"{file}: cannot be read ({error.strerror}). It is written by harness review export.") from (
            error
        )
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ReviewError(f"{file}: not the key of a review ({error}). Restore it from a copy.") from error
    if sealed.key.seal != sealed.seal:
        raise ReviewError(f"{file}: the key was changed after the forms went out. Restore it from a copy.")
    return sealed.key


def keys_in(folder: Path) -> list[Key]:
    """All keys of one run, by name."""
    return [read_key(file) for file in sorted((folder / FOLDER).glob(f"*{KEY_ENDING}"))]


def find_key(reports: Path, form: str) -> tuple[Path, Key] | None:
    """The run's folder and key that has a form of this code; None where no run below `reports` has.

    Raises ReviewError where that key is damaged, and where it may be one that cannot be read.
    """
    closed: list[tuple[Path, OSError]] = []
    for file in sorted(reports.glob(f"*/{FOLDER}/*{KEY_ENDING}")):
        try:
            # A damaged key of another run is no reason to refuse this one.
            if names_form(file, form):
                return file.parent.parent, read_key(file)
        except OSError as error:
            closed.append((file, error))
    if closed:
        locked, why = closed[0]
        raise ReviewError(
            f"{locked}: cannot be read ({why.strerror}), and no other key has form {form}. Mend its rights."
        )
    return None


def names_form(file: Path, form: str) -> bool:
    """Did a form of this code go out with the key in `file`? A damaged key is asked by its text."""
    data = file.read_bytes()
    if form.encode() not in data:
        return False
    try:
        return read_key(file).form(form) is not None
    except ReviewError:
        return f'"code": {json.dumps(form)}'.encode() in data
