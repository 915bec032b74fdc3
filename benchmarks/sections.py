"""The parts of docs/ that the scripts write, so that no number there was typed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "calibration.md"


def section(name: str, page: str) -> str:
    """The text of one generated section; KeyError where the page has none of that name."""
    found = _pattern(name).search(page)
    if found is None:
        raise KeyError(f"the page has no section {name!r}")
    return found[2].strip()


def write_section(name: str, lines: Sequence[str], *, page: Path = PAGE) -> None:
    """Put `lines` between the section's markers in a page (docs/calibration.md)."""
    text = page.read_text(encoding="utf-8")
    section(name, text)
    body = "\n".join(lines).strip()
    page.write_text(_pattern(name).sub(lambda m: f"{m[1]}\n{body}\n{m[3]}", text), encoding="utf-8")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table; every column but the first is aligned to the right."""
    ruler = ["---", *["---:"] * (len(head) - 1)]
    return ["| " + " | ".join(row) + " |" for row in (head, ruler, *rows)]


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- {name}: begin[^>]*-->)(.*?)(<!-- {name}: end -->)", re.DOTALL)
