"""The cases to read first: broken red lines, then what the baseline answered better, each set in turn. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from harness.models import Response
from harness.record import CaseResult, Role, RunRecord, SetResult
from harness.verdict import SetVerdict, Verdict

#: Where pytest goes on to tell which call gave which value.
_ACCOUNT = re.compile(r"\n\s*\+\s+(?:where|and)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstCase:
    """A case that speaks against the candidate. The texts are as the models wrote them: not safe to show yet.

    `why` is what the first failed test found; `candidate` and `baseline` are the first answers, None where the record
    holds none.
    """

    set: str
    case: str
    file: str
    line: int
    broken: bool
    why: str
    candidate: str | None
    baseline: str | None


def worst_cases(record: RunRecord, verdict: Verdict, texts: Mapping[str, Response], most: int) -> tuple[WorstCase, ...]:
    """At most so many, worst first. `texts` are the record's, by store key.

    The set that lost most speaks first; sets with answers to read come before those that only have scores. What
    somebody answers for is left out.
    """
    by_set = {found.name: found for found in verdict.sets}
    found: list[WorstCase] = []
    for broken in (True, False):
        queues = [(of, cases) for of in record.sets if (cases := _of_set(of, by_set.get(of.name), broken=broken))]
        queues.sort(key=lambda queue: (not _is_read(queue[1][0]), -len(queue[1]), queue[0].name))
        for readable in (True, False):
            waiting = [queue for queue in queues if _is_read(queue[1][0]) is readable]
            for i in range(most):
                found += [_told(of, cases[i], broken, texts) for of, cases in waiting if i < len(cases)]
                if len(found) >= most:
                    return tuple(found[:most])
    return tuple(found)


def count_worst(record: RunRecord, verdict: Verdict) -> int:
    """How many there are in all."""
    by_set = {found.name: found for found in verdict.sets}
    return sum(len(_of_set(of, by_set.get(of.name), broken=broken)) for of in record.sets for broken in (True, False))


def _of_set(of: SetResult, found: SetVerdict | None, *, broken: bool) -> list[CaseResult]:
    waived = frozenset(found.waived) if found is not None else frozenset[str]()
    if broken:
        return [case for case in of.cases if _is_broken(case) and case.case not in waived]
    if found is None:
        return []
    ranks = {case: rank for rank, case in enumerate(found.ratchet) if case not in waived}
    fell = [case for case in of.cases if case.case in ranks and not _is_broken(case)]
    return sorted(fell, key=lambda case: ranks[case.case])


def _is_broken(case: CaseResult) -> bool:
    return any(test.lane == "red_line" and test.candidate < 1 and not test.unstable for test in case.tests)


def _is_read(case: CaseResult) -> bool:
    """Are there answers to read? Multiple choice by likelihood has none."""
    return any(case.answers.values())


def _told(of: SetResult, case: CaseResult, broken: bool, texts: Mapping[str, Response]) -> WorstCase:
    missed = [test for test in case.tests if test.candidate < 1]
    # A red line that broke says more than a rate test that was missed as well.
    missed.sort(key=lambda test: test.lane != "red_line")
    why = "scores lower than the baseline"
    if missed:
        why = _sentence(missed[0].explanation) or f"{missed[0].test} is not passed"
    return WorstCase(
        set=of.name,
        case=case.case,
        file=of.path,
        line=case.line,
        broken=broken,
        why=why,
        candidate=_text(case, "candidate", texts),
        baseline=_text(case, "baseline", texts),
    )


def _sentence(explanation: str) -> str:
    """The test's own words, without pytest's account of how they came about."""
    told = _ACCOUNT.split(explanation.strip(), maxsplit=1)[0]
    return told.removeprefix("AssertionError: ").removeprefix("assert ")


def _text(case: CaseResult, role: Role, texts: Mapping[str, Response]) -> str | None:
    return next((texts[key].text for key in case.answers.get(role, ()) if key in texts), None)
