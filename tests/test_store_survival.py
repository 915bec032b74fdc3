"""A store survives what happens to files: two writers, a kill, a full disk, a flipped byte, another version."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from harness.errors import GenerationError
from harness.models import Response, TokenScores
from harness.models.refs import ModelRef
from harness.store import Store, database, upkeep
from harness.store.keys import row_digest

REF = ModelRef(text="candidate", label="triage@1", engine="hf", base="/models/m", base_digest="d" * 64)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def filled(path: Path, rows: int, text: str = "an answer ") -> dict[str, Response]:
    answers = {key(n): Response(text=f"{text}{n}") for n in range(rows)}
    with Store(path) as store:
        store.put_responses(answers, ref=REF)
    return answers


# A killed writer says which rows it was promised: each line follows the end of a transaction.
WRITER = """
import sys
from pathlib import Path
from harness.models import Response
from harness.store import Store
with Store(Path(sys.argv[1])) as store:
    for n in range(1_000_000):
        store.put_responses({f"{sys.argv[2]}-{n}": Response(text="x" * 500)})
        print(n, flush=True)
"""


def test_writers_that_are_killed_lose_nothing_that_was_promised(path: Path) -> None:
    for round_ in ("a", "b"):
        writers = [
            subprocess.Popen([sys.executable, "-c", WRITER, str(path), f"{round_}{i}"], stdout=subprocess.PIPE)
            for i in range(2)
        ]
        promised = {}
        for i, writer in enumerate(writers):
            assert writer.stdout is not None
            for _ in range(40):
                promised[i] = int(writer.stdout.readline())
        for writer in writers:
            os.kill(writer.pid, signal.SIGKILL)
        for i, writer in enumerate(writers):
            rest, _ = writer.communicate()
            # The kill may have cut the last line short.
            numbers = [int(line) for line in rest.split(b"\n")[:-1]]
            promised[i] = max([promised[i], *numbers])
        wanted = [f"{round_}{i}-{n}" for i, last in promised.items() for n in range(last + 1)]
        with Store(path) as store:
            assert store.responses(wanted).keys() == set(wanted)
            assert store.notes == ()
    assert upkeep.verify(path).sound


FULL = """
import resource, sys
from pathlib import Path
from harness.errors import GenerationError
from harness.models import Response
from harness.store import Store
store = Store(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
kept = 0
try:
    for n in range(10_000):
        store.put_responses({f"n{n}": Response(text="x" * 5_000)})
        kept += 1
except GenerationError as error:
    print(kept, error)
"""


def test_a_disk_that_fills_up_ends_in_one_sentence_and_loses_nothing(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True)
    assert done.stderr == ""
    kept, _, sentence = done.stdout.partition(" ")
    assert int(kept) > 10
    assert "store.sqlite: the answers cannot be kept" in sentence
    assert "Make room" in sentence
    with Store(path) as store:
        assert len(store.responses([f"n{n}" for n in range(int(kept))])) == int(kept)
        store.put_responses({"later": Response(text="there is room again")})
    assert upkeep.verify(path).sound


def test_a_lock_that_stays_is_given_up_with_a_next_step(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(path, 1)
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.05)
    monkeypatch.setattr(database, "PATIENCE", 0.1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with Store(path) as store:
        with pytest.raises(GenerationError, match=r"another process has held it.*End that run or wait"):
            store.put_responses({"a": Response(text="x")})
        other.execute("ROLLBACK")
        store.put_responses({"a": Response(text="x")})
        assert store.responses(["a"])
    other.close()


def tampered(path: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement, values)
    connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE answers SET value = CAST(replace(CAST(value AS TEXT), 'answer', 'answes') AS BLOB) WHERE key = ?",
        "UPDATE answers SET digest = zeroblob(32) WHERE key = ?",
        "UPDATE answers SET value = 7 WHERE key = ?",
        "UPDATE answers SET digest = 'none' WHERE key = ?",
    ],
)
def test_a_row_that_was_changed_is_dropped_said_so_and_never_used(path: Path, statement: str) -> None:
    answers = filled(path, 3)
    tampered(path, statement, key(1))
    found = upkeep.verify(path)
    assert not found.sound
    assert found.wrong == ((key(1), "response"),)
    with Store(path) as store:
        assert store.responses(answers) == {k: v for k, v in answers.items() if k != key(1)}
        assert len(store.notes) == 1
        assert "1 stored answer does not match the digest and will not be used" in store.notes[0]
        assert store.responses(answers).keys() == answers.keys() - {key(1)}
        assert len(store.notes) == 1, "dropped once, said once"
    assert upkeep.verify(path) == upkeep.Verified(rows=2)


def test_two_answers_that_changed_places_are_both_found_out(path: Path) -> None:
    answers = filled(path, 2)
    tampered(path, "UPDATE answers SET key = key || 'x'")
    tampered(path, "UPDATE answers SET key = CASE key WHEN ? THEN ? ELSE ? END", key(0) + "x", key(1), key(0))
    with Store(path) as store:
        assert store.responses(answers) == {}
    assert upkeep.verify(path).rows == 0


def test_a_byte_flipped_anywhere_in_the_file_never_changes_an_answer(path: Path) -> None:
    answers = filled(path, 60, text="一个回答 ")
    tampered(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    good = path.read_bytes()
    noticed = refused = 0
    for place in range(0, len(good), 397):
        for journal in path.parent.glob("store.sqlite*"):
            journal.unlink()
        path.write_bytes(good[:place] + bytes([good[place] ^ 0x21]) + good[place + 1 :])
        found: dict[str, Response] = {}
        # The one byte that no cache can mend: that of the version, which is then a newer harness's.
        with contextlib.suppress(GenerationError), Store(path) as store:
            found = store.responses(answers)
        refused += not found
        noticed += found != answers
        assert found.items() <= answers.items()
    assert noticed > 5, "rows and pages were hit"
    assert noticed > refused, "one row at a time is lost, not all"


def test_a_row_hit_in_the_file_is_found_by_verify(path: Path) -> None:
    filled(path, 50)
    tampered(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(path.read_bytes())
    place = content.index(b"an answer 17")
    content[place] ^= 1
    path.write_bytes(bytes(content))
    assert upkeep.verify(path).wrong == ((key(17), "response"),)


def test_verify_finds_a_damaged_file_and_leaves_it_where_it_is(path: Path) -> None:
    filled(path, 2_000)
    with path.open("r+b") as file:
        file.seek(20_000)
        file.write(b"\xff" * 50_000)
    found = upkeep.verify(path)
    assert found.damage
    assert not found.sound
    assert [p.name for p in path.parent.glob("*corrupt*")] == []


def test_a_store_that_was_deleted_or_set_aside_by_another_is_noticed_before_writing(path: Path) -> None:
    filled(path, 1)
    with Store(path) as store:
        path.rename(path.with_name("elsewhere"))
        for suffix in ("-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        store.put_responses({"new": Response(text="x")})
    with Store(path) as store:
        assert store.responses(["new"])


def old_store(path: Path, rows: dict[str, dict[str, bytes]]) -> None:
    connection = sqlite3.connect(path)
    with connection:
        for table, values in rows.items():
            connection.execute(f"CREATE TABLE {table} (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")
            connection.executemany(f"INSERT INTO {table} VALUES (?, ?)", values.items())
    connection.close()


def test_a_store_of_an_earlier_harness_keeps_its_answers_and_gets_digests(path: Path) -> None:
    response, scores = Response(text="退款"), TokenScores(logprobs=(-1.0,))
    encode = msgspec.json.encode
    old_store(path, {"responses": {"a": encode(response), "b": b"{}"}, "scores": {"a": encode(scores)}})
    with pytest.raises(GenerationError, match="earlier harness"):
        upkeep.verify(path)
    with Store(path) as store:
        assert "3 answers were kept and have digests now" in store.notes[0]
        assert store.responses(["a", "b"]) == {"a": response}
        assert store.scores(["a"]) == {"a": scores}
        assert upkeep.shares(store)[0].model is None
    with Store(path) as store:
        assert store.notes == ()
    assert upkeep.verify(path).sound


def test_a_store_of_a_newer_harness_is_left_alone(path: Path) -> None:
    filled(path, 1)
    tampered(path, "PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(GenerationError, match=r"newer harness.*Upgrade.*or delete"):
        Store(path)
    assert path.read_bytes() == before


def test_the_digest_is_of_kind_key_and_value() -> None:
    digests = {
        row_digest("response", "a", b"1"),
        row_digest("score", "a", b"1"),
        row_digest("response", "b", b"1"),
        row_digest("response", "a", b"2"),
    }
    assert len(digests) == 4
    assert row_digest("response", "a", b"1") == hashlib.sha256(b"response\0a\x001").digest()
