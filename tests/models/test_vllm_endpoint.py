"""vLLM's own server as an endpoint: the likelihoods it gives are those of transformers, and a schema holds."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("aiohttp")

from harness.config import EndpointConfig
from harness.errors import GenerationError
from harness.models import Message, Request, Sampling, ScoreRequest, smollm2
from harness.models.openai import EndpointModel
from harness.models.opening import open_models
from harness.models.resolution import Surroundings, resolve

pytestmark = pytest.mark.vllm

QUESTION = (Message(role="user", content="What is the capital of France?"),)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(smollm2.ensure())),
        *("--served-model-name", "smollm2", "--host", "127.0.0.1", "--port", str(port), "--dtype", "float32"),
        *("--max-model-len", "1024", "--max-num-seqs", "16", "--enforce-eager"),
    ]
    log = tmp_path_factory.mktemp("vllm") / "log"
    with log.open("w") as out:
        settings = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1"}
        server = subprocess.Popen(command, stdout=out, stderr=out, env=settings, start_new_session=True)
    try:
        deadline = time.monotonic() + 400
        while True:
            assert server.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                break
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, 9)
        server.wait()


def model(url: str, name: str = "smollm2") -> EndpointModel:
    return EndpointModel(EndpointConfig(url=url, model=name, token_scores="all"), label="vllm")


def test_answers_in_a_conversation_are_as_likely_as_transformers_says(url: str) -> None:
    asked = [ScoreRequest(text=text, messages=QUESTION) for text in ("The capital of France is Paris.", "Berlin")]
    there = model(url).score(asked, on_done=lambda *_: None)
    ref = resolve("smollm2", Surroundings(root=Path.cwd(), device="cpu", dtype="float32"))
    for _, local in open_models([ref]):
        here = local.score(asked, on_done=lambda *_: None)
    for far, near in zip(there, here, strict=True):
        assert far.logprobs == pytest.approx(near.logprobs, abs=1e-3)


def test_prose_has_a_likelihood(url: str) -> None:
    (found,) = model(url).score([ScoreRequest(text="The tide comes in twice a day.")], on_done=lambda *_: None)
    assert 1 < found.nll < 9
    assert 5 < len(found.logprobs) < 12


def test_a_text_beyond_the_context_and_an_unknown_model_are_told_apart(url: str) -> None:
    with pytest.raises(GenerationError, match="case 'long': longer than the model's context"):
        model(url).score([ScoreRequest(text="word " * 3000, case="long")], on_done=lambda *_: None)
    with pytest.raises(GenerationError, match="unknown model 'smollm'"):
        model(url, "smollm").score([ScoreRequest(text="a", messages=QUESTION)], on_done=lambda *_: None)


def test_a_schema_holds_the_answer(url: str) -> None:
    schema = {"type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}}, "required": ["city"]}
    sampling = Sampling(max_tokens=30, schema=json.dumps({**schema, "additionalProperties": False}))
    (found,) = model(url).generate([Request(messages=QUESTION, sampling=sampling)], on_done=lambda *_: None)
    assert json.loads(found.text)["city"] in ("Paris", "Rome")
