"""The judge beside people: pairs that both judged, and what follows for those that only the judge saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from harness.errors import Invalid, JudgeError, StatisticsError, unknown_name
from harness.generation import Progress
from harness.judges.asking import Judged, judge_pairs
from harness.judges.judgement import HumanAgreement, Judgement
from harness.judges.prompts import Pair
from harness.judges.refs import JudgeRef
from harness.models.opening import OpenModels
from harness.stats.agreement import PpiMean, cohen_kappa, gwet_ac1, ppi_mean
from harness.stats.alternative import FEWEST_PAIRS, FEWEST_PEOPLE, AlternativeAnnotator, alternative_annotator
from harness.store import Store

#: With fewer labelled pairs agreement says little.
ENOUGH_LABELS = 50
SEED = 0

Winner = Literal["a", "b", "tie"]

_POINTS: dict[Winner, float] = {"a": 1.0, "b": 0.0, "tie": 0.5}
_EXAMPLE = '{"id": "late-delivery", "input": "…", "a": "…", "b": "…", "winner": "a", "rater": "ana"}'


class LabelledPair(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One person's word on one pair; without a `winner`, a pair that only the judge is asked about.

    `target` and `criteria` are shown to the judge as those of a golden case.
    """

    id: str
    input: str
    a: str
    b: str
    winner: Winner | None = None
    rater: str = "people"
    target: str = ""
    criteria: str = ""


def read_labels_file(path: Path) -> list[LabelledPair]:
    """The rows of a JSONL file. Raises JudgeError with `file:line` for a row that is none, for a pair whose texts
    differ between rows, and for a rater who labels a pair twice."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise JudgeError(f"{path}: cannot be read ({error.strerror}). A row looks like {_EXAMPLE}") from error
    decode = msgspec.json.Decoder(LabelledPair).decode
    rows: list[LabelledPair] = []
    texts: dict[str, tuple[str, str, str]] = {}
    said: set[tuple[str, str]] = set()
    for number, line in enumerate(data.splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{path.name}:{number}"
        try:
            row = decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise JudgeError(f"{where}: {_fault(line, error)} A row looks like {_EXAMPLE}") from error
        shown = (row.input, row.a, row.b)
        if texts.setdefault(row.id, shown) != shown:
            raise JudgeError(f"{where}: pair {row.id!r} has other texts than above. Give each pair one id.")
        if row.winner is not None:
            if (row.id, row.rater) in said:
                raise JudgeError(f"{where}: {row.rater} labels pair {row.id!r} a second time. Keep one of them.")
            said.add((row.id, row.rater))
        rows.append(row)
    if not said:
        raise JudgeError(f"{path}: no row has a winner, so there is nothing to compare. A row looks like {_EXAMPLE}")
    return rows


def agreement_with(
    judge: JudgeRef,
    labels: Sequence[LabelledPair],
    store: Store,
    *,
    max_cost: float | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    models: OpenModels | None = None,
) -> tuple[HumanAgreement, Judged]:
    """Ask the judge about every pair, and compare its word with people's."""
    pairs: dict[str, Pair] = {}
    for row in labels:
        pairs.setdefault(
            row.id,
            Pair(
                case=row.id,
                question=row.input,
                candidate=row.a,
                baseline=row.b,
                reference=row.target,
                criteria=row.criteria,
            ),
        )
    judged = judge_pairs(judge, list(pairs.values()), store, max_cost=max_cost, on_progress=on_progress, models=models)
    return compare_labels({j.case: j for j in judged.judgements}, labels), judged


def compare_labels(judged: dict[str, Judgement], labels: Sequence[LabelledPair]) -> HumanAgreement:
    """Agreement on the pairs that people labelled and the judge could read; what cannot be told stands in `notes`."""
    people: dict[str, dict[str, Winner]] = {}
    for row in labels:
        if row.winner is not None:
            people.setdefault(row.rater, {})[row.id] = row.winner
    by_pair: dict[str, list[Winner]] = {}
    for words in people.values():
        for case, winner in words.items():
            by_pair.setdefault(case, []).append(winner)
    read = {case: _winner(j.score) for case, j in judged.items() if j.score is not None}
    cases = [case for case in by_pair if case in read]
    notes = []
    if len(cases) < len(by_pair):
        notes.append(f"{len(by_pair) - len(cases)} labelled pairs could not be read by the judge and are left out")
    if not cases:
        raise Invalid("the judge could read none of the pairs that people labelled, so nothing can be compared.")
    if len(cases) < ENOUGH_LABELS:
        notes.append(f"{len(cases)} labelled pairs are few: agreement says something from {ENOUGH_LABELS} on")
    ours = [read[case] for case in cases]
    theirs = [_majority(by_pair[case]) for case in cases]
    rng = np.random.default_rng(SEED)
    kappa = ac1 = None
    try:
        kappa, ac1 = cohen_kappa(ours, theirs, rng), gwet_ac1(ours, theirs, rng)
    except StatisticsError as error:
        notes.append(str(error))
    return HumanAgreement(
        pairs=len(cases),
        raters=len(people),
        observed=sum(one == other for one, other in zip(ours, theirs, strict=True)) / len(cases),
        kappa=kappa,
        ac1=ac1,
        alternative=_alternative(read, people, notes),
        corrected=_corrected(judged, by_pair, cases, notes),
        notes=tuple(notes),
    )


def _alternative(
    read: dict[str, Winner], people: dict[str, dict[str, Winner]], notes: list[str]
) -> AlternativeAnnotator | None:
    if len(people) < FEWEST_PEOPLE:
        notes.append(
            f"whether the judge may stand in for people needs {FEWEST_PEOPLE} of them or more; {len(people)} labelled"
        )
        return None
    try:
        found = alternative_annotator(read, people)
    except StatisticsError as error:
        notes.append(str(error))
        return None
    if found.pairs < FEWEST_PAIRS:
        notes.append(f"the test whether it may stand in for people is weak: {found.pairs} pairs, {FEWEST_PAIRS} wanted")
    return found


def _corrected(
    judged: dict[str, Judgement], by_pair: dict[str, list[Winner]], cases: Sequence[str], notes: list[str]
) -> PpiMean | None:
    elsewhere = [j.score for case, j in judged.items() if case not in by_pair and j.score is not None]
    if not elsewhere:
        notes.append("no pair without a label: nothing to correct the win rate of")
        return None
    human = [float(np.mean([_POINTS[winner] for winner in by_pair[case]])) for case in cases]
    judge = [score for case in cases if (score := judged[case].score) is not None]
    try:
        return ppi_mean(human, judge, elsewhere)
    except StatisticsError as error:
        notes.append(str(error))
        return None


def _winner(score: float) -> Winner:
    return "tie" if score == 0.5 else "a" if score > 0.5 else "b"


def _majority(words: Sequence[Winner]) -> Winner:
    """What most of them said; a draw is a tie."""
    counts = Counter(words).most_common()
    return "tie" if len(counts) > 1 and counts[0][1] == counts[1][1] else counts[0][0]


def _fault(line: bytes, error: Exception) -> str:
    try:
        document = msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return f"not JSON ({error})."
    for key in document if isinstance(document, dict) else ():
        if key not in LabelledPair.__struct_fields__:
            return f"{unknown_name('key', key, LabelledPair.__struct_fields__)}."
    return f"{error}."
