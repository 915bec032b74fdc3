"""What a retention set needs to know of a model, and what was found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from harness.checks import check_names, run_check
from harness.checks.text import count_words
from harness.errors import GenerationError
from harness.generation import Answers, GenerationPlan, case_requests
from harness.golden import GoldenCase, GoldenSet, Kind
from harness.models import Request, Response, Sampling, ScoreRequest, TokenScores
from harness.models.endpoints import endpoint_of
from harness.models.refs import ModelRef
from harness.record import CaseResult, Lane, Probe, Role, SetResult, TestResult
from harness.retention.bleed import answered_in_json, asks_for_format
from harness.retention.choices import Choices, Option
from harness.store import response_key

#: The divergence from the base costs a second pass: it is measured on at most this many cases of a set.
KL_CASES = 64


def plan_retention(golden_set: GoldenSet, ref: ModelRef, plan: GenerationPlan, *, sampling: Sampling) -> None:
    """Add to the plan all that this set needs to know of one model.

    Questions are answered, and their targets scored; multiple choice is scored choice by choice; prose is
    scored. A model that gives no token scores is only asked.
    """
    if golden_set.kind == "ask":
        for case in golden_set.cases:
            plan.ask(ref, _request(case, sampling))
    if not can_score(ref, golden_set.kind):
        return
    for case in golden_set.cases:
        for request in _choice_requests(case):
            plan.score(ref, request)
    for request in _text_requests(golden_set, ref).values():
        plan.score(ref, request)


def measure(golden_set: GoldenSet, answers: Answers, refs: Mapping[Role, ModelRef], *, sampling: Sampling) -> SetResult:
    """What was seen of the set: cases, paired over the roles in `refs`, and probes.

    A case passes when all its data checks do; multiple choice when the right choice has the highest
    log-likelihood, summed over its tokens and not divided by its length. Cases without a check have no pass or
    fail and are only probed. What a model cannot give is listed under `unavailable`.

    Raises GenerationError for a likelihood that is not a number, and CheckError for a check that crashes.
    """
    if golden_set.kind == "ask":
        cases, probes = _measure_asked(golden_set, answers, refs, sampling)
    elif golden_set.kind == "choice":
        cases, probes = _measure_choices(golden_set, answers, refs), []
    else:
        cases, probes = [], []
    scored, unavailable = _measure_texts(golden_set, answers, refs)
    return SetResult(
        name=golden_set.name,
        path=str(golden_set.path),
        digest=golden_set.digest,
        kind=golden_set.kind,
        retention=True,
        cases=tuple(cases),
        probes=(*probes, *scored),
        unavailable=tuple(unavailable),
    )


def can_score(ref: ModelRef, kind: Kind) -> bool:
    """Can this model tell how likely the texts of such a set are? Told from the reference: nothing is loaded."""
    endpoint = endpoint_of(ref)
    if endpoint is not None:
        return endpoint.token_scores == "all" or (endpoint.token_scores == "prose" and kind == "text")
    return ref.engine in ("hf", "vllm")


def _request(case: GoldenCase, sampling: Sampling) -> Request:
    return case_requests(case, sampling, 1)[0]


def _choice_requests(case: GoldenCase) -> list[ScoreRequest]:
    return [ScoreRequest(text=choice, messages=case.conversation, case=case.id) for choice in case.choices]


def _text_requests(golden_set: GoldenSet, ref: ModelRef) -> dict[str, ScoreRequest]:
    """By case id: the reference answer to a question, or the prose itself; empty for multiple choice."""
    if golden_set.kind == "choice":
        return {}
    texts = {
        case.id: (case, text)
        for case in golden_set.cases
        # Scores are asked without tools: with them the prompt would be another.
        if (text := case.text if golden_set.kind == "text" else case.target) and not case.tools
    }
    diverging = _spread(list(texts), KL_CASES) if ref.adapter is not None else set()
    return {
        name: ScoreRequest(text=text, messages=case.conversation, case=name, kl=name in diverging)
        for name, (case, text) in texts.items()
    }


def _spread(names: Sequence[str], limit: int) -> set[str]:
    """At most `limit` names, spread evenly, because neighbours in a file tend to be alike."""
    if len(names) <= limit:
        return set(names)
    return {names[i * len(names) // limit] for i in range(limit)}


def _measure_asked(
    golden_set: GoldenSet, answers: Answers, refs: Mapping[Role, ModelRef], sampling: Sampling
) -> tuple[list[CaseResult], list[Probe]]:
    results: list[CaseResult] = []
    said: dict[str, dict[Role, Response]] = {}
    for case, line in zip(golden_set.cases, golden_set.lines, strict=True):
        request = _request(case, sampling)
        responses = {role: answers.response(ref, request) for role, ref in refs.items()}
        said[case.id] = responses
        if case.checks:
            keys: dict[Role, tuple[str, ...]] = {role: (response_key(ref, request),) for role, ref in refs.items()}
            results.append(_asked_case(case, line, responses, keys))
    unasked = [case.id for case in golden_set.cases if not asks_for_format(case)]
    probes = []
    if unasked:
        probes.append(
            _probe(
                "bleed",
                "share of answers",
                unasked,
                {role: [float(answered_in_json(said[name][role])) for name in unasked] for role in refs},
                alarm=True,
            )
        )
    probes.append(
        _probe(
            "length",
            "words",
            list(said),
            {role: [float(count_words(by_role[role].text)) for by_role in said.values()] for role in refs},
        )
    )
    return results, probes


def _asked_case(
    case: GoldenCase,
    line: int,
    responses: Mapping[Role, Response],
    keys: dict[Role, tuple[str, ...]],
) -> CaseResult:
    tests: list[TestResult] = []
    passed = dict.fromkeys(responses, 1.0)
    for spec, name in zip(case.checks, check_names(case.checks), strict=True):
        share: dict[Role, float] = {}
        explanation = ""
        for role, response in responses.items():
            score = run_check(spec, response, case.target)
            share[role] = 1.0 if score.passed else 0.0
            passed[role] = min(passed[role], share[role])
            if role == "candidate" and not score.passed:
                explanation = score.explanation
        tests.append(_test(name, case, share, explanation))
    return _case(
        case,
        line,
        passed,
        tests,
        {role: response.text for role, response in responses.items()},
        answers=keys,
        cut_off=int(responses["candidate"].finish_reason == "length"),
    )


def _measure_choices(golden_set: GoldenSet, answers: Answers, refs: Mapping[Role, ModelRef]) -> list[CaseResult]:
    results: list[CaseResult] = []
    found = scored_choices(golden_set, answers, refs)
    for case, line in zip(golden_set.cases, golden_set.lines, strict=True):
        if case.id not in found:
            continue
        choices = found[case.id]
        passed = {role: float(text == case.answer) for role, text in choices.taken.items()}
        test = _test("likeliest_choice", case, passed, choices.why_missed)
        results.append(_case(case, line, passed, [test], choices.taken))
    return results


def scored_choices(golden_set: GoldenSet, answers: Answers, refs: Mapping[Role, ModelRef]) -> dict[str, Choices]:
    """By case how likely each model found each choice; empty where the candidate cannot tell.

    Raises GenerationError for a likelihood that is not a number.
    """
    able = {role: ref for role, ref in refs.items() if can_score(ref, golden_set.kind)}
    if golden_set.kind != "choice" or "candidate" not in able:
        return {}
    found = {}
    for case in golden_set.cases:
        requests = _choice_requests(case)
        totals: dict[Role, list[float]] = {
            role: [_finite(answers.scores(ref, request), ref, request).total for request in requests]
            for role, ref in able.items()
        }
        found[case.id] = Choices(
            options=tuple(
                Option(text=text, scores={role: of_role[i] for role, of_role in totals.items()})
                for i, text in enumerate(case.choices)
            ),
            answer=case.answer,
            # Of equally likely choices the first is taken, for every role alike.
            taken={role: case.choices[max(range(len(t)), key=t.__getitem__)] for role, t in totals.items()},
            whole=True,
        )
    return found


def _measure_texts(
    golden_set: GoldenSet, answers: Answers, refs: Mapping[Role, ModelRef]
) -> tuple[list[Probe], list[str]]:
    """Likelihood of targets or prose, and divergence from the base; and what could not be had."""
    kind = {"ask": "target_nll", "choice": "choices", "text": "prose_nll"}[golden_set.kind]
    planned = {role: _text_requests(golden_set, ref) for role, ref in refs.items()}
    names = list(planned["candidate"])
    if not names and golden_set.kind != "choice":
        return [], []
    unavailable = [
        f"{kind}: {_unscored(ref, role)}" for role, ref in refs.items() if not can_score(ref, golden_set.kind)
    ]
    able = {role: ref for role, ref in refs.items() if can_score(ref, golden_set.kind)}
    if "candidate" not in able or not names:
        return [], unavailable
    scores = {
        role: {name: _finite(answers.scores(ref, request), ref, request) for name, request in planned[role].items()}
        for role, ref in able.items()
    }
    nlls = {role: [by_case[name].nll for name in names] for role, by_case in scores.items()}
    probes = [_probe(kind, "nats per token", names, nlls)]
    diverging = [name for name in names if planned["candidate"][name].kl]
    if diverging:
        divergences: dict[Role, list[float]] = {}
        for role, by_case in scores.items():
            values = [v for name in diverging if (v := _divergence(by_case[name])) is not None]
            if len(values) == len(diverging):
                divergences[role] = values
        if "candidate" in divergences:
            probes.append(_probe("kl", "nats per token, from the base", diverging, divergences))
        else:
            unavailable.append(f"kl: {able['candidate'].label} cannot be compared with its own base")
    return probes, unavailable


def _unscored(ref: ModelRef, role: Role) -> str:
    """Why this model cannot tell how likely a text is."""
    if ref.engine == "scripted":
        return f"scripted models know no log-likelihoods ({ref.label}, {role})"
    return f"{ref.label} ({role}) gives no token scores"


def _divergence(scores: TokenScores) -> float | None:
    """Mean divergence from the base per token, or None where the engine could not measure it."""
    values = scores.kl_to_base
    return math.fsum(values) / len(values) if values else None


def _finite(scores: TokenScores, ref: ModelRef, request: ScoreRequest) -> TokenScores:
    if not scores.logprobs or not math.isfinite(scores.total):
        raise GenerationError(
            f"{ref.label}: the log-likelihood of case {request.case!r} is not a number. The weights are "
            f"damaged, or {ref.dtype} is too narrow for them: try --dtype=float32."
        )
    return scores


def _probe(
    name: str,
    unit: str,
    cases: Sequence[str],
    values: Mapping[Role, Sequence[float]],
    *,
    alarm: bool = False,
) -> Probe:
    return Probe(
        probe=name,
        role="alarm" if alarm else "advisory",
        unit=unit,
        higher_is_better=False,
        cases=tuple(cases),
        candidate=tuple(values["candidate"]),
        baseline=tuple(values["baseline"]) if "baseline" in values else None,
        root=tuple(values["root"]) if "root" in values else None,
    )


def _test(name: str, case: GoldenCase, share: Mapping[Role, float], explanation: str) -> TestResult:
    lane: Lane = "red_line" if case.red_line else "rate"
    return TestResult(
        test=name,
        lane=lane,
        candidate=share["candidate"],
        baseline=share.get("baseline"),
        root=share.get("root"),
        explanation=explanation,
    )


def _case(
    case: GoldenCase,
    line: int,
    passed: Mapping[Role, float],
    tests: Sequence[TestResult],
    said: Mapping[Role, str | None],
    *,
    answers: dict[Role, tuple[str, ...]] | None = None,
    cut_off: int = 0,
) -> CaseResult:
    return CaseResult(
        case=case.id,
        line=line,
        candidate=passed["candidate"],
        baseline=passed.get("baseline"),
        root=passed.get("root"),
        weight=case.weight,
        tags=case.tags,
        variant_of=case.variant_of,
        tests=tuple(tests),
        answers=answers or {},
        same_answer=said["candidate"] == said["baseline"] if "baseline" in said else None,
        same_answer_as_root=said["candidate"] == said["root"] if "root" in said else None,
        cut_off=cut_off,
    )
