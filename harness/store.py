"""Answers that were paid for once: responses and token scores by content key, in one SQLite file.

A cache, not an archive: it may be deleted at any time, and a damaged file is moved aside and begun anew.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeVar

import filelock
import msgspec

from harness.errors import GenerationError
from harness.models import Request, Response, ScoreRequest, TokenScores
from harness.models.refs import ModelRef

Kind = Literal["response", "score"]

_log = logging.getLogger("harness.store")

#: Part of every key, by what is stored: raise it when the meaning of a key or the way a value is computed changes,
#: and old entries are not found. Scores are at 2 since shared beginnings are computed once, which rounds otherwise.
KEY_VERSIONS: dict[Kind, int] = {"response": 1, "score": 2}

#: Seconds to wait for another process that is writing.
_BUSY_TIMEOUT = 30.0

#: SQLite's own limit for the parameters of one statement is 999 in old builds.
_CHUNK = 900

_TABLES = ("responses", "scores")

_encode = msgspec.json.encode


def response_key(ref: ModelRef, request: Request) -> str:
    """Everything that an answer depends on: weights, engine, dtype, messages, sampling, sample and replica.

    Device and batch size are left out: they change speed, not what is asked. The case's name is left out too,
    but for scripted models, which answer by it.
    """
    case = request.case if ref.engine == "scripted" else ""
    asked = (request.messages, request.sampling, request.sample, request.replica, case)
    return hashlib.sha256(_identity("response", ref) + _encode(asked)).hexdigest()


def score_key(ref: ModelRef, request: ScoreRequest) -> str:
    """Everything that the scores of a text depend on."""
    asked = (request.messages, request.text, request.kl)
    return hashlib.sha256(_identity("score", ref) + _encode(asked)).hexdigest()


@functools.lru_cache(maxsize=64)
def _identity(kind: Kind, ref: ModelRef) -> bytes:
    again = (ref.replica,) if ref.replica else ()
    return _encode((KEY_VERSIONS[kind], kind, ref.digest, ref.engine, ref.dtype, *again)) + b"\n"


_Value = TypeVar("_Value")


class Store:
    """The cache at `path`, made if it is not there. Safe with several processes, and against being killed.

    `moved_aside` names the damaged file that was replaced, if there was one. Raises GenerationError where the
    file cannot be written (full disk, permissions).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.moved_aside: Path | None = None
        self._responses = msgspec.json.Decoder(Response)
        self._scores = msgspec.json.Decoder(TokenScores)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GenerationError(f"{path.parent}: cannot be made ({error.strerror}). {_NEXT_STEP}") from error
        self._connection = self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file; the store cannot be used afterwards."""
        self._connection.close()

    def responses(self, keys: Iterable[str]) -> dict[str, Response]:
        """The stored answers among `keys`; a missing or unreadable one is simply not in the result."""
        return self._select("responses", keys, self._responses)

    def scores(self, keys: Iterable[str]) -> dict[str, TokenScores]:
        """The stored token scores among `keys`."""
        return self._select("scores", keys, self._scores)

    def put_responses(self, responses: Mapping[str, Response]) -> None:
        """Keep answers, in one transaction: after it, even a killed process has them."""
        self._insert("responses", [(key, _encode(value)) for key, value in responses.items()])

    def put_scores(self, scores: Mapping[str, TokenScores]) -> None:
        """Keep token scores, in one transaction."""
        self._insert("scores", [(key, _encode(value)) for key, value in scores.items()])

    def _select(self, table: str, keys: Iterable[str], decoder: msgspec.json.Decoder[_Value]) -> dict[str, _Value]:
        wanted = list(dict.fromkeys(keys))

        def select() -> list[tuple[str, bytes]]:
            rows: list[tuple[str, bytes]] = []
            for start in range(0, len(wanted), _CHUNK):
                chunk = wanted[start : start + _CHUNK]
                marks = ",".join("?" * len(chunk))
                rows += self._connection.execute(
                    f"SELECT key, value FROM {table} WHERE key IN ({marks})", chunk
                ).fetchall()
            return rows

        found = {}
        for key, value in self._guarded(select):
            try:
                found[key] = decoder.decode(value)
            except (msgspec.DecodeError, UnicodeDecodeError):
                _log.warning("%s: the entry %s of %s is unreadable; it is made again", self.path, key, table)
        return found

    def _insert(self, table: str, rows: list[tuple[str, bytes]]) -> None:
        if not rows:
            return

        def insert() -> None:
            # IMMEDIATE: a reader that turns writer in mid-transaction would get "locked" without any waiting.
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", rows)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

        self._guarded(insert)

    def _guarded(self, action: Callable[[], _Value]) -> _Value:
        """Run it; on damage move the file aside and run it once more; on anything else say what to do."""
        try:
            return action()
        except sqlite3.Error as error:
            if not _is_damage(error):
                raise self._refusal(error) from error
            self._connection.close()
            self._connection = self._replace(error)
        try:
            return action()
        except sqlite3.Error as error:
            raise self._refusal(error) from error

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.Error as error:
            if not _is_damage(error):
                raise self._refusal(error) from error
            return self._replace(error)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_BUSY_TIMEOUT, isolation_level=None)
        try:
            _become_wal(connection)
            # NORMAL: a killed process loses nothing; only a crash of the whole machine may cost the last
            # answers.
            connection.execute("PRAGMA synchronous = NORMAL")
            for table in _TABLES:
                connection.execute(
                    f"CREATE TABLE IF NOT EXISTS {table} (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"
                )
                # Looking once finds a file that opens but is damaged inside the schema.
                connection.execute(f"SELECT key, value FROM {table} LIMIT 1").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection

    def _replace(self, error: sqlite3.Error) -> sqlite3.Connection:
        """Move the damaged file aside and begin a new one; of several processes that saw the damage, one
        does.
        """
        try:
            with filelock.FileLock(f"{self.path}.lock", timeout=_BUSY_TIMEOUT):
                try:
                    connection = self._connect()
                except sqlite3.Error:
                    pass
                else:
                    if connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",):
                        return connection
                    connection.close()
                self.moved_aside = self._move_aside()
                _log.warning(
                    "%s was damaged (%s) and is now %s; answers are generated again",
                    self.path,
                    error,
                    self.moved_aside,
                )
                return self._connect()
        except (OSError, sqlite3.Error) as failure:
            raise GenerationError(
                f"{self.path}: damaged ({error}) and cannot be replaced ({failure}). Delete it; it is only a cache."
            ) from error

    def _move_aside(self) -> Path:
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}.corrupt-{number}")).exists():
            number += 1
        self.path.rename(aside)
        for suffix in ("-wal", "-shm"):
            # A leftover journal would be played into the new file.
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        return aside

    def _refusal(self, error: sqlite3.Error) -> GenerationError:
        return GenerationError(f"{self.path}: the answers cannot be kept ({error}). {_NEXT_STEP}")


_NEXT_STEP = "Make room, or make the folder writable, then run again: finished answers are kept."


def _is_damage(error: sqlite3.Error) -> bool:
    """SQLITE_CORRUPT, SQLITE_NOTADB, or a file of ours with other tables: deleting helps. A full disk is not
    damage.
    """
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or (
        code == sqlite3.SQLITE_ERROR and ("no such column" in str(error) or "malformed" in str(error))
    )


def _become_wal(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging; SQLite answers "locked" at once, without waiting, when two switch
    together.
    """
    deadline = time.monotonic() + _BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            busy = getattr(error, "sqlite_errorcode", 0) & 0xFF in (
                sqlite3.SQLITE_BUSY,
                sqlite3.SQLITE_LOCKED,
            )
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
