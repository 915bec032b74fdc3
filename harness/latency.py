"""What one user alone would wait: a few cases of a run asked again, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from harness.generation import GenerationPlan, Progress, case_requests, run
from harness.golden import GoldenCase
from harness.models import Sampling
from harness.models.endpoints import endpoint_of
from harness.models.refs import ModelRef
from harness.store import Store

#: The replica that these answers are kept as: asked once more, so that a stored batch does not answer in their place.
ALONE = 1001


def alone(ref: ModelRef) -> ModelRef:
    """The same model, asked one request at a time."""
    endpoint = endpoint_of(ref)
    told = ref.endpoint
    if endpoint is not None:
        single = msgspec.structs.replace(endpoint, in_flight=1, max_in_flight=1)
        told = msgspec.json.encode(single, order="deterministic").decode()
    return msgspec.structs.replace(ref, replica=ALONE, batch_size=1, endpoint=told)


def seconds_alone(
    refs: Sequence[ModelRef],
    cases: Sequence[tuple[GoldenCase, Sampling]],
    store: Store,
    *,
    store_only: bool = False,
    max_cost: float | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> list[tuple[float, ...]]:
    """Seconds for each case, by ref; empty for an engine that tells no timing.

    The first answer of a model is slower than any other (caches are filled, code is compiled), so one case is asked
    before, as another replica, and not measured.
    """
    plan = GenerationPlan()
    keys: list[list[str]] = []
    for ref in map(alone, refs):
        warm = msgspec.structs.replace(ref, replica=ALONE + 1)
        requests = [case_requests(case, sampling, 1)[0] for case, sampling in cases]
        plan.ask(warm, requests[0])
        keys.append([plan.ask(ref, request) for request in requests])
    answers = run(plan, store, store_only=store_only, max_cost=max_cost, on_progress=on_progress)
    timings = [[answers.by_key(key).timing for key in of_ref] for of_ref in keys]
    return [tuple(timing.seconds for timing in of_ref if timing is not None) for of_ref in timings]


def spread(cases: Sequence[tuple[GoldenCase, Sampling]], count: int) -> list[tuple[GoldenCase, Sampling]]:
    """At most `count` of them, evenly, because neighbours in a file tend to be alike."""
    if len(cases) <= count:
        return list(cases)
    return [cases[i * len(cases) // count] for i in range(count)]
