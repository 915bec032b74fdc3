"""A verdict in a few lines: what each set had right before and has right now, and whether luck does that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.explain.comparisons import MEANINGS, Asked
from harness.pairs import PairedSet, Rival
from harness.policy import GatePolicy
from harness.verdict import number, rate_in_words


def in_short(sets: Sequence[PairedSet], tests: Sequence[Asked], policy: GatePolicy) -> Iterator[str]:
    """One line for each compared set, targets first and the worst guards next; then all guards together."""
    compared = [(one, next(iter(one.comparisons))) for one in sets if one.comparisons]
    compared.sort(key=lambda pair: (not pair[0].target, pair[0].comparisons[pair[1]].difference))
    for one, rival in compared:
        yield f"  {one.name}: {_change(one, rival)}{_judged(one, rival, tests, policy.alpha)}"
        yield from (
            f"  {one.name}, {name}{MEANINGS.get(name, '')}: {_watched(test)}"
            for name, test in _probes(one, rival, tests, policy.alpha)
        )
    guards = [one for one, rival in compared if not one.target and rival == "baseline"]
    if len(guards) > 1:
        flips = [one.comparisons["baseline"].discordant for one in guards]
        lost, gained = sum(each.only_baseline for each in flips), sum(each.only_candidate for each in flips)
        n = sum(len(one.cases) for one in guards)
        net = f"{lost - gained} fewer" if lost > gained else f"{gained - lost} more" if gained > lost else "as many"
        yield (
            f"  All {len(guards)} guard sets: {net} of {n} questions right than before; to pass, a loss of "
            f"{number(round(policy.margin * n, 1))} must be ruled out."
        )


def _change(one: PairedSet, rival: Rival) -> str:
    if one.unchanged(rival):
        return "the same answers as before"
    flips, weights = one.comparisons[rival].discordant, one.weights
    if weights.min() == weights.max():
        before, now = (number(round(float(one.scores[role].sum()), 1)) for role in (rival, "candidate"))
        before = f"{before} of {len(one.cases)}"
    else:
        before, now = (rate_in_words(one.scores[role], weights) for role in (rival, "candidate"))
    return f"{before} right before, {now} now; {flips.only_baseline} lost, {flips.only_candidate} gained"


def _judged(one: PairedSet, rival: Rival, tests: Sequence[Asked], alpha: float) -> str:
    if one.unchanged(rival):
        return "."
    found = one.comparisons[rival]
    if one.target:
        return ": better." if found.interval.low > 0 else ": worse." if found.interval.high < 0 else ": maybe by luck."
    for test in tests:
        if test.watch.of == one.name and test.watch.sample.name == one.name and test.watch.rival == rival:
            return ": too bad for luck." if test.counts <= alpha else ": luck could do that."
    return "."


def _probes(one: PairedSet, rival: Rival, tests: Sequence[Asked], alpha: float) -> Iterator[tuple[str, Asked]]:
    """What was measured beside the answers, and raised an alarm."""
    for test in tests:
        name = test.watch.sample.name.removeprefix(test.watch.of).strip()
        if name and test.watch.of == one.name and test.watch.rival == rival and test.counts <= alpha:
            yield name, test


def _watched(test: Asked) -> str:
    if test.fates is None:
        return "too bad for luck."
    return f"worse on {test.fates.lost} of {test.fates.n}, better on {test.fates.gained}: too bad for luck."
