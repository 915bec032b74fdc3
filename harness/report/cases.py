"""Cases as a reader meets them: what became of each, and what was asked, expected, said and checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypedDict

import msgspec

from harness.judges.judgement import Judgement
from harness.models import Response
from harness.record import CaseResult, Role, RunRecord, SetResult
from harness.report.choices import Picked, picked
from harness.report.opinions import Opinion, Preferred, opinions_of
from harness.report.visible import one_line, shown, visible
from harness.verdict import SetVerdict, Verdict
from harness.worst import badness, newly_alarmed, worst_names

#: What happened to a case, in the order of the page: a red line of it broke; it is regressed or improved against the
#: baseline, or, without a change, missed or passed (held: passed, and a red line). A red line is one check of a case:
#: it may hold where the case is missed. Of a case that only a judge has seen: lost and won, tied, or unread.
Fate = Literal["broken", "regressed", "lost", "missed", "improved", "won", "unread", "held", "tied", "passed"]
FATES: tuple[Fate, ...] = (
    "broken", "regressed", "lost", "missed", "improved", "won", "unread", "held", "tied", "passed",
)  # fmt: skip
_JUDGED: dict[Preferred, Fate] = {"baseline": "lost", "candidate": "won", "tie": "tied", "unread": "unread"}
#: Characters of one text that the page holds; beyond it, the texts file beside the record does.
LONGEST = 250_000


class CaseLine(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A case on one line, and all that it can be found, filtered and sorted by.

    `gist` is why it was missed, else what was said. `same`: both models said the very same. `longer` is the candidate's
    answer's length in characters less the baseline's. `suites` are the files of its tests; `alarms` the probes that may
    raise an alarm (bleed) and are worse than the baseline's. `candidate` is None where no check was asked; `judged` is
    whom the judge prefers, `swapped`: not in both orders, `apart`: against the checks.
    """

    set: str
    case: str
    where: str
    fate: Fate
    red_line: bool
    tags: tuple[str, ...]
    tests: tuple[str, ...]
    suites: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()
    candidate: float | None
    baseline: float | None
    root: float | None
    samples: int
    gist: str
    asked: str
    cut_off: bool
    unstable: bool
    waived: bool
    same: bool
    longer: int | None
    judged: Preferred | None = None
    swapped: bool = False
    apart: bool = False


class Check(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One test of a case: shares of passed samples, and what it found wrong with the candidate's answer."""

    test: str
    red_line: bool
    candidate: float
    baseline: float | None
    root: float | None
    explanation: str
    unstable: bool


class Answer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One sample of one model. `text` is None where the record holds none."""

    text: str | None
    cut_off: bool = False
    read: int = 0
    written: int = 0
    seconds: float | None = None


class CaseDetail(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Everything about one case that is read when it is opened; `sent` is what a model YAML made of the question."""

    prompt: str | None
    target: str | None
    checks: tuple[Check, ...]
    answers: dict[Role, tuple[Answer, ...]]
    sent: dict[Role, str] = {}
    opinions: tuple[Opinion, ...] = ()
    choices: Picked | None = None


class _Heard(TypedDict):
    judged: Preferred | None
    swapped: bool
    apart: bool


class Case(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A line and what stands behind it."""

    line: CaseLine
    detail: CaseDetail


def cases_of(record: RunRecord, verdict: Verdict, texts: Mapping[str, Response]) -> tuple[Case, ...]:
    """All cases: broken red lines, then newly missed ones, the worst of all sets first, then the others.

    `texts` are the record's: answers by store key, and, where the run kept them, what was asked and what was expected
    as `prompt:<set>:<case>` and `target:<set>:<case>`; what a model YAML made of it as `sent:<role>:<set>:<case>`.
    """
    by_set = {found.name: found for found in verdict.sets}
    sorted_cases: dict[Fate, list[Case]] = {fate: [] for fate in FATES}
    opinions = opinions_of(record.judged)
    fell: list[tuple[tuple[float, ...], Case]] = []
    for of in record.sets:
        found, alarms = by_set.get(of.name), newly_alarmed(of)
        for fate, case in _told(of, found):
            waived = found is not None and case.case in found.waived
            said = tuple(opinion for _, opinion in opinions.pop((of.name, case.case), ()))
            fate = _JUDGED[said[0].preferred] if said and not case.tests else fate
            worse = alarms.get(case.case, ())
            one = _case(of, case, fate, waived, said, worse, texts)
            sorted_cases[fate].append(one)
            if fate == "regressed" and found is not None:
                fell.append((badness(case, found, worse), one))
    sorted_cases["regressed"] = [one for _, one in sorted(fell, key=lambda one: one[0])]
    paths = {one.set: one.path for one in record.judged}
    for (name, _), heard in opinions.items():
        fate = _JUDGED[heard[0][1].preferred]
        sorted_cases[fate].append(_judged_case(name, paths[name], fate, heard, texts))
    return tuple(case for fate in FATES for case in sorted_cases[fate])


def worst(cases: Iterable[Case], record: RunRecord, verdict: Verdict, most: int) -> tuple[Case, ...]:
    """Of these cases those to read first, as `harness.worst` names them."""
    by_name = {(case.line.set, case.line.case): case for case in cases}
    names = ((visible(of), visible(case)) for of, case in worst_names(record, verdict, most))
    return tuple(by_name[name] for name in names if name in by_name)


def _told(of: SetResult, found: SetVerdict | None) -> Sequence[tuple[Fate, CaseResult]]:
    lost = frozenset(found.ratchet) if found is not None else frozenset[str]()
    gained = frozenset(found.gained) if found is not None else frozenset[str]()
    return [(_fate(case, case.case in lost, case.case in gained), case) for case in of.cases]


def _fate(case: CaseResult, newly_missed: bool, newly_passed: bool) -> Fate:
    red = [test for test in case.tests if test.lane == "red_line"]
    if any(test.candidate < 1 and not test.unstable for test in red):
        return "broken"
    if newly_missed:
        return "regressed"
    if newly_passed:
        return "improved"
    if case.candidate < 1:
        return "missed"
    return "held" if red else "passed"


def _case(
    of: SetResult,
    case: CaseResult,
    fate: Fate,
    waived: bool,
    opinions: tuple[Opinion, ...],
    alarms: tuple[str, ...],
    texts: Mapping[str, Response],
) -> Case:
    choices = picked(of, case, texts)
    answers = {role: tuple(_answer(texts.get(key)) for key in keys) for role, keys in case.answers.items() if keys}
    prompt = texts.get(f"prompt:{of.name}:{case.case}")
    target = texts.get(f"target:{of.name}:{case.case}")
    missed = next((test for test in case.tests if test.candidate < 1), None)
    said = answers["candidate"][0].text if answers.get("candidate") else None
    gist = said or "" if missed is None else missed.explanation or missed.test
    return Case(
        line=CaseLine(
            set=visible(of.name),
            case=visible(case.case),
            where=visible(f"{of.path}:{case.line}"),
            fate=fate,
            red_line=any(test.lane == "red_line" for test in case.tests),
            tags=tuple(visible(tag) for tag in case.tags),
            tests=tuple(visible(test.test) for test in case.tests if test.candidate < 1),
            suites=tuple(dict.fromkeys(visible(test.test.split("::")[0]) for test in case.tests if "::" in test.test)),
            alarms=tuple(visible(name) for name in alarms),
            candidate=case.candidate,
            baseline=case.baseline,
            root=case.root,
            samples=max(case.samples, len(answers.get("candidate", ()))),
            gist=one_line(gist),
            asked="" if prompt is None else one_line(prompt.text),
            cut_off=case.cut_off > 0,
            unstable=any(test.unstable for test in case.tests),
            waived=waived,
            same=case.same_answer is True,
            longer=_longer(answers),
            **_heard(opinions, case.candidate, case.baseline),
        ),
        detail=CaseDetail(
            prompt=None if prompt is None else shown(prompt.text, LONGEST),
            target=shown(target.text, LONGEST) if target is not None else choices.answer if choices else None,
            checks=tuple(
                Check(
                    test=visible(test.test),
                    red_line=test.lane == "red_line",
                    candidate=test.candidate,
                    baseline=test.baseline,
                    root=test.root,
                    explanation=shown(test.explanation, 4000),
                    unstable=test.unstable,
                )
                for test in case.tests
            ),
            answers=answers,
            sent={
                role: shown(found.text, LONGEST)
                for role in answers
                if (found := texts.get(f"sent:{role}:{of.name}:{case.case}")) is not None
            },
            opinions=opinions,
            choices=choices,
        ),
    )


def _judged_case(
    name: str, path: str, fate: Fate, heard: Sequence[tuple[Judgement, Opinion]], texts: Mapping[str, Response]
) -> Case:
    """A pair that no check was asked about."""
    judgement, first = heard[0]
    keys = dict(zip(("candidate", "baseline"), judgement.answers or (), strict=False))
    answers: dict[Role, tuple[Answer, ...]] = {
        role: (_answer(texts[keys[role]]),) for role in ("candidate", "baseline") if keys.get(role) in texts
    }
    prompt, target = (texts.get(f"{what}:{name}:{judgement.case}") for what in ("prompt", "target"))
    opinions = tuple(opinion for _, opinion in heard)
    return Case(
        line=CaseLine(
            set=visible(name),
            case=visible(judgement.case),
            where=visible(path),
            fate=fate,
            red_line=False,
            tags=tuple(visible(tag) for tag in judgement.tags),
            tests=(),
            candidate=None,
            baseline=None,
            root=None,
            samples=1,
            gist=first.gist,
            asked="" if prompt is None else one_line(prompt.text),
            cut_off=any(answer.cut_off for answer in answers.get("candidate", ())),
            unstable=False,
            waived=False,
            same=judgement.same_answer,
            longer=judgement.lengths[0] - judgement.lengths[1] if any(judgement.lengths) else _longer(answers),
            **_heard(opinions, None, None),
        ),
        detail=CaseDetail(
            prompt=None if prompt is None else shown(prompt.text, LONGEST),
            target=None if target is None else shown(target.text, LONGEST),
            checks=(),
            answers=answers,
            opinions=opinions,
        ),
    )


def _heard(opinions: tuple[Opinion, ...], candidate: float | None, baseline: float | None) -> _Heard:
    """What the line says of the first judge."""
    if not opinions:
        return _Heard(judged=None, swapped=False, apart=False)
    preferred = opinions[0].preferred
    change = 0.0 if candidate is None or baseline is None else candidate - baseline
    return _Heard(
        judged=preferred,
        swapped=opinions[0].swapped,
        apart=(preferred == "candidate" and change < 0) or (preferred == "baseline" and change > 0),
    )


def _answer(response: Response | None) -> Answer:
    if response is None:
        return Answer(text=None)
    return Answer(
        text=shown(response.text, LONGEST),
        cut_off=response.finish_reason == "length",
        read=response.prompt_tokens,
        written=response.completion_tokens,
        seconds=None if response.timing is None else response.timing.seconds,
    )


def _longer(answers: Mapping[Role, tuple[Answer, ...]]) -> int | None:
    first = [answers[role][0].text if answers.get(role) else None for role in ("candidate", "baseline")]
    if first[0] is None or first[1] is None:
        return None
    return len(first[0]) - len(first[1])
