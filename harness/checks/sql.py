"""SQL in answers, judged by what it finds: run on a small database in memory, beside the query that is right.

An answer is somebody else's code. It runs on a copy that exists in memory alone, through an authorizer that lets it
read tables and call functions and nothing else, and within a number of steps, rows and bytes.
"""

from __future__ import annotations

import functools
import json
import math
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from harness.checks import arguments
from harness.checks.documents import refuse_unwritable
from harness.checks.score import Score, check, clip, excerpt, one_line, text_of
from harness.errors import CheckError
from harness.models import Response

#: Steps of SQLite's virtual machine: well below a second for ordinary rows. A count, unlike a clock, gives the same
#: score on every machine; of the processor's time there is a limit for steps that are dear.
MOST_STEPS = 500_000
MOST_SECONDS = 10.0
MOST_ROWS = 10_000
#: The longest text or blob, and the longest statement, in bytes.
LONGEST_VALUE, LONGEST_STATEMENT = 10_000, 50_000

_STEPS_AT_ONCE = 1_000
_FENCE = re.compile(r"\s*```[ \t]*(?:sql|sqlite)?[ \t]*\r?\n(.*?)\r?\n?[ \t]*```\s*", re.DOTALL | re.IGNORECASE)
#: Texts, quoted names and comments, in which no word means anything.
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|\[[^\]]*\]|--[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_WORD = re.compile(r"[()]|[a-z_]+", re.IGNORECASE)

_READING = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
#: What the author of a schema has no use for, and a golden set from elsewhere must not do.
_NEVER = frozenset({sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_PRAGMA, sqlite3.SQLITE_CREATE_VTABLE})
_FORBIDDEN_FUNCTIONS = frozenset({"load_extension", "fts3_tokenizer", "random", "randomblob"})

Rows = tuple[tuple[object, ...], ...]


class _RefusedError(Exception):
    """The statement cannot be run, or found too much; the message says why."""


@check
def sql_equals(
    response: Response | str,
    query: str,
    *,
    schema: str,
    rows: Mapping[str, Sequence[Sequence[object]]] | None = None,
    ordered: bool | None = None,
    fenced: bool = False,
) -> Score:
    """The answer is one SQL query that finds what `query` finds, on a database made of `schema` and `rows`.

    `schema` is SQL (CREATE TABLE, INSERT); `rows` gives each table further rows. Columns go by place, not by name;
    rows in any order, unless `query` ends in an ORDER BY of its own or `ordered` says so. Numbers are equal to 12
    digits. With `fenced`, the answer may stand in one Markdown code fence. SQLite's dialect; the answer can read and
    nothing else.
    """
    wanted_query = arguments.one_text("sql_equals", "query", query)
    in_order = asks_for_order(wanted_query) if ordered is None else arguments.flag("sql_equals", "ordered", ordered)
    fenced = arguments.flag("sql_equals", "fenced", fenced)
    database = _database(arguments.one_text("sql_equals", "schema", schema), _as_json(rows))
    wanted = _wanted(database, wanted_query)
    statement = text_of(response)
    fence = _FENCE.fullmatch(statement)
    if fence:
        if not fenced:
            return _score(False, f"a Markdown fence stands around it (fenced: true allows one): {excerpt(statement)}")
        statement = fence[1]
    if not statement.strip():
        return _score(False, "an empty answer")
    try:
        found = _run(database, statement)
    except _RefusedError as refused:
        return _score(False, f"{refused}: {excerpt(statement)}")
    fault = _difference(wanted, found, in_order)
    if fault is not None:
        return _score(False, f"{fault}: {excerpt(statement)}")
    return _score(
        True, f"the query finds the {len(wanted)} rows{' in order' if in_order else ''}: {excerpt(statement)}"
    )


def asks_for_order(query: str) -> bool:
    """Does the query order its own result, rather than that of a query inside it or of a window?

    >>> asks_for_order("SELECT name FROM t ORDER BY name")
    True
    >>> asks_for_order("SELECT count(*) FROM (SELECT name FROM t ORDER BY name LIMIT 3)")
    False
    """
    depth, before = 0, ""
    for found in _WORD.finditer(_QUOTED.sub(" ", query)):
        word = found.group().lower()
        if word == "(":
            depth += 1
        elif word == ")":
            depth -= 1
        elif depth == 0 and before == "order" and word == "by":
            return True
        before = word
    return False


def _score(passed: bool, explanation: str) -> Score:
    return Score(passed=passed, check="sql_equals", explanation=explanation)


def _as_json(rows: object) -> str:
    """`rows` as a text, by which a database is remembered."""
    if rows is None:
        return "{}"
    if not isinstance(rows, Mapping):
        raise CheckError(
            "sql_equals: rows must be an object from a table to its rows, such as {'orders': [[1, 'tent']]}, "
            f"not {arguments.described(rows)}."
        )
    try:
        refuse_unwritable(dict(rows))
    except ValueError as error:
        raise CheckError(f"sql_equals: rows: {error}. Correct it.") from error
    for table, lines in rows.items():
        if isinstance(lines, str) or not isinstance(lines, Sequence):
            raise CheckError(f"sql_equals: rows.{table} must be a list of rows, not {arguments.described(lines)}.")
        for line in lines:
            if isinstance(line, (str, Mapping)) or not isinstance(line, Sequence):
                raise CheckError(
                    f"sql_equals: a row of {table} must be a list of values, not {arguments.described(line)}."
                )
            if any(isinstance(value, (list, tuple, dict)) for value in line):
                raise CheckError(f"sql_equals: a row of {table} has a value that is a list or an object.")
    return json.dumps({table: [list(line) for line in lines] for table, lines in rows.items()})


@functools.lru_cache(maxsize=32)
def _database(schema: str, rows: str) -> bytes:
    """The database's bytes, built once for all answers that are asked of it."""
    connection = _empty()
    try:
        connection.set_authorizer(_authorizer(lambda action: action not in _NEVER))
        _Watch(connection)
        connection.executescript(schema)
        for table, lines in json.loads(rows).items():
            name = '"{}"'.format(table.replace('"', '""'))
            for line in lines:
                connection.execute(f"INSERT INTO {name} VALUES ({', '.join('?' * len(line))})", line)
        connection.commit()
        # SQLite itself asks for what the authorizer would deny.
        connection.set_authorizer(None)
        return connection.serialize()
    except (sqlite3.Error, sqlite3.Warning, OverflowError) as error:
        raise CheckError(f"sql_equals: the schema and rows make no database ({error}). Correct them.") from error
    finally:
        connection.close()


@functools.lru_cache(maxsize=256)
def _wanted(database: bytes, query: str) -> Rows:
    """What the right query finds; something, or every wrong query that finds nothing would pass."""
    try:
        found = _run(database, query)
    except _RefusedError as refused:
        raise CheckError(f"sql_equals: query: {refused}. Correct the query or the schema.") from refused
    if not found:
        raise CheckError(
            "sql_equals: query finds no rows, and so does many a wrong query. Add rows that it should find."
        )
    return found


def _run(database: bytes, statement: str) -> Rows:
    """All rows that one reading statement finds. Raises _RefusedError."""
    connection = _empty()
    try:
        connection.deserialize(database)
        connection.set_authorizer(_authorizer(_READING.__contains__))
        watch = _Watch(connection)
        try:
            rows = connection.execute(statement).fetchmany(MOST_ROWS + 1)
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError, MemoryError) as error:
            if watch.spent:
                raise _RefusedError(f"stopped after {watch.spent}") from None
            raise _RefusedError(_told(error)) from None
        if len(rows) > MOST_ROWS:
            raise _RefusedError(f"finds more than {MOST_ROWS:,} rows")
        return tuple(tuple(map(_plain, row)) for row in rows)
    finally:
        connection.close()


def _empty() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
    connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, LONGEST_STATEMENT)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 200)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    return connection


def _authorizer(allowed: Callable[[int], bool]) -> Callable[..., int]:
    def authorize(action: int, first: str | None, second: str | None, *_: object) -> int:
        if action == sqlite3.SQLITE_FUNCTION and str(second).lower() in _FORBIDDEN_FUNCTIONS:
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK if allowed(action) else sqlite3.SQLITE_DENY

    return authorize


class _Watch:
    """Stops a connection's work after so many steps, or so much of the processor's time; `spent` says which."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.spent = ""
        self._left = MOST_STEPS // _STEPS_AT_ONCE
        self._deadline = time.thread_time() + MOST_SECONDS
        connection.set_progress_handler(self._step, _STEPS_AT_ONCE)

    def _step(self) -> int:
        self._left -= 1
        if self._left <= 0:
            self.spent = f"{MOST_STEPS:,} steps of work"
        elif time.thread_time() > self._deadline:
            self.spent = f"{MOST_SECONDS:g} seconds of work"
        return int(bool(self.spent))


def _told(error: BaseException) -> str:
    text = clip(one_line(str(error)), 120)
    if "not authorized" in text or "prohibited" in text:
        return f"it may only read ({text})"
    if "one statement at a time" in text:
        return "several statements, and one is asked for"
    return f"not run by SQLite ({text or type(error).__name__})"


def _plain(value: object) -> object:
    """A value as it is compared: 3.0 is 3, and numbers that differ after 12 digits are the same."""
    if isinstance(value, float) and math.isfinite(value):
        rounded = float(f"{value:.12g}")
        return int(rounded) if rounded.is_integer() and abs(rounded) < 2**53 else rounded
    return value


def _difference(wanted: Rows, found: Rows, ordered: bool) -> str | None:
    """What is wrong with the rows that were found; None where nothing is."""
    if found and len(found[0]) != len(wanted[0]):
        return f"{len(found[0])} columns, not {len(wanted[0])}"
    if len(found) != len(wanted):
        return f"{len(found)} rows, not {len(wanted)}"
    if ordered:
        for place, (right, given) in enumerate(zip(wanted, found, strict=True), start=1):
            if right != given:
                return f"row {place} is {_row(given)}, not {_row(right)}"
        return None
    missing = Counter(wanted) - Counter(found)
    return f"the row {_row(next(iter(missing)))} is not found" if missing else None


def _row(row: tuple[object, ...]) -> str:
    return clip(f"({', '.join('NULL' if value is None else repr(value) for value in row)})", 60)
