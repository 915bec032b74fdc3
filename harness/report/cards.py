"""Cases as a reader meets them: what was asked, what both models said, and what the checks found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from harness.models import Response
from harness.record import CaseResult, ModelIdentity, Role, SetResult
from harness.report.visible import one_line, shown, visible

#: What happened to a case. Red lines (broken, held) stand apart from rated cases: newly missed (ratchet), newly
#: passed (gained), and without a change missed or passed.
Kind = Literal["ratchet", "broken", "missed", "gained", "held", "passed"]

#: Cases of each kind shown with their whole texts, shared evenly between the sets; beyond it they are rows, so that
#: the page of a large run stays usable. What went as it should needs no texts.
CARDS: Mapping[Kind, int] = {"ratchet": 160, "broken": 80, "missed": 40, "gained": 40, "held": 0, "passed": 0}
#: Cases of each kind shown as rows; beyond it they are counted.
ROWS = 1000
#: Samples of one answer shown on a card.
SAMPLES = 3


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer's text, or None where the record holds no text for it."""

    text: str | None
    cut_off: bool


@dataclass(frozen=True, slots=True)
class Column:
    """What one model said to a case; `sent` is the prompt that a model YAML made of the question."""

    role: Role
    label: str
    passed: bool
    share: str
    samples: tuple[Sample, ...]
    more: int
    sent: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A case on one line."""

    case: str
    where: str
    summary: str
    cut_off: bool


@dataclass(frozen=True, slots=True)
class Card:
    """A case with its texts. `misses` are (test, explanation) of the candidate."""

    row: Row
    tags: tuple[str, ...]
    prompt: str | None
    target: str | None
    misses: tuple[tuple[str, str], ...]
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class SetCases:
    """One set's cases of a group. `hidden` is how many the record holds and the page does not."""

    set: str
    cards: tuple[Card, ...]
    rows: tuple[Row, ...]
    hidden: int

    @property
    def count(self) -> int:
        """All cases of the group in this set."""
        return len(self.cards) + len(self.rows) + self.hidden


@dataclass(frozen=True, slots=True)
class Group:
    """Cases that had the same fate, by set."""

    kind: Kind
    sets: tuple[SetCases, ...]

    @property
    def count(self) -> int:
        """All cases of the group."""
        return sum(part.count for part in self.sets)


class Shelf:
    """Puts cases on cards, rows or a count, so far as there is room for their kind."""

    def __init__(self, texts: Mapping[str, Response], models: Mapping[Role, ModelIdentity]) -> None:
        self._texts = texts
        self._models = models

    def group(self, kind: Kind, cases: Sequence[tuple[SetResult, list[CaseResult]]]) -> Group:
        """The cases of one kind, by set, in the order given."""
        filled = [(of, found) for of, found in cases if found]
        cards = fair_shares([len(found) for _, found in filled], CARDS[kind])
        rows = fair_shares([len(found) - card for (_, found), card in zip(filled, cards, strict=True)], ROWS)
        return Group(
            kind=kind,
            sets=tuple(
                SetCases(
                    set=visible(of.name),
                    cards=tuple(self._card(of, case) for case in found[:card]),
                    rows=tuple(self._row(of, case) for case in found[card : card + row]),
                    hidden=len(found) - card - row,
                )
                for (of, found), card, row in zip(filled, cards, rows, strict=True)
            ),
        )

    def _row(self, of: SetResult, case: CaseResult) -> Row:
        missed = next((test for test in case.tests if test.candidate < 1), None)
        if missed is not None:
            summary = one_line(missed.explanation or missed.test)
        else:
            text = self._text(case.answers.get("candidate", ()))
            summary = one_line(text) if text is not None else ""
        return Row(
            case=visible(case.case), where=visible(f"{of.path}:{case.line}"), summary=summary, cut_off=case.cut_off > 0
        )

    def _card(self, of: SetResult, case: CaseResult) -> Card:
        columns: list[Column] = []
        versus: Role = "baseline" if case.baseline is not None else "root"
        for role in (versus, "candidate"):
            score = getattr(case, role)
            if score is not None and role in self._models:
                column = self._column(role, score, case.answers.get(role, ()), case.samples)
                columns.append(replace(column, sent=self._extra(f"sent:{role}", of, case)))
        return Card(
            row=self._row(of, case),
            tags=tuple(visible(tag) for tag in case.tags),
            prompt=self._extra("prompt", of, case),
            target=self._extra("target", of, case),
            misses=tuple(
                (visible(test.test), shown(test.explanation, 1200)) for test in case.tests if test.candidate < 1
            ),
            columns=tuple(columns),
        )

    def _column(self, role: Role, score: float, keys: tuple[str, ...], counted: int) -> Column:
        samples = []
        for key in keys[:SAMPLES]:
            response = self._texts.get(key)
            samples.append(
                Sample(text=None, cut_off=False)
                if response is None
                else Sample(text=shown(response.text), cut_off=response.finish_reason == "length")
            )
        return Column(
            role=role,
            label=visible(self._models[role].label),
            passed=score >= 1,
            share="" if score in (0, 1) else _share(score, counted if counted > 1 else len(keys)),
            samples=tuple(samples),
            more=max(0, len(keys) - SAMPLES),
        )

    def _text(self, keys: tuple[str, ...]) -> str | None:
        response = self._texts.get(keys[0]) if keys else None
        return None if response is None else response.text

    def _extra(self, what: str, of: SetResult, case: CaseResult) -> str | None:
        found = self._texts.get(f"{what}:{of.name}:{case.case}")
        return None if found is None else shown(found.text)


def _share(score: float, samples: int) -> str:
    """A case that was neither passed nor missed as a whole: by samples, or by a metric with partial scores."""
    passed = round(score * samples)
    whole = samples > 1 and abs(score * samples - passed) < 1e-6
    return f"{passed} of {samples} samples pass" if whole else f"scores {score:.0%}"


def fair_shares(wanted: Sequence[int], room: int) -> list[int]:
    """How much of `room` each gets: nobody more than it wants, and the small ones are served in full first.

    >>> fair_shares([249, 39, 47], 160)
    [74, 39, 47]
    """
    shares = [0] * len(wanted)
    for left, i in enumerate(sorted(range(len(wanted)), key=wanted.__getitem__)):
        shares[i] = min(wanted[i], room // (len(wanted) - left))
        room -= shares[i]
    return shares
