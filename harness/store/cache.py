"""Looking up and keeping answers."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from harness.errors import GenerationError
from harness.models import Response, TokenScores
from harness.models.refs import ModelRef
from harness.store.database import Database
from harness.store.identities import KnownModel, KnownRun
from harness.store.keys import Kind, row_digest

#: SQLite's own limit for the parameters of one statement is 999 in old builds.
CHUNK = 900

_RESPONSE = msgspec.json.Decoder(Response)
_SCORES = msgspec.json.Decoder(TokenScores)

_encode = msgspec.json.encode

_Value = TypeVar("_Value")


class StoredRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One answer as it lies in the file: `value` is JSON, `written` seconds since 1970."""

    key: str
    kind: Kind
    value: bytes
    digest: bytes
    model: KnownModel | None
    written: int


class Store:
    """The cache at `path`, made if it is not there. Safe with several processes, and against being killed.

    Every row has a digest, which is checked at each look-up: a row that is not the one that was written is dropped
    and said so. `notes` are the sentences about that, and about a file that was set aside. Raises GenerationError
    where the file cannot be written (full disk, permissions).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = Database(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file; the store cannot be used afterwards."""
        self.database.close()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user must know of this store, in whole sentences."""
        return tuple(self.database.notes)

    @property
    def moved_aside(self) -> Path | None:
        """The damaged file that was replaced, if there was one."""
        return self.database.moved_aside

    def responses(self, keys: Iterable[str]) -> dict[str, Response]:
        """The stored answers among `keys`; a missing or wrong one is simply not in the result."""
        return self._select("response", keys, _RESPONSE)

    def scores(self, keys: Iterable[str]) -> dict[str, TokenScores]:
        """The stored token scores among `keys`."""
        return self._select("score", keys, _SCORES)

    def put_responses(self, responses: Mapping[str, Response], *, ref: ModelRef | None = None) -> None:
        """Keep what `ref` answered, in one transaction: after it, even a killed process has it."""
        self._put("response", {key: _encode(value) for key, value in responses.items()}, ref)

    def put_scores(self, scores: Mapping[str, TokenScores], *, ref: ModelRef | None = None) -> None:
        """Keep token scores, in one transaction."""
        self._put("score", {key: _encode(value) for key, value in scores.items()}, ref)

    def put_rows(self, rows: Iterable[StoredRow]) -> None:
        """Keep rows of another store, whose digests the caller has checked, in one transaction."""
        kept = list(rows)

        def insert(connection: sqlite3.Connection) -> None:
            ids = {model: _model_id(connection, model) for model in {row.model for row in kept} if model is not None}
            _insert(
                connection,
                [
                    (r.key, r.kind, r.value, r.digest, None if r.model is None else ids[r.model], r.written)
                    for r in kept
                ],
            )

        self.database.write(insert)

    def put_run(self, run: KnownRun) -> None:
        """Remember who was judged against whom in a run whose answers were imported."""
        row = (run.run_id, _encode(run), time.time_ns())
        self.database.write(lambda connection: connection.execute("INSERT OR REPLACE INTO runs VALUES (?, ?, ?)", row))

    def runs(self) -> list[KnownRun]:
        """The imported runs, the last import first."""
        rows = self.database.read(
            lambda connection: connection.execute("SELECT run FROM runs ORDER BY imported DESC").fetchall()
        )
        return [msgspec.json.decode(run, type=KnownRun) for (run,) in rows]

    def models(self) -> list[KnownModel]:
        """The models whose answers are here, the last to come first."""
        rows = self.database.read(
            lambda connection: connection.execute("SELECT identity FROM models ORDER BY id DESC").fetchall()
        )
        return [msgspec.json.decode(identity, type=KnownModel) for (identity,) in rows]

    def drop(self, keys: Iterable[tuple[str, Kind]]) -> None:
        """Forget these rows, in one transaction."""
        rows = list(keys)
        self.database.write(
            lambda connection: connection.executemany("DELETE FROM answers WHERE key = ? AND kind = ?", rows)
        )

    def _select(self, kind: Kind, keys: Iterable[str], decoder: msgspec.json.Decoder[_Value]) -> dict[str, _Value]:
        # In the order of the index, so that neighbours share its pages.
        wanted = sorted(set(keys))

        def select(connection: sqlite3.Connection) -> list[tuple[str, bytes, bytes]]:
            rows: list[tuple[str, bytes, bytes]] = []
            for start in range(0, len(wanted), CHUNK):
                chunk: list[str] = wanted[start : start + CHUNK]
                marks = ",".join("?" * len(chunk))
                rows += connection.execute(
                    f"SELECT key, value, digest FROM answers WHERE key IN ({marks}) AND kind = ?", (*chunk, kind)
                ).fetchall()
            return rows

        found: dict[str, _Value] = {}
        wrong: list[tuple[str, Kind]] = []
        for key, value, digest in self.database.read(select):
            answer = _decoded(kind, key, value, digest, decoder)
            if answer is None:
                wrong.append((key, kind))
            else:
                found[key] = answer
        if wrong:
            self._drop_wrong(wrong)
        return found

    def _drop_wrong(self, wrong: list[tuple[str, Kind]]) -> None:
        answers = "1 stored answer does" if len(wrong) == 1 else f"{len(wrong)} stored answers do"
        self.database.note(
            f"{self.path}: {answers} not match the digest and will not be used (the first: {wrong[0][0][:12]}); "
            "what is missing is asked again."
        )
        try:
            self.drop(wrong)
        except GenerationError as error:
            self.database.note(f"{self.path}: wrong rows could not be dropped ({error})")

    def _put(self, kind: Kind, values: Mapping[str, bytes], ref: ModelRef | None) -> None:
        if not values:
            return
        now = int(time.time())
        rows = [(key, kind, value, row_digest(kind, key, value)) for key, value in values.items()]
        known = None if ref is None else KnownModel.of(ref)

        def insert(connection: sqlite3.Connection) -> None:
            model = None if known is None else _model_id(connection, known)
            _insert(connection, [(*row, model, now) for row in rows])

        self.database.write(insert)


def is_right(kind: Kind, key: str, value: bytes, digest: bytes) -> bool:
    """Is the row the one that was written, and can it be read?"""
    if kind == "response":
        return _decoded(kind, key, value, digest, _RESPONSE) is not None
    return _decoded(kind, key, value, digest, _SCORES) is not None


def _decoded(kind: Kind, key: str, value: bytes, digest: bytes, decoder: msgspec.json.Decoder[_Value]) -> _Value | None:
    # What damage left need not even be of the column's type.
    if not isinstance(value, bytes) or not isinstance(key, str) or row_digest(kind, key, value) != digest:
        return None
    try:
        return decoder.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _insert(connection: sqlite3.Connection, rows: list[tuple[str, Kind, bytes, bytes, int | None, int]]) -> None:
    connection.executemany(
        "INSERT OR REPLACE INTO answers (key, kind, value, digest, model, written) VALUES (?, ?, ?, ?, ?, ?)", rows
    )


def _model_id(connection: sqlite3.Connection, model: KnownModel) -> int:
    """The row of this model, made or renamed where it must be."""
    same = (model.digest, model.engine, model.dtype)
    identity = _encode(model)
    found = connection.execute(
        "SELECT id, identity FROM models WHERE digest = ? AND engine = ? AND dtype = ?", same
    ).fetchone()
    if found is not None:
        if found[1] != identity:
            connection.execute("UPDATE models SET identity = ? WHERE id = ?", (identity, found[0]))
        return int(found[0])
    made = connection.execute(
        "INSERT INTO models (digest, engine, dtype, identity) VALUES (?, ?, ?, ?)", (*same, identity)
    ).lastrowid
    assert made is not None, "just inserted"
    return made
