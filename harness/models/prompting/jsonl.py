"""JSON Lines beside a model YAML, with file and line in every error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import ModelError


def read_text(path: Path) -> str:
    """A file's text. Raises ModelError where it cannot be read, with the line of a byte that is not UTF-8."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}). Check its permissions.") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ModelError(
            f"{path}:{line}: byte 0x{data[error.start]:02x} is not UTF-8. Save the file as UTF-8."
        ) from error


def read_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where each row stands ("file:line") and what it says; blank lines are skipped. Raises ModelError."""
    # Only a line feed ends a line: U+2028 and the like may stand in a text.
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            table = msgspec.json.decode(line)
        except msgspec.DecodeError as error:
            raise ModelError(f"{where}: not valid JSON ({error}). Fix the line, then run again.") from error
        if not isinstance(table, dict):
            raise ModelError(f"{where}: a row is a JSON object, not {type(table).__name__}.")
        yield where, table
