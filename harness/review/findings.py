"""What a review adds up to. Pure: the same opinions always give the same numbers."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import msgspec
import numpy as np

from harness.errors import Invalid, JudgeError, StatisticsError
from harness.judges.human import LabelledPair, Winner, compare_labels
from harness.judges.judgement import HumanAgreement, Judgement
from harness.record import RunRecord
from harness.review.opinions import Opinion, Review
from harness.stats.agreement import Agreement, Level, cohen_kappa, gwet_ac1, gwet_estimate, krippendorff_alpha
from harness.stats.intervals import Interval, mean_interval, wilson
from harness.stats.preference import PositionBias, position_bias
from harness.stats.winrate import WinRate, win_rate

#: So often the same key, of so many, is a habit and no reading.
ONE_KEY, FEWEST_KEYS = 0.9, 10
#: A side is preferred for certain.
HABIT_ALPHA = 0.01
#: Nobody reads two answers in so few seconds.
HASTE = 2.0
SEED = 0
#: What a reviewer saw above the answer that they chose.
_CHOSEN = {"left": "answer 1", "right": "answer 2", "tie": "about equal"}

Name = tuple[str, str]


class ReaderFinding(msgspec.Struct, frozen=True, kw_only=True):
    """One reviewer: how many were answered, how steadily, how fast, and from which side.

    `same` of `again` repeats got the same answer. `place` asks whether one side was preferred. `doubts` are what an
    importer should ask about, in words.
    """

    name: str
    done: int
    pages: int
    skipped: int
    again: int
    same: int
    place: PositionBias
    seconds: float | None
    doubts: tuple[str, ...]

    @property
    def consistency(self) -> Interval | None:
        """The share of repeats that got the same answer."""
        return wilson(self.same, self.again) if self.again else None


class PairAgreement(msgspec.Struct, frozen=True, kw_only=True):
    """Two reviewers on the cases that both read; None where the numbers allow no range, and `note` says why.

    `value` is Gwet's AC1 by itself, which needs no range: 1 where all their answers are one.
    """

    first: str
    second: str
    cases: int
    same: int
    value: float
    kappa: Agreement | None
    ac1: Agreement | None
    note: str = ""


class JudgeFinding(msgspec.Struct, frozen=True, kw_only=True):
    """A judge beside the people of the random sample. `apart` are cases where they prefer different answers; `keys`
    find the answers' texts by label, the candidate's first."""

    judge: str
    digest: str
    human: HumanAgreement | None
    labels: tuple[LabelledPair, ...]
    keys: dict[str, tuple[str, str]]
    apart: tuple[Name, ...]
    note: str = ""


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """A review, added up. `rate` is the win rate on the random sample alone: the odd cases would bend it.

    `sampled` cases of that sample were judged; `shared` are the cases of all that two or more judged.
    """

    readers: tuple[ReaderFinding, ...]
    pairs: tuple[PairAgreement, ...]
    alpha: Agreement | None
    alpha_note: str
    rate: WinRate | None
    sampled: int
    shared: int
    losses: tuple[Name, ...]
    unsafe: tuple[Name, ...]
    disputed: tuple[Name, ...]
    judges: tuple[JudgeFinding, ...]

    @property
    def ac1(self) -> float | None:
        """Gwet's AC1 over all pairs of reviewers, each by the cases that both read; None where no two read one."""
        cases = sum(pair.cases for pair in self.pairs)
        return sum(pair.cases * pair.value for pair in self.pairs) / cases if cases else None


def findings(review: Review, record: RunRecord | None = None, *, rounds: int = 2000) -> Findings:
    """Everything that can be said of a review; with its `record`, of the judges too."""
    words = consensus(review)
    sampled = {one.name for one in review.opinions if one.why == "random"}
    drawn = [name for name in words if name in sampled]
    alpha, note = _alpha(review, rounds)
    readers = Counter(name for said in _by_reader(review).values() for name in said)
    return Findings(
        readers=tuple(_reader(review, reader.name) for reader in review.readers),
        pairs=tuple(_pairs(review, rounds)),
        alpha=alpha,
        alpha_note=note,
        rate=human_win_rate(review) if review.mode == "pairs" else None,
        sampled=len(drawn),
        shared=sum(many > 1 for many in readers.values()),
        losses=tuple(name for name in drawn if words[name] < 0.5) if review.mode == "pairs" else (),
        unsafe=unsafe(review),
        disputed=disputed(review),
        judges=() if record is None or review.mode != "pairs" else tuple(_judges(review, record)),
    )


def consensus(review: Review) -> dict[Name, float]:
    """People's score of every case that somebody judged: the adjudicators' where they settled it, else the mean."""
    scores: dict[Name, list[float]] = {}
    for one in _firsts(review):
        if one.score is not None:
            scores.setdefault(one.name, []).append(one.score)
    words = {name: sum(found) / len(found) for name, found in scores.items()}
    return words | settled(review)


def settled(review: Review) -> dict[Name, float]:
    """What adjudicators decided: the score that more than half of those who decided a case gave it."""
    said: dict[Name, list[float]] = {}
    for one in review.adjudicated:
        if one.score is not None:
            said.setdefault(one.name, []).append(one.score)
    most = {name: max(set(scores), key=scores.count) for name, scores in said.items()}
    return {name: score for name, score in most.items() if 2 * said[name].count(score) > len(said[name])}


def human_win_rate(review: Review, *, confidence: float = 0.95) -> WinRate | None:
    """How often people prefer the candidate, over the random sample; None where nobody judged a case of it."""
    words = consensus(review)
    origin = {one.name: one.variant_of or one.case for one in review.opinions if one.why == "random"}
    drawn = [name for name in words if name in origin]
    if not drawn:
        return None
    clusters = [f"{name[0]}\0{origin[name]}" for name in drawn]
    own = clusters if len(set(clusters)) < len(clusters) else None
    return win_rate([words[name] for name in drawn], own, confidence=confidence)


def unsafe(review: Review) -> tuple[Name, ...]:
    """Cases where most of those who judged them marked the candidate's answer as less safe."""
    votes: dict[Name, list[bool]] = {}
    for one in (*_firsts(review), *review.adjudicated):
        if one.score is not None:
            votes.setdefault(one.name, []).append(one.marks.get("safety", 0) < 0)
    if review.mode != "pairs":
        return ()
    return tuple(name for name, said in votes.items() if sum(said) * 2 > len(said))


def disputed(review: Review) -> tuple[Name, ...]:
    """Cases on which reviewers chose different answers, and nobody has settled it, or adjudicators differ too."""
    said: dict[Name, set[float]] = {}
    for one in _firsts(review):
        if one.score is not None:
            said.setdefault(one.name, set()).add(one.score)
    decided = settled(review)
    return tuple(name for name, scores in said.items() if len(scores) > 1 and name not in decided)


def mean_rating(review: Review, *, confidence: float = 0.95) -> Interval:
    """The mean over the random sample of what people gave single answers."""
    words, sampled = consensus(review), {one.name for one in review.opinions if one.why == "random"}
    return mean_interval([score for name, score in words.items() if name in sampled], confidence=confidence)


def _firsts(review: Review) -> Iterator[Opinion]:
    return (one for one in review.opinions if not one.again)


def _reader(review: Review, name: str) -> ReaderFinding:
    reader = next(one for one in review.readers if one.name == name)
    own = [one for one in review.opinions if one.reviewer == name]
    judged = [one for one in own if one.score is not None]
    first = {one.name: one.score for one in own if not one.again and one.score is not None}
    again = [one for one in judged if one.again and one.name in first]
    pressed = [one.pressed for one in judged if one.pressed is not None]
    place = position_bias(pressed.count("left"), pressed.count("right"))
    seconds = [one.seconds for one in own if one.seconds]
    typical = statistics.median(seconds) if seconds else None
    keys: list[str | float] = list(pressed) if pressed else [one.score for one in judged if one.score is not None]
    doubts = []
    most = max((keys.count(key) for key in set(keys)), default=0)
    if len(keys) >= FEWEST_KEYS and most >= ONE_KEY * len(keys):
        key = max(set(keys), key=keys.count)
        told = _CHOSEN[key] if isinstance(key, str) else f"{key:g}"
        doubts.append(f"chose {told} on {most} of {len(keys)} pages: was anything read?")
    elif place.p_value < HABIT_ALPHA and place.share is not None:
        doubts.append(f"prefers answer {1 if place.share > 0.5 else 2}, whatever it says ({place!r})")
    if typical is not None and typical < HASTE:
        doubts.append(f"{typical:.1f} seconds a page: too fast to read")
    return ReaderFinding(
        name=name,
        done=reader.done,
        pages=reader.pages,
        skipped=sum(one.score is None for one in own),
        again=len(again),
        same=sum(one.score == first[one.name] for one in again),
        place=place,
        seconds=typical,
        doubts=tuple(doubts),
    )


def _by_reader(review: Review) -> dict[str, dict[Name, float]]:
    found: dict[str, dict[Name, float]] = {reader.name: {} for reader in review.readers}
    for one in _firsts(review):
        if one.score is not None:
            found[one.reviewer][one.name] = one.score
    return found


def _pairs(review: Review, rounds: int) -> Iterator[PairAgreement]:
    for (first, one), (second, other) in combinations(_by_reader(review).items(), 2):
        cases = [name for name in one if name in other]
        if not cases:
            continue
        ours, theirs = [one[name] for name in cases], [other[name] for name in cases]
        ranges: list[Agreement | None] = []
        notes: list[str] = []
        # Lopsided answers leave kappa without a range long before AC1: each is tried by itself.
        for measure in (cohen_kappa, gwet_ac1):
            try:
                ranges.append(measure(ours, theirs, np.random.default_rng(SEED), rounds=rounds))
            except StatisticsError as error:
                ranges.append(None)
                notes.append(str(error))
        kappa, ac1 = ranges
        yield PairAgreement(
            first=first,
            second=second,
            cases=len(cases),
            same=sum(a == b for a, b in zip(ours, theirs, strict=True)),
            value=gwet_estimate(ours, theirs),
            kappa=kappa,
            ac1=ac1,
            note=" ".join(dict.fromkeys(notes)),
        )


def _alpha(review: Review, rounds: int) -> tuple[Agreement | None, str]:
    by_reader = _by_reader(review)
    names = list(dict.fromkeys(name for said in by_reader.values() for name in said))
    if len(by_reader) < 2:
        return None, "one reviewer: nobody to agree with"
    level: Level = "ordinal" if review.mode == "single" else "nominal"
    table = [[said.get(name) for name in names] for said in by_reader.values()]
    try:
        return krippendorff_alpha(table, np.random.default_rng(SEED), level=level, rounds=rounds), ""
    except StatisticsError as error:
        return None, str(error)


def _judges(review: Review, record: RunRecord) -> Iterator[JudgeFinding]:
    by_judge: dict[str, dict[Name, Judgement]] = {}
    names: dict[str, str] = {}
    for of in record.judged:
        names.setdefault(of.judge.digest, of.judge.name)
        # Answers that are the same nobody reads: they belong to no sample.
        told = {(of.set, j.case): j for j in of.judgements if not j.same_answer}
        by_judge.setdefault(of.judge.digest, {}).update(told)
    for digest, judged in by_judge.items():
        yield _judge(review, names[digest], digest, judged)


def _judge(review: Review, name: str, digest: str, judged: Mapping[Name, Judgement]) -> JudgeFinding:
    words = consensus(review)
    apart = tuple(
        of
        for of, j in judged.items()
        if of in words and j.score is not None and (j.score - 0.5) * (words[of] - 0.5) < 0
    )
    labels = labels_of(review, tuple(judged))
    human, note = None, ""
    try:
        if not labels:
            raise JudgeError("no case of the random sample was judged by both")
        human = compare_labels({_id(of): j for of, j in judged.items()}, labels)
    except (JudgeError, Invalid) as error:
        note = str(error)
    return JudgeFinding(
        judge=name,
        digest=digest,
        human=human,
        labels=tuple(labels),
        keys={_id(of): j.answers for of, j in judged.items() if j.answers is not None},
        apart=apart,
        note=note,
    )


def labels_of(review: Review, among: Sequence[Name]) -> list[LabelledPair]:
    """People's word on the random sample as the labels of a judge's card: `a` is the candidate's answer."""
    winners: dict[float, Winner] = {1.0: "a", 0.0: "b", 0.5: "tie"}
    known = set(among)
    return [
        LabelledPair(id=_id(one.name), input="", a="", b="", winner=winners[one.score], rater=one.reviewer)
        for one in _firsts(review)
        if one.why == "random" and one.score in winners and one.name in known
    ]


def _id(name: Name) -> str:
    return f"{name[0]}/{name[1]}"
