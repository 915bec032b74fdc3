"""Nothing but the texts tells whose answer stands where: over a thousand exports, and with leaks planted."""

from __future__ import annotations

import datetime
import re
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from reviewed import drawn, subject

from harness.review.blinding import Blinded
from harness.review.exporting import send_out
from harness.review.form import Form, Page
from harness.review.page import render
from harness.review.spreadsheet import write_csv

EXPORTS = 1000
ALPHA = 0.001
#: Shufflings of the permutation test: enough to see p-values below alpha.
ROUNDS = 4000

#: Cases of one form. The two texts are told apart by their first letter, as only a test may.
CASES = 8

Leak = Callable[[Blinded], Blinded]
Marked = Callable[[str, Blinded], str]


def numbers(text: str) -> list[float]:
    """A file as numbers: its size, how often each of some kinds of character stands in it, and what it hashes to."""
    sums = np.frombuffer(text.encode(), dtype=np.uint8)
    return [
        float(len(text)),
        float(sums.sum()),
        *(float(text.count(c)) for c in (" ", "\n", "<!--", "baseline", "candidate", "triage", "old", "new")),
        float(zlib.crc32(text.encode()) % 997),
    ]


def masked(text: str) -> str:
    """The file with the pairs of texts in one order, whichever they had."""
    text = re.sub(r'"left":"(?:new|old) (\d+)( *)","right":"(?:new|old) \d+( *)"', r'"\1"\2\3', text)
    return re.sub(r"(?<=,)(?:new|old) (\d+)( *),(?:new|old) \d+( *)(?=,)", r"\1\2\3", text)


def exports(leak: Leak | None = None, mark: Marked | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The side of the first answer (1: the candidate's is left) by slot and export, and what can be seen of each."""
    of = subject(CASES)
    sides, seen = [], []
    for seed in range(EXPORTS):
        blinded = drawn(of, ("ana",), seed=seed)
        if leak is not None:
            blinded = leak(blinded)
        form, key = blinded.forms[0], blinded.key.forms[0]
        page, table = render(form), write_csv(form)
        if mark is not None:
            page = mark(page, blinded)
        whole = [*numbers(masked(page)), *numbers(masked(table)), float(len(page)), float(len(table))]
        whole += [float(ord(form.code[0])), float(ord(form.seal[0])), float(ord(form.seal[-1]))]
        order = {slot.case: i for i, slot in enumerate(key.slots)}
        for case in sorted(order):
            place = order[case]
            slot, shown = key.slots[place], form.pages[place]
            sides.append(float(slot.candidate == "left"))
            own = [float(place), float(place % 2), *(float(ord(c)) for c in slot.id[:3])]
            # Lengths given the texts: what stands on a side beyond the text itself.
            assert shown.right is not None
            over = [float(len(text) - len(text.strip())) for text in (shown.left, shown.right)]
            seen.append([*own, *over, *whole])
    return np.array(sides), np.array(seen)


def p_value(sides: np.ndarray, seen: np.ndarray) -> float:
    """The permutation test of independence: the largest correlation of any feature, against shuffled sides."""
    spread = seen.std(axis=0)
    told = (seen[:, spread > 0] - seen[:, spread > 0].mean(axis=0)) / spread[spread > 0]
    rng = np.random.default_rng(5)
    centred = sides - sides.mean()
    if not centred.any():
        return 0.0
    found = np.abs(centred @ told).max()
    shuffled = np.array([rng.permutation(centred) for _ in range(ROUNDS // 100)])
    more = 0
    for _ in range(100):
        more += int((np.abs(rng.permuted(shuffled, axis=1) @ told).max(axis=1) >= found).sum())
    return (1 + more) / (1 + ROUNDS)


def test_a_thousand_exports_tell_nothing() -> None:
    sides, seen = exports()
    assert p_value(sides, seen) >= ALPHA
    # A fair coin, by 3.29 standard deviations, and no side follows from the one before.
    n = sides.size
    assert abs(sides.sum() - n / 2) < 3.29 * (n / 4) ** 0.5
    pairs = sides.reshape(EXPORTS, CASES)
    together = (pairs[:, 1:] == pairs[:, :-1]).sum()
    assert abs(together - (n - EXPORTS) / 2) < 3.29 * ((n - EXPORTS) / 4) ** 0.5


def _baseline_left(blinded: Blinded) -> Blinded:
    form, key = blinded.forms[0], blinded.key.forms[0]
    pages = [
        msgspec.structs.replace(page, left=page.right, right=page.left) if slot.candidate == "left" else page
        for page, slot in zip(form.pages, key.slots, strict=True)
    ]
    slots = tuple(msgspec.structs.replace(slot, candidate="right") for slot in key.slots)
    return _with(blinded, tuple(pages), slots)


def _trailing_space(blinded: Blinded) -> Blinded:
    form, key = blinded.forms[0], blinded.key.forms[0]
    pages = [
        msgspec.structs.replace(page, **{slot.candidate: f"{getattr(page, str(slot.candidate))} "})
        for page, slot in zip(form.pages, key.slots, strict=True)
    ]
    return _with(blinded, tuple(pages), key.slots)


def _by_order(blinded: Blinded) -> Blinded:
    form, key = blinded.forms[0], blinded.key.forms[0]
    together = sorted(zip(form.pages, key.slots, strict=True), key=lambda one: one[1].candidate or "")
    return _with(blinded, tuple(page for page, _ in together), tuple(slot for _, slot in together))


def _with(blinded: Blinded, pages: tuple[Page, ...], slots: tuple) -> Blinded:
    form = Form(code=blinded.forms[0].code, seal=blinded.forms[0].seal, reviewer="ana", mode="pairs", pages=pages)
    key = msgspec.structs.replace(blinded.key, forms=(msgspec.structs.replace(blinded.key.forms[0], slots=slots),))
    return Blinded(forms=(form,), key=key)


def _name_in_a_comment(page: str, blinded: Blinded) -> str:
    return page + ("<!-- baseline: triage@1 -->" if blinded.key.forms[0].slots[0].candidate == "left" else "")


@pytest.mark.parametrize("leak", [_baseline_left, _trailing_space, _by_order], ids=lambda leak: leak.__name__)
def test_a_planted_leak_is_caught(leak: Leak) -> None:
    assert p_value(*exports(leak)) < ALPHA


def test_a_model_name_in_a_comment_is_caught() -> None:
    assert p_value(*exports(mark=_name_in_a_comment)) < ALPHA


def test_no_form_names_a_model_or_a_case_and_all_have_one_time(tmp_path: Path) -> None:
    blinded = drawn(subject(12), ("ana", "ben"), repeats=0.25)
    files = send_out(blinded, tmp_path, None, datetime.datetime.now(datetime.UTC), "en").forms
    assert len(files) == 4
    assert len({file.stat().st_mtime_ns for file in files}) == 1
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"triage|case-0|candidate|baseline|secret|c{64}|b{64}", text)
        assert blinded.key.secret not in text
        assert str(blinded.key.seed) not in file.name


def test_the_same_seed_draws_the_same_forms() -> None:
    assert drawn(subject(12), seed=3) == drawn(subject(12), seed=3)
    assert drawn(subject(12), seed=3).key != drawn(subject(12), seed=4).key


def test_each_reviewer_has_sides_of_their_own() -> None:
    ana, ben = drawn(subject(40)).key.forms
    sides = [{slot.case: slot.candidate for slot in form.slots} for form in (ana, ben)]
    assert 5 < sum(sides[0][case] != sides[1][case] for case in sides[0]) < 35
