"""The SQLite file below a store: opened, waited for, brought up to date, set aside when it is damaged."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import filelock

from harness.errors import GenerationError
from harness.store.keys import Kind, row_digest

_log = logging.getLogger("harness.store")

#: Raise it when the tables change, and write in `_bring_up_to_date` what becomes of the older ones.
SCHEMA_VERSION = 1

#: Seconds that SQLite waits for another process that is writing.
BUSY_TIMEOUT = 30.0

#: Seconds after which a locked file is given up. Some locks SQLite reports at once, without waiting: after a
#: killed writer, or when two processes switch to write-ahead logging together.
PATIENCE = 60.0

# The key's index holds 64 letters a row; the values, which are long, lie in the table in the order of their writing.
_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS answers (
        key TEXT NOT NULL, kind TEXT NOT NULL, value BLOB NOT NULL, digest BLOB NOT NULL,
        model INTEGER, written INTEGER NOT NULL, UNIQUE (key, kind))""",
    """CREATE TABLE IF NOT EXISTS models (
        id INTEGER PRIMARY KEY, digest TEXT NOT NULL, engine TEXT NOT NULL, dtype TEXT NOT NULL,
        identity BLOB NOT NULL, UNIQUE (digest, engine, dtype))""",
    "CREATE TABLE IF NOT EXISTS runs (run_id TEXT PRIMARY KEY, run BLOB NOT NULL, imported INTEGER NOT NULL)",
)

#: Tables of the first stores, which had no digests.
_UNDIGESTED: dict[str, Kind] = {"responses": "response", "scores": "score"}

_NEXT_STEP = "Make room, or make the folder writable, then run again: finished answers are kept."

_T = TypeVar("_T")


class Database:
    """The file at `path`, made if it is not there. Safe with several processes, and against being killed.

    `moved_aside` names the damaged file that was replaced, if there was one; `notes` are the sentences that a user
    must read. Raises GenerationError where the file cannot be written (full disk, permissions, a lock that stays).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.moved_aside: Path | None = None
        self.notes: list[str] = []
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GenerationError(f"{path.parent}: cannot be made ({error.strerror}). {_NEXT_STEP}") from error
        self.connection = self._open()

    def close(self) -> None:
        """Release the file."""
        self.connection.close()

    def note(self, sentence: str) -> None:
        """Say it in the log now and to the user later."""
        self.notes.append(sentence)
        _log.warning("%s", sentence)

    def read(self, action: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run it; on damage set the file aside and run it once more; on anything else say what to do."""
        try:
            if _file_of(self.path) != self._file:
                # Deleted, or set aside by another process: what is written into the old file, nobody would find.
                self.connection.close()
                self.connection = self._open()
            return _patiently(lambda: action(self.connection))
        except sqlite3.Error as error:
            if not is_damage(error):
                raise self._refusal(error) from error
            self.connection.close()
            self.connection = self._replace(error)
        try:
            return _patiently(lambda: action(self.connection))
        except sqlite3.Error as error:
            raise self._refusal(error) from error

    def write(self, action: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run it in one transaction: after it, even a killed process has what was written; before it, nothing."""
        return self.read(lambda connection: _transaction(connection, lambda: action(connection)))

    def _open(self) -> sqlite3.Connection:
        try:
            return _patiently(self._connect)
        except sqlite3.Error as error:
            if not is_damage(error):
                raise self._refusal(error) from error
            return self._replace(error)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT, isolation_level=None)
        try:
            self._bring_up_to_date(connection)
            # NORMAL: a killed process loses nothing; only a crash of the whole machine may cost the last answers.
            connection.execute("PRAGMA synchronous = NORMAL")
            # Looking once finds a file that opens but is damaged inside the schema.
            connection.execute("SELECT key, kind, value, digest, model, written FROM answers LIMIT 1").fetchone()
        except BaseException:
            connection.close()
            raise
        self._file = _file_of(self.path)
        return connection

    def _bring_up_to_date(self, connection: sqlite3.Connection) -> None:
        version = schema_version(connection)
        if version > SCHEMA_VERSION:
            raise GenerationError(
                f"{self.path}: written by a newer harness (version {version} of the store, this one knows "
                f"{SCHEMA_VERSION}). Upgrade finetune-harness, or delete the file; it is only a cache."
            )
        connection.execute("PRAGMA journal_mode = WAL")
        if version == SCHEMA_VERSION:
            return

        def upgrade() -> int:
            if schema_version(connection) == SCHEMA_VERSION:
                return 0  # by another process, just now
            for statement in _SCHEMA:
                connection.execute(statement)
            kept = _take_over(connection, int(self.path.stat().st_mtime))
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            return kept

        kept = _transaction(connection, upgrade)
        if kept:
            self.note(f"{self.path}: from an earlier harness; its {kept} answers were kept and have digests now.")

    def _replace(self, error: sqlite3.Error) -> sqlite3.Connection:
        """Set the damaged file aside and begin a new one; of several processes that saw the damage, one does."""
        try:
            with filelock.FileLock(f"{self.path}.lock", timeout=BUSY_TIMEOUT):
                try:
                    connection = _patiently(self._connect)
                except sqlite3.Error:
                    pass
                else:
                    if connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",):
                        return connection
                    connection.close()
                self.moved_aside = self._move_aside()
                self.note(
                    f"{self.path} was damaged ({error}) and is now {self.moved_aside.name}; "
                    "answers are generated again."
                )
                return _patiently(self._connect)
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
            # A journal that stayed would be played into the new file.
            journal = Path(f"{self.path}{suffix}")
            if journal.exists():
                journal.rename(f"{aside}{suffix}")
        return aside

    def _refusal(self, error: sqlite3.Error) -> GenerationError:
        if _is_busy(error):
            return GenerationError(
                f"{self.path}: another process has held it for {PATIENCE:.0f} s ({error}). End that run or wait for "
                "it, then run again: finished answers are kept."
            )
        return GenerationError(f"{self.path}: the answers cannot be kept ({error}). {_NEXT_STEP}")


def schema_version(connection: sqlite3.Connection) -> int:
    """Of which harness's tables the file is; 0 before there was a number."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def is_damage(error: sqlite3.Error) -> bool:
    """SQLITE_CORRUPT, SQLITE_NOTADB, or a file of ours with other tables: beginning anew helps. A full disk is not
    damage.
    """
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or (
        code == sqlite3.SQLITE_ERROR
        and any(words in str(error) for words in ("no such column", "no such table", "malformed"))
    )


def _take_over(connection: sqlite3.Connection, written: int) -> int:
    """Move the rows of a store without digests into today's tables; how many."""
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.create_function("row_digest", 3, row_digest, deterministic=True)
    kept = 0
    for table, kind in _UNDIGESTED.items():
        if table not in there:
            continue
        kept += connection.execute(
            "INSERT OR IGNORE INTO answers (key, kind, value, digest, written) "
            f"SELECT key, ?1, CAST(value AS BLOB), row_digest(?1, key, CAST(value AS BLOB)), ?2 FROM {table}",
            (kind, written),
        ).rowcount
        connection.execute(f"DROP TABLE {table}")
    return kept


def _transaction(connection: sqlite3.Connection, action: Callable[[], _T]) -> _T:
    # IMMEDIATE: a reader that turns writer in mid-transaction would get "locked" without any waiting.
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = action()
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result


def _patiently(action: Callable[[], _T]) -> _T:
    """Run it again while another process holds the file, for as long as PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    pause = 0.01
    while True:
        try:
            return action()
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(pause)
            pause = min(2 * pause, 0.5)


def _is_busy(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)


def _file_of(path: Path) -> tuple[int, int] | None:
    """Which file is there now; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
