from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from harness.errors import GenerationError
from harness.models import Message, Request, Response, Sampling, ScoreRequest, TokenScores
from harness.models.refs import ModelRef
from harness.store import Store, response_key, score_key

REF = ModelRef(text="m", label="m", engine="hf", base="/models/m", base_digest="d" * 64)
REQUEST = Request(messages=(Message(role="user", content="Hi"),), case="c")
TEXT = ScoreRequest(text="prose", case="c")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".harness" / "store.sqlite"


def changed(value: msgspec.Struct, **fields: object) -> object:
    return msgspec.structs.replace(value, **fields)


def test_what_was_kept_is_found_again_by_another_process(path: Path) -> None:
    response = Response(text="退款 ✓", finish_reason="length", prompt_tokens=3, completion_tokens=2)
    scores = TokenScores(logprobs=(-0.125, -1e-30), kl_to_base=(0.0, 1.5))
    with Store(path) as store:
        store.put_responses({"a": response})
        store.put_scores({"a": scores, "b": TokenScores(logprobs=(-1.0,))})
    with Store(path) as store:
        assert store.responses(["a", "b", "a"]) == {"a": response}
        assert store.scores(["b", "a"]) == {"a": scores, "b": TokenScores(logprobs=(-1.0,))}
        assert store.responses([]) == {}


def test_ten_thousand_answers_go_in_and_come_out_together(path: Path) -> None:
    answers = {f"{i:064x}": Response(text=str(i)) for i in range(10_000)}
    with Store(path) as store:
        store.put_responses(answers)
        assert store.responses([*answers, "absent"]) == answers


def test_a_newer_answer_replaces_the_old_one(path: Path) -> None:
    with Store(path) as store:
        store.put_responses({"a": Response(text="old")})
        store.put_responses({"a": Response(text="new")})
        assert store.responses(["a"])["a"].text == "new"


@pytest.mark.parametrize(
    ("ref", "request_"),
    [
        (changed(REF, base_digest="e" * 64), REQUEST),
        (changed(REF, adapter="x", adapter_digest="f" * 64), REQUEST),
        (changed(REF, dtype="float32"), REQUEST),
        (REF, changed(REQUEST, messages=(Message(role="system", content="Hi"),))),
        (REF, changed(REQUEST, messages=(*REQUEST.messages, Message(role="assistant", content="")))),
        (REF, changed(REQUEST, sample=1)),
        (REF, changed(REQUEST, replica=1)),
        *(
            (REF, changed(REQUEST, sampling=changed(Sampling(), **{name: value})))
            for name, value in {
                "max_tokens": 9,
                "temperature": 0.5,
                "top_p": 0.5,
                "stop": (".",),
                "seed": 1,
            }.items()
        ),
    ],
)
def test_everything_an_answer_depends_on_is_in_its_key(ref: ModelRef, request_: Request) -> None:
    assert response_key(ref, request_) != response_key(REF, REQUEST)


def test_names_and_speed_settings_are_not_in_the_key() -> None:
    other = msgspec.structs.replace(REF, text="x", label="x", base="/elsewhere", device="cuda", batch_size=1)
    renamed = msgspec.structs.replace(REQUEST, case="other")
    assert response_key(other, renamed) == response_key(REF, REQUEST)
    assert score_key(other, msgspec.structs.replace(TEXT, case="other")) == score_key(REF, TEXT)


def test_a_scripted_model_answers_by_case_so_its_key_has_the_case() -> None:
    scripted = msgspec.structs.replace(REF, engine="scripted")
    assert response_key(scripted, msgspec.structs.replace(REQUEST, case="other")) != response_key(scripted, REQUEST)


def test_score_keys_differ_by_text_messages_and_divergence_and_from_answers() -> None:
    keys = {
        score_key(REF, TEXT),
        score_key(REF, msgspec.structs.replace(TEXT, text="other")),
        score_key(REF, msgspec.structs.replace(TEXT, messages=REQUEST.messages)),
        score_key(REF, msgspec.structs.replace(TEXT, kl=True)),
        score_key(msgspec.structs.replace(REF, dtype="float32"), TEXT),
        response_key(REF, REQUEST),
    }
    assert len(keys) == 6


@pytest.mark.parametrize(
    "content",
    [b"not a database at all, but long enough to look at", b"SQLite format 3\0" * 300],
    ids=["text", "header"],
)
def test_a_damaged_file_is_moved_aside_and_begun_anew(
    path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with Store(path) as store:
        assert store.moved_aside == path.with_name("store.sqlite.corrupt-1")
        assert store.moved_aside.read_bytes() == content
        store.put_responses({"a": Response(text="x")})
        assert store.responses(["a"]) == {"a": Response(text="x")}
    assert "answers are generated again" in caplog.text


def test_damage_found_while_reading_is_survived_too(path: Path) -> None:
    answers = {f"{i:064x}": Response(text="x" * 50) for i in range(2_000)}
    with Store(path) as store:
        store.put_responses(answers)
    with path.open("r+b") as file:
        file.seek(20_000)
        file.write(b"\xff" * 100_000)
    with Store(path) as store:
        assert len(store.responses(answers)) < len(answers)
        store.put_responses(answers)
        assert store.responses(answers) == answers
    assert path.with_name("store.sqlite.corrupt-1").exists()


def test_an_older_damaged_file_is_not_overwritten(path: Path) -> None:
    path.parent.mkdir()
    for number in (1, 2):
        path.write_bytes(b"broken" * 100)
        with Store(path) as store:
            assert store.moved_aside == path.with_name(f"store.sqlite.corrupt-{number}")


def test_an_entry_that_cannot_be_read_counts_as_missing(path: Path) -> None:
    with Store(path) as store:
        store.put_responses({"a": Response(text="x"), "b": Response(text="y")})
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE answers SET value = 'nonsense' WHERE key = 'a'")
    connection.close()
    with Store(path) as store:
        assert store.responses(["a", "b"]) == {"b": Response(text="y")}


def test_a_full_disk_is_told_in_one_sentence_and_keeps_what_was_there(path: Path) -> None:
    with Store(path) as store:
        store.put_responses({"a": Response(text="x")})
        pages = store.database.connection.execute("PRAGMA page_count").fetchone()[0]
        store.database.connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(GenerationError, match=r"store\.sqlite: the answers cannot be kept \(.*full.*Make room"):
            store.put_responses({"b": Response(text="y" * 100_000)})
        assert store.responses(["a", "b"]) == {"a": Response(text="x")}


def test_a_folder_that_cannot_be_made_is_an_error_with_a_next_step(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GenerationError, match="cannot be made"):
        Store(tmp_path / "file" / "store.sqlite")


def test_several_processes_open_and_write_at_once_and_nothing_is_lost(path: Path) -> None:
    program = """
import sys
from pathlib import Path
from harness.models import Response
from harness.store import Store
print("ready", flush=True)
sys.stdin.readline()
with Store(Path(sys.argv[1])) as store:
    for i in range(50):
        store.put_responses({f"{sys.argv[2]}-{i}": Response(text=str(i))})
        assert store.responses([f"{sys.argv[2]}-{i}"])
"""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(path), str(i)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for i in range(4)
    ]
    for worker in workers:
        assert worker.stdout is not None
        worker.stdout.readline()
    for worker in workers:
        worker.communicate(b"go\n")
    assert [worker.returncode for worker in workers] == [0] * 4
    with Store(path) as store:
        assert len(store.responses([f"{w}-{i}" for w in range(4) for i in range(50)])) == 200


@pytest.mark.parametrize("kind", ["response", "score"])
def test_values_that_are_computed_another_way_are_not_taken_for_todays(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.store import keys as store

    before = {"response": response_key(REF, REQUEST), "score": score_key(REF, TEXT)}
    monkeypatch.setattr(store, "KEY_VERSIONS", {**store.KEY_VERSIONS, kind: 99})
    store._identity.cache_clear()
    after = {"response": response_key(REF, REQUEST), "score": score_key(REF, TEXT)}
    store._identity.cache_clear()
    assert [name for name in before if before[name] != after[name]] == [kind]
