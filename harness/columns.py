"""Text in the columns of a terminal: wide characters take two, marks that sit on others take none."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

#: What starts with ESC or its one-character twins: colours, cursor moves, titles, links. Up to its own end.
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)


def columns_of(text: str) -> int:
    """How many columns a terminal gives the text.

    >>> columns_of("refund 退款"), columns_of("e\\u0301")
    (11, 1)
    """
    return len(text) if text.isascii() else sum(map(_width, text))


def without_sequences(text: str) -> str:
    """The text without the sequences that a terminal would obey.

    >>> without_sequences("all \\x1b[32mfine\\x1b[0m")
    'all fine'
    """
    return _SEQUENCES.sub("", text) if not text.isprintable() else text


def shorten(text: str, columns: int) -> str:
    """The text in at most so many columns; what does not fit gives way to an ellipsis."""
    if columns_of(text) <= columns:
        return text
    used, end = 0, 0
    for end, char in enumerate(text):  # noqa: B007 - the place is what is asked for
        used += _width(char)
        if used > columns - 1:
            break
    return text[:end].rstrip() + "…"


def fold(line: str, columns: int, indent: str = "    ") -> Iterator[str]:
    """The line in rows of at most so many columns, broken at blanks where there are any; later rows are indented."""
    # At most half of the row is indent, or nothing would be left for the text.
    start, indent = "", indent[: max(0, columns // 2)]
    while columns_of(start + line) > columns:
        end = _break(line, columns - columns_of(start))
        yield start + line[:end].rstrip()
        line, start = line[end:].lstrip(), indent
        if not line:
            return
    yield start + line


def _break(line: str, room: int) -> int:
    """Where to cut: after the last blank that leaves something before it, else wherever the room ends."""
    used, fits = 0, 0
    for fits, char in enumerate(line):  # noqa: B007
        used += _width(char)
        if used > room:
            break
    fits = max(1, fits)
    blank = line.rfind(" ", 0, fits + 1)
    return blank if line[:blank].strip() and blank > 0 else fits


def _width(char: str) -> int:
    if char.isascii():
        return 1
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
