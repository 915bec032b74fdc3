"""What the gate makes of people's word. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from harness.answers import Status
from harness.config import GatePolicy
from harness.record import RunRecord
from harness.review.findings import Findings, findings, human_win_rate
from harness.review.opinions import Review
from harness.reviewing import ReviewPolicy
from harness.verdict import Criterion, plural, points


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
            command=_export(record.run_id, again=True),
        )
        return
    found = findings(review, rounds=1000)
    # Who skipped most of a form has read it, and judged next to nothing.
    finished = {reader.name for reader in found.readers if reader.done == reader.pages >= 2 * reader.skipped}
    done, invited = len(finished), len(review.invited)
    waiting = tuple(name for name in review.invited if name not in finished)
    command = _status(review) if waiting else _export(review.run_id, again=True)
    if done < asks.min_reviewers:
        open_ = [
            f"{reader.name} (skipped {reader.skipped} of {reader.pages})"
            if reader.done == reader.pages
            else reader.name
            for reader in found.readers
            if reader.name not in finished
        ]
        open_ += [name for name in review.invited if name not in {reader.name for reader in review.readers}]
        yield _said(
            "INVALID",
            f"{done} of {invited} forms complete, {asks.min_reviewers} needed",
            f"{done} of {plural(invited, 'reviewer')} finished, and the policy needs {asks.min_reviewers}. Still open: "
            f"{', '.join(open_) or 'nobody: invite more'}.",
            command=command,
            waiting=waiting,
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
            command=command,
            waiting=waiting,
        )
        return
    if asks.min_agreement is not None and (found.ac1 is None or found.ac1 < asks.min_agreement):
        value = "is unknown: no two read the same case" if found.ac1 is None else f"is {found.ac1:.2f}"
        yield _said(
            "INVALID",
            f"reviewers do not agree: AC1 {'unknown' if found.ac1 is None else f'{found.ac1:.2f}'}",
            f"The reviewers' agreement beyond chance (Gwet's AC1) {value}, and the policy needs "
            f"{asks.min_agreement:g}: nothing can rest on their word. Say in the rubric what matters, and ask again.",
            command=command,
            waiting=waiting,
        )
        return
    if 0 < found.sampled < least:
        yield _said(
            "INVALID",
            f"{plural(found.sampled, 'case')} judged, {least} needed",
            f"Of the random sample {plural(found.sampled, 'case')} were judged, and the policy needs {least} "
            "(min_cases): no bar can rest on less. Export more --cases, or have skipped ones judged.",
            command=command,
            waiting=waiting,
        )
        return
    yield from _answers(review, asks, found)


def _missing(record: RunRecord, review: Review | None) -> Criterion:
    told = "The policy demands a human review, and nobody's answers were imported"
    if review is not None and review.anew is True:
        told = "What people said of these answers was set aside, and nobody's new answers were imported"
    if review is None or not review.invited:
        command = _export(record.run_id if review is None else review.run_id)
        return _said("INVALID", "no human review", f"{told}: {command}.", command=command)
    names = ", ".join(review.invited)
    return _said(
        "INVALID",
        f"no human review yet: waiting for {names}",
        f"{told} yet. Forms are out since {review.created[:10]}; still open: {names}.",
        command=_status(review),
        waiting=review.invited,
    )


def _export(run: str, *, again: bool = False) -> str:
    return f"harness review export {run} --reviewers NAMES{' --replace' if again else ''}"


def _status(review: Review) -> str:
    return f"harness review status {review.run_id}"


def _answers(review: Review, asks: ReviewPolicy, found: Findings) -> Iterator[Criterion]:
    if found.rate is None:
        yield _said(
            "INVALID",
            "no case of the random sample was judged",
            "Every case of the random sample was skipped.",
            command=_export(review.run_id, again=True),
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
    status: Status,
    summary: str,
    reason: str,
    cases: tuple[str, ...] = (),
    *,
    command: str | None = None,
    waiting: tuple[str, ...] = (),
) -> Criterion:
    return Criterion(
        name="review",
        status=status,
        summary=summary,
        reason=reason,
        cases=cases,
        command=command,
        waiting=waiting,
    )
