"""OpenAI's own client as the oracle: what we send to a server, and what we read in its answer."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest
from served import Server, completion

from harness.config import EndpointConfig
from harness.models import Message, Request, Response, Sampling
from harness.models.openai import EndpointModel

KEY = "sk-planted-in-the-environment"
SYSTEM, QUESTION = "Answer in one word. 用一个词回答。", "What is the capital of France? ✓"
ANSWER = "Paris — 巴黎"


def ignore(index: int, response: Response) -> None:
    """Nothing is kept."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(lambda question, times, seen: completion(ANSWER, finish="length", usage=(21, 7)))
    yield server
    server.stop()


@pytest.fixture
def ours(server: Server, monkeypatch: pytest.MonkeyPatch) -> EndpointModel:
    monkeypatch.setenv("PLANTED", KEY)
    config = EndpointConfig(url=server.url, model="tiny", api_key_env="PLANTED", extra_body={"top_k": 5})
    return EndpointModel(config, label="tiny@here")


def test_the_same_call_is_sent_and_the_same_answer_read(server: Server, ours: EndpointModel) -> None:
    messages = (Message(role="system", content=SYSTEM), Message(role="user", content=QUESTION))
    sampling = Sampling(temperature=0.7, top_p=0.9, max_tokens=7, seed=3)
    (read,) = ours.generate([Request(messages=messages, case="france", sampling=sampling)], on_done=ignore)
    with openai.OpenAI(base_url=server.url, api_key=KEY, max_retries=0) as client:
        told = client.chat.completions.create(
            model="tiny",
            messages=[{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}],
            temperature=0.7,
            top_p=0.9,
            max_tokens=7,
            seed=3,
            extra_body={"top_k": 5},
        )
    mine, oracle = server.seen
    assert mine["path"] == oracle["path"]
    assert mine["body"] == oracle["body"]
    for name in ("authorization", "content-type"):
        assert mine["headers"][name] == oracle["headers"][name]
    choice = told.choices[0]
    assert (read.text, read.finish_reason) == (choice.message.content, choice.finish_reason)
    assert told.usage is not None
    assert (read.prompt_tokens, read.completion_tokens) == (told.usage.prompt_tokens, told.usage.completion_tokens)


def test_a_users_settings_for_that_client_do_not_reach_a_server(
    server: Server, ours: EndpointModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What sets the two apart, and why: the client sends all of these to whatever host it is pointed at."""
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-the-user")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Internal: of-the-user")
    ours.generate([Request(messages=(Message(role="user", content=QUESTION),), case="france")], on_done=ignore)
    with openai.OpenAI(base_url=server.url, api_key=KEY, max_retries=0) as client:
        client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": QUESTION}])
    mine, oracle = (" ".join(seen["headers"].values()) for seen in server.seen)
    assert "of-the-user" in oracle
    assert "of-the-user" not in mine
