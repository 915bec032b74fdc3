"""The cases that a reason names, as links into the list. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from harness.record import RunRecord
from harness.report.visible import visible
from harness.verdict import Criterion, listed

#: The most names that a reason lists.
_MOST = 5
_REST = re.compile(r"and \d+ more\Z")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a sentence; `link` is empty where it leads nowhere."""

    text: str
    link: str = ""


def linked(found: Criterion, record: RunRecord) -> tuple[Part, ...]:
    """The criterion's reason in pieces: its cases lead to themselves, "and 9 more" to the list of them."""
    for most in range(min(_MOST, len(found.cases)), 0, -1):
        names = listed(found.cases, most)
        before, there, after = found.reason.rpartition(names)
        if there:
            parts = [Part(before), *_names(found, names, most, record), Part(after)]
            return tuple(Part(visible(part.text), part.link) for part in parts if part.text)
    return (Part(visible(found.reason)),)


def _names(found: Criterion, names: str, most: int, record: RunRecord) -> Iterator[Part]:
    known = {f"{of.name}/{case.case}" for of in record.sets for case in of.cases}
    for i, case in enumerate(found.cases[:most]):
        name = case if found.set is None else f"{found.set}/{case}"
        if i:
            yield Part(", ")
        yield Part(case, f"#cases?case={quote(visible(name))}" if name in known else "")
    if rest := _REST.search(names):
        yield Part(" ")
        yield Part(rest[0], _all_of(found, record))


def _all_of(found: Criterion, record: RunRecord) -> str:
    """The filter that shows all that the criterion is about; empty where there is none."""
    of = next((one for one in record.sets if one.name == found.set), None)
    if of is None:
        return ""
    address = f"#cases?set={quote(visible(of.name))}"
    if found.name == "red lines":
        return f"{address}&show=red"
    if found.name != "alarm" or found.against != "baseline":
        return ""
    probe = next((one.probe for one in of.probes if f"{of.name} {one.probe} " in found.reason), None)
    return f"{address}&show=regressed" if probe is None else f"{address}&show=all&alarm={quote(visible(probe))}"
