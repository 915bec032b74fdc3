"""Training rows from JSONL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.data.formats import Row, file_digest, load_prompts, load_rows
from harness.errors import DataError
from harness.models import Message

ROW = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]}


def written(folder: Path, *rows: Any) -> Path:
    file = folder / "rows.jsonl"
    file.write_text("".join((r if isinstance(r, str) else json.dumps(r, ensure_ascii=False)) + "\n" for r in rows))
    return file


def test_both_forms_of_a_row_are_the_same_conversation(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        ROW,
        {"prompt": "hi", "completion": "hello"},
        {"prompt": ROW["messages"][:1], "completion": ROW["messages"][1:]},
    )
    rows = load_rows(file, root=tmp_path)
    assert len({row.messages for row in rows}) == 1
    assert rows[0] == Row(
        messages=(Message(role="user", content="hi"), Message(role="assistant", content="hello")), where="rows.jsonl:1"
    )
    assert rows[2].where == "rows.jsonl:3"


def test_blank_lines_count_as_lines_and_a_byte_order_mark_does_not(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b"\xef\xbb\xbf\n" + json.dumps(ROW).encode() + b"\r\n\n")
    assert [row.where for row in load_rows(file, root=tmp_path)] == ["rows.jsonl:2"]


def test_a_unicode_line_separator_within_a_text_is_no_new_line(tmp_path: Path) -> None:
    file = written(tmp_path, json.dumps({"prompt": "a\u2028b\x85c", "completion": "d"}, ensure_ascii=False))
    assert load_rows(file)[0].messages[0].content == "a\u2028b\x85c"


def test_limit_takes_the_first_rows_and_does_not_read_on(tmp_path: Path) -> None:
    file = written(tmp_path, ROW, ROW, "{broken")
    assert len(load_rows(file, limit=2)) == 2


def test_notes_are_left_out_of_training(tmp_path: Path) -> None:
    assert (
        load_rows(written(tmp_path, ROW | {"id": "a", "metadata": {"x": 1}}))[0].messages
        == load_rows(written(tmp_path, ROW))[0].messages
    )


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("{broken", "not valid JSON"),
        ('{"prompt": "\xff"', "not valid JSON"),
        ("[1]", "a row is a JSON object, not list"),
        ({"messages": ROW["messages"][:1]}, "no assistant turn, so there is nothing to learn"),
        ({"messages": []}, "an empty conversation"),
        ({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": " "}]}, "teach silence"),
        ({"messages": [{"role": "bot", "content": "x"}]}, "Invalid enum value 'bot'"),
        ({"messages": [{"role": "user", "content": 3}]}, "Expected `str`, got `int`"),
        ({"messages": [{"role": "user", "text": "x"}]}, "unknown field `text`|missing required field `content`"),
        ({"prompt": "x", "completions": "y"}, "unknown key 'completions': did you mean 'completion'"),
        ({"prompt": "x"}, "a row is"),
        ({"completion": "x"}, "a completion without its prompt"),
        (ROW | {"completion": "x"}, "a row is"),
    ],
)
def test_a_bad_row_is_refused_with_file_and_line(tmp_path: Path, row: Any, sentence: str) -> None:
    file = written(tmp_path, ROW, row)
    with pytest.raises(DataError, match=rf"^rows\.jsonl:2: .*({sentence})"):
        load_rows(file, root=tmp_path)


def test_a_missing_or_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.jsonl: no such file"):
        load_rows(tmp_path / "gone.jsonl")
    with pytest.raises(DataError, match="no such file"):
        file_digest(tmp_path / "gone.jsonl")
    with pytest.raises(DataError, match="no rows"):
        load_rows(written(tmp_path))
    with pytest.raises(DataError, match="no prompts"):
        load_prompts(written(tmp_path))


def test_prompts_are_texts_or_conversations_that_end_with_the_user(tmp_path: Path) -> None:
    file = written(tmp_path, {"prompt": "hi"}, {"messages": ROW["messages"][:1]})
    assert len({prompt.messages for prompt in load_prompts(file)}) == 1
    with pytest.raises(DataError, match=r":1: a prompt ends with the user's turn"):
        load_prompts(written(tmp_path, ROW))
    with pytest.raises(DataError, match="did you mean 'prompt'"):
        load_prompts(written(tmp_path, {"promt": "x"}))


def test_the_prompt_of_a_row_is_all_that_comes_before_its_last_answer() -> None:
    turns = [("system", "s"), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"), ("user", "e")]
    row = Row(messages=tuple(Message(role=r, content=c) for r, c in turns), where="x:1")  # type: ignore[arg-type]
    assert row.prompt == "s\na\nb\nc"
