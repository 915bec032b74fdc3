"""A run on one page of Markdown, to be posted on a pull request. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from harness.answers import SEVERITY
from harness.ci.markdown import block, code, inline
from harness.models import Response
from harness.record import RunRecord
from harness.report.headline import Word, headline, next_steps
from harness.report.numbers import change, percent
from harness.report.visible import one_line
from harness.report.words import Words
from harness.verdict import Criterion, SetVerdict, Verdict
from harness.worst import WorstCase, count_worst, only_judged, worst_cases

#: Bytes of the whole page. GitHub takes 65,536 characters of a comment, and a megabyte of a step's summary.
LARGEST = 60_000

#: By this line, which no reader sees, a later run finds its own comment and replaces it.
MARKER = "<!-- finetune-harness -->"

_SIGNS: dict[Word, str] = {"PASS": "✅", "FAIL": "❌", "INCONCLUSIVE": "❔", "INVALID": "⚠️", "PARTIAL": "⚠️"}
_CASES = 10
#: Room for the criteria, and for what stands below the cases.
_TOP, _BELOW = 16_000, 16_000
#: Rows of the table of sets; the report has all.
_ROWS = 40


def comment(record: RunRecord, verdict: Verdict, texts: Mapping[str, Response]) -> str:
    """The verdict, what it rests on, the worst cases and the next command; less than 60 kB whatever the models wrote.

    `texts` are the record's, by store key; where they are missing, the cases are named without their answers.
    """
    word: Word = "PARTIAL" if record.partial is not None else verdict.status
    top = "\n".join(_top(word, record, verdict))
    cases = _cases(record, verdict, texts, LARGEST - _BELOW - _bytes(top)) if word != "PARTIAL" else []
    page = "\n".join([top, *cases])
    for part in (_next(word, record, verdict), _sets(verdict), _notes(verdict), _foot(record, verdict)):
        more = "\n".join(part)
        if _bytes(page) + _bytes(more) + 1 < LARGEST:
            page += "\n" + more
    return page.rstrip("\n") + "\n"


def _top(word: Word, record: RunRecord, verdict: Verdict) -> Iterator[str]:
    yield MARKER
    yield f"## {_SIGNS[word]} {word}: {inline(headline(word, record, Words()))}"
    yield ""
    versus = "compared with nothing" if record.baseline is None else f"against {code(record.baseline.label)}"
    yield f"{code(record.candidate.label)} {versus}{_counted(record, verdict)}."
    yield ""
    if word == "PARTIAL":
        yield f"No verdict: {inline(record.partial or '')}"
        return
    yield "| | asked | answer |"
    yield "|---|---|---|"
    criteria = sorted(verdict.criteria, key=lambda criterion: -SEVERITY[criterion.status])
    room = _TOP
    for i, criterion in enumerate(criteria):
        row = _row(criterion)
        room -= _bytes(row) + 1
        if room < 0:
            yield f"| | | and {len(criteria) - i} more, see the report |"
            return
        yield row


def _row(criterion: Criterion) -> str:
    return f"| {criterion.status} | {inline(criterion.name)} | {inline(criterion.reason, 240)} |"


def _counted(record: RunRecord, verdict: Verdict) -> str:
    if record.baseline is None:
        return ""
    if not record.sets and record.judged:
        # Where a judge alone has seen them, the pairs speak.
        preferred = [judgement.preferred for _, judgement in only_judged(record)]
        worse, better = preferred.count("baseline"), preferred.count("candidate")
        told = f"the baseline's answer is preferred in {worse:,}, the candidate's in {better:,}"
        return f": {len(preferred):,} cases, {told}"
    rated = sum(one.n for one in verdict.sets)
    fell, rose = (sum(len(cases) for cases in which) for which in _changed(verdict.sets))
    return f": {rated:,} cases, {fell:,} worse, {rose:,} better"


def _changed(sets: Iterable[SetVerdict]) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    return [one.ratchet for one in sets], [one.gained for one in sets]


def _cases(record: RunRecord, verdict: Verdict, texts: Mapping[str, Response], room: int) -> list[str]:
    worst = worst_cases(record, verdict, texts, _CASES)
    if not worst:
        return []
    told: list[str] = []
    for case in worst:
        head, answers = _case(case), "\n".join(_answers(case))
        more = f"{head}\n{answers}" if answers and _bytes(head) + _bytes(answers) + 2 <= room else head
        room -= _bytes(more) + 1
        if room < 0:
            break
        told.append(more)
    total = count_worst(record, verdict)
    title = "### Worst cases" if len(told) == total else f"### The worst {len(told)} of {total:,} cases that got worse"
    return ["", title, "", *told]


def _case(case: WorstCase) -> str:
    lane = "red line, " if case.broken else ""
    place = code(case.place)
    return f"* {code(case.set)} {code(case.case)} ({lane}{place}): {inline(case.why, 240)}"


def _answers(case: WorstCase) -> Iterator[str]:
    if case.candidate is None and case.baseline is None:
        return
    yield ""
    yield "  <details><summary>both answers</summary>"
    yield ""
    for role, text in (("baseline", case.baseline), ("candidate", case.candidate)):
        if text is not None:
            yield f"  {role}"
            yield ""
            yield f"  {block(text)}"
            yield ""
    yield "  </details>"
    yield ""


def _next(word: Word, record: RunRecord, verdict: Verdict) -> Iterator[str]:
    steps = next_steps(word, record, verdict, Words())
    if steps:
        yield ""
        yield "### Next"
        yield ""
        yield from (f"* {inline(why)}: {code(command)}" for why, command in steps)


def _sets(verdict: Verdict) -> Iterator[str]:
    rated = [one for one in verdict.sets if one.n]
    if not rated:
        return
    yield ""
    yield f"<details><summary>All sets ({len(rated)})</summary>"
    yield ""
    yield "| set | | cases | candidate | baseline | change, points | 95% | worse | better |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|"
    for one in rated[:_ROWS]:
        yield "| " + " | ".join(_cells(one)) + " |"
    if len(rated) > _ROWS:
        yield f"| and {len(rated) - _ROWS} more | | | | | | | | |"
    yield ""
    yield "</details>"


def _cells(one: SetVerdict) -> Iterator[str]:
    versus = one.against_baseline
    yield code(one.name, 80)
    yield one.answer.status
    yield f"{one.n:,}"
    yield "" if one.candidate is None else percent(one.candidate.estimate)
    yield "" if one.baseline is None else percent(one.baseline.estimate)
    yield "" if versus is None else change(versus.difference)
    yield "" if versus is None else f"{change(versus.interval.low)} to {change(versus.interval.high)}"
    yield f"{len(one.ratchet):,}"
    yield f"{len(one.gained):,}"


def _notes(verdict: Verdict) -> Iterator[str]:
    notes = [*(use.told for use in verdict.waivers), *verdict.notes]
    if not notes:
        return
    yield ""
    yield f"<details><summary>Notes ({len(notes)})</summary>"
    yield ""
    yield from (f"* {inline(note)}" for note in notes[:20])
    if notes[20:]:
        yield f"* and {len(notes) - 20} more, see the report"
    yield ""
    yield "</details>"


def _foot(record: RunRecord, verdict: Verdict) -> Iterator[str]:
    facts = [f"run {code(record.run_id)}", f"candidate {code(record.candidate.digest[:12])}"]
    if record.baseline is not None:
        facts.append(f"baseline {code(record.baseline.digest[:12])}")
    facts += [f"policy {code(verdict.policy_digest[:12])}", f"finetune-harness {inline(record.harness_version)}"]
    yield ""
    yield f"<sub>{' · '.join(facts)}</sub>"


def title(record: RunRecord, verdict: Verdict) -> str:
    """The verdict in one line of plain text."""
    word: Word = "PARTIAL" if record.partial is not None else verdict.status
    return one_line(f"{word}: {headline(word, record, Words())}")


def _bytes(text: str) -> int:
    return len(text.encode())
