"""A review: every opinion, unblinded, with whose it is and why the case was read. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from harness.errors import ReviewError
from harness.record import RunRecord
from harness.review.returned import Given, Returned, check
from harness.review.seal import Key, Mode, Slot
from harness.review.selection import Why
from harness.verdict import plural

Pressed = Literal["left", "right", "tie"]

#: The candidate's score for each side that was preferred.
_SCORES = {"left": {"1": 1.0, "0": 0.5, "2": 0.0}, "right": {"1": 0.0, "0": 0.5, "2": 1.0}}
_PRESSED: dict[str, Pressed] = {"1": "left", "0": "tie", "2": "right"}


class Opinion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one person said of one case. `score` is the candidate's: 1 preferred, 0 not, 0.5 a tie; None skipped.

    Of single answers it is the rating from 1 to 5, of training rows 1 (learn it), 0 (do not) or 0.5. `pressed` is the
    side that was preferred. `marks` are the candidate's: 1 better, 0 the same, -1 worse; else ratings. `again`: the
    case was shown once more.
    """

    reviewer: str
    set: str
    case: str
    why: Why
    score: float | None
    pressed: Pressed | None = None
    skip: str | None = None
    comment: str = ""
    marks: dict[str, int] = {}
    seconds: float | None = None
    again: bool = False
    shared: bool = False
    variant_of: str | None = None

    @property
    def name(self) -> tuple[str, str]:
        """Set and case."""
        return self.set, self.case


class Reader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One reviewer's form: `pages` sent out, `done` answered or skipped. `notes` are what was odd about the file."""

    name: str
    pages: int
    done: int
    file: str
    file_digest: str
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Was every page answered or skipped?"""
        return self.done == self.pages


class Review(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """People's word on one run. It holds for exactly these models (`models`: candidate, baseline) and texts.

    `invited` are all who got a form; `readers` those who sent something back, nobody where all is still out.
    `adjudicated` are the opinions of whoever settled what reviewers disagreed on. `pool` counts the cases that could
    have been drawn, `same` those left out because both answers read the same. `digest` is of all the rest. `anew`:
    nobody has answered, and answers that counted were set aside for it; never kept in a file.
    """

    run_id: str
    texts_digest: str
    models: tuple[str, str]
    mode: Mode
    seal: str
    created: str
    pool: int
    same: int
    invited: tuple[str, ...]
    readers: tuple[Reader, ...]
    opinions: tuple[Opinion, ...]
    adjudicated: tuple[Opinion, ...] = ()
    digest: str = ""
    anew: Literal[True] | msgspec.UnsetType = msgspec.UNSET

    def is_of(self, record: RunRecord) -> bool:
        """Is it about exactly this record's models and texts?"""
        baseline = "" if record.baseline is None else record.baseline.digest
        return self.texts_digest == record.texts_digest and self.models == (record.candidate.digest, baseline)

    @property
    def complete(self) -> tuple[Reader, ...]:
        """Who finished."""
        return tuple(reader for reader in self.readers if reader.complete)


class Replacement(msgspec.Struct, frozen=True, kw_only=True):
    """A later file of a reviewer who sent one before: how many answers each holds, and what of the earlier ones is in
    the later file no more: answers to pages that it leaves `open`, judgements of pages that it skips, marks, comments.
    """

    reviewer: str
    file: str
    before: int
    after: int
    open: int
    skipped: int
    marks: int
    comments: int

    @property
    def lost(self) -> str:
        """What would be lost, in words; empty where nothing would."""
        kinds = ((self.skipped, "judgement"), (self.marks, "mark"), (self.comments, "comment"))
        told = [f"{self.open} of the earlier ones"] if self.open else []
        return ", ".join([*told, *(plural(many, kind) for many, kind in kinds if many)])


def unblind(returned: Returned, key: Key) -> tuple[Reader, tuple[Opinion, ...]]:
    """A reviewer's opinions, with the sides of the key put back. Pages that are still open give none."""
    form, checked = check(returned, key)
    opinions = [
        _opinion(form.reviewer, slot, given, key.mode)
        for slot in form.slots
        if (given := checked.given.get(slot.id)) is not None and given.done
    ]
    reader = Reader(
        name=form.reviewer,
        pages=len(form.slots),
        done=len(opinions),
        file=returned.file,
        file_digest=returned.digest,
        notes=checked.notes,
    )
    return reader, tuple(opinions)


def joined(
    before: Review | None, key: Key, found: Sequence[tuple[Reader, tuple[Opinion, ...]]], *, settles: bool = False
) -> Review:
    """The review with these readers' opinions; those of the same readers are replaced, all others kept.

    `settles`: they are adjudicators'. Raises ReviewError where one reader sent two files, and where they settle what
    has not been imported or was another run's.
    """
    names = [reader.name for reader, _ in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        files = ", ".join(reader.file for reader, _ in found if reader.name == twice)
        raise ReviewError(f"{twice} sent two files that differ: {files}. Import the one that counts.")
    if settles:
        if before is None:
            raise ReviewError(
                "these answers settle disagreements of a review that is not imported yet. Import it first."
            )
        if (before.run_id, before.models, before.texts_digest) != (key.run_id, key.models, key.texts_digest):
            raise ReviewError(
                f"these answers settle disagreements of run {key.run_id} with other models or answers than the review "
                f"of run {before.run_id}. Export that run's: harness review export {before.run_id} --adjudicate."
            )
        # Each adjudicator's own word: what another says, or skips, takes none of it back.
        words = (*before.adjudicated, *(one for _, opinions in found for one in opinions if not one.again))
        settled = {(one.name, one.reviewer): one for one in words}
        return digested(msgspec.structs.replace(before, adjudicated=tuple(settled.values())))
    if before is not None and before.seal != key.seal:
        before = None
    old = [] if before is None else [reader for reader in before.readers if reader.name not in names]
    said = [] if before is None else [one for one in before.opinions if one.reviewer not in names]
    return digested(
        msgspec.structs.replace(
            awaited(key),
            readers=tuple(sorted([*old, *(reader for reader, _ in found)], key=lambda reader: reader.name)),
            opinions=(*said, *(opinion for _, opinions in found for opinion in opinions)),
            adjudicated=() if before is None else before.adjudicated,
        )
    )


def replacements(
    before: Review | None, key: Key, found: Sequence[tuple[Reader, tuple[Opinion, ...]]], *, settles: bool = False
) -> Iterator[Replacement]:
    """Whose earlier answers these files replace. An adjudicator's file (`settles`) adds to what was settled, and
    replaces the same cases alone."""
    if before is None or (before.seal != key.seal and not settles):
        return
    files = {reader.name: reader.file_digest for reader in before.readers}
    for reader, opinions in found:
        if not settles and files.get(reader.name, reader.file_digest) == reader.file_digest:
            continue
        earlier = before.adjudicated if settles else before.opinions
        said = {(one.name, one.again): one for one in earlier if one.reviewer == reader.name}
        says = {(one.name, one.again): one for one in opinions}
        if settles:
            said = {page: one for page, one in said.items() if page in says}
        pairs = [(one, says.get(page)) for page, one in said.items()]
        yield Replacement(
            reviewer=reader.name,
            file=reader.file,
            before=len(said),
            after=len(says),
            open=sum(later is None for _, later in pairs),
            skipped=sum(one.score is not None and later is not None and later.score is None for one, later in pairs),
            marks=sum(len(set(one.marks) - set(later.marks if later else ())) for one, later in pairs),
            comments=sum(bool(one.comment.strip()) and not (later and later.comment.strip()) for one, later in pairs),
        )


def awaited(key: Key) -> Review:
    """The review of which nothing has come back yet."""
    return Review(
        run_id=key.run_id,
        texts_digest=key.texts_digest,
        models=key.models,
        mode=key.mode,
        seal=key.seal,
        created=key.created,
        pool=key.pool,
        same=key.same,
        invited=tuple(form.reviewer for form in key.forms),
        readers=(),
        opinions=(),
    )


def set_aside_of(record: RunRecord) -> Review:
    """The review of a run whose answers were set aside, and no forms are out in their place."""
    return Review(
        run_id=record.run_id,
        texts_digest=record.texts_digest,
        models=(record.candidate.digest, "" if record.baseline is None else record.baseline.digest),
        mode="pairs",
        seal="",
        created="",
        pool=0,
        same=0,
        invited=(),
        readers=(),
        opinions=(),
        anew=True,
    )


def _opinion(reviewer: str, slot: Slot, given: Given, mode: Mode) -> Opinion:
    pressed: Pressed | None = None
    if given.choice is None:
        score = None
    elif slot.candidate is not None:
        score, pressed = _SCORES[slot.candidate][given.choice], _PRESSED[given.choice]
    elif mode == "rows":
        score = {"1": 1.0, "0": 0.5, "2": 0.0}[given.choice]
    else:
        score = float(given.choice)
    return Opinion(
        reviewer=reviewer,
        set=slot.set,
        case=slot.case,
        why=slot.why,
        score=score,
        pressed=pressed,
        skip=given.skip,
        comment=given.comment,
        marks={name: _mark(slot, value) for name, value in given.marks.items()},
        seconds=given.seconds,
        again=slot.repeats is not None,
        shared=slot.shared,
        variant_of=slot.variant_of,
    )


def _mark(slot: Slot, value: str) -> int:
    if slot.candidate is None:
        return int(value)
    return round(2 * _SCORES[slot.candidate].get(value, 0.5) - 1)


def digested(review: Review) -> Review:
    """The review with the digest of all the rest."""
    bare = msgspec.structs.replace(review, digest="")
    return msgspec.structs.replace(bare, digest=hashlib.sha256(msgspec.json.encode(bare, order="sorted")).hexdigest())
