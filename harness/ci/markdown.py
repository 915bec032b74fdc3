"""Text in Markdown that nobody's renderer obeys: no tag, link, image, table cell, mention or issue reference."""

from __future__ import annotations

import re

from harness.columns import without_sequences
from harness.report.visible import one_line, shown

#: Each of these could begin something in Markdown or in HTML; as an entity it is itself in both.
_MARKUP = re.compile(r"[&<>\\`*_{}\[\]#|~$:]")
#: A name after @, a number after #, and addresses become links of the site, entity or not: an empty comment parts them.
_LINKED = re.compile(r"(@|#(?=\w)|!(?=\d)|://|www\.)")
_INVISIBLE = "<!-- -->"


def inline(text: str, longest: int = 300) -> str:
    """The text on one line, for a sentence, a list or a cell of a table.

    >>> inline("**now** @all")
    '&#42;&#42;now&#42;&#42; @<!-- -->all'
    """
    parts = _LINKED.split(one_line(without_sequences(text[: 4 * longest]), longest))
    return "".join(_entities(part) + (_INVISIBLE if i % 2 else "") for i, part in enumerate(parts))


def code(text: str, longest: int = 200) -> str:
    """A name, a place or a command, as code."""
    return f"<code>{inline(text, longest)}</code>"


def block(text: str, longest: int = 600) -> str:
    """A whole text with its lines, in a block of its own, on one line of the source: no line of it begins one there."""
    plain = shown(without_sequences(text), longest)
    return "<pre>" + _entities(plain).replace("\n", "&#10;") + "</pre>"


def _entities(text: str) -> str:
    return _MARKUP.sub(lambda found: f"&#{ord(found.group())};", text)
