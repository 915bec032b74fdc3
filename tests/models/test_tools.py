"""Tools and calls reach templates and servers in the form that each reads."""

from __future__ import annotations

import json

import pytest

from harness.config import EndpointConfig
from harness.errors import GoldenSetError
from harness.golden import load_golden_set
from harness.models import FunctionCall, Message, Request, ToolCall
from harness.models.openai.asking import _body
from harness.models.tools import chat_messages, functions
from harness.store import response_key

WEATHER = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
CALL = ToolCall(function=FunctionCall(name="weather", arguments='{"city": "巴黎"}'))
CONVERSATION = (
    Message(role="user", content="巴黎和罗马的天气？"),
    Message(role="assistant", content="", tool_calls=(CALL, CALL)),
    Message(role="tool", content="17"),
    Message(role="tool", content="21"),
)


def test_calls_get_ids_and_results_answer_them_in_order() -> None:
    sent = chat_messages(CONVERSATION, arguments=str)
    assert [call["id"] for call in sent[1]["tool_calls"]] == ["call00001", "call00002"]
    assert [message["tool_call_id"] for message in sent[2:]] == ["call00001", "call00002"]


def test_arguments_are_text_for_servers_and_an_object_for_templates() -> None:
    for kind, wanted in ((str, '{"city": "巴黎"}'), (dict, {"city": "巴黎"})):
        sent = chat_messages(CONVERSATION, arguments=kind)
        assert sent[1]["tool_calls"][0]["function"] == {"name": "weather", "arguments": wanted}


def test_ids_of_the_case_are_kept() -> None:
    turns = (
        Message(role="assistant", content="", tool_calls=(ToolCall(function=FunctionCall(name="f"), id="x"), CALL)),
        Message(role="tool", content="b", tool_call_id="call00002"),
        Message(role="tool", content="a"),
    )
    assert [m["tool_call_id"] for m in chat_messages(turns, arguments=str)[1:]] == ["call00002", "x"]


def test_a_plain_conversation_is_sent_as_ever() -> None:
    turns = (Message(role="system", content="a"), Message(role="user", content="b"))
    assert chat_messages(turns, arguments=str) == [
        {"role": "system", "content": "a"},
        {"role": "user", "content": "b"},
    ]


def test_a_server_is_sent_the_tools_in_their_envelope() -> None:
    body = _body(EndpointConfig(url="http://127.0.0.1/v1", model="m"), Request(messages=CONVERSATION, tools=(WEATHER,)))
    assert body["tools"] == functions([WEATHER]) == [{"type": "function", "function": WEATHER}]
    assert "tools" not in _body(EndpointConfig(url="http://127.0.0.1/v1", model="m"), Request(messages=CONVERSATION))


def test_tools_are_part_of_the_store_key_and_their_absence_is_not(refer, tmp_path) -> None:
    (tmp_path / "m.jsonl").write_text('{"id": "a", "output": "x"}\n')
    ref = refer(f"scripted:{tmp_path / 'm.jsonl'}")
    plain = Request(messages=(Message(role="user", content="hi"),))
    assert response_key(ref, plain) != response_key(ref, Request(messages=plain.messages, tools=(WEATHER,)))
    # As before there were tools: answers that are stored are found again.
    import hashlib

    asked = (
        '[[{"role":"user","content":"hi"}],{"max_tokens":256,"temperature":0.0,"top_p":1.0,"stop":[],"seed":0},0,0,""]'
    )
    identity = json.dumps([1, "response", ref.digest, "scripted", "none"], separators=(",", ":")) + "\n"
    assert response_key(ref, plain) == hashlib.sha256((identity + asked).encode()).hexdigest()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"tools": [{"description": "x"}]}, "tools[0] has no name"),
        ({"tools": [{"name": "f", "parameters": 3}]}, "tools[0] (f) has parameters that are no JSON Schema object"),
        ({"tools": [{"type": "retrieval", "function": {"name": "f"}}]}, "is of type 'retrieval'"),
        ({"tools": [{"name": "f"}, {"name": "f"}]}, "two tools that are called 'f'"),
        (
            {"tools": [{"name": "weather"}], "call": {"function": {"name": "wether"}}},
            "unknown tool 'wether': did you mean 'weather'?",
        ),
        ({"call": {"function": {"name": "f", "arguments": "[1]"}}}, "are not the text of a JSON object: '[1]'"),
        ({"call": {"function": {"name": "f"}}, "role": "user"}, "which only an assistant makes"),
    ],
)
def test_a_mistake_in_a_case_is_told_with_its_line(tmp_path, fields, words) -> None:
    fields = dict(fields)
    call, role = fields.pop("call", None), fields.pop("role", "assistant")
    turns = [{"role": "user", "content": "?"}]
    if call:
        turns = [*turns, {"role": role, "content": "", "tool_calls": [call]}, {"role": "tool", "content": "x"}]
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps({"id": "a-case", "messages": turns, **fields}) + "\n")
    with pytest.raises(GoldenSetError) as caught:
        load_golden_set(file, root=tmp_path)
    assert "a.jsonl:1: case 'a-case'" in str(caught.value)
    assert words in str(caught.value)
