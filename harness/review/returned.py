"""What reviewers send back: read, checked against the form that went out, and never guessed at."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import ReviewError
from harness.review.form import digest_of
from harness.review.seal import FormKey, Key, Mode
from harness.review.spreadsheet import read_csv
from harness.review.words import DIMENSIONS, SKIPS

FORMAT = "harness-review/1"

_CHOICES: dict[Mode, frozenset[str]] = {
    "pairs": frozenset("102"),
    "rows": frozenset("102"),
    "single": frozenset("12345"),
}
#: What people write where a key was asked for.
_SPELLED = {
    **dict.fromkeys(("answer 1", "回答 1", "回答1", "left", "l", "左", "左边"), "1"),
    **dict.fromkeys(("answer 2", "回答 2", "回答2", "right", "r", "右", "右边"), "2"),
    **dict.fromkeys(("tie", "equal", "same", "平", "一样", "一样好", "差不多", "about equal", "相同"), "0"),
}


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """One answer as it was given: a key, or a reason to skip, or neither (still open)."""

    id: str
    choice: str | None = None
    skip: str | None = None
    comment: str = ""
    marks: dict[str, str] = {}
    seconds: float | None = None

    @property
    def done(self) -> bool:
        """Was something decided here?"""
        return self.choice is not None or self.skip is not None


class Returned(msgspec.Struct, frozen=True, kw_only=True):
    """One file: whose, for which form, and the answers by slot. `notes` are what the importer must know.

    `texts` are the digests of the pages as a spreadsheet returned them.
    """

    file: str
    digest: str
    form: str
    seal: str | None
    given: dict[str, Given]
    notes: tuple[str, ...] = ()
    texts: dict[str, str] = {}


class _Saved(msgspec.Struct, kw_only=True):
    """The file that a form saves."""

    format: str
    seal: str
    form: str
    reviewer: str
    shown: str
    saved: str
    digest: str
    answers: list[dict[str, Any]]


def read_returned(path: Path) -> Returned:
    """The answers in a file, JSON from a page or CSV from a spreadsheet.

    Raises ReviewError for a file that is neither, that was changed after the page saved it, that answers nothing, or
    that answers one page in two ways.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ReviewError(f"{path}: cannot be read ({error.strerror}). Name the files that reviewers sent.") from error
    if data.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] == b"{":
        return _read_json(data, path.name)
    if data.lstrip()[:9].lower() in (b"<!doctype", b"<html lan"):
        raise ReviewError(
            f"{path.name}: this is the empty form, not the answers. The reviewer opens it in a browser, presses Save, "
            "and sends the file review-….json."
        )
    if data[:4] == b"PK\x03\x04":
        raise ReviewError(f"{path.name}: a spreadsheet's own format. Ask for it as CSV (Save as, CSV UTF-8).")
    return _read_csv(data, path.name)


def check(returned: Returned, key: Key) -> tuple[FormKey, Returned]:
    """The form that a file answers, and its answers without those to pages that the form does not have; they are named.

    Raises ReviewError where the file belongs to another review.
    """
    form = key.form(returned.form)
    if form is None or (returned.seal is not None and returned.seal != key.seal):
        raise ReviewError(
            f"{returned.file}: answers to a form that run {key.run_id} did not send out. Name the files of one run, "
            "and keep the review folder of the run that exported them."
        )
    slots = {slot.id: slot for slot in form.slots}
    notes = list(returned.notes)
    strangers = [id_ for id_ in returned.given if id_ not in slots]
    for id_ in strangers:
        near = difflib.get_close_matches(id_, [one for one in slots if one not in returned.given], n=1)
        hint = f" (perhaps {near[0]})" if near else ""
        notes.append(f"page {id_!r} is none of this form{hint}: its id was changed, and its answer counts nowhere")
    other = [id_ for id_, digest in returned.texts.items() if id_ in slots and digest != slots[id_].shown]
    if other:
        notes.append(
            f"the texts of {len(other)} pages are not as they were sent ({', '.join(other[:3])}): was it read whole?"
        )
    given = {id_: one for id_, one in returned.given.items() if id_ in slots}
    for one in given.values():
        if one.choice is not None and one.choice not in _CHOICES[key.mode]:
            known = ", ".join(sorted(_CHOICES[key.mode]))
            raise ReviewError(f"{returned.file}: page {one.id}: choice {one.choice!r} is none of {known}. Correct it.")
        for name, value in one.marks.items():
            if value not in _CHOICES[key.mode]:
                known = ", ".join(sorted(_CHOICES[key.mode]))
                raise ReviewError(f"{returned.file}: page {one.id}: {name} {value!r} is none of {known}. Correct it.")
    return form, msgspec.structs.replace(returned, given=given, notes=tuple(notes))


def _read_json(data: bytes, where: str) -> Returned:
    try:
        saved = msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"), type=_Saved)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ReviewError(f"{where}: not the file that a form saves ({error}). Ask the reviewer to save again.") from (
            error
        )
    if saved.format != FORMAT:
        raise ReviewError(f"{where}: format {saved.format!r}, and this harness reads {FORMAT!r}. Upgrade the harness.")
    answers = []
    for table in saved.answers:
        try:
            answers.append(msgspec.convert(table, Given))
        except msgspec.ValidationError as error:
            raise ReviewError(f"{where}: {error}. Ask {saved.reviewer} to save again.") from error
    if _signature(saved) != saved.digest:
        raise ReviewError(
            f"{where}: the answers were changed after the page saved them. Nothing was imported. Ask {saved.reviewer} "
            "to open the form again, where the answers still are, and to press Save."
        )
    given: dict[str, Given] = {}
    for one in answers:
        _add(given, one, where)
    if not any(one.done for one in given.values()):
        raise ReviewError(
            f"{where}: no page is answered. Ask {saved.reviewer} to open the form in the browser where the answers "
            "are, and to press Save."
        )
    return Returned(file=where, digest=hashlib.sha256(data).hexdigest(), form=saved.form, seal=saved.seal, given=given)


def _signature(saved: _Saved) -> str:
    """The digest of the answers as the page writes it: JSON without blanks, pages in their order. Their types are
    checked before."""
    told = [
        [
            one.get("id"),
            one.get("choice"),
            one.get("skip"),
            one.get("comment"),
            [(one.get("marks") or {}).get(name) for name in DIMENSIONS],
            round(float(one.get("seconds") or 0) * 10),
        ]
        for one in saved.answers
    ]
    text = json.dumps([saved.seal, saved.form, saved.shown, told], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()


def _read_csv(data: bytes, where: str) -> Returned:
    rows, notes = read_csv(data, where)
    if not rows:
        raise ReviewError(f"{where}: no rows below the titles. Ask the reviewer for the whole file.")
    forms = {row.get("form", "").strip() for row in rows} - {""}
    if len(forms) != 1:
        raise ReviewError(
            f"{where}: rows of {len(forms)} forms ({', '.join(sorted(forms)) or 'none named'}). Keep one form a file."
        )
    given: dict[str, Given] = {}
    for row in rows:
        at = f"{where}:{row['row']}"
        id_ = row.get("id", "").strip()
        if not id_:
            raise ReviewError(f"{at}: a row without its id. Restore it from the exported file.")
        skip = row.get("skip", "").strip()
        _add(
            given,
            Given(
                id=id_,
                choice=None if skip else _key(row.get("choice", "")),
                skip=None if not skip else skip if skip in SKIPS else "other",
                comment="\n".join(
                    text for text in (row.get("comment", ""), skip if skip and skip not in SKIPS else "") if text
                ),
                marks={name: key for name in DIMENSIONS if (key := _key(row.get(name, ""))) is not None},
            ),
            at,
        )
    if not any(one.done for one in given.values()):
        raise ReviewError(f"{where}: no page is answered: the empty form, not the answers. Import what came back.")
    return Returned(
        file=where,
        digest=hashlib.sha256(data).hexdigest(),
        form=next(iter(forms)),
        seal=None,
        given=given,
        notes=tuple(notes),
        texts=texts_in(rows),
    )


def texts_in(rows: Sequence[dict[str, str]]) -> dict[str, str]:
    """The digest of each page's texts as a CSV shows them, line ends evened out."""
    found = {}
    for row in rows:
        texts = [row[name].replace("\r\n", "\n") if name in row else None for name in ("prompt", "left", "right")]
        left = row["answer"].replace("\r\n", "\n") if "answer" in row else texts[1]
        found[row.get("id", "").strip()] = digest_of(texts[0] or "", left or "", texts[2])
    return found


def _key(cell: str) -> str | None:
    """A choice as people write it: 1, 1.0, answer 1, left, 左, and in the digits of a Chinese keyboard."""
    plain = unicodedata.normalize("NFKC", cell).strip().casefold()
    number = re.fullmatch(r"([0-9])(?:[.,]0+)?", plain)
    if number:
        return number[1]
    return _SPELLED.get(plain, plain) or None


def _add(given: dict[str, Given], one: Given, where: str) -> None:
    before = given.setdefault(one.id, one)
    if before != one and before.done and one.done:
        raise ReviewError(f"{where}: page {one.id} is answered twice, and not alike. Keep the answer that counts.")
    if one.done:
        given[one.id] = one
