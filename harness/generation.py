"""Asking every model once: what a run needs, what the store already has, one batch per model for the rest."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Container, Iterator, Mapping
from typing import Generic, Literal, TypeVar

import msgspec

from harness.errors import ConfigError, GenerationError, HarnessError, first_line
from harness.golden import GoldenCase
from harness.models import Model, Request, Response, Sampling, ScoreRequest, ScoringModel, TokenScores
from harness.models.opening import OpenModels, open_models
from harness.models.refs import ModelRef
from harness.models.thinking import Thinking, judged
from harness.spending import Bill
from harness.store import Store, response_key, score_key

Phase = Literal["load", "generate", "score"]

#: Answers of a script are written together, because making them again costs nothing. All others are written as
#: they come: tens of microseconds against an engine's milliseconds, and a killed run loses only what was in flight.
_SCRIPTED_AT_ONCE = 1000

#: Engines that hold an answer to a schema while it is written, or (scripted) repeat one that was.
HOLD_SCHEMA = ("openai", "scripted", "vllm")


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far one model is in one phase. `tokens` were generated (or scored) so far, in `seconds`."""

    label: str
    phase: Phase
    done: int
    total: int
    tokens: int
    seconds: float


class GenerationStats(msgspec.Struct, frozen=True, kw_only=True):
    """What a run cost. `loaded` are the labels of the models that were opened; `seconds` are by phase; tokens are those
    of new answers. `cost` is in the currency of the endpoints' prices, None where no price was told.

    `notes` are what the store had to say: answers that were dropped, a file that was set aside. `asked` are the store
    keys of all that was wanted, new or not.
    """

    generated: int
    scored: int
    reused: int
    loaded: tuple[str, ...]
    seconds: dict[Phase, float]
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None
    notes: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()


def case_requests(case: GoldenCase, sampling: Sampling, samples: int) -> list[Request]:
    """The requests for one case that is asked, one per sample.

    Raises ConfigError for several samples at temperature 0: they would be the same answer, counted several
    times.
    """
    if samples < 1:
        raise ConfigError(f"samples = {samples}: at least one answer per case is needed.")
    if samples > 1 and sampling.temperature == 0:
        raise ConfigError(
            f"{samples} samples at temperature 0 are {samples} times the same answer. "
            "Set [tool.harness.sampling] temperature (0.7, say), or ask for one sample."
        )
    messages, tools = case.conversation, case.tools
    if case.schema:
        schema = msgspec.json.encode(case.schema, order="sorted").decode()
        sampling = msgspec.structs.replace(sampling, schema=schema)
    return [Request(messages=messages, sampling=sampling, case=case.id, sample=i, tools=tools) for i in range(samples)]


class GenerationPlan:
    """All that a run wants to know, each thing once, in the order it was first asked for."""

    def __init__(self) -> None:
        self.requests: dict[str, tuple[ModelRef, Request]] = {}
        self.score_requests: dict[str, tuple[ModelRef, ScoreRequest]] = {}

    def ask(self, ref: ModelRef, request: Request) -> str:
        """Plan an answer; gives its store key."""
        key = response_key(ref, request)
        if key not in self.requests:
            if ref.replica:
                # The engine draws a replica's samples anew.
                request = msgspec.structs.replace(request, replica=ref.replica)
            self.requests[key] = (ref, request)
        return key

    def score(self, ref: ModelRef, request: ScoreRequest) -> str:
        """Plan the scoring of a text; gives its store key."""
        key = score_key(ref, request)
        self.score_requests.setdefault(key, (ref, request))
        return key

    def __len__(self) -> int:
        return len(self.requests) + len(self.score_requests)


class Answers:
    """What came of a plan. With `thinking` "strip", answers are read without their thinking text."""

    def __init__(
        self,
        responses: dict[str, Response],
        scores: dict[str, TokenScores],
        stats: GenerationStats,
        thinking: Thinking = "keep",
    ) -> None:
        self._responses = responses
        self._scores = scores
        self._thinking = thinking
        self.stats = stats

    def response(self, ref: ModelRef, request: Request) -> Response:
        """The answer to a planned request; KeyError where it was not planned."""
        return self.by_key(response_key(ref, request))

    def by_key(self, key: str) -> Response:
        """The answer under a key that `GenerationPlan.ask` gave."""
        found = self._responses[key]
        return found if self._thinking == "keep" else judged(found, self._thinking)

    def whole(self, key: str) -> Response:
        """The answer under this key as the model gave it."""
        return self._responses[key]

    def scores(self, ref: ModelRef, request: ScoreRequest) -> TokenScores:
        """The scores of a planned text; KeyError where it was not planned."""
        return self._scores[score_key(ref, request)]


def run(
    plan: GenerationPlan,
    store: Store,
    *,
    store_only: bool = False,
    max_cost: float | None = None,
    thinking: Thinking = "keep",
    on_progress: Callable[[Progress], None] | None = None,
    models: OpenModels | None = None,
) -> Answers:
    """Answer everything in the plan: from the store where it is there, else each model once with all its
    misses.

    Answers are written to the store as they finish, so an interrupted run repeats at most the batch in
    flight. A model with nothing missing is not loaded; what was loaded is freed at the end, unless the caller holds
    `models` open for its next run. Raises GenerationError when an engine fails, when
    `store_only` and something is missing, or once new answers have cost `max_cost`; Ctrl-C passes through.
    """
    responses = store.responses(plan.requests)
    scores = store.scores(plan.score_requests)
    reused = len(responses) + len(scores)
    jobs = _jobs(plan, responses, scores)
    if store_only and jobs:
        raise GenerationError(_not_in_store(plan, store, jobs))
    _refuse_unheld(jobs)
    bill = Bill([job.ref for job in jobs], max_cost)
    seconds: dict[Phase, float] = {"load": 0.0, "generate": 0.0, "score": 0.0}
    loaded: list[str] = []
    by_ref = {job.ref: job for job in jobs}
    order = (OpenModels() if models is None else models).order([job.ref for job in jobs])
    opened = open_models(order) if models is None else models.open(order)
    try:
        for ref in order:
            job = by_ref[ref]
            bill.before(ref, scored=len(job.score_requests))
            started = time.perf_counter()
            model = _load(opened, ref, len(loaded), len(order), on_progress)
            seconds["load"] += time.perf_counter() - started
            loaded.append(ref.label)
            if job.requests:
                put = functools.partial(store.put_responses, ref=ref)
                writer = _Writer(ref, "generate", job.requests, put, on_progress, bill)
                responses.update(writer.all_of(model.generate))
                seconds["generate"] += writer.seconds
            if job.score_requests:
                if not isinstance(model, ScoringModel):
                    raise GenerationError(
                        f"{ref.label}: a {ref.engine} model cannot tell how likely a text is, and "
                        f"{len(job.score_requests)} texts are to be scored. "
                        "Use a local (hf) model for this set."
                    )
                put_scores = functools.partial(store.put_scores, ref=ref)
                score_writer = _Writer(ref, "score", job.score_requests, put_scores, on_progress)
                scores.update(score_writer.all_of(model.score))
                seconds["score"] += score_writer.seconds
    finally:
        opened.close()
    stats = GenerationStats(
        generated=sum(len(job.requests) for job in jobs),
        scored=sum(len(job.score_requests) for job in jobs),
        reused=reused,
        loaded=tuple(loaded),
        seconds=seconds,
        prompt_tokens=bill.prompt_tokens,
        completion_tokens=bill.completion_tokens,
        cost=bill.cost,
        notes=store.notes,
        asked=(*plan.requests, *plan.score_requests),
    )
    return Answers(responses, scores, stats, thinking)


class _Job:
    """What one set of weights has to do."""

    def __init__(self, ref: ModelRef) -> None:
        self.ref = ref
        self.requests: dict[str, Request] = {}
        self.score_requests: dict[str, ScoreRequest] = {}


def _jobs(plan: GenerationPlan, responses: Container[str], scores: Container[str]) -> list[_Job]:
    """What is missing, by weights: two names for the same weights are one job."""
    jobs: dict[tuple[str, ...], _Job] = {}
    of_ref: dict[ModelRef, _Job] = {}

    def job(ref: ModelRef) -> _Job:
        if ref not in of_ref:
            same = (ref.engine, ref.digest, ref.dtype, ref.device, str(ref.batch_size), str(ref.replica))
            of_ref[ref] = jobs.setdefault(same, _Job(ref))
        return of_ref[ref]

    for key, (ref, request) in plan.requests.items():
        if key not in responses:
            job(ref).requests[key] = request
    for key, (ref, score_request) in plan.score_requests.items():
        if key not in scores:
            job(ref).score_requests[key] = score_request
    return list(jobs.values())


def _refuse_unheld(jobs: list[_Job]) -> None:
    """An answer that nothing holds to its schema would say of the model what is true of the engine."""
    for job in jobs:
        held = [r.case for r in job.requests.values() if isinstance(r.sampling.schema, str)]
        if held and job.ref.engine not in HOLD_SCHEMA:
            raise GenerationError(
                f"{job.ref.label}: the {job.ref.engine} engine cannot hold an answer to a schema, as case {held[0]!r} "
                f"asks ({len(held)} cases). Serve the model and ask it as openai:MODEL@URL, or remove the schema."
            )


def _not_in_store(plan: GenerationPlan, store: Store, jobs: list[_Job]) -> str:
    missing = sum(len(job.requests) + len(job.score_requests) for job in jobs)
    first = jobs[0]
    case = [*(r.case for r in first.requests.values()), *(r.case for r in first.score_requests.values())][0]
    return (
        f"{missing} of {len(plan)} answers are not in {store.path} "
        f"(the first: case {case!r} of {first.ref.label}), and only the store may be "
        "used. Run once without --store-only, or take in answers from where the model is: harness store import FILE"
    )


def _load(
    opened: Iterator[tuple[ModelRef, Model]],
    ref: ModelRef,
    done: int,
    total: int,
    on_progress: Callable[[Progress], None] | None,
) -> Model:
    if on_progress is not None:
        on_progress(Progress(label=ref.label, phase="load", done=done, total=total, tokens=0, seconds=0.0))
    try:
        there, model = next(opened)
    except HarnessError:
        raise
    except Exception as error:
        raise GenerationError(
            f"{ref.label}: cannot be loaded ({first_line(error, named=True)}). {_ENGINE_NEXT}"
        ) from error
    # Answers are kept under the ref that was asked for.
    assert there == ref, f"{there.label} was opened for {ref.label}"
    return model


_Ask = TypeVar("_Ask", bound=Request | ScoreRequest)
_Result = TypeVar("_Result", bound=Response | TokenScores)


class _Writer(Generic[_Ask, _Result]):
    """Puts finished answers into the store as they come."""

    def __init__(
        self,
        ref: ModelRef,
        phase: Literal["generate", "score"],
        asks: Mapping[str, _Ask],
        put: Callable[[Mapping[str, _Result]], None],
        on_progress: Callable[[Progress], None] | None,
        bill: Bill | None = None,
    ) -> None:
        self._ref = ref
        self._bill = bill
        self._phase: Literal["generate", "score"] = phase
        self._asks = list(asks.values())
        self._keys = list(asks)
        self._put = put
        self._on_progress = on_progress
        self._finished: dict[str, _Result] = {}
        self._unwritten: dict[str, _Result] = {}
        self._tokens = 0
        self._at_once = _SCRIPTED_AT_ONCE if ref.engine == "scripted" else 1
        self._started = time.perf_counter()
        self.seconds = 0.0

    def all_of(self, engine: Callable[..., list[_Result]]) -> dict[str, _Result]:
        """Ask the engine for everything; the results by key."""
        self._report()
        try:
            results = engine(self._asks, on_done=self._done)
            # Of fewer results than questions nobody knows which is whose.
            for index, result in enumerate(results if len(results) == len(self._keys) else ()):
                if self._keys[index] not in self._finished:
                    self._done(index, result)
        except HarnessError:
            raise
        except Exception as error:
            verb = "answering" if self._phase == "generate" else "scoring"
            raise GenerationError(
                f"{self._ref.label}: {verb} failed after {len(self._finished)} of {len(self._keys)} "
                f"({first_line(error, named=True)}). Finished answers are kept. {_ENGINE_NEXT}"
            ) from error
        finally:
            self._write()
            self.seconds = time.perf_counter() - self._started
        if len(self._finished) != len(self._keys):
            raise GenerationError(
                f"{self._ref.label}: the {self._ref.engine} engine gave {len(self._finished)} of "
                f"{len(self._keys)} answers and no error. Run again; if it stays so, report it."
            )
        self._report()
        return self._finished

    def _done(self, index: int, result: _Result) -> None:
        key = self._keys[index]
        self._finished[key] = result
        self._unwritten[key] = result
        self._tokens += result.completion_tokens if isinstance(result, Response) else len(result.logprobs)
        if len(self._unwritten) >= self._at_once:
            self._write()
            self._report()
        if self._bill is not None and isinstance(result, Response):
            self._bill.add(self._ref, result, left=len(self._keys) - len(self._finished))

    def _write(self) -> None:
        if self._unwritten:
            self._put(self._unwritten)
            self._unwritten = {}

    def _report(self) -> None:
        if self._on_progress is not None:
            self._on_progress(
                Progress(
                    label=self._ref.label,
                    phase=self._phase,
                    done=len(self._finished),
                    total=len(self._keys),
                    tokens=self._tokens,
                    seconds=time.perf_counter() - self._started,
                )
            )


_ENGINE_NEXT = "Free memory or lower batch_size if it ran out of either, then run again."
