"""The cases to read first: broken red lines, then what the baseline answered better, each set in turn. Pure.

Terminal, jobs, pull requests and the report all take them from here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.judges.judgement import JudgedSet, Judgement
from harness.models import Response
from harness.record import CaseResult, Role, RunRecord, SetResult
from harness.retention.choices import choices_of
from harness.verdict import SetVerdict, Verdict

#: Where pytest goes on to tell which call gave which value.
_ACCOUNT = re.compile(r"\n\s*\+\s+(?:where|and)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstCase:
    """A case that speaks against the candidate. The texts are as the models wrote them: not safe to show yet.

    `why` is what the first failed test found, or the judge's reason where only a judge has seen the case (`judged`) and
    no line is known; `candidate` and `baseline` are the first answers, None where the record holds none.
    """

    set: str
    case: str
    file: str
    line: int | None
    broken: bool
    why: str
    candidate: str | None
    baseline: str | None
    judged: bool = False

    @property
    def place(self) -> str:
        """Where it stands, to be clicked or copied."""
        return self.file if self.line is None else f"{self.file}:{self.line}"


def worst_cases(record: RunRecord, verdict: Verdict, texts: Mapping[str, Response], most: int) -> tuple[WorstCase, ...]:
    """At most so many, worst first. `texts` are the record's, by store key.

    Broken red lines, then what checks found worse, then what only a judge has seen and likes less, one of each set in
    turn. The set that lost most speaks first; sets with answers to read come before those that only have scores. What
    somebody answers for is left out.
    """
    return tuple(
        _told(one, texts) if isinstance(one, _Checked) else _heard(one, texts) for one in _found(record, verdict, most)
    )


def worst_names(record: RunRecord, verdict: Verdict, most: int) -> tuple[tuple[str, str], ...]:
    """The same cases by the names of set and case."""
    return tuple(
        (one.of.name, one.case.case) if isinstance(one, _Checked) else (one.of.set, one.judgement.case)
        for one in _found(record, verdict, most)
    )


def count_worst(record: RunRecord, verdict: Verdict) -> int:
    """How many there are in all."""
    return sum(len(queue.cases) for queues in _queues(record, verdict) for queue in queues)


def newly_alarmed(of: SetResult) -> dict[str, tuple[str, ...]]:
    """By case the probes that can raise an alarm and at which the candidate is worse than the baseline, else the root.

    Bleed: an answer in the task's format where the other model's was none.
    """
    found: dict[str, tuple[str, ...]] = {}
    for probe in of.probes:
        rival = probe.baseline if probe.baseline is not None else probe.root
        if probe.role != "alarm" or rival is None:
            continue
        for case, ours, theirs in zip(probe.cases, probe.candidate, rival, strict=True):
            if ours != theirs and (ours < theirs) == probe.higher_is_better:
                found[case] = (*found.get(case, ()), probe.probe)
    return found


def badness(case: CaseResult, found: SetVerdict, alarms: Sequence[str]) -> tuple[float, float, float, float, int]:
    """Orders cases that score lower than the baseline, of one set or of several, the worst first.

    By how far the score fell; how many checks and probes are newly failed; how much the set as a whole lost; by how
    much a wrong choice is likelier than the right one; and by their places in the set.
    """
    failed = sum(test.baseline is not None and test.candidate < test.baseline for test in case.tests)
    whole = 0.0 if found.against_baseline is None else found.against_baseline.difference
    choices = choices_of(case)
    fell = 0.0 if case.baseline is None else case.baseline - case.candidate
    return -fell, -(failed + len(alarms)), whole, 0.0 if choices is None else -choices.lead, case.line


def only_judged(record: RunRecord) -> tuple[tuple[JudgedSet, Judgement], ...]:
    """The pairs that no check was asked about, each with what the first judge said of it."""
    checked = {(of.name, case.case) for of in record.sets for case in of.cases if case.tests}
    heard: dict[tuple[str, str], tuple[JudgedSet, Judgement]] = {}
    for one in record.judged:
        for judgement in one.judgements:
            heard.setdefault((one.set, judgement.case), (one, judgement))
    return tuple(found for names, found in heard.items() if names not in checked)


@dataclass(frozen=True, slots=True)
class _Checked:
    of: SetResult
    case: CaseResult
    broken: bool


@dataclass(frozen=True, slots=True)
class _Judged:
    of: JudgedSet
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class _Queue:
    """The cases of one set that are bad in the same way, worst first."""

    set: str
    read: bool
    cases: Sequence[_Checked | _Judged]


def _found(record: RunRecord, verdict: Verdict, most: int) -> list[_Checked | _Judged]:
    found: list[_Checked | _Judged] = []
    for queues in _queues(record, verdict):
        for i in range(most):
            found += [queue.cases[i] for queue in queues if i < len(queue.cases)]
            if len(found) >= most:
                return found[:most]
    return found


def _queues(record: RunRecord, verdict: Verdict) -> Iterator[list[_Queue]]:
    """Red lines, checks, judges: of each the sets in their order."""
    by_set = {found.name: found for found in verdict.sets}
    for broken in (True, False):
        queues = [
            _Queue(of.name, _is_read(cases[0]), [_Checked(of, case, broken) for case in cases])
            for of in record.sets
            if (cases := _of_set(of, by_set.get(of.name), broken=broken))
        ]
        yield sorted(queues, key=_rank)
    lost: dict[str, list[_Judged]] = {}
    for of, judgement in only_judged(record):
        waived = by_set[of.set].waived if of.set in by_set else ()
        if judgement.preferred == "baseline" and judgement.case not in waived:
            lost.setdefault(of.set, []).append(_Judged(of, judgement))
    yield sorted((_Queue(name, read=True, cases=judged) for name, judged in lost.items()), key=_rank)


def _rank(queue: _Queue) -> tuple[bool, int, str]:
    return not queue.read, -len(queue.cases), queue.set


def _of_set(of: SetResult, found: SetVerdict | None, *, broken: bool) -> list[CaseResult]:
    waived = frozenset(found.waived) if found is not None else frozenset[str]()
    if broken:
        return [case for case in of.cases if _is_broken(case) and case.case not in waived]
    if found is None:
        return []
    lost = frozenset(found.ratchet) - waived
    alarms = newly_alarmed(of)
    fell = [case for case in of.cases if case.case in lost and not _is_broken(case)]
    return sorted(fell, key=lambda case: badness(case, found, alarms.get(case.case, ())))


def _is_broken(case: CaseResult) -> bool:
    return any(test.lane == "red_line" and test.candidate < 1 and not test.unstable for test in case.tests)


def _is_read(case: CaseResult) -> bool:
    """Are there answers to read? Multiple choice by likelihood has none."""
    return any(case.answers.values())


def _told(one: _Checked, texts: Mapping[str, Response]) -> WorstCase:
    of, case = one.of, one.case
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
        broken=one.broken,
        why=why,
        candidate=_text(case, "candidate", texts),
        baseline=_text(case, "baseline", texts),
    )


def _heard(one: _Judged, texts: Mapping[str, Response]) -> WorstCase:
    said = one.judgement
    reasons = [order.reason for order in (said.first, said.second) if order is not None and order.reason]
    candidate, baseline = said.answers or ("", "")
    return WorstCase(
        set=one.of.set,
        case=said.case,
        file=one.of.path,
        line=None,
        broken=False,
        why=reasons[0] if reasons else f"{one.of.judge.name} prefers the baseline's answer",
        candidate=texts[candidate].text if candidate in texts else None,
        baseline=texts[baseline].text if baseline in texts else None,
        judged=True,
    )


def _sentence(explanation: str) -> str:
    """The test's own words, without pytest's account of how they came about."""
    told = _ACCOUNT.split(explanation.strip(), maxsplit=1)[0]
    return told.removeprefix("AssertionError: ").removeprefix("assert ")


def _text(case: CaseResult, role: Role, texts: Mapping[str, Response]) -> str | None:
    return next((texts[key].text for key in case.answers.get(role, ()) if key in texts), None)
