"""What the gate makes of people's word. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from harness.answers import Status
from harness.policy import GatePolicy
from harness.record import RunRecord
from harness.review.findings import Findings, findings, human_win_rate
from harness.review.opinions import Review
from harness.reviewing import ReviewPolicy
from harness.verdict import Criterion, listed, plural, points


class _Step(msgspec.Struct, frozen=True, kw_only=True):
    """What settles it, whom it waits for, who may still judge what they skipped, and whose answers it sets aside."""

    command: str
    waiting: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    discards: tuple[str, ...] = ()


def review_criteria(record: RunRecord, policy: GatePolicy, review: Review | None) -> Iterator[Criterion]:
    """What the policy asks of a human review, and its answer; nothing where it asks nothing."""
    asks = policy.review
    if asks is None:
        return
    if review is None or not review.readers:
        # What people said once must not turn into a PASS because it was set aside.
        if asks.required or (review is not None and review.anew is True):
            yield _missing(record, review)
        return
    if not review.is_of(record) or review.mode != "pairs":
        yield _said(
            "INVALID",
            "the review is of another run",
            f"The review is of run {review.run_id}, whose models or answers were others. Export this run's: harness "
            f"review export {record.run_id}.",
            step=_anew(record.run_id, review),
        )
        return
    found = findings(review, rounds=1000)
    # Who skipped most of a form has read it, and judged next to nothing.
    complete = [reader for reader in found.readers if reader.done == reader.pages]
    skippers = [reader for reader in complete if 2 * reader.skipped > reader.pages]
    done, invited = len(complete) - len(skippers), len(review.invited)
    coming = tuple(name for name in review.invited if name not in {reader.name for reader in complete})
    waits = _Step(command=_status(review), waiting=coming) if coming else _anew(review.run_id, review)
    if done < asks.min_reviewers:
        skipped = tuple(f"{reader.name} skipped {reader.skipped} of {reader.pages}" for reader in skippers)
        told = [f"{done} of {plural(invited, 'reviewer')} finished, and the policy needs {asks.min_reviewers}."]
        if coming:
            told.append(f"Still open: {', '.join(coming)}.")
        if skipped:
            told.append(f"Skipped too much: {', '.join(skipped)} pages, and at least half must be judged.")
        if done + len(coming) + len(skippers) < asks.min_reviewers:
            told.append("Too few were invited: invite more.")
        elif not coming:
            waits = _Step(command="harness review import FILE", skipped=tuple(reader.name for reader in skippers))
        yield _said(
            "INVALID",
            f"{done} of {invited} forms complete, {asks.min_reviewers} needed"
            + (f"; {listed(skipped, 1)}" if skipped else ""),
            " ".join(told),
            step=waits,
        )
        return
    # All of a few cases is all that there is to read.
    least = min(asks.min_cases, review.pool)
    if asks.min_agreement is not None and found.shared < least:
        yield _said(
            "INVALID",
            f"two reviewers judged {plural(found.shared, 'same case')}, {least} needed",
            f"The policy asks that reviewers agree, and two or more judged {plural(found.shared, 'case')} of {least} "
            "needed (min_cases). Export with a larger --overlap, or have skipped cases judged.",
            step=waits,
        )
        return
    if asks.min_agreement is not None and (found.ac1 is None or found.ac1 < asks.min_agreement):
        value = "is unknown: no two read the same case" if found.ac1 is None else f"is {found.ac1:.2f}"
        yield _said(
            "INVALID",
            f"reviewers do not agree: AC1 {'unknown' if found.ac1 is None else f'{found.ac1:.2f}'}",
            f"The reviewers' agreement beyond chance (Gwet's AC1) {value}, and the policy needs "
            f"{asks.min_agreement:g}: nothing can rest on their word. Say in the rubric what matters, and ask again.",
            step=waits,
        )
        return
    if 0 < found.sampled < least:
        yield _said(
            "INVALID",
            f"{plural(found.sampled, 'case')} judged, {least} needed",
            f"Of the random sample {plural(found.sampled, 'case')} were judged, and the policy needs {least} "
            "(min_cases): no bar can rest on less. Export more --cases, or have skipped ones judged.",
            step=waits,
        )
        return
    yield from _answers(review, asks, found)


def _missing(record: RunRecord, review: Review | None) -> Criterion:
    told = "The policy demands a human review, and nobody's answers were imported"
    if review is not None and review.anew is True:
        told = "What people said of these answers was set aside, and nobody's new answers were imported"
    if review is None or not review.invited:
        command = _export(record.run_id if review is None else review.run_id)
        return _said("INVALID", "no human review", f"{told}: {command}.", step=_Step(command=command))
    names = ", ".join(review.invited)
    return _said(
        "INVALID",
        f"no human review yet: waiting for {names}",
        f"{told} yet. Forms are out since {review.created[:10]}; still open: {names}.",
        step=_Step(command=_status(review), waiting=review.invited),
    )


def _export(run: str) -> str:
    return f"harness review export {run} --reviewers NAMES"


def _anew(run: str, review: Review) -> _Step:
    """Whoever starts over sets aside what was finished, and is told so before."""
    return _Step(command=f"{_export(run)} --replace", discards=tuple(reader.name for reader in review.readers))


def _status(review: Review) -> str:
    return f"harness review status {review.run_id}"


def _answers(review: Review, asks: ReviewPolicy, found: Findings) -> Iterator[Criterion]:
    if found.rate is None:
        yield _said(
            "INVALID",
            "no case of the random sample was judged",
            "Every case of the random sample was skipped.",
            step=_anew(review.run_id, review),
        )
        return
    counts = f"{found.rate.wins} won, {found.rate.ties} tied, {found.rate.losses} lost of {found.sampled}"
    by = f"by {plural(len(review.readers), 'reviewer')}, blind"
    if asks.margin is not None:
        # Both ends at one-sided 95%, as everywhere in the gate.
        rate = human_win_rate(review, confidence=0.90)
        assert rate is not None, "asked just now"
        bar, low, high = 0.5 - asks.margin, rate.interval.low, rate.interval.high
        status: Status = "PASS" if low > bar else "FAIL" if high < bar else "INCONCLUSIVE"
        end = {
            "PASS": f"win rates up to {points(bar)}% are ruled out",
            "FAIL": f"the baseline is preferred: {points(high)}% at most, and {points(bar)}% is the least",
            "INCONCLUSIVE": f"win rates up to {points(bar)}% are not ruled out ({points(low)}% at least): read more",
        }[status]
        yield _said(
            status,
            f"win rate {points(rate.estimate)}% ({counts})",
            f"People, {by}: {counts}, win rate {points(rate.estimate)}%: {end}.",
        )
    if asks.max_losses is not None:
        share = len(found.losses) / found.sampled
        yield _said(
            "FAIL" if share > asks.max_losses else "PASS",
            f"{len(found.losses)} of {found.sampled} lost, {points(asks.max_losses)}% allowed",
            f"People find the candidate's answer worse in {len(found.losses)} of {plural(found.sampled, 'case')} that "
            f"differ ({points(share)}%); the policy allows {points(asks.max_losses)}%.",
            tuple(case for _, case in found.losses),
        )
    if asks.max_unsafe is not None:
        yield _said(
            "FAIL" if len(found.unsafe) > asks.max_unsafe else "PASS",
            f"{len(found.unsafe)} less safe, {asks.max_unsafe} allowed",
            f"Most readers mark the candidate's answer as less safe in {plural(len(found.unsafe), 'case')}; the policy "
            f"allows {asks.max_unsafe}.",
            tuple(case for _, case in found.unsafe),
        )


def _said(
    status: Status, summary: str, reason: str, cases: tuple[str, ...] = (), *, step: _Step | None = None
) -> Criterion:
    said = Criterion(name="review", status=status, summary=summary, reason=reason, cases=cases)
    return said if step is None else msgspec.structs.replace(said, **msgspec.structs.asdict(step))
