"""From a record and its verdict to the values of a page. Pure: no files, no clock, no HTML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from harness.answers import Status
from harness.models import Response
from harness.record import CaseResult, ModelIdentity, Role, RunRecord, SetResult
from harness.repeats import reliability
from harness.report.cards import Group, Kind, Shelf
from harness.report.forest import Scale, Span, Tick
from harness.report.numbers import change, duration, percent
from harness.report.probes import ProbeRow, probe_rows
from harness.report.visible import shown, visible
from harness.stats.intervals import Interval, zero_failures_bound
from harness.stats.paired import PairedComparison
from harness.verdict import SetVerdict, Verdict

#: All kinds, in the order of the page.
KINDS: tuple[Kind, ...] = ("ratchet", "broken", "missed", "gained", "held", "passed")

#: What was typed before the record's arguments.
_PROGRAMS = {"suites": "pytest", "scores": "harness compare", "judged": "harness judge run"}

Word = Literal["PASS", "FAIL", "INCONCLUSIVE", "INVALID", "PARTIAL"]


@dataclass(frozen=True, slots=True)
class Model:
    """One of the run's models. `digest` is shortened; `details` are (name, whole value)."""

    role: Role
    label: str
    digest: str
    details: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SetRow:
    """One set: pass rates, the paired change of the candidate and where it is drawn."""

    name: str
    duty: str
    status: Status
    n: str
    candidate: str
    interval: str
    baseline: str
    root: str
    change: str
    change_interval: str
    span: Span | None
    margin: float | None
    worse: int
    better: int
    note: str


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that was asked, and the answer."""

    name: str
    status: Status
    reason: str


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the run, and its share of the longest in percent."""

    name: str
    seconds: str
    width: float


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that the template shows, in words and numbers ready to be read."""

    title: str
    word: Word
    headline: str
    reasons: tuple[Said, ...]
    next_steps: tuple[tuple[str, str], ...]
    run: str
    created: str
    command: str
    models: tuple[Model, ...]
    sets: tuple[SetRow, ...]
    ticks: tuple[Tick, ...]
    groups: Mapping[Kind, Group]
    clean_sheet: str
    probes: tuple[ProbeRow, ...]
    criteria: tuple[Said, ...]
    answers: tuple[Said, ...]
    errors: tuple[Said, ...]
    notes: tuple[str, ...]
    phases: tuple[Phase, ...]
    facts: tuple[tuple[str, str], ...]


def build_page(record: RunRecord, verdict: Verdict, texts: Mapping[str, Response]) -> Page:
    """The page of one run.

    `texts` are the record's: answers by store key, and, where the run kept them, what was asked and what was
    expected as `prompt:<set>:<case>` and `target:<set>:<case>`; what a model YAML made of it as
    `sent:<role>:<set>:<case>`.
    """
    word: Word = "PARTIAL" if record.partial is not None else verdict.status
    models = _models(record)
    by_set = {found.name: found for found in verdict.sets}
    scale = Scale.holding(
        [
            limit
            for found in verdict.sets
            if (versus := _versus(found)) is not None
            for limit in (versus.interval.low, versus.interval.high)
        ]
    )
    groups = _groups(record, by_set, texts, models)
    red = groups["held"].count if not groups["broken"].count else 0
    return Page(
        title=f"{word} · {visible(record.candidate.label)} · {visible(record.run_id)}",
        word=word,
        headline=_headline(word, record),
        reasons=_reasons(record, verdict),
        next_steps=_next_steps(word, record),
        run=visible(record.run_id),
        created=visible(record.created.replace("T", " ").removesuffix("+00:00") + " UTC")
        if record.created.endswith("+00:00")
        else visible(record.created),
        command=visible(" ".join([_PROGRAMS[record.source], *record.arguments])),
        models=tuple(_model(role, identity, record.source) for role, identity in models.items()),
        sets=tuple(_set_row(of, by_set.get(of.name), record, scale) for of in record.sets),
        ticks=scale.ticks,
        groups=groups,
        clean_sheet=f"failure rates over {percent(zero_failures_bound(red))} are ruled out" if red else "",
        probes=tuple(row for of in record.sets for row in probe_rows(of)),
        criteria=tuple(
            Said(name=found.name, status=found.status, reason=visible(found.reason)) for found in verdict.criteria
        ),
        answers=tuple(_said(a.test, a.status, a.reason) for a in record.answers),
        errors=tuple(_said(e.test, e.status, e.reason) for e in record.errors),
        notes=tuple(visible(note) for note in (*(use.told for use in verdict.waivers), *verdict.notes)),
        phases=_phases(record.phases),
        facts=_facts(record, verdict),
    )


def _models(record: RunRecord) -> dict[Role, ModelIdentity]:
    found: dict[Role, ModelIdentity] = {"candidate": record.candidate}
    if record.baseline is not None:
        found["baseline"] = record.baseline
    if record.root is not None:
        found["root"] = record.root
    return found


def _model(role: Role, identity: ModelIdentity, source: str) -> Model:
    scores = {"scores": identity.reference, "digest": identity.digest, "scored by": identity.engine}
    weights = {
        "reference": identity.reference,
        "weights": identity.digest,
        "base": identity.base_digest,
        "adapter": identity.adapter_digest or "none",
        **({} if identity.prompting_digest is None else {"asked through a YAML": identity.prompting_digest}),
        "engine": identity.engine,
        "dtype": identity.dtype,
    }
    return Model(
        role=role,
        label=visible(identity.label),
        digest=visible(identity.digest[:12]),
        details=tuple((name, visible(value)) for name, value in (scores if source == "scores" else weights).items()),
    )


def _headline(word: Word, record: RunRecord) -> str:
    label = visible(record.candidate.label)
    if word == "PARTIAL":
        return f"{label} was asked a part only, so there is no verdict"
    return {
        "PASS": f"{label} may ship",
        "FAIL": f"{label} must not ship",
        "INCONCLUSIVE": f"Too few cases to say whether {label} may ship",
        "INVALID": f"This run cannot judge {label}",
    }[word]


def _reasons(record: RunRecord, verdict: Verdict) -> tuple[Said, ...]:
    if record.partial is not None:
        return (_said("complete", "INVALID", f"{record.partial[:1].upper()}{record.partial[1:]}."),)
    # Everything that is not a PASS, worst first; for a PASS, what it rests on.
    open_points = [c for status in ("FAIL", "INVALID", "INCONCLUSIVE") for c in verdict.criteria if c.status == status]
    return tuple(_said(c.name, c.status, c.reason) for c in open_points or verdict.criteria)


def _next_steps(word: Word, record: RunRecord) -> tuple[tuple[str, str], ...]:
    """(what for, command)."""
    if record.source != "suites":
        return _next_comparison(word, record)
    label, reference = visible(record.candidate.label), visible(record.candidate.reference)
    again = f"harness gate {reference}"
    registered = "@" in record.candidate.label
    match word:
        case "PASS" if registered:
            return (("Make it the baseline", f"harness models promote {label}"),)
        case "PASS":
            return (("Register the adapter, then promote it", "harness models add PATH --name NAME"),)
        case "FAIL":
            return (
                ("Change the data or the recipe (more replay keeps more of the base), train, and gate again",
                 "harness train RECIPE"),
            )  # fmt: skip
        case "INCONCLUSIVE":
            steps = [("Add golden cases, then ask again; finished answers are reused", again)]
            if registered:
                accept = f'harness models promote {label} --accept "REASON"'
                steps.append(("Or answer for it in your own name", accept))
            return tuple(steps)
        case "PARTIAL":
            return (("Run everything; finished answers are reused", again),)
    return (("Remove the cause, then run again; finished answers are reused", again),)


def _next_comparison(word: Word, record: RunRecord) -> tuple[tuple[str, str], ...]:
    """Where other tools gave the scores, the next step is theirs, and then the same comparison."""
    if word == "PASS":
        return ()
    again = f"harness compare {visible(' '.join(record.arguments))}"
    steps: dict[Word, str] = {
        "FAIL": "Read the newly missed cases, change the candidate and score it again; then",
        "INCONCLUSIVE": "Score both on more cases (or more samples of each), then compare again",
    }
    return ((steps.get(word, "Remove the cause, then compare again"), again),)


def _versus(found: SetVerdict) -> PairedComparison | None:
    return found.against_baseline or found.against_root


def _set_row(of: SetResult, found: SetVerdict | None, record: RunRecord, scale: Scale) -> SetRow:
    versus = None if found is None else _versus(found)
    policy = record.policy
    target = policy.is_target(of.name)
    bar = None if target else policy.own_margin(of.name) or policy.margin
    return SetRow(
        name=visible(of.name),
        duty=_duty(of, target),
        status="INVALID" if found is None else found.answer.status,
        n=f"{found.n:,}" if found is not None and found.n else "–",
        candidate=_rate(None if found is None else found.candidate),
        interval=_span_of(found.candidate) if found is not None and found.candidate is not None else "",
        baseline=_rate(None if found is None else found.baseline),
        root=_rate(None if found is None else found.root),
        change="" if versus is None else change(versus.difference),
        change_interval="" if versus is None else f"{change(versus.interval.low)} to {change(versus.interval.high)}",
        span=None if versus is None else scale.span(versus.difference, versus.interval.low, versus.interval.high),
        margin=None if bar is None or bar > scale.reach or versus is None else scale.at(-bar),
        worse=0 if versus is None else versus.discordant.only_baseline,
        better=0 if versus is None else versus.discordant.only_candidate,
        note=_note(found, of, target, record.samples),
    )


def _duty(of: SetResult, target: bool) -> str:
    if target:
        return "target: must improve"
    return "retention" if of.retention else "guard"


def _note(found: SetVerdict | None, of: SetResult, target: bool, samples: int) -> str:
    notes = []
    every = reliability(of, samples)
    if every is not None:
        notes.append(f"all {every.k} samples pass on {percent(every.candidate)} of the cases")
    if found is not None and found.same_answers:
        notes.append("same answers")
    elif found is not None and found.sees is not None and not target:
        notes.append(f"alone sees drops of {percent(min(1.0, found.sees)).removesuffix('%')} points")
    cut_off = sum(1 for case in of.cases if case.cut_off)
    if cut_off:
        notes.append(f"{cut_off:,} cut off")
    if found is None or not found.n:
        notes.append("probes only" if of.probes else "nothing measured")
    return "; ".join(notes)


def _rate(interval: Interval | None) -> str:
    return "–" if interval is None else percent(interval.estimate)


def _span_of(interval: Interval) -> str:
    return f"{percent(interval.low)} to {percent(interval.high)}"


def _groups(
    record: RunRecord,
    by_set: Mapping[str, SetVerdict],
    texts: Mapping[str, Response],
    models: Mapping[Role, ModelIdentity],
) -> dict[Kind, Group]:
    """All cases by what happened to them; newly missed ones in the verdict's order, worst first."""
    sorted_cases: dict[Kind, list[tuple[SetResult, list[CaseResult]]]] = {kind: [] for kind in KINDS}
    for of in record.sets:
        found = by_set.get(of.name)
        ranks = {case: rank for rank, case in enumerate(found.ratchet)} if found is not None else {}
        gained = frozenset(found.gained) if found is not None else frozenset()
        kinds: dict[Kind, list[CaseResult]] = {kind: [] for kind in KINDS}
        for case in of.cases:
            kinds[_kind(case, case.case in ranks, case.case in gained)].append(case)
        kinds["ratchet"].sort(key=lambda case: ranks[case.case])
        for kind, cases in kinds.items():
            sorted_cases[kind].append((of, cases))
    shelf = Shelf(texts, models)
    return {kind: shelf.group(kind, sorted_cases[kind]) for kind in KINDS}


def _kind(case: CaseResult, newly_missed: bool, newly_passed: bool) -> Kind:
    red = [test for test in case.tests if test.lane == "red_line"]
    if any(test.candidate < 1 and not test.unstable for test in red):
        return "broken"
    if newly_missed:
        return "ratchet"
    if newly_passed:
        return "gained"
    if red:
        return "held"
    return "passed" if case.candidate >= 1 else "missed"


def _said(name: str, status: Status, reason: str) -> Said:
    return Said(name=visible(name), status=status, reason=shown(reason, 2000))


def _phases(seconds: Mapping[str, float]) -> tuple[Phase, ...]:
    longest = max(seconds.values(), default=0.0)
    return tuple(
        Phase(name=visible(name), seconds=duration(took), width=round(100 * took / longest, 1) if longest else 0.0)
        for name, took in seconds.items()
    )


def _facts(record: RunRecord, verdict: Verdict) -> tuple[tuple[str, str], ...]:
    policy = record.policy
    facts = {
        "samples per case": f"{record.samples}",
        "thinking text": "stripped before checks" if record.thinking == "strip" else "",
        "margin": f"{100 * policy.margin:g} points; alarms at {policy.alpha:g}",
        "policy digest": verdict.policy_digest,
        "collection digest": record.collection_digest,
        "texts digest": record.texts_digest,
        "finetune-harness": record.harness_version,
        **record.versions,
    }
    if policy.improve:
        facts["targets"] = ", ".join(policy.improve)
    for name, bar in policy.margins.items():
        facts[f"margin of {name}"] = f"{100 * bar:g} points"
    for name, least in policy.floors.items():
        facts[f"floor of {name}"] = percent(least)
    if verdict.policy_digest != record.policy_digest:
        facts["policy of the run"] = record.policy_digest
    return tuple((visible(name), visible(value)) for name, value in facts.items() if value)
