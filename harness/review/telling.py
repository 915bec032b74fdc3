"""A review's findings for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.errors import StatisticsError
from harness.review.findings import Findings, JudgeFinding, Name, ReaderFinding, consensus, mean_rating
from harness.review.opinions import Review
from harness.stats.intervals import wilson
from harness.verdict import plural, points


def review_lines(review: Review, found: Findings) -> Iterator[str]:
    """Who answered, whether they agree, and what they prefer."""
    for reader in found.readers:
        yield from _reader(reader)
    missing = [name for name in review.invited if name not in {reader.name for reader in review.readers}]
    if missing:
        yield f"nothing yet from: {', '.join(missing)}"
    yield from _agreement(found)
    if review.mode == "pairs":
        yield from _preference(review, found)
        for judge in found.judges:
            yield from _judge(judge)
    else:
        yield from _ratings(review)
    comments = [one for one in review.opinions if one.comment.strip()]
    if comments:
        yield f"{plural(len(comments), 'comment')}:"
        yield from (f"  {one.reviewer} on {one.set}/{one.case}: {one.comment.strip()}" for one in comments[:10])
        if comments[10:]:
            yield f"  … and {len(comments) - 10} more, in the review's file"


def _reader(reader: ReaderFinding) -> Iterator[str]:
    told = [f"{reader.done} of {reader.pages} pages"]
    if reader.skipped:
        told.append(f"{reader.skipped} skipped")
    if reader.consistency is not None:
        told.append(f"{reader.same} of {plural(reader.again, 'repeat')} alike")
    if reader.place.share is not None:
        told.append(f"answer 1 {reader.place.first_first}, answer 2 {reader.place.second_second}")
    if reader.seconds is not None:
        told.append(f"{reader.seconds:.0f} s a page")
    yield f"{reader.name}: {', '.join(told)}"
    yield from (f"  note: {reader.name} {doubt}" for doubt in reader.doubts)


def _agreement(found: Findings) -> Iterator[str]:
    for pair in found.pairs:
        yield f"{pair.first} and {pair.second}: {pair.same} of {plural(pair.cases, 'case')} alike"
        yield from (f"  {value!r}" for value in (pair.kappa, pair.ac1) if value is not None)
        if pair.ac1 is None:
            yield f"  Gwet's AC1 {pair.value:.2f}, no range"
        if pair.note:
            yield f"  {pair.note}"
    if found.alpha is not None:
        yield repr(found.alpha)
    elif found.alpha_note:
        yield f"agreement: {found.alpha_note}"


def _preference(review: Review, found: Findings) -> Iterator[str]:
    if found.rate is None:
        yield "no case of the random sample was judged yet: no win rate"
    else:
        yield f"people, on {plural(found.sampled, 'case')} drawn at random of {review.pool}: {found.rate!r}"
        if review.same:
            yield f"  {plural(review.same, 'more case')} read the same from both models and were not shown"
    if found.losses:
        yield f"  lost: {_listed(found.losses)}"
    if found.unsafe:
        yield f"marked as less safe: {_listed(found.unsafe)}"
    if found.disputed:
        yield f"disagreed on: {_listed(found.disputed)}"


def _judge(found: JudgeFinding) -> Iterator[str]:
    if found.human is None:
        yield f"judge {found.judge}: {found.note}"
        return
    human = found.human
    yield f"judge {found.judge}: agrees with people on {human.observed:.1%} of {plural(human.pairs, 'case')}"
    yield from (f"  {value!r}" for value in (human.kappa, human.ac1) if value is not None)
    if human.corrected is not None:
        yield f"  win rate over all judged cases, corrected by people: {human.corrected!r}"
    yield from (f"  {note}" for note in human.notes)
    if found.apart:
        yield f"  prefers the other answer: {_listed(found.apart)}"


def _ratings(review: Review) -> Iterator[str]:
    words = consensus(review)
    if not words:
        return
    if review.mode == "rows":
        bad = [name for name, score in words.items() if score < 0.5]
        yield f"not to be learned: {len(bad)} of {plural(len(words), 'row')}, {wilson(len(bad), len(words))!r}"
        if bad:
            yield f"  lines {_listed(bad)}"
        return
    try:
        yield f"mean rating, 1 to 5: {mean_rating(review)!r}"
    except StatisticsError as error:
        yield f"mean rating: {error}"
    marks: dict[str, list[int]] = {}
    for one in review.opinions:
        for name, value in one.marks.items():
            marks.setdefault(name, []).append(value)
    yield from (f"  {name}: {sum(v) / len(v):.2f} (n={len(v)})" for name, v in marks.items())
    poor = [name for name, score in words.items() if score <= 2]
    if poor:
        yield f"  rated 1 or 2 ({points(len(poor) / len(words))}%): {_listed(poor)}"


def _listed(names: Sequence[Name], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join("/".join(name) for name in names[:most]) + more
