"""vLLM with the real weights of SmolLM2, in process and served: beside transformers, base and adapters together."""

from __future__ import annotations

import json
import math
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from processes import descendants, is_alive
from tiny_llama import ask, build_adapter

from harness.config import VllmConfig
from harness.errors import GenerationError, ModelError
from harness.models import Message, Request, Response, Sampling, ScoreRequest, TokenScores, smollm2
from harness.models.hf.reading import read_prompts
from harness.models.opening import open_models
from harness.models.refs import ModelRef
from harness.models.resolution import Surroundings, resolve
from harness.models.vllm.asking import VllmModel
from harness.models.vllm.engine import LoadedEngine
from harness.models.vllm.server import served_scores
from harness.parity import PROBES, judge

pytestmark = pytest.mark.vllm

ROOT = Path(__file__).resolve().parents[2]
QUESTIONS = ("What is the capital of France?", "What is 2+2?", "Name a colour.", "Who wrote Hamlet?")
TURNS = (
    Message(role="system", content="You answer in one word."),
    Message(role="user", content="What is the capital of France?"),
    Message(role="assistant", content="Paris"),
    Message(role="user", content="And of Italy?"),
)
REQUESTS = (
    *(ask(question, max_tokens=20) for question in QUESTIONS),
    Request(messages=TURNS, sampling=Sampling(max_tokens=8), case="turns"),
)
#: How far the mean likelihood of the texts may be from that of transformers, in nats per token.
NEAR = {"bfloat16": 2e-2, "float32": 1e-3}
#: Characters of a paragraph that are scored: some 36 tokens, of which a CPU does 150 a second over an adapter.
BEGINNING = 160
SETTINGS = VllmConfig(max_model_len=1024, kv_cache_gib=1)


def quietly(index: int, result: object) -> None: ...


def refer(text: str, **settings: Any) -> ModelRef:
    settings = {"device": "cpu", "vllm": SETTINGS, **settings}
    return resolve(text, Surroundings(root=Path.cwd(), **settings))


def texts() -> list[ScoreRequest]:
    """The beginnings of 60 paragraphs."""
    lines = (ROOT / "golden_sets" / "retention" / "texts.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines[:60]]
    return [ScoreRequest(text=row["text"][:BEGINNING], case=row["id"]) for row in rows]


def mean_nll(scores: Sequence[TokenScores]) -> float:
    return -math.fsum(one.total for one in scores) / sum(len(one.logprobs) for one in scores)


def apart(some: Sequence[TokenScores], others: Sequence[TokenScores]) -> float:
    """Mean absolute difference per token."""
    pairs = zip(some, others, strict=True)
    found = [abs(a - b) for one, other in pairs for a, b in zip(one.logprobs, other.logprobs, strict=True)]
    return math.fsum(found) / len(found)


class Seen:
    """What one model said, by whichever engine. The weak adapter, second of the three, is asked for the probes only:
    LoRA is slow on a CPU."""

    def __init__(self, model: Any, place: int) -> None:
        self.order: list[int] = []
        self.answers: list[Response] = model.generate(REQUESTS, on_done=lambda i, r: self.order.append(i))
        self.scores: list[TokenScores] = [] if place == 1 else model.score(texts(), on_done=quietly)
        self.probes: list[TokenScores] = model.score(PROBES, on_done=quietly)


class World:
    """One number format: base, a weak and a strong adapter by transformers, and an engine that holds all three."""

    def __init__(self, dtype: str, adapters: tuple[Path, Path]) -> None:
        self.dtype = dtype
        self.adapters = adapters
        names = ("smollm2", *(f"smollm2+{folder}" for folder in adapters))
        there = open_models([refer(f"hf:{name}", dtype=dtype) for name in names])
        self.trained = [Seen(model, place) for place, (_, model) in enumerate(there)]
        self.refs = [refer(f"vllm:{name}", dtype=dtype) for name in names]
        self.engine = LoadedEngine(self.refs)

    def model(self, place: int) -> VllmModel:
        return self.engine.model(self.refs[place])


@pytest.fixture(scope="module")
def adapters(cache_folder: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """Two adapters of random weights on all linear layers."""
    folder = tmp_path_factory.mktemp("adapters")
    with pytest.MonkeyPatch.context() as patch:
        # The user's cache: converting takes 20 seconds.
        patch.delenv("HARNESS_CACHE")
        weak = build_adapter(smollm2.ensure(), folder / "weak", scale=0.1, rank=8)
        strong = build_adapter(smollm2.ensure(), folder / "strong", scale=0.2, rank=6)
        yield weak, strong


@pytest.fixture(scope="class")
def world(request: pytest.FixtureRequest, adapters: tuple[Path, Path]) -> Iterator[World]:
    made = World(request.cls.dtype, adapters)
    yield made
    made.engine.close()


@pytest.fixture(scope="class")
def asked(world: World) -> list[Seen]:
    """The three models by the engine, in turns on the same one."""
    return [Seen(world.model(place), place) for place in range(3)]


class Served:
    """A `harness serve` that has said its URL."""

    def __init__(self, folder: Path, adapter: Path, dtype: str) -> None:
        # In one format compiled, as it comes; in the other not, which starts sooner.
        eager = dtype == "float32"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{port}/v1"
        engine = f"kv_cache_gib = 1\nengine_args = {{ enforce_eager = {str(eager).lower()} }}\n"
        (folder / "pyproject.toml").write_text(f"[tool.harness.vllm]\n{engine}")
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "harness", "serve", str(adapter), "--device", "cpu", "--dtype", dtype),
                *("--port", str(port), "--max-model-len", "1024"),
            ],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        self.said: list[str] = []
        for line in self.process.stdout:
            self.said.append(line.strip())
            if line.startswith("pytest suites/"):
                return
        pytest.fail("\n".join(self.said))

    @property
    def names(self) -> list[str]:
        """The served models: the adapter, then its base."""
        (line,) = [line for line in self.said if line.startswith("serving ")]
        return line.removeprefix("serving ").partition(" at ")[0].split(", ")


@pytest.fixture(scope="class")
def served(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    started = Served(tmp_path_factory.mktemp("served"), world.adapters[1], world.dtype)
    yield started
    started.process.terminate()
    started.process.communicate(timeout=60)


def test_what_vllm_refuses_is_told_in_a_sentence(adapters: tuple[Path, Path]) -> None:
    ref = refer("vllm:smollm2", vllm=VllmConfig(kv_cache_gib=1, engine_args={"no_such_argument": 1}))
    with pytest.raises(ModelError, match=r"vLLM cannot load it .*no_such_argument"):
        next(open_models([ref]))


class InOneFormat:
    """What holds in both number formats; each is a class of its own, which a worker of its own can take (`--dist
    loadscope`)."""

    dtype: str

    def test_likelihoods_are_those_of_transformers_for_base_and_adapters(self, world: World, asked: list[Seen]) -> None:
        for place in (0, 2):
            here, there = world.trained[place], asked[place]
            assert [len(one.logprobs) for one in there.scores] == [len(one.logprobs) for one in here.scores]
            assert mean_nll(there.scores) == pytest.approx(mean_nll(here.scores), abs=NEAR[world.dtype])
        # The adapters do something: what is compared are three different models.
        for one, other in ((0, 1), (1, 2), (2, 0)):
            assert apart(asked[one].probes, asked[other].probes) > 0.1

    def test_a_judges_labels_are_as_likely_as_each_alone(self, world: World) -> None:
        labels = [ScoreRequest(text=text, messages=TURNS, case=text) for text in ("A", "B", "Rome", "Rome it is", "B")]
        for place in (0, 2):
            model = world.model(place)
            told: dict[int, TokenScores] = {}
            together = model.score(labels, on_done=told.__setitem__)
            alone = [model.score([label], on_done=quietly)[0] for label in labels]
            assert [told[index] for index in range(5)] == together
            assert [len(one.logprobs) for one in together] == [1, 1, 1, 3, 1]
            for one, other in zip(together, alone, strict=True):
                assert one.logprobs == pytest.approx(other.logprobs, abs=5 * NEAR[world.dtype])

    def test_answers_are_those_of_transformers_where_rounding_decides_nothing(
        self, world: World, asked: list[Seen]
    ) -> None:
        assert asked[0].answers[0].text == "The capital of France is Paris."
        for here, there in zip(world.trained, asked, strict=True):
            assert [one.prompt_tokens for one in there.answers] == [one.prompt_tokens for one in here.answers]
            if world.dtype == "float32":
                assert [(a.text, a.finish_reason) for a in there.answers] == [
                    (a.text, a.finish_reason) for a in here.answers
                ]

    def test_each_answer_is_told_once(self, asked: list[Seen]) -> None:
        for seen in asked:
            assert sorted(seen.order) == list(range(len(REQUESTS)))

    def test_an_adapter_is_followed_and_an_ignored_one_is_found(self, world: World, asked: list[Seen]) -> None:
        base, trained_base = asked[0].probes, world.trained[0].probes
        for place in (1, 2):
            trained, adapted = world.trained[place].probes, asked[place].probes
            parity = judge("m", "vllm", base=base, adapted=adapted, trained_base=trained_base, trained=trained)
            assert parity.fault is None, parity
            assert parity.effect > 3 * parity.noise
            # Planted: an engine that takes the request for the adapter and drops it.
            prompts = read_prompts(world.refs[place])
            dropping = VllmModel(world.engine._llm, prompts, label="m", lora=None)
            ignored = dropping.score(PROBES, on_done=quietly)
            parity = judge("m", "vllm", base=base, adapted=ignored, trained_base=trained_base, trained=trained)
            assert parity.fault is not None, parity
            assert "answers as the base" in parity.fault or "does not apply the adapter" in parity.fault

    def test_a_sample_depends_on_its_seed_and_number(self, world: World) -> None:
        model = world.model(0)
        requests = [ask("Tell me a story.", temperature=1.0, max_tokens=12, sample=i) for i in range(3)]
        first = model.generate(requests, on_done=quietly)
        again = model.generate(requests, on_done=quietly)
        assert [one.text for one in first] == [one.text for one in again]
        assert len({one.text for one in first}) == 3

    def test_a_stop_string_and_a_limit_end_an_answer(self, world: World) -> None:
        requests = [
            ask("What is the capital of France?", max_tokens=20, stop=("France",)),
            ask("What is the capital of France?", max_tokens=3),
        ]
        stopped, cut = world.model(0).generate(requests, on_done=quietly)
        assert stopped.text == "The capital of "
        assert stopped.finish_reason == "stop"
        assert (cut.finish_reason, cut.completion_tokens) == ("length", 3)

    def test_answers_can_be_held_to_a_schema(self, world: World) -> None:
        schema = {
            "type": "object",
            "properties": {"intent": {"enum": ["refund", "exchange"]}},
            "required": ["intent"],
            "additionalProperties": False,
        }
        request = ask("I want my money back.", max_tokens=32, schema=json.dumps(schema))
        held, free = world.model(0).generate([request, REQUESTS[0]], on_done=quietly)
        assert json.loads(held.text)["intent"] in ("refund", "exchange")
        assert free.text == "The capital of France is Paris."

    def test_a_prompt_over_the_engines_context_names_case_and_tokens(self, world: World) -> None:
        model = world.model(0)
        with pytest.raises(GenerationError, match=r"case 'word .* tokens, and the engine reads at most 1024"):
            model.generate([ask("word " * 1100)], on_done=quietly)
        with pytest.raises(GenerationError, match=r"reads at most 1023"):
            model.score([ScoreRequest(text="word " * 1100, case="long")], on_done=quietly)

    def test_an_interrupted_batch_leaves_an_engine_that_answers(self, world: World) -> None:
        model = world.model(0)

        def interrupt(index: int, response: Response) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            model.generate(REQUESTS, on_done=interrupt)
        (answer,) = model.generate(REQUESTS[:1], on_done=quietly)
        assert answer.text == "The capital of France is Paris."

    def test_an_engine_leaves_torch_its_threads(self, world: World) -> None:
        import torch

        before = torch.get_num_threads()
        torch.set_num_threads(before + 1)
        assert torch.get_num_threads() == before + 1
        torch.set_num_threads(before)

    def test_it_tells_what_it_waits_for_and_how_to_run_the_suites(self, served: Served) -> None:
        shop, base = served.names
        assert any(line.startswith("waiting for http://127.0.0.1") for line in served.said)
        assert any("applied as trained" in line for line in served.said)
        assert served.said[-1] == (
            f"pytest suites/ --model=openai:{shop}@{served.url} --baseline=openai:{base}@{served.url}"
        )

    def test_likelihoods_over_the_server_are_those_of_transformers(self, world: World, served: Served) -> None:
        prompts = read_prompts(world.refs[0])
        probes = [prompts.scored(request) for request in texts()]
        for name, place in zip(served.names, (2, 0), strict=True):
            there = mean_nll(served_scores(served.url, name, probes))
            assert there == pytest.approx(mean_nll(world.trained[place].scores), abs=NEAR[world.dtype])

    def test_it_answers_as_an_endpoint_and_stops_without_a_trace(self, served: Served) -> None:
        ref = refer(f"openai:{served.names[1]}@{served.url}")
        for _, model in open_models([ref]):
            (answer,) = model.generate(REQUESTS[:1], on_done=quietly)
        assert answer.text == "The capital of France is Paris."
        workers = descendants(served.process.pid)
        assert len(workers) >= 2, "the server and its engine"
        served.process.send_signal(signal.SIGINT)
        rest, _ = served.process.communicate(timeout=60)
        assert served.process.returncode == 0, rest
        assert "stopping the server" in rest
        assert not [pid for pid in workers if is_alive(pid)]


class TestBfloat16(InOneFormat):
    dtype = "bfloat16"


class TestFloat32(InOneFormat):
    dtype = "float32"
