"""What a review is of: a run, what its reviewers could not agree on, or the rows of a training file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from harness.data.formats import file_digest, load_rows
from harness.errors import DataError, ReviewError
from harness.record import read_record, read_texts
from harness.review.findings import disputed
from harness.review.kept import counted
from harness.review.plain import Veil
from harness.review.seal import Mode
from harness.review.selection import Chosen, Pool, choose, readable_cases, row_cases


class Drawing(msgspec.Struct, frozen=True, kw_only=True):
    """How cases are drawn: how many, the least share at random, by which seed, from which sets."""

    many: int
    random_share: float
    seed: int
    sets: tuple[str, ...] = ()
    keep_format: bool = False

    @property
    def rng(self) -> np.random.Generator:
        """Not the stream that sides are drawn from: which cases were chosen must not tell how they are shown."""
        return np.random.default_rng([self.seed % 2**63, 1])


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """The cases, and what answers to them will be bound to. `models` are the digests of candidate and baseline."""

    name: str
    mode: Mode
    run_id: str
    texts_digest: str
    models: tuple[str, str]
    pool: Pool
    chosen: tuple[Chosen, ...]


def of_run(folder: Path, mode: Mode, hide: Sequence[str], drawing: Drawing) -> Subject:
    """Pairs of a run, or the candidate's answers one at a time."""
    single = mode == "single"
    subject = _of_run(folder, hide, drawing, single=single)
    chosen = choose(subject.pool, drawing.many, 1.0 if single else drawing.random_share, drawing.rng)
    return msgspec.structs.replace(subject, chosen=chosen)


def of_disputes(folder: Path, names: Sequence[str], hide: Sequence[str], drawing: Drawing) -> Subject:
    """The cases on which the imported reviewers chose differently, for somebody else to settle."""
    found = counted(folder)
    if found is None:
        raise ReviewError(f"{folder}: nothing was imported yet, so nobody disagrees. Import the reviewers' files.")
    both = [name for name in names if name in {reader.name for reader in found.readers}]
    if both:
        raise ReviewError(f"{both[0]} is one of those who disagree. Let somebody else settle it.")
    open_ = set(disputed(found))
    if not open_:
        raise ReviewError(f"{folder}: the reviewers agree on every case that several read: nothing to settle.")
    subject = _of_run(folder, hide, drawing, single=False)
    chosen = tuple(Chosen(readable=one, why="disputed") for one in subject.pool.cases if one.name in open_)
    return msgspec.structs.replace(subject, name="adjudication", chosen=chosen)


def of_rows(file: Path, name: str, drawing: Drawing) -> Subject:
    """Rows of a training file, drawn at random. Raises ReviewError for a file that is none."""
    wanted = 'With --data, name a training file: JSONL, a row a line, {"messages": [...]} or {"prompt", "completion"}.'
    if not file.is_file():
        raise ReviewError(f"{file}: no such file. {wanted}")
    try:
        pool, digest = row_cases(load_rows(file), file.name), file_digest(file)
    except DataError as error:
        raise ReviewError(f"{error} {wanted}") from error
    return Subject(
        name="rows",
        mode="rows",
        run_id=name,
        texts_digest=digest,
        models=(digest, ""),
        pool=pool,
        chosen=choose(pool, drawing.many, 1.0, drawing.rng),
    )


def _of_run(folder: Path, hide: Sequence[str], drawing: Drawing, *, single: bool) -> Subject:
    record = read_record(folder)
    if record.baseline is None and not single:
        raise ReviewError(f"run {record.run_id} has no baseline, so there are no pairs to read. Use --single.")
    veil = Veil((record.candidate, record.baseline, record.root), hide)
    texts = read_texts(folder, record)
    return Subject(
        name="single" if single else "review",
        mode="single" if single else "pairs",
        run_id=record.run_id,
        texts_digest=record.texts_digest,
        models=(record.candidate.digest, "" if record.baseline is None else record.baseline.digest),
        pool=readable_cases(record, texts, veil, sets=drawing.sets, keep_format=drawing.keep_format, single=single),
        chosen=(),
    )
