"""Both orders of every pair in one batch; what was judged before is not judged again."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence

import msgspec

from harness.checks.folding import plain
from harness.generation import Answers, GenerationPlan, GenerationStats, Progress, run
from harness.judges.judgement import Judgement, OrderJudgement
from harness.judges.prompts import LABELS, SCHEMA, Pair, Prompt, pair_prompt
from harness.judges.reference import judge_by_reference
from harness.judges.refs import JudgeRef
from harness.judges.replay import read_recorded
from harness.judges.replies import read_reply
from harness.models import Request, Sampling, ScoreRequest
from harness.models.opening import OpenModels
from harness.models.refs import ModelRef
from harness.store import Store

Run = Callable[[GenerationPlan], Answers]


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a batch. `calls` are new questions to judges, retries among them; `asked` the store keys of all."""

    judgements: tuple[Judgement, ...]
    calls: int = 0
    seconds: float = 0.0
    cost: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    asked: tuple[str, ...] = ()
    stats: GenerationStats | None = None


def judge_pairs(
    judge: JudgeRef,
    pairs: Sequence[Pair],
    store: Store | None = None,
    *,
    store_only: bool = False,
    max_cost: float | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    identical_too: bool = False,
    replica: int = 0,
    models: OpenModels | None = None,
) -> Judged:
    """Judge every pair in both orders: each judge once with all of them, then once more those it left unread.

    Answers that are the same after normalisation tie without a call, unless `identical_too`. `replica` above 0 asks
    once more what was asked. `models` stay open, for what the caller asks next. Raises GenerationError as
    `generation.run` does.
    """

    open_ = [pair for pair in pairs if identical_too or not same_answer(pair)]
    said: list[list[Judgement]] = []
    asked = [_Questions(one, open_, replica) for one in judge.judges if one.kind == "model"]
    with OpenModels() if models is None else contextlib.nullcontext(models) as opened:

        def answer(plan: GenerationPlan) -> Answers:
            if store is None:
                raise ValueError("a model judge needs a store")
            return run(plan, store, store_only=store_only, max_cost=max_cost, on_progress=on_progress, models=opened)

        batches = _Batches(answer)
        batches.ask(asked)
    of_model = {id(questions.judge): questions for questions in asked}
    for one in judge.judges:
        questions = of_model.get(id(one))
        said.append(questions.judgements() if questions is not None else [_without_model(one, p) for p in open_])
    voted = said[0] if not judge.members else [_vote(judge, votes) for votes in zip(*said, strict=True)]
    found = dict(zip((id(pair) for pair in open_), voted, strict=True))
    judgements = tuple(
        msgspec.structs.replace(
            found.get(id(pair)) or Judgement(case=pair.case, judge=judge.digest, score=0.5, same_answer=True),
            lengths=(len(pair.candidate), len(pair.baseline)),
            tags=pair.tags,
            variant_of=pair.variant_of,
            answers=pair.answers,
        )
        for pair in pairs
    )
    return batches.judged(judgements)


def same_answer(pair: Pair) -> bool:
    """Do both say the same, but for white space, width and quotation marks?"""
    return pair.candidate == pair.baseline or plain(pair.candidate) == plain(pair.baseline)


def _without_model(judge: JudgeRef, pair: Pair) -> Judgement:
    if judge.kind == "reference":
        return judge_by_reference(pair, judge.digest)
    recorded = read_recorded(judge.file, judge.digest).judgements.get(pair.case)
    if recorded is not None:
        return recorded
    nothing = OrderJudgement(score=None, fault="nothing", reason="the file has no judgement of this case")
    return Judgement(case=pair.case, judge=judge.digest, score=None, first=nothing, second=nothing)


class _Questions:
    """What one judge is asked about all pairs, and what it said so far."""

    def __init__(self, judge: JudgeRef, pairs: Sequence[Pair], replica: int) -> None:
        assert judge.model is not None, "only models are asked"
        self.judge = judge
        self.pairs = pairs
        self.ref: ModelRef = msgspec.structs.replace(judge.model, replica=replica) if replica else judge.model
        self.said: dict[tuple[int, bool], OrderJudgement] = {}
        self.shortened = [0] * len(pairs)
        self._planned: list[tuple[tuple[int, bool], list[Request] | list[ScoreRequest]]] = []

    def plan(self, plan: GenerationPlan, *, again: bool) -> None:
        """Every order that has no reading yet."""
        self._planned = []
        for place, prompt in self._open(again):
            self.shortened[place[0]] = max(self.shortened[place[0]], prompt.shortened)
            requests = self._requests(place, prompt)
            self._planned.append((place, requests))
            for request in requests:
                if isinstance(request, ScoreRequest):
                    plan.score(self.ref, request)
                else:
                    plan.ask(self.ref, request)

    def read(self, answers: Answers, *, again: bool) -> None:
        """Take in what was said."""
        for place, requests in self._planned:
            self.said[place] = self._reading(answers, requests, candidate_first=place[1], again=again)

    def judgements(self) -> list[Judgement]:
        """One per pair, in order."""
        found = []
        for index, pair in enumerate(self.pairs):
            first, second = self.said[index, True], self.said[index, False]
            found.append(
                Judgement(
                    case=pair.case,
                    judge=self.judge.digest,
                    score=_mean(first, second),
                    first=first,
                    second=second,
                    shortened=self.shortened[index],
                )
            )
        return found

    def _open(self, again: bool) -> list[tuple[tuple[int, bool], Prompt]]:
        judge = self.judge
        assert judge.rubric is not None, "a model judges by a rubric"
        places = [
            (index, order)
            for index in range(len(self.pairs))
            for order in (True, False)
            if not again or (judge.mode == "verdict" and self._unread(index, order))
        ]
        return [
            (
                (index, order),
                pair_prompt(
                    self.pairs[index],
                    judge.rubric,
                    mode=judge.mode,
                    candidate_first=order,
                    structured=judge.structured,
                    context=judge.context,
                    max_tokens=judge.max_tokens,
                    again=again,
                ),
            )
            for index, order in places
        ]

    def _unread(self, index: int, order: bool) -> bool:
        said = self.said[index, order]
        return said.score is None and not said.retried

    def _requests(self, place: tuple[int, bool], prompt: Prompt) -> list[Request] | list[ScoreRequest]:
        case = self.pairs[place[0]].case
        if self.judge.mode == "choice":
            return [ScoreRequest(text=label, messages=prompt.messages, case=case) for label in LABELS]
        schema = SCHEMA if self.judge.structured else msgspec.UNSET
        sampling = Sampling(max_tokens=self.judge.max_tokens, temperature=0.0, schema=schema)
        return [Request(messages=prompt.messages, sampling=sampling, case=case)]

    def _reading(
        self, answers: Answers, requests: list[Request] | list[ScoreRequest], *, candidate_first: bool, again: bool
    ) -> OrderJudgement:
        if self.judge.mode == "choice":
            scored = [answers.scores(self.ref, r) for r in requests if isinstance(r, ScoreRequest)]
            return read_labels([one.logprobs for one in scored], candidate_first=candidate_first)
        request = requests[0]
        assert isinstance(request, Request), "a verdict is asked for in words"
        reply = answers.response(self.ref, request)
        read = read_reply(reply.text, cut_off=reply.finish_reason == "length")
        score = None if read.label is None else _score(read.label, candidate_first)
        return OrderJudgement(score=score, reason=read.reason, fault=read.fault, retried=again)


class _Batches:
    """Asks all judges together, twice at most, and keeps the account."""

    def __init__(self, answer: Run) -> None:
        self._answer = answer
        self._stats: list[tuple[GenerationStats, int]] = []

    def ask(self, asked: Sequence[_Questions]) -> None:
        """Everything, then once more what could not be read."""
        for again in (False, True):
            plan = GenerationPlan()
            for questions in asked:
                questions.plan(plan, again=again)
            if not len(plan):
                return
            answers = self._answer(plan)
            self._stats.append((answers.stats, answers.stats.generated + answers.stats.scored // len(LABELS)))
            for questions in asked:
                questions.read(answers, again=again)

    def judged(self, judgements: tuple[Judgement, ...]) -> Judged:
        """The judgements with what they cost."""
        stats = [one for one, _ in self._stats]
        costs = [one.cost for one in stats if one.cost is not None]
        return Judged(
            judgements=judgements,
            calls=sum(calls for _, calls in self._stats),
            seconds=sum(one.seconds["generate"] + one.seconds["score"] for one in stats),
            cost=sum(costs) if costs else None,
            prompt_tokens=sum(one.prompt_tokens for one in stats),
            completion_tokens=sum(one.completion_tokens for one in stats),
            asked=tuple(key for one in stats for key in one.asked),
            stats=stats[0] if stats else None,
        )


def read_labels(logprobs: Sequence[Sequence[float | None]], *, candidate_first: bool) -> OrderJudgement:
    """A judgement from the log-probabilities of the labels A, B and tie.

    A label whose probability the engine does not tell is not available: no guess is made for it, least of all 0.
    """
    totals = [_total(one) for one in logprobs]
    if any(total is None for total in totals):
        missing = ", ".join(label for label, total in zip(LABELS, totals, strict=True) if total is None)
        told = {label: math.exp(t) for label, t in zip(LABELS, totals, strict=True) if t is not None}
        return OrderJudgement(
            score=None, fault="missing label", reason=f"not available: the probability of {missing}", labels=told
        )
    values = [math.exp(total) for total in totals if total is not None]
    mass = sum(values)
    labels = dict(zip(LABELS, values, strict=True))
    if mass <= 0:
        return OrderJudgement(score=None, fault="nothing", reason="no label has any probability", labels=labels)
    ours, theirs = (labels["A"], labels["B"]) if candidate_first else (labels["B"], labels["A"])
    best = max(values)
    score = 0.5 if labels["tie"] == best or ours == theirs else float(ours > theirs)
    shown = ", ".join(f"{label} {value:.2f}" for label, value in labels.items())
    return OrderJudgement(
        score=score,
        reason=f"{shown}, other words {max(0.0, 1 - mass):.2f}",
        share=(ours + labels["tie"] / 2) / mass,
        labels=labels,
        leftover=max(0.0, 1 - mass),
    )


def _total(logprobs: Sequence[float | None]) -> float | None:
    """Log-probability of a label; None where any of its tokens is not available."""
    if not logprobs:
        return None
    total = 0.0
    for value in logprobs:
        if value is None or not math.isfinite(value):
            return None
        total += value
    return total


def _score(label: str, candidate_first: bool) -> float:
    if label == "tie":
        return 0.5
    return float((label == "A") == candidate_first)


def _mean(first: OrderJudgement, second: OrderJudgement) -> float | None:
    if first.score is None or second.score is None:
        return None
    if first.share is not None and second.share is not None:
        return (first.share + second.share) / 2
    return (first.score + second.score) / 2


def _vote(jury: JudgeRef, votes: Sequence[Judgement]) -> Judgement:
    """The majority in each order; a draw of votes is a tie. Who could not be read does not vote."""
    first, second = (
        _majority([(m.name, getattr(v, side)) for m, v in zip(jury.members, votes, strict=True)])
        for side in ("first", "second")
    )
    return Judgement(
        case=votes[0].case,
        judge=jury.digest,
        score=_mean(first, second),
        first=first,
        second=second,
        shortened=max(vote.shortened for vote in votes),
        members=tuple(votes),
    )


def _majority(said: Sequence[tuple[str, OrderJudgement]]) -> OrderJudgement:
    scores = [one.score for _, one in said if one.score is not None]
    words = {1.0: "candidate", 0.0: "baseline", 0.5: "tie"}
    told = "; ".join(f"{name}: {'unread' if one.score is None else words[one.score]}" for name, one in said)
    if not scores:
        return OrderJudgement(score=None, fault="no votes", reason=told)
    wins, losses, ties = scores.count(1.0), scores.count(0.0), scores.count(0.5)
    if wins > max(losses, ties):
        score = 1.0
    elif losses > max(wins, ties):
        score = 0.0
    else:
        score = 0.5
    return OrderJudgement(score=score, reason=told)
