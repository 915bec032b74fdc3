"""Leakage: a question that is trained on cannot test anything."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

import msgspec

from harness.data.formats import Prompt, Row
from harness.errors import DataError
from harness.golden import GoldenSet


class Leak(msgspec.Struct, frozen=True, kw_only=True):
    """A training text that is also in a golden set; both places as "file:line"."""

    where: str
    golden: str
    text: str


def normal_form(text: str) -> str:
    """What two texts must share to be the same for the leak check: NFKC, casefold, no punctuation, no spaces.

    Punctuation between two digits stays, because "20 / 4" and "20 - 4" are different questions.

    >>> normal_form("What is the capital of France?") == normal_form("what is  the capital of FRANCE")
    True
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    letters = [c for c in folded if not c.isspace() and unicodedata.category(c) not in ("Cc", "Cf")]
    return "".join(
        c
        for i, c in enumerate(letters)
        if unicodedata.category(c)[0] != "P"
        or (0 < i < len(letters) - 1 and letters[i - 1].isdigit() and letters[i + 1].isdigit())
    )


def find_leaks(rows: Iterable[Row | Prompt], sets: Sequence[GoldenSet]) -> list[Leak]:
    """The first turn of each row, but for system messages, that equals a golden question or prose in normal form."""
    known: dict[str, str] = {}
    for golden_set in sets:
        for case, line in zip(golden_set.cases, golden_set.lines, strict=True):
            for text in _asked(case.text, [m.content for m in case.conversation if m.role == "user"]):
                known.setdefault(text, f"{golden_set.path}:{line}")
    leaks: list[Leak] = []
    for row in rows:
        for message in row.messages:
            found = known.get(normal_form(message.content))
            # A short answer ("Paris") may well be the text of something; only questions and prose are secrets.
            if found is not None and message.role != "system":
                leaks.append(Leak(where=row.where, golden=found, text=message.content))
                break
    return leaks


def refuse_leaks(rows: Iterable[Row | Prompt], sets: Sequence[GoldenSet]) -> None:
    """Raises DataError naming the row's line and the golden line, for the first of all leaks."""
    leaks = find_leaks(rows, sets)
    if leaks:
        first = leaks[0]
        more = f" and {len(leaks) - 1} more" if len(leaks) > 1 else ""
        quoted = first.text if len(first.text) <= 80 else first.text[:77] + "..."
        raise DataError(
            f"{first.where}: {quoted!r} is also golden case {first.golden}{more}. A case that is trained on tests "
            f"nothing: remove it from the training data."
        )


def _asked(text: str | None, turns: Sequence[str]) -> Iterable[str]:
    # All turns of a conversation may be said elsewhere ("Yes, please."); its last question is what is tested.
    for part in [text] if text is not None else turns[-1:]:
        form = normal_form(part)
        if form:
            yield form
