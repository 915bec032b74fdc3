"""From a record and its verdict to the values of a page. Pure: no files, no clock, no HTML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from harness.lineage import Training
from harness.models import Response
from harness.pairs import pair_sets
from harness.record import Role, RunRecord, SuiteAnswer
from harness.report.brief import brief
from harness.report.cases import FATES, Case, Fate, cases_of, worst
from harness.report.changes import Changes, changes_of
from harness.report.facts import Model, Phase, facts_of, models_of, phases_of, root_apart
from harness.report.forest import Scale, Tick
from harness.report.headline import (
    Said,
    Word,
    command_line,
    criterion_told,
    headline,
    next_steps,
    reasons,
    sentence,
    told,
    whole_reason,
)
from harness.report.judged import JudgedRow, judged_rows
from harness.report.numbers import change, duration, moment, percent
from harness.report.people import People, people_of
from harness.report.plots import Plots
from harness.report.probes import ProbeRow, probe_rows
from harness.report.rules import Rule, rules_of
from harness.report.sets import SetRow, set_row, versus_of
from harness.report.sight import Sight, sights, warnings_of
from harness.report.summary import RunSummary, summarise
from harness.report.tables import Matrix, SliceRow, matrices, slice_rows
from harness.report.visible import one_line, visible
from harness.report.wording import Wording, moved
from harness.report.words import Language, Words
from harness.review.opinions import Review
from harness.stats.intervals import zero_failures_bound
from harness.verdict import Verdict

#: Cases shown in full at the top of the page.
READ_FIRST = 5

#: What was typed before the record's arguments.
_PROGRAMS = {"suites": "pytest", "scores": "harness compare", "judged": "harness judge run"}


@dataclass(frozen=True, slots=True)
class First:
    """A case to read first, shortened: what was asked, what both said, and why it counts as missed."""

    link: str
    set: str
    case: str
    fate: Fate
    asked: str
    target: str
    baseline: str | None
    candidate: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the history. `link` leads to its report; None for this one. `changes` are (set, points, tone)."""

    link: str | None
    created: str
    label: str
    word: str
    changes: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that the template shows, in words and numbers ready to be read."""

    words: Words
    title: str
    word: Word
    headline: str
    brief: tuple[str, ...]
    sentence: str
    reasons: tuple[Said, ...]
    next_steps: tuple[tuple[str, str], ...]
    run: str
    created: str
    command: str
    models: tuple[Model, ...]
    sets: tuple[SetRow, ...]
    ticks: tuple[Tick, ...]
    root_apart: bool
    judge: str
    rules: tuple[Rule, ...]
    judged: tuple[JudgedRow, ...]
    wording: Wording | None
    cases: tuple[Case, ...]
    counts: Mapping[Fate, int]
    first: tuple[First, ...]
    red_lines: int
    clean_sheet: str
    changes: Changes | None
    sights: tuple[Sight, ...]
    pooled: str
    warnings: tuple[str, ...]
    probes: tuple[ProbeRow, ...]
    matrices: tuple[Matrix, ...]
    slices: tuple[SliceRow, ...]
    sliced: int
    plots: Plots
    findings: tuple[str, ...]
    curve: str
    trained: tuple[tuple[str, str], ...]
    history: tuple[Run, ...]
    people: People | None
    criteria: tuple[Said, ...]
    answers: tuple[Said, ...]
    errors: tuple[Said, ...]
    phases: tuple[Phase, ...]
    stored: bool
    facts: tuple[tuple[str, str], ...]
    summary: RunSummary


def build_page(
    record: RunRecord,
    verdict: Verdict,
    texts: Mapping[str, Response],
    *,
    language: Language = "en",
    history: Sequence[RunSummary] = (),
    plots: Plots | None = None,
    cases: tuple[Case, ...] | None = None,
    review: Review | None = None,
) -> Page:
    """The page of one run.

    `texts` are the record's: answers by store key, and, where the run kept them, what was asked and what was
    expected as `prompt:<set>:<case>` and `target:<set>:<case>`; what a model YAML made of it as
    `sent:<role>:<set>:<case>`. `history` has this run and those beside it; `cases` are those of `cases_of`, where they
    are known already. `review` is what people said.
    """
    words = Words(language)
    word: Word = "PARTIAL" if record.partial is not None else verdict.status
    by_set = {found.name: found for found in verdict.sets}
    scale = Scale.holding(
        [
            limit
            for found in verdict.sets
            if (versus := versus_of(found)) is not None
            for limit in (versus.interval.low, versus.interval.high)
        ]
    )
    cases = cases_of(record, verdict, texts) if cases is None else cases
    counts = dict.fromkeys(FATES, 0)
    for case in cases:
        counts[case.line.fate] += 1
    red = sum(case.line.red_line for case in cases)
    sliced, slice_count = slice_rows(pair_sets(record, record.policy))
    training = record.lineage.candidate if record.lineage is not None else None
    guards = [found for found in verdict.sets if not found.target and versus_of(found) is not None]
    return Page(
        words=words,
        title=f"{word} · {visible(record.candidate.label)} · {visible(record.run_id)}",
        word=word,
        headline=headline(word, record, words),
        brief=() if record.partial is not None else brief(record, verdict, words),
        sentence=sentence(word, counts, red, verdict, words),
        reasons=reasons(record, verdict, words),
        next_steps=next_steps(word, record, verdict, words),
        run=visible(record.run_id),
        created=moment(record.created),
        command=command_line(_PROGRAMS[record.source], record),
        models=models_of(record, words),
        sets=tuple(
            set_row(of, by_set.get(of.name), record, scale, words, alone=len(guards) == 1) for of in record.sets
        ),
        ticks=scale.ticks,
        root_apart=root_apart(record),
        judge=_judge(record, words),
        rules=rules_of(record, words) if record.source == "suites" else (),
        judged=judged_rows(record.judged, cases, texts, words),
        wording=_wording(cases) if not record.judged and record.baseline is not None else None,
        cases=cases,
        counts=counts,
        first=tuple(_first(case) for case in worst(cases, record, verdict, READ_FIRST)),
        red_lines=red,
        clean_sheet=percent(zero_failures_bound(red)) if red and not counts["broken"] else "",
        changes=changes_of(record, words),
        sights=sights(verdict),
        pooled=_pooled(verdict, record, words),
        warnings=(*warnings_of(record, verdict, words), *_cut_off(cases, words), *_untold(record, texts, words)),
        probes=tuple(row for of in record.sets for row in probe_rows(of, words)),
        matrices=matrices(record.classifications),
        slices=sliced,
        sliced=slice_count,
        plots=plots or Plots(),
        findings=() if training is None else tuple(visible(found) for found in training.findings),
        curve="" if training is None else _curve(training, words),
        trained=() if training is None else _trained(training, words),
        history=tuple(_run(one, record) for one in reversed(history)) if len(history) > 1 else (),
        people=people_of(review, record, words),
        criteria=tuple(criterion_told(found, record, words) for found in verdict.criteria),
        answers=tuple(told(a.test, a.status, whole_reason(a, record)) for a in record.answers),
        errors=_errors(record, words),
        phases=phases_of(record.phases, words),
        stored=record.phases.get("generate") == 0 and record.phases.get("score", 0.0) == 0 and not record.usage,
        facts=facts_of(record, verdict, words),
        summary=summarise(record, verdict, cases),
    )


def _errors(record: RunRecord, words: Words) -> tuple[Said, ...]:
    """Each cause once, with the first test that it ended and how many more."""
    causes: dict[str, list[SuiteAnswer]] = {}
    for error in record.errors:
        causes.setdefault(error.reason, []).append(error)
    return tuple(
        told(
            first.test if not more else words("{test} and {n} more", test=first.test, n=f"{len(more):,}"),
            first.status,
            reason,
        )
        for reason, (first, *more) in causes.items()
    )


def _cut_off(cases: Sequence[Case], words: Words) -> Iterator[str]:
    """Whose answers besides the candidate's, which the gate has told of, were cut off."""
    n = sum(any(answer.cut_off for answer in case.detail.answers.get("baseline", ())) for case in cases)
    if n:
        yield words(
            "The baseline's answers were cut off at max_tokens in {n} cases; a check sees only what was written until "
            "there.",
            n=f"{n:,}",
        )


def _untold(record: RunRecord, texts: Mapping[str, Response], words: Words) -> Iterator[str]:
    """That the page has no answers, where the record refers to some."""
    if not texts and (record.answer_keys() or any(one.judgements for one in record.judged)):
        yield words("The answers are not shown: texts.json.gz was not beside record.json when this page was written.")


def _first(case: Case) -> First:
    line, detail = case.line, case.detail

    def said(role: Role) -> str | None:
        answers = detail.answers.get(role)
        if detail.choices is not None and (taken := detail.choices.taken.get(role)) is not None:
            return _brief(taken)
        return None if not answers or answers[0].text is None else _brief(answers[0].text)

    missed = next((check for check in detail.checks if check.candidate < 1), None)
    heard = detail.opinions[0].gist if detail.opinions and line.fate == "lost" else ""
    return First(
        link=f"#cases?case={quote(f'{line.set}/{line.case}')}",
        set=line.set,
        case=line.case,
        fate=line.fate,
        asked=_brief(detail.prompt or ""),
        target=_brief(detail.target or ""),
        baseline=said("baseline"),
        candidate=said("candidate"),
        why=heard if missed is None else one_line(missed.explanation or missed.test, 220),
    )


def _brief(text: str) -> str:
    return text if len(text) <= 420 else text[:419] + "…"


def _wording(cases: Sequence[Case]) -> Wording | None:
    """Which words moved, over all answers of the run; None where no two differ."""
    firsts = [[case.detail.answers.get(role) for role in ("candidate", "baseline")] for case in cases]
    pairs = [(ours[0].text, theirs[0].text) for ours, theirs in firsts if ours and theirs]
    found = moved((ours, theirs) for ours, theirs in pairs if ours is not None and theirs is not None)
    return found if found.came or found.went else None


def _pooled(verdict: Verdict, record: RunRecord, words: Words) -> str:
    """What the guards together were allowed to lose."""
    n = sum(one.n for one in verdict.sets if not one.target and one.against_baseline is not None)
    if not n:
        return ""
    return words(
        "The margin is for all guard sets together: over their {n} cases, a loss of {points} points must be ruled out.",
        n=f"{n:,}", points=f"{100 * record.policy.margin:g}",
    )  # fmt: skip


def _trained(training: Training, words: Words) -> tuple[tuple[str, str], ...]:
    facts = {words("time"): duration(training.seconds) if training.seconds else "", words("device"): training.device}
    return tuple((name, visible(value)) for name, value in facts.items() if value)


def _run(one: RunSummary, record: RunRecord) -> Run:
    def tone(low: float | None, high: float | None) -> str:
        return "worse" if high is not None and high < 0 else "better" if low is not None and low > 0 else "even"

    return Run(
        link=None if one.run_id == record.run_id else f"../{quote(one.run_id)}/index.html",
        created=moment(one.created),
        label=visible(one.candidate),
        word=visible(one.word),
        changes=tuple(
            (visible(s.name), change(s.change), tone(s.low, s.high)) for s in one.sets if s.change is not None
        ),
    )


def _judge(record: RunRecord, words: Words) -> str:
    """Whose word the scores rest on, where no judge's page section says it."""
    if record.judged:
        return ""
    if record.source == "scores":
        return words("No judge took part here: other tools gave the scores, and this page takes them as they are.")
    return words(
        "No judge took part: every answer was checked by rules, the same for both models. Whether a rule is fair you "
        "see in the cases: each names its checks and what they found."
    )


def _curve(training: Training, words: Words) -> str:
    """What can be said of a curve in which no detector found a fault."""
    if training.validation:
        return words(
            "The curve shows no fault: no jump, no flat line, no exploding gradient. That does not mean that nothing "
            "was forgotten: the sets tell that."
        )
    return words(
        "No rows were kept back for validation, so this curve only shows how the training rows were learned: no jump, "
        "no flat line, no exploding gradient. Whether they were learned by heart, or something was forgotten, it "
        "cannot show: the sets tell that."
    )
