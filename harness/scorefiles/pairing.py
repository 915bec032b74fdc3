"""Two sides, case by case: the same id must mean the same question, and every case must have both scores."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.errors import Invalid, ScoreFileError, unknown_name
from harness.scorefiles.reading import named_alike
from harness.scorefiles.values import ScoredCase, ScoredSet, ScoreFile

#: What becomes of a case that has no score on one side.
Missing = Literal["error", "drop"]

#: Ids named in a complaint; the rest is counted.
NAMED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedScores:
    """One set that both sides scored. `pairs` are (candidate, baseline), in the candidate's order."""

    name: str
    candidate: ScoredSet
    baseline: ScoredSet
    pairs: tuple[tuple[ScoredCase, ScoredCase], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """All sets that are compared, and what a reader of the verdict must know of how they were paired."""

    sets: tuple[PairedScores, ...]
    notes: tuple[str, ...]


def pair(candidate: ScoreFile, baseline: ScoreFile, *, sets: Sequence[str] = (), missing: Missing = "error") -> Pairing:
    """Pair by set and case id; `sets` are names or patterns, all where there are none.

    Raises Invalid, naming them, for cases without both scores (unless `missing` is "drop", which leaves them out and
    says so), for ids that mean different questions, and for two copies of one file.
    """
    if candidate.digest == baseline.digest:
        raise Invalid(f"{candidate.path} and {baseline.path} are the same, byte for byte: there is nothing to compare.")
    ours, theirs = named_alike(candidate.sets, baseline.sets), named_alike(baseline.sets, candidate.sets)
    left, right = _selected(ours, theirs, sets)
    gaps = list(_unshared(left, right, candidate, baseline))
    paired: list[PairedScores] = []
    notes: list[str] = []
    for name in left.keys() & right.keys() if len(left) > 1 else [name for name in left if name in right]:
        found, lacking, remarks = _pair_set(left[name], right[name], candidate, baseline)
        gaps += lacking
        notes += remarks
        if found.pairs:
            paired.append(found)
    if gaps and missing == "error":
        raise Invalid(
            f"{'; '.join(gaps)}. A missing pair is never dropped in silence: score these cases, or leave them out "
            "with --missing drop, which counts and shows them."
        )
    if not paired:
        raise Invalid(f"{candidate.path} and {baseline.path}: no case has a score on both sides. {'; '.join(gaps)}.")
    paired.sort(key=lambda one: list(left).index(one.name))
    return Pairing(sets=tuple(paired), notes=(*(f"left out: {gap}" for gap in gaps), *notes))


def _selected(
    ours: Sequence[ScoredSet], theirs: Sequence[ScoredSet], patterns: Sequence[str]
) -> tuple[dict[str, ScoredSet], dict[str, ScoredSet]]:
    names = list(dict.fromkeys(one.name for one in (*ours, *theirs)))
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise ScoreFileError(f"--set: {unknown_name('set', pattern, names)}")

    def chosen(side: Sequence[ScoredSet]) -> dict[str, ScoredSet]:
        return {
            one.name: one
            for one in side
            if not patterns or any(fnmatch.fnmatchcase(one.name, pattern) for pattern in patterns)
        }

    return chosen(ours), chosen(theirs)


def _unshared(
    left: dict[str, ScoredSet], right: dict[str, ScoredSet], candidate: ScoreFile, baseline: ScoreFile
) -> Iterator[str]:
    for has, lacks, lacking in ((left, right, baseline), (right, left, candidate)):
        for name, one in has.items():
            if name not in lacks:
                yield f"set {name!r} ({len(one.cases)} cases) is not in {lacking.path}"
    for one in (*left.values(), *right.values()):
        if one.unfinished:
            yield one.unfinished


def _pair_set(
    ours: ScoredSet, theirs: ScoredSet, candidate: ScoreFile, baseline: ScoreFile
) -> tuple[PairedScores, list[str], list[str]]:
    """The pairs, what is missing, and what a reader must know."""
    name = ours.name
    notes = list(_same_measure(ours, theirs, candidate, baseline))
    gaps = []
    for side, other, where in ((ours, theirs, baseline), (theirs, ours, candidate)):
        absent = [case for case in side.cases if case not in other.cases]
        if absent:
            gaps.append(
                f"set {name!r}: {len(absent)} of {len(side.cases)} cases are not in {where.path}: {_ids(absent)}"
            )
    for side, where in ((ours, candidate), (theirs, baseline)):
        bare = [case for case in side.cases.values() if case.unscored]
        if bare:
            told = f"{len(bare)} of {len(side.cases)} cases have no score in {where.path}"
            gaps.append(f"set {name!r}: {told}: {_ids([f'{case.id} ({case.unscored})' for case in bare])}")
    pairs = [
        (case, theirs.cases[case.id])
        for case in ours.cases.values()
        if case.id in theirs.cases and not case.unscored and not theirs.cases[case.id].unscored
    ]
    moved = [a.id for a, b in pairs if a.document and b.document and a.document != b.document]
    if moved and candidate.tool.split(" ")[0] == baseline.tool.split(" ")[0]:
        raise Invalid(
            f"set {name!r}: {len(moved)} of {len(pairs)} ids mean another question in {baseline.path} than in "
            f"{candidate.path}: {_ids(moved)}. Score both models on the same data."
        )
    reworded = sum(bool(a.rendered and b.rendered and a.rendered != b.rendered) for a, b in pairs)
    if reworded:
        notes.append(f"{name}: {reworded} of {len(pairs)} questions were put to the two in different words")
    return PairedScores(name=name, candidate=ours, baseline=theirs, pairs=tuple(pairs)), gaps, notes


def _same_measure(ours: ScoredSet, theirs: ScoredSet, candidate: ScoreFile, baseline: ScoreFile) -> Iterator[str]:
    if ours.metric != theirs.metric:
        if candidate.tool != "table" and candidate.tool.split(" ")[0] == baseline.tool.split(" ")[0]:
            raise Invalid(
                f"set {ours.name!r} is scored by {ours.metric} in {candidate.path} and by {theirs.metric} in "
                f"{baseline.path}. Choose what both have with --metric."
            )
        yield f"{ours.name}: scored by {ours.metric} for the candidate and by {theirs.metric} for the baseline"
    if ours.scale.lower_is_better != theirs.scale.lower_is_better:
        raise Invalid(
            f"set {ours.name!r}: lower is better for one side's {ours.metric} and not for the other's "
            f"{theirs.metric}. Say it for both: --lower-is-better {ours.metric}"
        )
    if ours.scale.lower_is_better:
        yield f"{ours.name}: lower {ours.metric} is better; shown turned round, so that 100% is the best"


def _ids(ids: Sequence[str]) -> str:
    more = len(ids) - NAMED
    return ", ".join(ids[:NAMED]) + (f" and {more} more" if more > 0 else "")
