"""What people said who read the answers blind, as the page shows it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from harness.judges.judgement import Judgement
from harness.record import RunRecord
from harness.report.numbers import percent
from harness.report.visible import visible
from harness.report.words import Words
from harness.review.findings import Findings, consensus, findings
from harness.review.opinions import Review


@dataclass(frozen=True, slots=True)
class Opinions:
    """One case: whom people prefer, by how many votes, whom the checks and the judge prefer, and what was said."""

    link: str
    set: str
    case: str
    people: str
    votes: str
    judge: str
    sampled: bool
    comments: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ReaderRow:
    """One reviewer, in words."""

    name: str
    pages: str
    repeats: str
    sides: str
    doubts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class People:
    """A review on the page. `rate` is None where nothing of the random sample was judged."""

    rate: str | None
    interval: str
    counts: str
    readers: tuple[ReaderRow, ...]
    agreement: tuple[str, ...]
    judges: tuple[str, ...]
    cases: tuple[Opinions, ...]


def people_of(review: Review | None, record: RunRecord, words: Words) -> People | None:
    """The review as values for the page; None where there is none of pairs, or nothing came back yet."""
    if review is None or review.mode != "pairs" or not review.readers:
        return None
    found = findings(review, record)
    rate = found.rate
    return People(
        rate=None if rate is None else percent(rate.estimate),
        interval="" if rate is None else f"{percent(rate.interval.low)} – {percent(rate.interval.high)}",
        counts=""
        if rate is None
        else words(
            "{won} won, {tied} tied, {lost} lost of {n} cases drawn at random",
            won=rate.wins,
            tied=rate.ties,
            lost=rate.losses,
            n=found.sampled,
        ),
        readers=tuple(_readers(found, words)),
        agreement=tuple(_agreement(found, words)),
        judges=tuple(_judges(found, words)),
        cases=tuple(_cases(review, record, words)),
    )


def _readers(found: Findings, words: Words) -> list[ReaderRow]:
    return [
        ReaderRow(
            name=visible(one.name),
            pages=words("{done} of {all}", done=one.done, all=one.pages),
            repeats=words("{done} of {all}", done=one.same, all=one.again) if one.again else "–",
            sides=f"{one.place.first_first} / {one.place.second_second}",
            doubts=tuple(visible(doubt) for doubt in one.doubts),
        )
        for one in found.readers
    ]


def _agreement(found: Findings, words: Words) -> list[str]:
    told = [
        words(
            "{first} and {second}: {same} of {n} cases alike",
            first=visible(one.first),
            second=visible(one.second),
            same=one.same,
            n=one.cases,
        )
        + "".join(f"; {value!r}" for value in (one.kappa, one.ac1) if value is not None)
        for one in found.pairs
    ]
    return told if found.alpha is None else [*told, repr(found.alpha)]


def _judges(found: Findings, words: Words) -> list[str]:
    told = []
    for one in found.judges:
        if one.human is None:
            continue
        line = words(
            "The judge {judge} agrees with people on {share} of {n} cases.",
            judge=visible(one.judge),
            share=percent(one.human.observed),
            n=one.human.pairs,
        )
        if one.human.corrected is not None:
            line += " " + words("Its win rate, corrected by people: {rate}.", rate=repr(one.human.corrected))
        told.append(line)
    return told


def _cases(review: Review, record: RunRecord, words: Words) -> list[Opinions]:
    """Cases that the candidate lost first."""
    judged: Mapping[tuple[str, str], Judgement] = {(of.set, j.case): j for of in record.judged for j in of.judgements}
    found = []
    for name, score in sorted(consensus(review).items(), key=lambda one: one[1]):
        own = [one for one in review.opinions if one.name == name and not one.again]
        scores = [one.score for one in own if one.score is not None]
        judgement = judged.get(name)
        found.append(
            Opinions(
                link=f"#cases?case={quote('/'.join(name))}",
                set=visible(name[0]),
                case=visible(name[1]),
                people=_side("tie" if score == 0.5 else "candidate" if score > 0.5 else "baseline", words),
                votes=f"{sum(s > 0.5 for s in scores)} / {scores.count(0.5)} / {sum(s < 0.5 for s in scores)}",
                judge="–" if judgement is None else _side(judgement.preferred, words),
                sampled=any(one.why == "random" for one in own),
                comments=tuple((visible(one.reviewer), visible(one.comment)) for one in own if one.comment.strip()),
            )
        )
    return found


def _side(side: str, words: Words) -> str:
    said = {
        "candidate": words("candidate"),
        "baseline": words("baseline"),
        "tie": words("tie"),
        "unread": words("unread"),
    }
    return said[side]
