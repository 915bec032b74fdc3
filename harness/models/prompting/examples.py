"""Few-shot examples: conversations that the model is shown before the question."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness.errors import ModelError, unknown_name
from harness.models import Message
from harness.models.prompting.jsonl import read_lines
from harness.models.prompting.settings import ExampleRow


def read_examples(examples: str | Sequence[ExampleRow], yaml: Path) -> tuple[Message, ...]:
    """The turns of all examples, in order; `examples` are rows of the YAML or the name of a file beside it.

    Raises ModelError with file and line (or number) for a row that shows nothing.
    """
    if not isinstance(examples, str):
        numbered = enumerate(examples, start=1)
        return tuple(turn for n, row in numbered for turn in _turns(row, f"{yaml}: examples, number {n}"))
    path = yaml.parent / examples
    if not path.is_file():
        raise ModelError(f"{yaml}: examples: there is no file {path}. Create it, or correct the path.")
    turns: list[Message] = []
    for where, table in read_lines(path):
        for key in table:
            if key not in ExampleRow.__struct_fields__:
                raise ModelError(f"{where}: {unknown_name('key', key, ExampleRow.__struct_fields__)}")
        try:
            row = msgspec.convert(table, ExampleRow)
        except msgspec.ValidationError as error:
            raise ModelError(f"{where}: {error}. {_SHAPE}") from error
        turns += _turns(row, where)
    if not turns:
        raise ModelError(f"{path}: no examples in it. Write one a line, or leave the key examples out.")
    return tuple(turns)


_SHAPE = 'An example is {"prompt": …, "completion": …} or {"messages": […]}, as a training row is.'


def _turns(row: ExampleRow, where: str) -> tuple[Message, ...]:
    if bool(row.messages) == (row.prompt is not None) or (row.prompt is None) != (row.completion is None):
        raise ModelError(f"{where}: {_SHAPE}")
    turns = row.messages or (
        Message(role="user", content=row.prompt or ""),
        Message(role="assistant", content=row.completion or ""),
    )
    if any(turn.role == "system" for turn in turns):
        raise ModelError(f"{where}: an example has a system message. What holds for every question stands in system.")
    if turns[0].role != "user" or turns[-1].role != "assistant":
        raise ModelError(f"{where}: an example begins with the user and ends with the assistant's answer.")
    if not all(turn.content.strip() or turn.tool_calls for turn in turns):
        raise ModelError(f"{where}: an example has an empty message. Write it, or leave the example out.")
    return turns
