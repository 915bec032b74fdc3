"""SQL in answers: what it finds decides; it can read a database in memory and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import sql_equals
from harness.checks import check_name, run_check, validate
from harness.checks.sql import asks_for_order
from harness.errors import CheckError

SCHEMA = """
CREATE TABLE orders (id INTEGER, item TEXT, price REAL);
CREATE TABLE 客户 (id INTEGER, 姓名 TEXT);
INSERT INTO 客户 VALUES (1, '王芳'), (2, '李雷');
"""
ROWS = {"orders": [[1, "tent", 80.5], [2, "stove", 30], [3, "lamp", 30], [4, "rope", None]]}
DEAR = "SELECT item FROM orders WHERE price = 30"


def found(answer: str, query: str = DEAR, **further: object):
    return sql_equals(answer, query, schema=SCHEMA, rows=ROWS, **further)


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        (DEAR, "select o.item as name from orders o where o.price = 30.0;"),
        (DEAR, "SELECT item FROM orders WHERE price = 30 ORDER BY item"),
        (DEAR, "WITH cheap AS (SELECT * FROM orders WHERE price < 40) SELECT item FROM cheap"),
        ("SELECT sum(price) FROM orders", "SELECT total(price) FROM orders"),
        ("SELECT 0.1 + 0.2", "SELECT 0.3"),
        ("SELECT item FROM orders ORDER BY id", "SELECT item FROM orders ORDER BY id ASC"),
        ("SELECT 姓名 FROM 客户 WHERE id = 1", "SELECT '王芳'"),
        ("SELECT item FROM orders WHERE price IS NULL", "SELECT 'rope'"),
    ],
)
def test_another_query_that_finds_the_same_is_right(query: str, answer: str) -> None:
    score = found(answer, query)
    assert score, score


@pytest.mark.parametrize(
    ("query", "answer", "reason"),
    [
        (DEAR, "SELECT item FROM orders", "4 rows, not 2"),
        (DEAR, "SELECT id, item FROM orders WHERE price = 30", "2 columns, not 1"),
        (DEAR, "SELECT upper(item) FROM orders WHERE price = 30", "the row ("),
        (DEAR, "SELECT 'lamp' UNION ALL SELECT 'lamp'", "the row ('stove') is not found"),
        ("SELECT item FROM orders ORDER BY id", "SELECT item FROM orders ORDER BY id DESC", "row 1 is ('rope')"),
        (DEAR, "SELEC item", "not run by SQLite"),
        (DEAR, "", "an empty answer"),
        (DEAR, "The items are stove and lamp.", "not run by SQLite"),
        (DEAR, "SELECT name FROM orders", "no such column: name"),
        (DEAR, f"{DEAR}; {DEAR}", "several statements"),
        (DEAR, f"```sql\n{DEAR}\n```", "a Markdown fence stands around it"),
        ("SELECT '1'", "SELECT 1", "the row ('1') is not found"),
    ],
)
def test_what_finds_something_else_is_wrong_and_says_how(query: str, answer: str, reason: str) -> None:
    score = found(answer, query)
    assert not score
    assert reason in score.explanation


def test_a_fence_is_allowed_where_the_check_says_so() -> None:
    assert found(f"```sql\n{DEAR};\n```", fenced=True)


def test_order_counts_where_it_is_asked_for() -> None:
    backwards = "SELECT item FROM orders ORDER BY id DESC"
    assert found(backwards, "SELECT item FROM orders")
    assert not found(backwards, "SELECT item FROM orders", ordered=True)
    assert found(backwards, "SELECT item FROM orders ORDER BY id", ordered=False)


@pytest.mark.parametrize(
    ("query", "ordered"),
    [
        ("SELECT a FROM t ORDER  BY a", True),
        ("select a from t order\nby a limit 3", True),
        ("SELECT a FROM t WHERE b = 'order by'", False),
        ("SELECT a FROM t -- order by a", False),
        ("SELECT row_number() OVER (ORDER BY a) FROM t", False),
        ('SELECT "order", "by" FROM t', False),
    ],
)
def test_only_the_querys_own_order_by_asks_for_order(query: str, ordered: bool) -> None:
    assert asks_for_order(query) is ordered


@pytest.mark.parametrize(
    "answer",
    [
        "DROP TABLE orders",
        "DELETE FROM orders",
        "UPDATE orders SET price = 30",
        "INSERT INTO orders VALUES (9, 'x', 1)",
        "CREATE TABLE x (a)",
        "ATTACH DATABASE '{folder}/stolen.db' AS stolen",
        "VACUUM INTO '{folder}/stolen.db'",
        "PRAGMA writable_schema = ON",
        "SELECT * FROM pragma_database_list",
        "SELECT load_extension('{folder}/evil')",
        "SELECT readfile('{folder}/secret')",
        "SELECT writefile('{folder}/stolen.db', 'x')",
        "BEGIN EXCLUSIVE",
        "CREATE VIRTUAL TABLE x USING fts5(a)",
    ],
)
def test_an_answer_can_read_tables_and_nothing_else(answer: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    score = found(answer.format(folder=tmp_path))
    assert not score
    assert [p.name for p in tmp_path.iterdir()] == ["secret"]
    # The next answer meets the database as it was.
    assert found(DEAR)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c", "steps of work"),
        ("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c", "more than 10,000 rows"),
        ("SELECT zeroblob(900000000)", "too big"),
        ("SELECT hex(zeroblob(1000000))", "too big"),
        ("SELECT 1 WHERE '" + "a" * 60_000 + "' = ''", "not run by SQLite"),
    ],
)
def test_work_rows_and_bytes_are_bounded(answer: str, reason: str) -> None:
    score = found(answer)
    assert not score
    assert reason in score.explanation


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"query": "SELECT nope FROM orders"}, "query: not run by SQLite (no such column: nope)"),
        ({"query": "DROP TABLE orders"}, "query: it may only read"),
        ({"query": "SELECT item FROM orders WHERE id = 99"}, "query finds no rows, and so does many a wrong query"),
        ({"schema": "CREATE TABEL x"}, "make no database"),
        ({"schema": "ATTACH '/tmp/x.db' AS x"}, "make no database (not authorized)"),
        ({"rows": {"order": [[1]]}}, "make no database (no such table: order)"),
        ({"rows": {"orders": [[1]]}}, "make no database"),
        ({"rows": {"orders": [{"id": 1}]}}, "must be a list"),
        ({"rows": [[1]]}, "rows must be an object"),
        ({"ordered": "yes"}, "ordered must be true or false"),
    ],
)
def test_a_query_or_schema_at_fault_is_an_error_of_the_set_never_a_score(
    arguments: dict[str, object], reason: str
) -> None:
    spec = {"sql_equals": {"query": DEAR, "schema": SCHEMA, "rows": ROWS, **arguments}}
    for attempt in (lambda: validate(spec), lambda: run_check(spec, DEAR)):
        with pytest.raises(CheckError) as caught:
            attempt()
        assert reason in str(caught.value)


def test_as_data_every_case_of_a_set_has_the_same_check_name() -> None:
    specs = [{"sql_equals": {"query": q, "schema": SCHEMA, "rows": ROWS}} for q in (DEAR, "SELECT 1")]
    assert {check_name(spec) for spec in specs} == {"sql_equals"}
    assert run_check(specs[0], DEAR)
