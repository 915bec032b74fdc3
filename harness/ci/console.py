"""For a terminal or a log: why a run has no verdict; the worst cases, both answers in short, and what was wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.columns import fold, shorten, without_sequences
from harness.record import RunRecord
from harness.report.visible import one_line
from harness.verdict import WIDTH
from harness.worst import WorstCase

#: Cases that the terminal shows; the report shows all.
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Line:
    """One line, and whether it begins a case."""

    text: str
    head: bool = False


def roles(record: RunRecord) -> str:
    """Who was asked, and against whom."""
    against = "no baseline" if record.baseline is None else f"against {record.baseline.label}"
    return f"{record.candidate.label} {against}"


def no_verdict(record: RunRecord) -> str | None:
    """Why the run says nothing of the candidate as a whole; None where it does."""
    if record.partial is not None:
        return f"partial run: no verdict ({record.partial})"
    if record.baseline is None and not record.answers and not record.errors:
        return "no verdict: nothing to compare with, so every missed case is a failure (name one with --baseline)"
    return None


def worst_lines(cases: Sequence[WorstCase], total: int, columns: int) -> Iterator[Line]:
    """The cases, each in four lines or five; nothing where there are none. `total` is how many there are in all."""
    width = min(columns, WIDTH)
    if not cases:
        return
    rest = f" (of {total:,}; the report has all)" if total > len(cases) else ""
    yield from (Line(row, head=True) for row in fold(f"worst cases{rest}", width))
    for case in cases:
        lane = "red line: " if case.broken else ""
        head = f"  {lane}{plain(case.set)}: {plain(case.case)}"
        place = plain(case.place)
        # The place is to be clicked or copied: whole, on a line of its own, however long.
        yield from (Line(_inert(row), head=True) for row in fold(head, width - 2))
        yield Line(f"    {place}")
        if case.baseline is not None:
            yield Line(_inert(shorten(f"    baseline   {_answer(case.baseline)}", width - 2)))
        if case.candidate is not None:
            yield Line(_inert(shorten(f"    candidate  {_answer(case.candidate)}", width - 2)))
        why = shorten(plain(case.why), 2 * width)
        yield from (Line(_inert(row)) for row in fold(f"    why        {why}", width - 2, indent=" " * 15))


def plain(text: str, longest: int = 300) -> str:
    """Text of others on one line: without what a terminal obeys, and with what it hides spelled out."""
    # Cut before it is searched: an answer may have a hundred thousand characters, of which one line is shown.
    return one_line(without_sequences(text[: 4 * longest]), longest)


def _inert(row: str) -> str:
    """The row without what a job's log takes for a command: `::error::` at its start, `##[error]` anywhere."""
    row = row.replace("##[", "##⟨[⟩")
    return row.replace("::", "⟨::⟩", 1) if row.lstrip().startswith("::") else row


def _answer(text: str) -> str:
    return plain(text) or "(an empty answer)"
