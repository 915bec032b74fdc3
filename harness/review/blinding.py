"""Forms: who reads which cases in which order, and on which side each answer stands; all drawn from one seed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from harness.errors import ReviewError
from harness.review.form import Form, Page
from harness.review.seal import FormKey, Key, Side, Slot
from harness.review.selection import Chosen
from harness.review.subject import Subject

#: Letters only: no spreadsheet takes such a name for a number, a date or a formula. No vowels, so no words.
_LETTERS = np.array(list("bcdfghjkmnpqrstvwxz"))
#: A repeat comes so many pages after the first time, where there are as many.
_APART = 6

_REVIEWER = re.compile(r"\w[\w.-]*")


class Blinded(msgspec.Struct, frozen=True, kw_only=True):
    """The forms, and the key that stays."""

    forms: tuple[Form, ...]
    key: Key


def blind(
    subject: Subject,
    reviewers: Sequence[str],
    *,
    overlap: float,
    repeats: float,
    seed: int,
    created: str,
    show_target: bool = False,
) -> Blinded:
    """One form for each reviewer: the share `overlap` of the cases goes to everybody, the rest is dealt out, and the
    share `repeats` of each form comes again with the sides exchanged.

    Raises ReviewError for names that cannot stand in a file's name, and where there is nothing to read.
    """
    _refuse_names(reviewers)
    chosen, mode = subject.chosen, subject.mode
    if not chosen:
        raise ReviewError(
            f"run {subject.run_id}: no case with two answers that differ, so there is nothing to read. Answers lie "
            "beside the record of a run of the suites; a comparison of scores has none."
        )
    rng = np.random.default_rng(seed)
    dealt = _deal(chosen, reviewers, overlap, rng)
    drawn = []
    for reviewer in reviewers:
        plan = _ordered(dealt[reviewer], repeats, rng)
        ids = _names(len(plan), 7, rng)
        candidate_left = rng.random(len(plan)) < 0.5
        pages, slots = [], []
        first: dict[tuple[str, str], int] = {}
        for i, (one, shared) in enumerate(plan):
            case = one.readable
            before = first.setdefault(case.name, i)
            if before != i:
                candidate_left[i] = not candidate_left[before]
            side: Side = "left" if candidate_left[i] else "right"
            left, right = (case.candidate, case.baseline) if side == "left" else (case.baseline, case.candidate)
            page = Page(
                id=ids[i],
                prompt=case.prompt,
                left=case.candidate if mode != "pairs" else left,
                right=None if mode != "pairs" else right,
                target=case.target if show_target else "",
            )
            pages.append(page)
            slots.append(
                Slot(
                    id=page.id,
                    set=case.set,
                    case=case.case,
                    why=one.why,
                    candidate=side if mode == "pairs" else None,
                    shown=page.digest,
                    repeats=None if before == i else ids[before],
                    shared=shared,
                    variant_of=case.variant_of,
                )
            )
        code = _names(1, 12, rng)[0]
        drawn.append((FormKey(code=code, reviewer=reviewer, slots=tuple(slots)), tuple(pages)))
    key = Key(
        name=subject.name,
        mode=mode,
        run_id=subject.run_id,
        texts_digest=subject.texts_digest,
        models=subject.models,
        created=created,
        seed=seed,
        secret=rng.bytes(32).hex(),
        pool=len(subject.pool.cases),
        same=subject.pool.same,
        forms=tuple(form for form, _ in drawn),
    )
    forms = tuple(
        Form(code=form.code, seal=key.seal, reviewer=form.reviewer, mode=mode, pages=pages) for form, pages in drawn
    )
    return Blinded(forms=forms, key=key)


def _deal(
    chosen: Sequence[Chosen], reviewers: Sequence[str], overlap: float, rng: np.random.Generator
) -> Mapping[str, list[tuple[Chosen, bool]]]:
    """Each reviewer's cases. The shared ones are drawn from the random and the odd cases alike."""
    dealt: dict[str, list[tuple[Chosen, bool]]] = {reviewer: [] for reviewer in reviewers}
    next_ = 0
    for random in (True, False):
        part = [one for one in chosen if (one.why == "random") == random]
        shared = len(part) if len(reviewers) == 1 else round(len(part) * overlap)
        for i, at in enumerate(rng.permutation(len(part))):
            if i < shared:
                for cases in dealt.values():
                    cases.append((part[at], True))
            else:
                dealt[reviewers[next_ % len(reviewers)]].append((part[at], False))
                next_ += 1
    return dealt


def _ordered(cases: list[tuple[Chosen, bool]], repeats: float, rng: np.random.Generator) -> list[tuple[Chosen, bool]]:
    """The cases in random order, with some of the early ones once more, far enough behind."""
    plan = [cases[i] for i in rng.permutation(len(cases))]
    again = min(max(2, round(len(plan) * repeats)), max(0, len(plan) - _APART)) if repeats > 0 else 0
    early = rng.permutation(max(again, len(plan) - _APART))[:again] if again else np.array([], dtype=np.int64)
    # From the last place on, so that the places counted so far stay what they are.
    places = [(int(rng.integers(i + _APART, len(plan) + 1)), plan[i]) for i in early]
    for place, one in sorted(places, key=lambda found: -found[0]):
        plan.insert(place, one)
    return plan


def _names(many: int, letters: int, rng: np.random.Generator) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < many:
        found["".join(_LETTERS[rng.integers(0, len(_LETTERS), letters)])] = None
    return list(found)


def _refuse_names(reviewers: Sequence[str]) -> None:
    if not reviewers:
        raise ReviewError("nobody is to read: name the reviewers, --reviewers ana,ben")
    for name in reviewers:
        if not _REVIEWER.fullmatch(name):
            raise ReviewError(f"reviewer {name!r}: the name becomes a file's name. Use letters, digits, . _ and -")
    folded = [name.casefold() for name in reviewers]
    twice = next((name for name in reviewers if folded.count(name.casefold()) > 1), None)
    if twice is not None:
        raise ReviewError(f"reviewer {twice!r} is named twice. Give everybody a name of their own.")
