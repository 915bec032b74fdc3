"""The rows that a version was trained on, kept beside it: so that two versions can be told apart by their data."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from harness.data.formats import Row
from harness.errors import DataError

#: Beside training.json in a version's folder; never among the adapter's files, which people publish.
ROWS_FILE = "rows.jsonl.gz"
#: Characters kept of a prompt and of an answer; digests are of the whole.
KEPT = 1000


class LearnedRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """One row of a training: what was asked and what was learned, shortened, with digests of the whole texts."""

    where: str
    kind: Literal["task", "replay"]
    prompt: str
    answer: str
    prompt_digest: str
    answer_digest: str


def learned_row(row: Row) -> LearnedRow:
    """The row as it is kept."""
    last = max(i for i, message in enumerate(row.messages) if message.role == "assistant")
    answer = row.messages[last].content
    return LearnedRow(
        where=row.where,
        kind=row.kind,
        prompt=row.prompt[:KEPT],
        answer=answer[:KEPT],
        prompt_digest=_digest(row.prompt),
        answer_digest=_digest(answer),
    )


def write_rows(folder: Path, rows: Iterable[Row]) -> None:
    """Keep the rows of a training in `folder`; the same rows give the same bytes."""
    lines = b"\n".join(msgspec.json.encode(learned_row(row)) for row in rows)
    (folder / ROWS_FILE).write_bytes(gzip.compress(lines, mtime=0))


def read_rows(folder: Path) -> tuple[LearnedRow, ...] | None:
    """The rows kept in `folder`; None where none were (an adapter from elsewhere, or from an older harness).

    Raises DataError for a damaged file.
    """
    file = folder / ROWS_FILE
    if not file.is_file():
        return None
    try:
        lines = gzip.decompress(file.read_bytes()).split(b"\n")
        return tuple(msgspec.json.decode(line, type=LearnedRow) for line in lines if line)
    except (OSError, EOFError, zlib.error, msgspec.MsgspecError) as error:
        raise DataError(f"{file}: damaged ({error}). Restore it from a backup, or delete it.") from error


def _digest(text: str) -> str:
    # 64 bits tell a billion rows apart for this purpose.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
