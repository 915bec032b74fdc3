from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from harness import generation
from harness.errors import ConfigError, GenerationError, ModelError
from harness.generation import GenerationPlan, Progress, case_requests, run
from harness.golden import GoldenCase
from harness.models import Message, Model, Request, Response, Sampling, ScoreRequest, TokenScores
from harness.models.refs import ModelRef
from harness.store import Store, response_key

CANDIDATE = ModelRef(
    text="candidate", label="triage@1", engine="hf", base="b", base_digest="0" * 64, adapter="a", adapter_digest="1"
)
BASELINE = CANDIDATE.root


class Fake:
    """Answers with the question in capitals; notes every call."""

    def __init__(self, label: str, calls: list[tuple[str, int]], *, fail_at: tuple[int, BaseException] | None = None):
        self.label, self.calls, self.fail_at = label, calls, fail_at

    def generate(self, requests: Sequence[Request], *, on_done: Callable[[int, Response], None]) -> list[Response]:
        self.calls.append((self.label, len(requests)))
        responses = []
        for index, request in enumerate(requests):
            if self.fail_at is not None and index == self.fail_at[0]:
                raise self.fail_at[1]
            text = f"{self.label}: {request.messages[-1].content.upper()}"
            responses.append(Response(text=text, completion_tokens=2))
            on_done(index, responses[-1])
        return responses

    def close(self) -> None: ...


class Scoring(Fake):
    def score(
        self, requests: Sequence[ScoreRequest], *, on_done: Callable[[int, TokenScores], None]
    ) -> list[TokenScores]:
        self.calls.append((f"{self.label} scores", len(requests)))
        results = [TokenScores(logprobs=(-float(len(request.text)),)) for request in requests]
        for index, result in enumerate(results):
            on_done(index, result)
        return results


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Models are fakes; gives the list of what they were asked."""
    calls: list[tuple[str, int]] = []
    use(monkeypatch, lambda ref: Scoring(ref.label, calls))
    return calls


def use(monkeypatch: pytest.MonkeyPatch, make: Callable[[ModelRef], Model]) -> None:
    def opened(refs: Sequence[ModelRef]) -> Iterator[tuple[ModelRef, Model]]:
        for ref in refs:
            yield ref, make(ref)

    monkeypatch.setattr(generation, "open_models", opened)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store.sqlite") as store:
        yield store


def ask(text: str, **fields: object) -> Request:
    return Request(messages=(Message(role="user", content=text),), case=text, **fields)  # type: ignore[arg-type]


def planned(*pairs: tuple[ModelRef, Request | ScoreRequest]) -> GenerationPlan:
    plan = GenerationPlan()
    for ref, request in pairs:
        if isinstance(request, Request):
            plan.ask(ref, request)
        else:
            plan.score(ref, request)
    return plan


def test_each_model_is_asked_once_for_everything_it_must_answer(calls: list[tuple[str, int]], store: Store) -> None:
    questions = [ask("a"), ask("b"), ask("c")]
    plan = planned(*((ref, question) for question in questions for ref in (CANDIDATE, BASELINE)))
    answers = run(plan, store)
    assert calls == [("triage@1", 3), ("triage@1 (adapter off)", 3)]
    assert answers.response(CANDIDATE, ask("b")).text == "triage@1: B"
    assert answers.stats.generated == 6
    assert answers.stats.loaded == ("triage@1", "triage@1 (adapter off)")


def test_a_second_run_asks_nothing_and_loads_nothing(calls: list[tuple[str, int]], store: Store) -> None:
    plan = planned((CANDIDATE, ask("a")), (CANDIDATE, ScoreRequest(text="prose")))
    first = run(plan, store)
    calls.clear()
    second = run(plan, store)
    assert calls == []
    assert (second.stats.generated, second.stats.scored, second.stats.reused) == (0, 0, 2)
    assert second.stats.loaded == ()
    assert second.response(CANDIDATE, ask("a")) == first.response(CANDIDATE, ask("a"))
    assert second.scores(CANDIDATE, ScoreRequest(text="prose")).logprobs == (-5.0,)


def test_only_what_is_missing_is_asked(calls: list[tuple[str, int]], store: Store) -> None:
    run(planned((CANDIDATE, ask("a"))), store)
    calls.clear()
    run(planned((CANDIDATE, ask("a")), (CANDIDATE, ask("b"))), store)
    assert calls == [("triage@1", 1)]


def test_the_same_question_is_planned_once(calls: list[tuple[str, int]], store: Store) -> None:
    plan = planned((CANDIDATE, ask("a")), (CANDIDATE, ask("a")), (CANDIDATE, ask("a", replica=1)))
    assert len(plan) == 2
    run(plan, store)
    assert calls == [("triage@1", 2)]


def test_a_replica_is_a_job_of_its_own_and_its_requests_say_so(monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    asked: list[tuple[str, int, list[int]]] = []

    class Noting(Fake):
        def generate(self, requests: Sequence[Request], *, on_done: Callable[[int, Response], None]) -> list[Response]:
            asked.append((self.label, len(requests), [request.replica for request in requests]))
            return super().generate(requests, on_done=on_done)

    use(monkeypatch, lambda ref: Noting(ref.label, []))
    again = msgspec.structs.replace(BASELINE, label="again", replica=1)
    smaller = msgspec.structs.replace(BASELINE, label="smaller", replica=2, batch_size=8)
    refs = (BASELINE, again, smaller)
    plan = planned(*((ref, ask(text)) for ref in refs for text in "ab"), *((r, ScoreRequest(text="x")) for r in refs))
    assert len(plan) == 9
    answers = run(planned(*((ref, ask(text)) for ref in refs for text in "ab")), store)
    assert asked == [("triage@1 (adapter off)", 2, [0, 0]), ("again", 2, [1, 1]), ("smaller", 2, [2, 2])]
    assert [answers.response(ref, ask("a")).text for ref in refs] == [f"{ref.label}: A" for ref in refs]


def test_two_names_for_the_same_weights_are_one_job(calls: list[tuple[str, int]], store: Store) -> None:
    alias = msgspec.structs.replace(BASELINE, text="smollm2", label="smollm2")
    answers = run(planned((BASELINE, ask("a")), (alias, ask("a")), (alias, ask("b"))), store)
    assert calls == [("triage@1 (adapter off)", 2)]
    assert answers.response(BASELINE, ask("b")) == answers.response(alias, ask("b"))


def test_texts_are_scored_in_the_same_visit(calls: list[tuple[str, int]], store: Store) -> None:
    answers = run(planned((CANDIDATE, ask("a")), (CANDIDATE, ScoreRequest(text="prose"))), store)
    assert calls == [("triage@1", 1), ("triage@1 scores", 1)]
    assert answers.stats.scored == 1
    assert answers.stats.loaded == ("triage@1",)


def test_a_model_that_cannot_score_says_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, lambda ref: Fake(ref.label, []))
    with pytest.raises(GenerationError, match="cannot tell how likely a text is, and 1 texts"):
        run(planned((CANDIDATE, ScoreRequest(text="prose"))), store)


def test_store_only_with_something_missing_names_how_many_and_the_first(
    calls: list[tuple[str, int]], store: Store
) -> None:
    run(planned((CANDIDATE, ask("a"))), store)
    calls.clear()
    plan = planned((CANDIDATE, ask("a")), (CANDIDATE, ask("b")), (CANDIDATE, ScoreRequest(text="x", case="t")))
    with pytest.raises(GenerationError, match=r"2 of 3 answers .*case 'b' of triage@1.*without --store-only"):
        run(plan, store, store_only=True)
    assert calls == []
    assert run(planned((CANDIDATE, ask("a"))), store, store_only=True).stats.reused == 1


@pytest.mark.parametrize(
    ("failure", "expected", "message"),
    [
        (
            ValueError("tensor\nblah"),
            GenerationError,
            r"triage@1: answering failed after 2 of 4 \(ValueError: tensor\)",
        ),
        (ModelError("no template"), ModelError, "^no template$"),
        (KeyboardInterrupt(), KeyboardInterrupt, "^$"),
    ],
    ids=["engine", "ours", "ctrl-c"],
)
def test_an_engine_that_fails_keeps_what_it_had_finished(
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
    expected: type[BaseException],
    message: str,
) -> None:
    use(monkeypatch, lambda ref: Fake(ref.label, [], fail_at=(2, failure)))
    questions = [ask(text) for text in "abcd"]
    with pytest.raises(expected, match=message):
        run(planned(*((CANDIDATE, question) for question in questions)), store)
    kept = store.responses(response_key(CANDIDATE, question) for question in questions)
    assert sorted(response.text for response in kept.values()) == ["triage@1: A", "triage@1: B"]


def test_an_engine_that_drops_answers_is_an_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful(Fake):
        def generate(self, requests: Sequence[Request], *, on_done: Callable[[int, Response], None]) -> list[Response]:
            return super().generate(requests[:1], on_done=on_done)

    use(monkeypatch, lambda ref: Forgetful(ref.label, []))
    with pytest.raises(GenerationError, match="gave 1 of 2 answers"):
        run(planned((CANDIDATE, ask("a")), (CANDIDATE, ask("b"))), store)


def test_an_answer_is_never_kept_under_anothers_question(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    class DropsTheFirst(Fake):
        def generate(self, requests: Sequence[Request], *, on_done: Callable[[int, Response], None]) -> list[Response]:
            return super().generate(requests, on_done=lambda index, response: None)[1:]

    use(monkeypatch, lambda ref: DropsTheFirst(ref.label, []))
    plan = planned((CANDIDATE, ask("a")), (CANDIDATE, ask("b")))
    with pytest.raises(GenerationError, match="gave 0 of 2 answers"):
        run(plan, store)
    assert store.responses(plan.requests) == {}


def test_progress_tells_phase_model_and_tokens(calls: list[tuple[str, int]], store: Store) -> None:
    seen: list[Progress] = []
    run(planned((CANDIDATE, ask("a")), (CANDIDATE, ask("b"))), store, on_progress=seen.append)
    assert [p.phase for p in seen][:2] == ["load", "generate"]
    assert {p.label for p in seen} == {"triage@1"}
    assert (seen[-1].done, seen[-1].total, seen[-1].tokens) == (2, 2, 4)


def test_samples_of_a_case_differ_by_their_number_only() -> None:
    case = GoldenCase(id="c", input="Hi")
    requests = case_requests(case, Sampling(temperature=0.7), 3)
    assert [r.sample for r in requests] == [0, 1, 2]
    assert {r.case for r in requests} == {"c"}
    assert {r.messages for r in requests} == {(Message(role="user", content="Hi"),)}


def test_several_samples_at_temperature_zero_are_refused() -> None:
    case = GoldenCase(id="c", input="Hi")
    assert len(case_requests(case, Sampling(), 1)) == 1
    with pytest.raises(ConfigError, match="3 samples at temperature 0"):
        case_requests(case, Sampling(), 3)
    with pytest.raises(ConfigError, match="at least one"):
        case_requests(case, Sampling(), 0)


def test_ten_thousand_scripted_answers_are_written_in_few_transactions(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.models.resolution import Surroundings, resolve

    rows = [{"input": f"q{i}", "output": f"a{i}"} for i in range(10_000)]
    (tmp_path / "s.jsonl").write_text("\n".join(map(json.dumps, rows)))
    ref = resolve("scripted:s.jsonl", Surroundings(root=tmp_path))
    writes: list[int] = []
    real = store.put_responses
    monkeypatch.setattr(store, "put_responses", lambda found, ref: (writes.append(len(found)), real(found, ref=ref))[1])
    answers = run(planned(*((ref, ask(f"q{i}")) for i in range(10_000))), store)
    assert answers.response(ref, ask("q9999")).text == "a9999"
    assert sum(writes) == 10_000
    assert len(writes) == 10


KILLED = """
import sys
from collections.abc import Sequence
from pathlib import Path
from harness import generation
from harness.generation import GenerationPlan, run
from harness.models import Message, Request, Response
from harness.models.refs import ModelRef
from harness.store import Store

class Slow:
    def generate(self, requests, *, on_done):
        for start in range(0, len(requests), 32):
            if start == 64:
                print("in flight", flush=True)
            sys.stdin.readline()
            for index in range(start, min(start + 32, len(requests))):
                on_done(index, Response(text="x"))
        return []

generation.open_models = lambda refs: ((ref, Slow()) for ref in refs)
ref = ModelRef(text="m", label="m", engine="hf", base="b", base_digest="0")
plan = GenerationPlan()
keys = [plan.ask(ref, Request(messages=(Message(role="user", content=str(i)),))) for i in range(100)]
with Store(Path(sys.argv[1])) as store:
    if sys.argv[2] == "count":
        print(len(store.responses(keys)))
    else:
        run(plan, store)
"""


def test_a_killed_run_loses_only_the_batch_in_flight(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path / "store.sqlite")]
    with subprocess.Popen([*command, "run"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdin.write(b"\n\n")
        running.stdin.flush()
        assert running.stdout.readline() == b"in flight\n"
        running.kill()
    counted = subprocess.run([*command, "count"], check=True, capture_output=True, text=True)
    assert counted.stdout == "64\n"


def test_an_engine_that_cannot_hold_a_schema_refuses_it(tmp_path):
    ref = ModelRef(text="m", label="m", engine="hf", base="m", base_digest="b" * 64)
    case = GoldenCase(id="order", input="Which?", schema={"type": "object"})
    plan = GenerationPlan()
    plan.ask(ref, case_requests(case, Sampling(), 1)[0])
    with (
        Store(tmp_path / "store.sqlite") as store,
        pytest.raises(GenerationError, match="cannot hold an answer to a schema, as case 'order'"),
    ):
        run(plan, store)


def test_a_schema_is_part_of_what_an_answer_is_stored_by_and_none_changes_no_key():
    ref = ModelRef(text="m", label="m", engine="openai", base="m", base_digest="b" * 64)
    plain, held = (
        case_requests(GoldenCase(id="order", input="Which?", schema=schema), Sampling(), 1)[0]
        for schema in ({}, {"type": "object"})
    )
    assert response_key(ref, plain) != response_key(ref, held)
    assert b"schema" not in msgspec.json.encode(plain)
