"""What makes a run no comparison to be trusted, whatever its numbers say: INVALID, and never a model's failure."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence

from harness.errors import unknown_name
from harness.groups import PairedGroup
from harness.pairs import PairedSet
from harness.policy import GatePolicy
from harness.record import RunRecord, SuiteAnswer
from harness.verdict import Criterion, listed, plural, versus


def invalid_criteria(
    record: RunRecord, policy: GatePolicy, sets: Sequence[PairedSet], groups: Sequence[PairedGroup]
) -> Iterator[Criterion]:
    """One for each thing that is missing, broken or the same on both sides; none where all can be trusted."""

    def invalid(summary: str, reason: str, of: str | None = None, cases: tuple[str, ...] = ()) -> Criterion:
        return Criterion(name="complete", status="INVALID", summary=summary, reason=reason, set=of, cases=cases)

    if record.partial is not None:
        reason = f"Partial run, no verdict: {record.partial}. Run everything: harness gate."
        yield invalid(f"partial run: {record.partial}", reason)
    if record.errors:
        yield invalid(*_errors(record.errors))
    if record.baseline is None:
        reason = "Nothing to compare: the run has no baseline. Name one with --baseline."
        yield invalid("no baseline: nothing to compare", reason)
    elif record.baseline.digest == record.candidate.digest:
        what = "answers" if record.candidate.engine == "file" else "weights"
        both = f"{record.candidate.label} and {record.baseline.label} are the same {what}"
        reason = f"{both}: nothing can be compared. Name another candidate or baseline."
        yield invalid(f"candidate and baseline are the same {what}", reason)
    for parity in record.parity:
        if parity.fault is not None:
            reason = f"T14, {parity.model}: {parity.fault}"
            yield invalid(f"T14: {parity.engine} does not answer as {parity.model} was trained", reason)
    for one in sets:
        for rival, gaps in one.missing.items():
            reason = (
                f"{one.name}: {len(gaps)} of {plural(len(one.cases), 'case')} have no score of the {rival} "
                f"({listed(gaps)}); a missing pair is never dropped. Run the suites again."
            )
            yield invalid(f"{one.name}{versus(rival)}: {plural(len(gaps), 'pair')} missing", reason, one.name, gaps)
        if one.target and not one.cases:
            reason = f"{one.name} must improve, but has no rated case. Give it checks, or no target."
            yield invalid(f"{one.name}: a target without a rated case", reason, one.name)
        if not one.result.cases and not one.result.probes:
            why = f" ({'; '.join(one.result.unavailable)})" if one.result.unavailable else ""
            reason = f"{one.name}: nothing was measured{why}. Ask a model that can, or take the set out of the suites."
            yield invalid(f"{one.name}: nothing was measured{why}", reason, one.name)
    names = [one.name for one in sets]
    asked = {"improve": policy.improve, "margins": tuple(policy.margins), "floors": tuple(policy.floors)}
    # A set may be missing because of an error, which says so itself.
    whole = record.partial is None and not record.errors
    for key, patterns in asked.items() if whole else ():
        for pattern in patterns:
            if not any(fnmatch.fnmatchcase(name, pattern) for name in names):
                reason = f"The policy's {key} name a set that was not run: {unknown_name('set', pattern, names)}."
                yield invalid(f"policy {key}: no set {pattern!r} in the run", reason)
    for group in groups if record.partial is None else ():
        if not group.n:
            reason = (
                f"The policy's group {group.name} holds no rated case of this run: no case has "
                f"{' or '.join(group.policy.tags) or 'its sets'}. Tag cases in the golden sets, or mend the group."
            )
            yield invalid(f"policy groups: {group.name} is empty", reason)


def nothing_compared(record: RunRecord) -> Criterion:
    """For a run without any comparison that a verdict could rest on."""
    summary = "nothing was compared"
    reason = "Nothing was compared: no set has a rated case. Add golden cases, then run again."
    if any(one.judge.kind == "reference" for one in record.judged):
        summary = "compared by similarity alone (reference): advisory"
        reason = (
            "Answers were compared by similarity alone (reference), which is advisory and never a criterion. "
            "Name a judge, or add golden cases, then run again."
        )
    return Criterion(name="complete", status="INVALID", summary=summary, reason=reason)


def _errors(errors: Sequence[SuiteAnswer]) -> tuple[str, str]:
    """In few words and in a sentence: how many tests ended in an error, and the cause, told once where it is one."""
    many, first = len(errors), errors[0]
    same = many > 1 and all(error.reason == first.reason for error in errors)
    told = f"all the same: {first.reason}" if same else f"first {first.test}"
    ended = f"{plural(many, 'test')} ended in {'the same' if same else 'an'} error"
    reason = f"{ended}, first {first.test}: {first.reason.removesuffix('.')}. Mend it, then run again."
    return f"{plural(many, 'error')}, {told}", reason
