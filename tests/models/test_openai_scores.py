"""Asking a server how likely a text is: what it must give, and what is told where it does not."""

from __future__ import annotations

import pytest

pytest.importorskip("aiohttp")

from served import Reply, Server, completion, refusal

from harness.config import EndpointConfig
from harness.errors import GenerationError
from harness.models import Message, ScoreRequest, TokenScores
from harness.models.openai import EndpointModel


@pytest.fixture
def serve():
    servers = []

    def start(behave, *, url_ends="/v1", **settings):
        servers.append(Server(behave))
        url = servers[-1].url.removesuffix("/v1") + url_ends
        config = EndpointConfig(url=url, model="tiny", timeout=5.0, cooldown=0.05, **settings)
        return servers[-1], EndpointModel(config, label="tiny@here")

    yield start
    for server in servers:
        server.stop()


def vllm(question, times, seen):
    """One token a letter, its log-probability minus its place; BOS stands before a prompt that is text."""
    body, path = seen["body"], seen["path"]
    if path == "/tokenize":
        text = "".join(f"<{m['role']}>{m['content']}" for m in body["messages"]) if "messages" in body else question
        return Reply({"tokens": [ord(c) for c in text]})
    assert path == "/v1/completions"
    assert body["echo"] is True
    tokens = [1, *body["prompt"]] if isinstance(body["prompt"], str) else body["prompt"]
    values = [None, *(-float(i) for i in range(1, len(tokens) + 1))]
    usage = {"prompt_tokens": len(tokens), "completion_tokens": 1}
    return Reply({"choices": [{"text": "…", "logprobs": {"token_logprobs": values}}], "usage": usage})


def told(index: int, scores: TokenScores) -> None:
    """Where nobody listens."""


def test_prose_is_scored_without_the_token_that_follows_nothing(serve):
    _, model = serve(vllm)
    kept = {}
    found = model.score([ScoreRequest(text="abc", case="x")], on_done=kept.__setitem__)
    assert found[0].logprobs == (-1.0, -2.0, -3.0)
    assert kept == {0: found[0]}


def test_of_a_conversation_only_the_answers_own_tokens_are_scored(serve):
    server, model = serve(vllm)
    messages = (Message(role="user", content="hi"),)
    found = model.score([ScoreRequest(text="abc", messages=messages)], on_done=told)
    before = len("<user>hi")
    assert found[0].logprobs == tuple(-float(before + i) for i in range(3))
    asked = [seen for seen in server.seen if "messages" in seen["body"]]
    assert asked[0]["body"]["add_generation_prompt"] is True


def test_choices_share_their_question(serve):
    server, model = serve(vllm)
    messages = (Message(role="user", content="2 + 2?"),)
    choices = [ScoreRequest(text=text, messages=messages) for text in ("4", "five", "4")]
    found = model.score(choices, on_done=told)
    assert found[0] == found[2]
    assert [len(scores.logprobs) for scores in found] == [1, 4, 1]
    assert sum("messages" in seen["body"] for seen in server.seen) == 1
    assert sum(seen["path"] == "/v1/completions" for seen in server.seen) == 2


def test_what_renders_a_conversation_is_told_to_who_renders_it(serve):
    server, model = serve(vllm, extra_body={"chat_template_kwargs": {"thinking": False}, "top_k": 1})
    model.score([ScoreRequest(text="a", messages=(Message(role="user", content="hi"),))], on_done=told)
    rendered = next(seen["body"] for seen in server.seen if "messages" in seen["body"])
    assert rendered["chat_template_kwargs"] == {"thinking": False}
    assert "top_k" not in rendered


def test_a_passing_fault_of_one_step_is_asked_again(serve):
    refused = []

    def behave(question, times, seen):
        if seen["path"] not in refused:
            refused.append(seen["path"])
            return refusal(429, "slow down", retry_after="0")
        return vllm(question, times, seen)

    _, model = serve(behave)
    found = model.score([ScoreRequest(text="a", messages=(Message(role="user", content="hi"),))], on_done=told)
    assert len(found[0].logprobs) == 1
    assert sorted(refused) == ["/tokenize", "/v1/completions"]


def own_tokens_only(question, times, seen):
    """A server that ignores `echo`."""
    return Reply({"choices": [{"logprobs": {"token_logprobs": [-0.5]}}], "usage": {"prompt_tokens": 4}})


@pytest.mark.parametrize(
    ("behave", "words"),
    [
        (lambda *_: refusal(404, "Not Found"), "its /completions gives no token scores (404: Not Found)"),
        (lambda *_: refusal(400, "echo is not supported"), "echo is not supported"),
        (lambda *_: completion("fine"), "its /completions gives no log-probabilities"),
        (own_tokens_only, "does not echo"),
        (lambda *_: Reply({"choices": [{"logprobs": None}]}), "its /completions gives no log-probabilities"),
    ],
    ids=["no such path", "refused", "text only", "echo ignored", "null"],
)
def test_a_server_that_gives_no_scores_is_told_of_at_once_and_nothing_counts_as_zero(serve, behave, words):
    server, model = serve(behave)
    with pytest.raises(GenerationError) as caught:
        model.score([ScoreRequest(text=f"text {i}", case=f"case-{i}") for i in range(3)], on_done=told)
    assert words in str(caught.value)
    assert "Remove token_scores from the endpoint" in str(caught.value)
    assert max(server.asked.values()) == 1


def test_without_tokenize_a_conversation_cannot_be_scored(serve):
    _, model = serve(lambda q, t, seen: refusal(404, "Not Found") if seen["path"] == "/tokenize" else vllm(q, t, seen))
    with pytest.raises(GenerationError, match="its /tokenize gives no token scores"):
        model.score([ScoreRequest(text="a", messages=(Message(role="user", content="hi"),))], on_done=told)


def test_a_model_that_is_not_there_is_not_mistaken_for_a_path_that_is_not(serve):
    _, model = serve(lambda *_: refusal(404, "The model `tiny` does not exist."))
    with pytest.raises(GenerationError, match="The server lists this model"):
        model.score([ScoreRequest(text="a")], on_done=told)


def test_a_missing_probability_in_the_middle_is_no_score(serve):
    def behave(question, times, seen):
        values = [None, -1.0, None, -1.0]
        return Reply({"choices": [{"logprobs": {"token_logprobs": values}}], "usage": {"prompt_tokens": 4}})

    _, model = serve(behave, attempts=1)
    with pytest.raises(GenerationError, match="log-probability of a token is missing"):
        model.score([ScoreRequest(text="a")], on_done=told)
