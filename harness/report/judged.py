"""Judged sets as a reader meets them: how often, when, why and how, and what is known of the judge. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.judges.judgement import CardLine, JudgeCard, JudgedSet, Judgement
from harness.judges.summary import PairSummary, rate_of, summarise
from harness.models import Response
from harness.report.cases import Case
from harness.report.forest import Scale, Span, Tick
from harness.report.numbers import duration, percent
from harness.report.visible import visible
from harness.report.wording import Phrase, Wording, moved, recurring
from harness.report.words import Words
from harness.stats.winrate import WinRate

#: Pairs of one tag below which its win rate says nothing.
FEWEST = 5
#: Tags shown; those where the candidate does worst come first.
TAGS = 20


@dataclass(frozen=True, slots=True)
class TagRow:
    """The pairs that have one tag: how often the candidate is preferred there."""

    tag: str
    n: str
    rate: str
    interval: str
    span: Span


@dataclass(frozen=True, slots=True)
class CardRow:
    """One thing that is known of a judge. `tone`: ok, fault, note, or nothing where nothing was asked."""

    line: str
    told: str
    value: str
    bar: str
    n: str
    tone: str
    cases: str


@dataclass(frozen=True, slots=True)
class Card:
    """A judge's calibration. `faults` is empty for a fit one."""

    fit: bool
    faults: str
    created: str
    rows: tuple[CardRow, ...]
    people: str


@dataclass(frozen=True, slots=True)
class JudgedRow:
    """One judged set. `advisory`: no judge but a similarity to the target. `card` is None for a judge without one.

    `looks` counts the cases behind each filter of the list.
    """

    set: str
    judge: str
    about: str
    advisory: bool
    asserted: bool
    unfit: tuple[str, ...]
    flags: tuple[str, ...]
    card: Card | None
    rate: str
    interval: str
    span: Span | None
    facts: tuple[tuple[str, str], ...]
    biased: str
    looks: Mapping[str, int]
    tags: tuple[TagRow, ...]
    ticks: tuple[Tick, ...]
    lost: tuple[Phrase, ...]
    won: tuple[Phrase, ...]
    wording: Wording


def judged_rows(
    sets: Sequence[JudgedSet], cases: Sequence[Case], texts: Mapping[str, Response], words: Words
) -> tuple[JudgedRow, ...]:
    """Every judged set of the record; `cases` are those of the page."""
    looks: dict[str, Counter[str]] = {visible(one.set): Counter() for one in sets}
    for line in (case.line for case in cases if case.line.judged is not None):
        told = {line.judged or "": True, "swapped": line.swapped, "apart": line.apart}
        looks[line.set].update(which for which, so in told.items() if so)
    return tuple(_row(one, looks[visible(one.set)], texts, words) for one in sets)


def answer_pairs(judgements: Sequence[Judgement], texts: Mapping[str, Response]) -> Iterator[tuple[str, str]]:
    """(candidate's, baseline's) answers, where the record has both."""
    for one in judgements:
        if one.answers is not None:
            ours, theirs = (texts.get(key) for key in one.answers)
            if ours is not None and theirs is not None:
                yield ours.text, theirs.text


def _row(one: JudgedSet, looks: Mapping[str, int], texts: Mapping[str, Response], words: Words) -> JudgedRow:
    summary = summarise(one.judgements)
    tags = _by_tag(one.judgements)
    rates = [rate for _, _, rate in tags] + ([summary.win_rate] if summary.win_rate is not None else [])
    limits = [limit - 0.5 for rate in rates for limit in (rate.interval.low, rate.interval.high)]
    # No rate is beyond 0% or 100%.
    scale = Scale(reach=min(0.5, Scale.holding(limits).reach))

    def span(of: WinRate) -> Span:
        interval = of.interval
        return scale.span(interval.estimate - 0.5, interval.low - 0.5, interval.high - 0.5)

    rate = summary.win_rate
    told = {side: _reasons(one.judgements, side) for side in ("baseline", "candidate")}
    return JudgedRow(
        set=visible(one.set),
        judge=visible(one.judge.name),
        about=visible(", ".join(part for part in (one.judge.label, one.judge.mode, one.judge.rubric) if part)),
        advisory=one.judge.kind == "reference",
        asserted=one.asserted or one.criterion is not None,
        unfit=tuple(visible(why) for why in one.unfit),
        flags=tuple(visible(flag) for flag in one.flags),
        card=None if one.card is None else _card(one.card, words),
        rate="–" if rate is None else percent(rate.estimate),
        interval="" if rate is None else f"{percent(rate.interval.low)} … {percent(rate.interval.high)}",
        span=None if rate is None else span(rate),
        facts=_facts(one, summary, words),
        biased=_biased(summary, words),
        looks=looks,
        tags=tuple(
            TagRow(
                tag=visible(tag),
                n=f"{n:,}",
                rate=percent(found.estimate),
                interval=f"{percent(found.interval.low)} … {percent(found.interval.high)}",
                span=span(found),
            )
            for tag, n, found in tags[:TAGS]
        ),
        ticks=tuple(
            Tick(at=tick.at, label=f"{50 + 100 * scale.reach * share:g}%")
            for tick, share in zip(scale.ticks, (-1, -0.5, 0, 0.5, 1), strict=True)
        ),
        lost=recurring(told["baseline"], told["candidate"]),
        won=recurring(told["candidate"], told["baseline"]),
        wording=moved(answer_pairs(one.judgements, texts)),
    )


def _by_tag(judgements: Sequence[Judgement]) -> list[tuple[str, int, WinRate]]:
    """The tags that some pairs have and some have not, the candidate's worst first."""
    among: dict[str, list[Judgement]] = {}
    for one in judgements:
        for tag in dict.fromkeys(one.tags):
            among.setdefault(tag, []).append(one)
    found = [
        (tag, len(those), rate)
        for tag, those in among.items()
        if FEWEST <= len(those) < len(judgements) and (rate := rate_of(those)) is not None
    ]
    return sorted(found, key=lambda one: (one[2].interval.high, one[2].estimate, one[0]))


def _reasons(judgements: Sequence[Judgement], side: str) -> list[str]:
    """The reasons for this side's answers, both orders of a pair as one text."""
    return [
        "\n".join(one.reason for one in (judgement.first, judgement.second) if one is not None)
        for judgement in judgements
        if judgement.preferred == side and not judgement.same_answer
    ]


def _facts(one: JudgedSet, summary: PairSummary, words: Words) -> tuple[tuple[str, str], ...]:
    rate, both = summary.win_rate, summary.both
    judged = f"{summary.pairs:,}"
    if one.total > summary.pairs:
        judged = words("{k} of {n}: a preference was proven early, in random order", k=judged, n=f"{one.total:,}")
    facts = [(words("pairs"), judged)]
    if rate is not None:
        facts.append(
            (
                words("mean of both orders"),
                words("{won} won, {tied} tied, {lost} lost", won=rate.wins, tied=rate.ties, lost=rate.losses),
            )
        )
        facts.append(
            (
                words("where both orders agree"),
                words("{won} won, {tied} tied, {lost} lost", won=summary.wins, tied=summary.ties, lost=summary.losses),
            )
        )
    facts.append(
        (
            words("flipped under swap"),
            words(
                "{n} pairs: {first} for the answer shown first, {second} for the second, {tied} to or from a tie",
                n=both.first_first + both.second_second + summary.one_order_ties,
                first=both.first_first, second=both.second_second, tied=summary.one_order_ties,
            ),
        )
    )  # fmt: skip
    if summary.same:
        facts.append((words("same answers"), words("{n}, a tie without a call", n=f"{summary.same:,}")))
    if summary.unread:
        faults = ", ".join(f"{fault} {many}" for fault, many in sorted(summary.faults.items()))
        facts.append(
            (
                words("unread"),
                words("{k} of {n} judgements ({faults})", k=summary.unread, n=f"{summary.asked:,}", faults=faults),
            )
        )
    if summary.shortened:
        facts.append((words("shortened"), words("{n} pairs, to fit the judge's context", n=f"{summary.shortened:,}")))
    facts += _lengths(one.judgements, words)
    calls = words("{n} new, {saved} saved", n=f"{one.calls:,}", saved=f"{one.calls_saved:,}")
    if one.calls or one.calls_saved:
        facts.append((words("calls"), calls if one.calls_saved else f"{one.calls:,}"))
    if one.cost is not None:
        facts.append((words("cost"), f"{one.cost:,.4g}"))
    return tuple((visible(name), visible(value)) for name, value in facts)


def _lengths(judgements: Sequence[Judgement], words: Words) -> Iterator[tuple[str, str]]:
    """How long the answers are, and whether the longer one wins."""
    measured = [one for one in judgements if any(one.lengths)]
    if not measured:
        return
    means = [round(sum(one.lengths[side] for one in measured) / len(measured)) for side in (0, 1)]
    yield (
        words("mean length"),
        words("{candidate} characters, the baseline's {baseline}", candidate=f"{means[0]:,}", baseline=f"{means[1]:,}"),
    )
    decided = [
        one for one in measured if one.lengths[0] != one.lengths[1] and one.preferred in ("candidate", "baseline")
    ]
    if decided:
        longer = sum((one.lengths[0] > one.lengths[1]) == (one.preferred == "candidate") for one in decided)
        yield (
            words("the longer answer is preferred"),
            words("{k} of {n} times", k=f"{longer:,}", n=f"{len(decided):,}"),
        )


def _biased(summary: PairSummary, words: Words) -> str:
    if not summary.biased:
        return ""
    bias = summary.bias
    return words(
        "This judge looks at the place: of {n} pairs that were decided by it, {k} went to the answer shown first "
        "(p = {p}).",
        n=bias.first_first + bias.second_second, k=bias.first_first, p=f"{bias.p_value:.2g}",
    )  # fmt: skip


def _card(card: JudgeCard, words: Words) -> Card:
    people = ""
    if card.human is not None:
        people = words(
            "Beside people: it agrees with {share} of {n} pairs that {raters} people judged.",
            share=percent(card.human.observed), n=f"{card.human.pairs:,}", raters=card.human.raters,
        )  # fmt: skip
    if card.seconds_each is not None:
        people = f"{people} {words('{time} for each judgement.', time=duration(card.seconds_each))}".strip()
    return Card(
        fit=card.fit,
        faults=visible(", ".join(card.faults)),
        created=card.created[:10],
        rows=tuple(_card_row(line) for line in card.lines),
        people=people,
    )


def _card_row(line: CardLine) -> CardRow:
    return CardRow(
        line=visible(line.line),
        told=visible(line.told),
        value="–" if line.value is None else percent(line.value),
        bar="" if line.bar is None else percent(line.bar),
        n=f"{line.n:,}",
        tone="" if line.passed is None else "ok" if line.passed else "fault" if line.fatal else "note",
        cases=visible(", ".join(line.cases[:6])) if line.passed is False else "",
    )
