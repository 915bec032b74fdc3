"""Cells that a spreadsheet shows and does not compute. Pure."""

from __future__ import annotations

import re

#: What a spreadsheet takes for a formula where a cell begins with it; the wide forms too.
_SIGN = r"[=+\-@＝＋－＠]"
#: Blanks and quotes before it are no protection, and a tab or a line end at the front hides what follows.
_FRONT = rf"""(?=[\s"]*{_SIGN}|[\t\r\n])"""
#: Opened with another separator than the comma, a cell falls apart, and its parts begin cells of their own.
_PART = r"""[;\t](?:[^\S\t]|")*"""

_AT_FRONT = re.compile(rf"\A('*){_FRONT}")
_IN_PART = re.compile(rf"({_PART}'*)(?={_SIGN})")
_GUARDED_FRONT = re.compile(rf"\A'('*){_FRONT}")
_GUARDED_PART = re.compile(rf"({_PART})'('*)(?={_SIGN})")


def neutral(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula, whether it separates by comma, semicolon or tab.

    An apostrophe stands before what would begin one. Lines within a cell are left alone: a list's dashes stay dashes.

    >>> neutral("=HYPERLINK(1)"), neutral("a;=1"), neutral("a - b")
    ("'=HYPERLINK(1)", "a;'=1", 'a - b')
    """
    return _IN_PART.sub(r"\1'", _AT_FRONT.sub(r"\1'", cell))


def restored(cell: str) -> str:
    """What `neutral` was given.

    >>> restored(neutral("'=1;\\t''-2"))
    "'=1;\\t''-2"
    """
    return _GUARDED_FRONT.sub(r"\1", _GUARDED_PART.sub(r"\1\2", cell))
