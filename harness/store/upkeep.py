"""Looking after a store: is every row the one that was written, what lies in it, and what may go."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import quote

import msgspec

from harness.errors import GenerationError
from harness.store.cache import Store, is_right
from harness.store.database import BUSY_TIMEOUT, SCHEMA_VERSION, is_damage, schema_version
from harness.store.identities import KnownModel
from harness.store.keys import Kind

#: Rows are dropped in steps of so many, so that other processes can write in between.
_STEP = 5_000

#: Pages of a store without any answers.
_BARE_PAGES = 8

#: A page holds whole rows only, so an estimate from the mean row needs some room.
_MARGIN = 0.97


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What a check of the whole file found. `damage` is SQLite's word where the file itself is broken."""

    rows: int
    wrong: tuple[tuple[str, Kind], ...] = ()
    damage: str | None = None

    @property
    def sound(self) -> bool:
        """Is every row the one that was written, in a file without damage?"""
        return not self.wrong and self.damage is None


class ModelShare(msgspec.Struct, frozen=True, kw_only=True):
    """What one model has in the store; `model` None: rows of a store that did not note who answered.

    `bytes` are those of the values. `oldest` and `newest` are seconds since 1970.
    """

    model: KnownModel | None
    responses: int
    scores: int
    bytes: int
    oldest: int
    newest: int


def verify(path: Path) -> Verified:
    """Check the file and every row's digest. Changes nothing, and sets nothing aside.

    Raises GenerationError where the file cannot be read, or is of another version of the store.
    """
    connection: sqlite3.Connection | None = None
    rows = 0
    wrong: list[tuple[str, Kind]] = []
    try:
        connection = sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True, timeout=BUSY_TIMEOUT)
        version = schema_version(connection)
        if not version and not path.stat().st_size:
            # Its first run found no room for anything.
            return Verified(rows=0, wrong=(), damage=None)
        if version != SCHEMA_VERSION:
            age = "an earlier harness, whose rows have no digests: the next run adds them"
            raise GenerationError(
                f"{path}: of {age if version < SCHEMA_VERSION else 'a newer harness: upgrade finetune-harness'}."
            )
        for key, kind, value, digest in connection.execute("SELECT key, kind, value, digest FROM answers"):
            rows += 1
            if kind not in ("response", "score") or not is_right(kind, key, value, digest):
                wrong.append((key, kind))
        found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        return Verified(rows=rows, wrong=tuple(wrong), damage=None if found == "ok" else str(found))
    except sqlite3.Error as error:
        if is_damage(error):
            return Verified(rows=rows, wrong=tuple(wrong), damage=str(error))
        raise GenerationError(
            f"{path}: cannot be read ({error}). Mend its rights, or wait for the other run."
        ) from error
    finally:
        if connection is not None:
            connection.close()


def shares(store: Store) -> list[ModelShare]:
    """What lies in the store, by model, the largest first."""
    rows = store.database.read(
        lambda connection: connection.execute(
            "SELECT identity, sum(kind = 'response'), sum(kind = 'score'), sum(length(value)), min(written), "
            "max(written) FROM answers LEFT JOIN models ON models.id = answers.model GROUP BY answers.model "
            "ORDER BY 4 DESC"
        ).fetchall()
    )
    return [
        ModelShare(
            model=None if identity is None else msgspec.json.decode(identity, type=KnownModel),
            responses=responses,
            scores=scores,
            bytes=size,
            oldest=oldest,
            newest=newest,
        )
        for identity, responses, scores, size, oldest, newest in rows
    ]


def file_bytes(path: Path) -> int:
    """What the store takes on the disk, with its journal."""
    files = (Path(f"{path}{suffix}") for suffix in ("", "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def older_than(store: Store, seconds: float) -> set[int]:
    """Rows that were written longer ago than that."""
    limit = int(time.time() - seconds)
    return _rows(store, "SELECT rowid FROM answers WHERE written < ?", limit)


def of_models(store: Store, gone: Callable[[KnownModel], bool]) -> set[int]:
    """Rows of the models of which `gone` is true. Rows of which nobody noted the model stay."""
    models = store.database.read(lambda connection: connection.execute("SELECT id, identity FROM models").fetchall())
    ids = [number for number, identity in models if gone(msgspec.json.decode(identity, type=KnownModel))]
    marks = ",".join("?" * len(ids))
    return _rows(store, f"SELECT rowid FROM answers WHERE model IN ({marks})", *ids)


def beyond_size(store: Store, limit: int, *, without: Iterable[int] = ()) -> set[int]:
    """The oldest rows that must go, after `without` have gone, for the file to have at most `limit` bytes."""
    rows: list[tuple[int, int]] = store.database.read(
        lambda connection: connection.execute(
            "SELECT rowid, length(value) FROM answers ORDER BY written, rowid"
        ).fetchall()
    )
    used, page = store.database.read(_used_bytes)
    # What a row costs beside its value (key, digest, index, pages half full) is much the same for all.
    beside = max(0.0, used - _BARE_PAGES * page - sum(size for _, size in rows)) / max(1, len(rows))
    gone = set(without)
    left = used - sum(size + beside for row, size in rows if row in gone)
    over: set[int] = set()
    for row, size in rows:
        if left <= limit * _MARGIN:
            break
        if row not in gone:
            over.add(row)
            left -= size + beside
    return over


def forget(store: Store, rows: Iterable[int]) -> int:
    """Drop these rows, and give their room back to the disk; how many they were."""
    numbers = sorted(rows)
    for start in range(0, len(numbers), _STEP):
        _forget_step(store, numbers[start : start + _STEP])
    store.database.write(
        lambda connection: connection.execute(
            "DELETE FROM models WHERE id NOT IN (SELECT model FROM answers WHERE model IS NOT NULL)"
        )
    )
    store.database.read(lambda connection: connection.execute("VACUUM"))
    store.database.read(lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)"))
    return len(numbers)


def _forget_step(store: Store, numbers: list[int]) -> None:
    rows = [(number,) for number in numbers]
    store.database.write(lambda connection: connection.executemany("DELETE FROM answers WHERE rowid = ?", rows))


def _rows(store: Store, query: str, *values: int) -> set[int]:
    return {row for (row,) in store.database.read(lambda connection: connection.execute(query, values).fetchall())}


def _used_bytes(connection: sqlite3.Connection) -> tuple[int, int]:
    """Bytes of the pages in use, and of one page."""
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size, size
