"""Training rows: JSONL files of conversations."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from harness.errors import DataError, unknown_name
from harness.models import Message

#: Keys that a row may carry besides its conversation; they are kept out of training.
_NOTES = {"id", "source", "tags", "metadata"}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One conversation to learn from, and where it was written.

    `stops` is False for an answer that was cut off: its text is learned, but not that it ends there.
    """

    messages: tuple[Message, ...]
    where: str
    kind: Literal["task", "replay"] = "task"
    stops: bool = True

    @property
    def prompt(self) -> str:
        """What was asked: every turn before the last answer, joined."""
        last = max(i for i, message in enumerate(self.messages) if message.role == "assistant")
        return "\n".join(message.content for message in self.messages[:last])


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """A question without an answer, and where it was written."""

    messages: tuple[Message, ...]
    where: str


def file_digest(path: Path) -> str:
    """sha256 of a data file's bytes; DataError where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file. Check the path in the recipe.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error}).") from error


def load_rows(path: Path, *, root: Path | None = None, limit: int | None = None) -> list[Row]:
    """Rows of `{"messages": [...]}` or `{"prompt": ..., "completion": ...}`, one a line.

    `where` of each is "file:line", the file relative to `root`. Raises DataError with it for malformed JSON, an
    unknown key (nearest name offered), no assistant turn, or an empty answer.
    """
    rows: list[Row] = []
    # Not one line further than `limit`: what is not trained on need not be right yet.
    for where, table in itertools.islice(_lines(path, root), limit):
        _refuse_unknown(table, {"messages", "prompt", "completion"}, where)
        if ("messages" in table) == ("completion" in table):
            raise DataError(f'{where}: a row is {{"messages": [...]}} or {{"prompt": ..., "completion": ...}}.')
        if "messages" in table:
            messages = _messages(table["messages"], "user", where)
        else:
            if "prompt" not in table:
                raise DataError(f"{where}: a completion without its prompt. Add the prompt.")
            messages = _messages(table["prompt"], "user", where) + _messages(table["completion"], "assistant", where)
        answers = [message for message in messages if message.role == "assistant"]
        if not answers:
            raise DataError(f"{where}: no assistant turn, so there is nothing to learn. Add one or remove the row.")
        if any(not answer.content.strip() for answer in answers):
            raise DataError(f"{where}: an empty assistant turn would teach silence. Write it or remove the row.")
        rows.append(Row(messages=messages, where=where))
    if not rows:
        raise DataError(f"{path}: no rows. A training file has one JSON object a line.")
    return rows


def load_prompts(path: Path, *, root: Path | None = None) -> list[Prompt]:
    """Prompts of `{"prompt": ...}` or `{"messages": [...]}` that end with the user, one a line."""
    prompts: list[Prompt] = []
    for where, table in _lines(path, root):
        _refuse_unknown(table, {"messages", "prompt"}, where)
        if ("messages" in table) == ("prompt" in table):
            raise DataError(f'{where}: a prompt is {{"prompt": ...}} or {{"messages": [...]}}.')
        messages = _messages(table.get("messages", table.get("prompt")), "user", where)
        if messages[-1].role != "user":
            raise DataError(f"{where}: a prompt ends with the user's turn, not with {messages[-1].role!r}.")
        prompts.append(Prompt(messages=messages, where=where))
    if not prompts:
        raise DataError(f"{path}: no prompts. A prompt file has one JSON object a line.")
    return prompts


def _lines(path: Path, root: Path | None) -> Iterator[tuple[str, dict[str, Any]]]:
    shown = path.relative_to(root) if root is not None and path.is_relative_to(root) else path
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{shown}: no such file. Check the path in the recipe.") from None
    except OSError as error:
        raise DataError(f"{shown}: cannot be read ({error}).") from error
    for number, line in enumerate(raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not line.strip():
            continue
        where = f"{shown}:{number}"
        try:
            table = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DataError(f"{where}: not valid JSON ({error}). Fix the line, then run again.") from error
        if not isinstance(table, dict):
            raise DataError(f"{where}: a row is a JSON object, not {type(table).__name__}.")
        yield where, table


def _messages(value: object, role: str, where: str) -> tuple[Message, ...]:
    turns = [{"role": role, "content": value}] if isinstance(value, str) else value
    try:
        messages = msgspec.convert(turns, tuple[Message, ...])
    except msgspec.ValidationError as error:
        raise DataError(f"{where}: {error}. A turn is {{role, content}}, both text.") from error
    if not messages:
        raise DataError(f"{where}: an empty conversation.")
    return messages


def _refuse_unknown(table: dict[str, Any], known: set[str], where: str) -> None:
    for key in table:
        if key not in known | _NOTES:
            raise DataError(f"{where}: {unknown_name('key', key, known | _NOTES)}")
