"""Asking a server: every way in which it can fail is bounded and explained, and what was answered is kept."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time

import pytest

pytest.importorskip("aiohttp")

from served import Reply, Server, completion, refusal

from harness.config import EndpointConfig
from harness.errors import GenerationError, ModelError
from harness.models import Message, Request, Response, Sampling
from harness.models.openai import EndpointModel, asking, batch

KEY = "sk-planted-in-the-environment"


def requests(n: int, **fields: object) -> list[Request]:
    return [
        Request(messages=(Message(role="user", content=f"question {i}"),), case=f"case-{i}", **fields) for i in range(n)
    ]


@pytest.fixture
def serve(monkeypatch):
    """Start a server that behaves so; gives it and a model that asks it, with times that suit a test."""
    servers = []
    monkeypatch.setattr(batch, "_BACKOFF_S", 0.02)
    monkeypatch.setattr(batch, "GRACE", 0.2)
    monkeypatch.setattr(asking, "GRACE", 0.2)
    monkeypatch.setenv("PLANTED", KEY)

    def start(behave, *, latency=0.0, models=("tiny",), **settings):
        server = Server(behave, latency=latency, models=models)
        servers.append(server)
        fields = {"model": "tiny", "timeout": 5.0, "cooldown": 0.05, "api_key_env": "PLANTED", **settings}
        return server, EndpointModel(EndpointConfig(url=server.url, **fields), label="tiny@here")

    yield start
    for server in servers:
        server.stop()


class Kept:
    """What `on_done` was told."""

    def __init__(self) -> None:
        self.answers: dict[int, Response] = {}

    def __call__(self, index: int, response: Response) -> None:
        self.answers[index] = response


def refused(model: EndpointModel, asks: list[Request], kept: Kept | None = None) -> str:
    with pytest.raises(GenerationError) as caught:
        model.generate(asks, on_done=kept or Kept())
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None
    return str(caught.value)


def echo(question, times, seen):
    return completion(f"answer to {question}")


def test_answers_come_in_order_and_are_told_as_they_come(serve):
    server, model = serve(echo)
    kept = Kept()
    found = model.generate(requests(5), on_done=kept)
    assert [r.text for r in found] == [f"answer to question {i}" for i in range(5)]
    assert kept.answers == dict(enumerate(found))
    assert (found[0].prompt_tokens, found[0].completion_tokens) == (10, 5)
    sent = server.seen[0]
    assert sent["path"] == "/v1/chat/completions"
    assert sent["headers"]["authorization"] == f"Bearer {KEY}"
    assert sent["body"] == {
        "model": "tiny",
        "messages": sent["body"]["messages"],
        "max_tokens": 256,
        "temperature": 0.0,
        "top_p": 1.0,
        "seed": 0,
    }


def test_requests_are_open_together(serve):
    server, model = serve(echo, latency=0.1)
    model.generate(requests(100), on_done=Kept())
    assert server.most_open > 20


def test_identical_requests_are_asked_once_but_samples_and_replicas_are_not(serve):
    server, model = serve(echo)
    same = requests(1) * 3
    samples = requests(1, sample=1) + requests(1, replica=1)
    kept = Kept()
    model.generate(same + samples, on_done=kept)
    assert server.asked["question 0"] == 3
    assert sorted(kept.answers) == [0, 1, 2, 3, 4]
    assert len({seen["body"]["seed"] for seen in server.seen}) == 3


def test_a_server_without_a_key_is_sent_none_of_the_users(serve, monkeypatch):
    for name in ("API_KEY", "ADMIN_KEY", "ORG_ID", "PROJECT_ID"):
        monkeypatch.setenv(f"OPENAI_{name}", "belongs-to-another-provider")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Team: belongs-to-another-provider")
    server, model = serve(echo, api_key_env=None)
    model.generate(requests(1), on_done=Kept())
    assert "belongs-to-another-provider" not in str(server.seen[0]["headers"])


def test_settings_of_the_endpoint_go_into_every_request(serve):
    server, model = serve(
        echo, headers={"X-Plain": "a", "X-Secret": "env:PLANTED"}, extra_body={"top_k": 1}, omit=("seed",)
    )
    model.generate(requests(1, sampling=Sampling(stop=("END",))), on_done=Kept())
    body, headers = server.seen[0]["body"], server.seen[0]["headers"]
    assert body["top_k"] == 1
    assert body["stop"] == ["END"]
    assert "seed" not in body
    assert (headers["x-plain"], headers["x-secret"]) == ("a", KEY)


def test_an_own_header_replaces_the_one_made_of_the_key(serve):
    server, model = serve(echo, headers={"authorization": "Basic env"})
    model.generate(requests(1), on_done=Kept())
    assert server.seen[0]["headers"]["authorization"] == "Basic env"


def test_tool_calls_are_kept_as_the_answer(serve):
    call = {"id": "call_1", "function": {"name": "refund", "arguments": '{"order": 7}'}}
    _, model = serve(lambda *_: completion(None, finish="tool_calls", tool_calls=[call]))
    found = model.generate(requests(1), on_done=Kept())[0]
    assert found.text == '[{"name":"refund","arguments":{"order":7}}]'
    assert [(c.id, c.function.name, c.function.arguments) for c in found.tool_calls] == [
        ("call_1", "refund", '{"order": 7}')
    ]


@pytest.mark.parametrize(("said", "kept"), [({"order": 7}, '{"order":7}'), ('{"order": ', '{"order": ')])
def test_arguments_of_a_call_are_kept_as_the_server_wrote_them(serve, said, kept):
    """Some servers send an object, and some models write no JSON."""
    call = {"function": {"name": "refund", "arguments": said}}
    _, model = serve(lambda *_: completion("I refund it.", finish="tool_calls", tool_calls=[call]))
    found = model.generate(requests(1), on_done=Kept())[0]
    assert found.text == "I refund it."
    assert found.tool_calls[0].function.arguments == kept


def test_a_schema_is_sent_as_the_format_of_the_answer(serve):
    server, model = serve(echo)
    asked = requests(1, sampling=Sampling(schema='{"type":"object"}')) + requests(1)
    model.generate(asked, on_done=Kept())
    formats = sorted((str(seen["body"].get("response_format")) for seen in server.seen), key=len)
    assert formats[0] == "None"
    held = next(seen["body"]["response_format"] for seen in server.seen if "response_format" in seen["body"])
    assert held == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": {"type": "object"}},
    }


def test_an_answer_cut_off_at_max_tokens_says_so(serve):
    _, model = serve(lambda *_: completion("half an ans", finish="length"))
    assert model.generate(requests(1), on_done=Kept())[0].finish_reason == "length"


@pytest.mark.parametrize(
    "first",
    [
        refusal(429, "slow down"),
        refusal(500, "oops"),
        Reply(b"<html>not JSON", status=200),
        Reply({"choices": []}),
        Reply({"choices": [{"message": {"content": "x" * 500}}]}, cut=40),
    ],
    ids=["429", "500", "malformed", "no choices", "half-closed"],
)
def test_a_passing_fault_is_asked_again(serve, first):
    server, model = serve(lambda question, times, seen: first if times == 1 else completion("fine"))
    found = model.generate(requests(4), on_done=Kept())
    assert [r.text for r in found] == ["fine"] * 4
    assert set(server.asked.values()) == {2}


@pytest.mark.parametrize(
    ("always", "told"),
    [
        (refusal(429, "slow down"), "too many requests (429: slow down)"),
        (refusal(503, "no worker is free"), "the server failed (503: no worker is free)"),
        (Reply(b"<html>not JSON"), "not a chat completion"),
        (Reply({"choices": []}), "no choices"),
        (Reply({"choices": [{"message": {"content": "x" * 500}}]}, cut=40), "connection ended before"),
    ],
    ids=["429", "503", "malformed", "no choices", "half-closed"],
)
def test_a_lasting_fault_is_given_up_and_what_was_answered_is_kept(serve, always, told):
    kept = Kept()
    server, model = serve(
        lambda question, times, seen: completion("fine") if question == "question 0" else always, in_flight=1
    )
    message = refused(model, requests(3), kept)
    assert told in message
    assert "1 of 3 answered, and kept" in message
    assert list(kept.answers) == [0]
    assert max(server.asked.values()) <= 2 * 5


def test_a_refusal_that_names_an_hour_is_not_waited_for(serve):
    _, model = serve(lambda *_: refusal(429, "come back later", retry_after="3600"))
    began = time.monotonic()
    assert "come back later" in refused(model, requests(2))
    assert time.monotonic() - began < 5


def test_retry_after_is_waited_for(serve):
    times = []

    def behave(question, asked, seen):
        times.append(time.monotonic())
        return refusal(429, "wait", retry_after="0.4") if asked == 1 else completion("fine")

    _, model = serve(behave)
    model.generate(requests(1), on_done=Kept())
    assert times[1] - times[0] >= 0.4


def test_an_answer_that_never_comes_is_given_up(serve):
    def behave(question, times, seen):
        if question == "question 1":
            time.sleep(1.0)
        return completion("fine")

    kept = Kept()
    _, model = serve(behave, timeout=0.2)
    assert "'case-1': no answer within 0.2 s" in refused(model, requests(3), kept)
    assert sorted(kept.answers) == [0, 2]


def test_no_server_is_said_soon(serve):
    server, model = serve(echo)
    server.stop()
    assert "nothing answers there" in refused(model, requests(2))


def test_a_server_that_restarts_in_mid_run_is_waited_for(serve):
    state = {}

    def behave(question, times, seen):
        if question == "question 3" and "restarted" not in state:
            state["restarted"] = True
            server.stop()
            time.sleep(0.3)
            server.start()
            return refusal(503, "shutting down")
        return completion("fine")

    server, model = serve(behave, in_flight=2, max_in_flight=2)
    assert [r.text for r in model.generate(requests(8), on_done=Kept())] == ["fine"] * 8


def test_a_wrong_model_name_offers_the_nearest(serve):
    _, model = serve(lambda *_: refusal(404, "no such model"), models=("tiny-chat", "large"), model="tiny-chta")
    assert "unknown model 'tiny-chta': did you mean 'tiny-chat'? Known: large, tiny-chat" in refused(model, requests(3))


def test_a_case_that_is_too_long_is_named_with_its_tokens_and_the_others_are_answered(serve):
    def behave(question, times, seen):
        if question == "question 1":
            said = "This model's maximum context length is 2048 tokens. However, you requested 3000 tokens"
            return refusal(400, said, "context_length_exceeded")
        return completion("fine")

    kept = Kept()
    server, model = serve(behave)
    message = refused(model, requests(3), kept)
    assert "case 'case-1': longer than the model's context" in message
    assert "3000 tokens" in message
    assert sorted(kept.answers) == [0, 2]
    assert server.asked["question 1"] == 1


def test_where_the_server_counts_no_tokens_the_length_is_estimated(serve):
    _, model = serve(lambda *_: refusal(400, "prompt is too long"))
    long = [Request(messages=(Message(role="user", content="x" * 4000),), case="long")]
    assert "case 'long'" in (message := refused(model, long))
    assert "about 1000 tokens by its length" in message


@pytest.mark.parametrize(
    "stopped",
    [
        refusal(400, "The response was filtered due to the prompt triggering the content policy", "content_filter"),
        completion("half an", finish="content_filter"),
    ],
    ids=["before the model", "behind it"],
)
def test_what_a_filter_stops_is_no_answer_and_the_others_are_answered(serve, stopped):
    kept = Kept()
    server, model = serve(lambda question, *_: stopped if question == "question 1" else completion("fine"))
    message = refused(model, requests(3), kept)
    assert "case 'case-1': a content filter of the server's stopped it" in message
    assert "says nothing of the model" in message
    assert sorted(kept.answers) == [0, 2]
    assert server.asked["question 1"] == 1


def test_an_answer_that_the_server_broke_off_is_asked_again(serve):
    def behave(question, times, seen):
        return completion("half an", finish="abort") if times == 1 else completion("fine")

    _, model = serve(behave)
    assert model.generate(requests(1), on_done=Kept())[0].text == "fine"


def test_a_connection_that_sends_half_and_then_nothing_is_given_up(serve):
    """The server promises a body, sends its beginning, and keeps the connection open."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    kept.append(connection)
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")

        kept: list[socket.socket] = []
        threading.Thread(target=answer, daemon=True).start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        model = EndpointModel(EndpointConfig(url=url, model="tiny", timeout=0.2), label="tiny@here")
        assert "no answer within 0.2 s" in refused(model, requests(2))
        assert len(kept) >= 3
    for connection in kept:
        connection.close()


def test_a_connection_that_is_closed_after_headers_is_asked_again(serve):
    half = Reply({"choices": [{"message": {"content": "x" * 500}}]}, cut=0)
    _, model = serve(lambda question, times, seen: half if times == 1 else completion("fine"))
    assert model.generate(requests(1), on_done=Kept())[0].text == "fine"


def test_half_of_a_key_does_not_survive_the_cut_of_a_long_message(serve):
    for start in range(280, 320, 7):
        _, model = serve(lambda *_, n=start: refusal(500, "x" * n + KEY), attempts=1)
        with pytest.raises(GenerationError) as caught:
            model.generate(requests(1), on_done=Kept())
        assert KEY[:8] not in str(caught.value)


def test_neither_netrc_nor_cookies_are_sent(serve, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login someone password belongs-to-another\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))

    def behave(question, times, seen):
        reply = completion("fine")
        reply.headers["Set-Cookie"] = "session=1"
        return reply

    server, model = serve(behave, api_key_env=None, in_flight=1)
    model.generate(requests(2), on_done=Kept())
    assert all(not {"authorization", "cookie"} & set(seen["headers"]) for seen in server.seen)


def test_a_key_that_is_not_set_is_named(monkeypatch):
    monkeypatch.delenv("NOT_SET", raising=False)
    endpoint = EndpointConfig(url="http://127.0.0.1:1/v1", model="m", api_key_env="NOT_SET")
    with pytest.raises(ModelError, match="NOT_SET, which is not set"):
        EndpointModel(endpoint, label="here")


def test_a_refused_key_is_told_at_once_and_never_shown(serve):
    server, model = serve(lambda *_: refusal(401, f"Incorrect API key provided: {KEY}"), in_flight=1)
    assert "PLANTED" in refused(model, requests(5))
    assert sum(server.asked.values()) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 200])
def test_a_key_that_the_server_repeats_reaches_neither_error_nor_log_nor_answer(serve, caplog, status):
    caplog.set_level(logging.DEBUG)
    leak = f"you sent {KEY}"
    _, model = serve(lambda *_: completion(leak) if status == 200 else refusal(status, leak), attempts=2)
    if status == 200:
        assert model.generate(requests(1), on_done=Kept())[0].text == "you sent ***"
    else:
        refused(model, requests(1))
    assert KEY not in caplog.text


def test_a_redirect_is_not_followed(serve):
    elsewhere, _ = serve(echo)
    there = {"Location": elsewhere.url + "/chat/completions"}
    _, model = serve(lambda *_: Reply({}, status=307, headers=there))
    assert "not followed" in refused(model, requests(1))
    assert not elsewhere.seen
