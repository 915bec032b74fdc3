"""From bytes to text and JSON, with the file and line in every complaint."""

from __future__ import annotations

import codecs
import hashlib
import json
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec

from harness.errors import ScoreFileError, first_line

T = TypeVar("T")


def as_text(data: bytes, file: str) -> str:
    """UTF-8, with or without its mark."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ScoreFileError(f"{file}: the file is UTF-16. Save it as UTF-8.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ScoreFileError(
            f"{file}:{line}: byte 0x{data[error.start]:02x} is not UTF-8. Save the file as UTF-8."
        ) from error


def as_json(data: bytes | str, kind: type[T], where: str) -> T:
    """The JSON document as `kind`; NaN and Infinity, which other tools write, become floats.

    Raises ScoreFileError for what is no JSON or has another shape.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass  # said below, where NaN and mistakes are told apart
    try:
        document = json.loads(data)
        return msgspec.convert(document, type=kind)
    except json.JSONDecodeError as error:
        place = f"{where}:{error.lineno}" if error.lineno > 1 else where
        raise ScoreFileError(
            f"{place}: malformed JSON at column {error.colno} ({error.msg}). Copy the file again, or mend the line."
        ) from error
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise ScoreFileError(f"{where}: not what such a file holds ({first_line(error)}).") from error


def json_lines(data: bytes, file: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, object) of a JSON Lines file; blank lines are skipped."""
    # Not splitlines: U+2028 within a string is no line end.
    for number, line in enumerate(as_text(data, file).split("\n"), start=1):
        if line.strip():
            document = as_json(line, object, f"{file}:{number}")
            if not isinstance(document, dict):
                raise ScoreFileError(
                    f"{file}:{number}: a row is a JSON object, and this is {type(document).__name__}. "
                    "Write one object a line."
                )
            yield number, document


def digest_of(*parts: object) -> str:
    """A digest of what was asked, to tell whether two files mean the same question by one id."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False, default=str).encode("utf-8", "replace")).hexdigest()
