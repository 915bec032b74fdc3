"""The choices of a multiple-choice case, made safe to look at. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from harness.models import Response
from harness.record import CaseResult, Role, SetResult
from harness.report.visible import shown
from harness.retention.choices import choices_of

#: Characters of one choice that the page shows.
LONGEST = 2000


class PickedOption(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A choice and its log-likelihoods. `takers` are the models that took it."""

    text: str
    right: bool
    scores: dict[Role, float]
    takers: tuple[Role, ...]


class Picked(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Choices, and what each model took of them; None where the record does not name it.

    `whole`: all choices are there, with every model's likelihoods.
    """

    options: tuple[PickedOption, ...]
    answer: str | None
    taken: dict[Role, str | None]
    whole: bool


def picked(of: SetResult, case: CaseResult, texts: Mapping[str, Response]) -> Picked | None:
    """The case's choices; None where it has none. `texts` are the record's, and hold them as `choices:<set>:<case>`."""
    kept = texts.get(f"choices:{of.name}:{case.case}")
    found = choices_of(case, None if kept is None else kept.text) if of.kind == "choice" else None
    if found is None:
        return None
    return Picked(
        options=tuple(
            PickedOption(
                text=shown(option.text, LONGEST),
                right=option.text == found.answer,
                scores=option.scores,
                takers=tuple(role for role, text in found.taken.items() if text == option.text),
            )
            for option in found.options
        ),
        answer=None if found.answer is None else shown(found.answer, LONGEST),
        taken={role: None if text is None else shown(text, LONGEST) for role, text in found.taken.items()},
        whole=found.whole,
    )
