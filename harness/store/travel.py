"""Answers that travel: a compressed file of JSON lines, each row with its digest.

    {"format": "harness-store", "version": 1, "models": [...], "run": {...} or null}
    {"key": ..., "kind": "response", "digest": ..., "model": 0, "written": ..., "value": {...}}    one line a row
    {"rows": 2, "sha256": ...}                                            of all lines before: nothing is missing

The same rows give the same bytes. Digests find accidents and clumsy edits; who can write the file can write digests.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from harness.errors import StoreFileError
from harness.store.cache import CHUNK, Store, StoredRow, is_right
from harness.store.identities import KnownModel, KnownRun
from harness.store.keys import Kind

FORMAT_VERSION = 1

#: A longer line is not ours: an answer has thousands of letters, not millions.
_LONGEST_LINE = 64 * 2**20

_encode = msgspec.json.encode

_NEXT = "Export it again, or copy the file again."


class _Format(msgspec.Struct):
    """All that must be understood of a file before its version is known."""

    format: Literal["harness-store"]
    version: int


class _Header(msgspec.Struct, kw_only=True):
    models: tuple[KnownModel, ...]
    run: KnownRun | None = None
    format: Literal["harness-store"] = "harness-store"
    version: int = FORMAT_VERSION


class _Line(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    key: str
    kind: Kind
    digest: str
    model: int | None
    written: int
    value: msgspec.Raw


class _End(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    rows: int
    sha256: str


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did: rows in the file, how many of them were new, how many replaced another answer."""

    rows: int
    new: int
    replaced: int
    run: KnownRun | None


def export_rows(
    store: Store,
    file: Path,
    *,
    keys: Iterable[str] | None = None,
    models: Iterable[KnownModel] | None = None,
    run: KnownRun | None = None,
) -> int:
    """Write the rows under `keys`, or of `models`, or all, in the order of their keys; how many they are.

    The file appears whole or not at all. A row that does not match its digest does not travel: raises StoreFileError,
    as where the disk refuses.
    """
    wanted = None if models is None else {(m.digest, m.engine, m.dtype) for m in models}
    known = [m for m in store.models() if wanted is None or (m.digest, m.engine, m.dtype) in wanted]
    number = {model: place for place, model in enumerate(known)}
    digest = hashlib.sha256()
    rows = 0
    unfinished = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        # No file name and no time in the header: the same rows give the same bytes.
        with unfinished.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as stream:

            def write(line: bytes) -> None:
                digest.update(line + b"\n")
                stream.write(line + b"\n")

            write(_encode(_Header(models=tuple(known), run=run)))
            for row in _stored(store, keys):
                if wanted is not None and row.model not in number:
                    continue
                if not is_right(row.kind, row.key, row.value, row.digest):
                    raise StoreFileError(
                        f"{store.path}: the row {row.key[:12]} does not match its digest, so nothing was exported. "
                        "Drop what is wrong: harness store verify --drop"
                    )
                write(
                    _encode(
                        _Line(
                            key=row.key,
                            kind=row.kind,
                            digest=row.digest.hex(),
                            model=None if row.model is None else number.get(row.model),
                            written=row.written,
                            value=msgspec.Raw(row.value),
                        )
                    )
                )
                rows += 1
            stream.write(_encode(_End(rows=rows, sha256=digest.hexdigest())) + b"\n")
        unfinished.replace(file)
    except OSError as error:
        raise StoreFileError(
            f"{file}: cannot be written ({error.strerror}). Make room or name another file."
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)
    return rows


def import_rows(store: Store, file: Path) -> Imported:
    """Take in every row of an exported file, after all of them were verified: a wrong one keeps the whole file out.

    Where the store has another answer under a key, the file's replaces it: what travelled is to be decided again.
    Raises StoreFileError for a file that is not ours, not whole or not as it was written.
    """
    for _ in _read(file):
        pass
    reader = _read(file)
    header = next(reader)
    assert isinstance(header, _Header), "the first line of a verified file"
    rows = new = replaced = 0
    while chunk := [row for row in itertools.islice(reader, CHUNK) if isinstance(row, StoredRow)]:
        there = {(row.key, row.kind): row.digest for row in _by_key(store, [row.key for row in chunk])}
        fresh = [row for row in chunk if there.get((row.key, row.kind)) != row.digest]
        rows += len(chunk)
        replaced += sum((row.key, row.kind) in there for row in fresh)
        new += sum((row.key, row.kind) not in there for row in fresh)
        if fresh:
            store.put_rows(fresh)
    if header.run is not None:
        store.put_run(header.run)
    return Imported(rows=rows, new=new, replaced=replaced, run=header.run)


def _stored(store: Store, keys: Iterable[str] | None) -> Iterator[StoredRow]:
    """Rows in the order of their keys."""
    if keys is not None:
        wanted = sorted(set(keys))
        for start in range(0, len(wanted), CHUNK):
            yield from _by_key(store, wanted[start : start + CHUNK])
        return
    page = _page(store, ("", ""))
    while page:
        yield from page
        page = _page(store, (page[-1].key, page[-1].kind))


def _page(store: Store, after: tuple[str, str]) -> list[StoredRow]:
    """The next rows in the order of keys: by pages, so that no long reader keeps the journal from being emptied."""
    query = f"{_SELECT} WHERE (key, kind) > (?, ?) ORDER BY key, kind LIMIT {CHUNK}"
    return [
        _row(found) for found in store.database.read(lambda connection: connection.execute(query, after).fetchall())
    ]


_SELECT = (
    "SELECT key, kind, value, answers.digest, identity, written FROM answers LEFT JOIN models ON models.id = model"
)


def _by_key(store: Store, keys: list[str]) -> list[StoredRow]:
    marks = ",".join("?" * len(keys))

    def select(connection: sqlite3.Connection) -> list[tuple[str, Kind, bytes, bytes, bytes | None, int]]:
        return connection.execute(f"{_SELECT} WHERE key IN ({marks}) ORDER BY key, kind", keys).fetchall()

    return [_row(found) for found in store.database.read(select)]


def _row(found: tuple[str, Kind, bytes, bytes, bytes | None, int]) -> StoredRow:
    key, kind, value, digest, identity, written = found
    model = None if identity is None else msgspec.json.decode(identity, type=KnownModel)
    return StoredRow(key=key, kind=kind, value=value, digest=digest, model=model, written=written)


def _read(file: Path) -> Iterator[_Header | StoredRow]:
    """The header, then every row, each verified; an error where the end does not match what came before it."""
    digest = hashlib.sha256()
    header: _Header | None = None
    end: _End | None = None
    rows = 0
    number = 0
    try:
        with gzip.open(file, "rb") as stream:
            while line := stream.readline(_LONGEST_LINE):
                number += 1
                if end is not None:
                    raise StoreFileError(f"{file}:{number}: lines after the end. {_NEXT}")
                if header is None:
                    header = _header(file, line)
                    yield header
                elif line.startswith(b'{"rows":'):
                    end = msgspec.json.decode(line, type=_End)
                    continue
                else:
                    yield _verified(f"{file}:{number}", line, header)
                    rows += 1
                digest.update(line)
    except FileNotFoundError as error:
        raise StoreFileError(f"{file}: no such file. Make one: harness store export FILE") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise StoreFileError(f"{file}: not a whole gzip file ({error}). {_NEXT}") from error
    except OSError as error:
        raise StoreFileError(f"{file}: cannot be read ({error.strerror or error}).") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StoreFileError(f"{file}:{number}: not a row of an exported store ({error}). {_NEXT}") from error
    if end is None or end.rows != rows or end.sha256 != digest.hexdigest():
        raise StoreFileError(f"{file}: it is not whole, or was changed after it was written. {_NEXT}")


def _header(file: Path, line: bytes) -> _Header:
    try:
        version = msgspec.json.decode(line, type=_Format).version
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StoreFileError(f"{file}: not an exported store ({error}). Make one: harness store export FILE") from error
    if version > FORMAT_VERSION:
        raise StoreFileError(
            f"{file}: version {version} of the format, this harness reads up to {FORMAT_VERSION}. Upgrade "
            "finetune-harness."
        )
    return msgspec.json.decode(line, type=_Header)


def _verified(where: str, line: bytes, header: _Header) -> StoredRow:
    row = msgspec.json.decode(line, type=_Line)
    value = bytes(row.value)
    try:
        digest = bytes.fromhex(row.digest)
    except ValueError:
        digest = b""
    if not is_right(row.kind, row.key, value, digest):
        raise StoreFileError(f"{where}: the row {row.key[:12]!r} does not match its digest. {_NEXT}")
    if row.model is not None and not 0 <= row.model < len(header.models):
        raise StoreFileError(f"{where}: the row {row.key[:12]!r} names a model that the file has not. {_NEXT}")
    model = None if row.model is None else header.models[row.model]
    return StoredRow(key=row.key, kind=row.kind, value=value, digest=digest, model=model, written=row.written)
