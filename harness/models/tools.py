"""Tools that a model may call: their definitions, and the messages about them, in the form that engines read.

That form is OpenAI's; chat templates read it too, but for arguments, which they want as an object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from harness.models import Message


def fault_of_tool(tool: Mapping[str, Any]) -> str | None:
    """What is wrong with a definition, in words; None if nothing."""
    function = tool.get("function", tool)
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str) or not function["name"]:
        return 'has no name. A tool is {"name": …, "description": …, "parameters": {a JSON Schema}}'
    parameters = function.get("parameters", {})
    if not isinstance(parameters, Mapping):
        return f"({function['name']}) has parameters that are no JSON Schema object"
    if "function" in tool and tool.get("type", "function") != "function":
        return f"({function['name']}) is of type {tool['type']!r}: only functions can be offered"
    return None


def tool_names(tools: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names under which the tools can be called."""
    return [str(tool.get("function", tool)["name"]) for tool in tools]


def functions(tools: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The definitions as engines read them; a bare one is put into its envelope."""
    return [dict(tool) if "function" in tool else {"type": "function", "function": dict(tool)} for tool in tools]


def chat_messages(messages: Sequence[Message], *, arguments: type[str] | type[dict[str, Any]]) -> list[dict[str, Any]]:
    """A conversation as engines read it, with the calls' `arguments` as text (servers) or as an object (templates).

    Calls without an id get one, and results that name none are taken to answer the open calls in their order.
    """
    found: list[dict[str, Any]] = []
    waiting: list[str] = []
    calls = 0
    for message in messages:
        told: dict[str, Any] = {"role": message.role, "content": message.content}
        if message.name is not None:
            told["name"] = message.name
        if message.tool_calls:
            told["tool_calls"] = []
            for call in message.tool_calls:
                calls += 1
                # Nine letters and digits, as the strictest templates (Mistral's) ask for.
                name = call.id or f"call{calls:05d}"
                waiting.append(name)
                text = call.function.arguments
                said: object = text if arguments is str else msgspec.json.decode(text)
                function = {"name": call.function.name, "arguments": said}
                told["tool_calls"].append({"id": name, "type": "function", "function": function})
        elif message.role == "tool":
            answered = message.tool_call_id or (waiting[0] if waiting else None)
            if answered is not None:
                told["tool_call_id"] = answered
            if answered in waiting:
                waiting.remove(answered)
        found.append(told)
    return found


def conversation_text(messages: Sequence[Message], tools: Sequence[str] = ()) -> str:
    """A conversation to be read: a question as it is; more turns with who says them, calls and tools by name."""
    if len(messages) == 1 and messages[0].role == "user" and not tools:
        return messages[0].content
    turns = [f"tools: {', '.join(tools)}"] if tools else []
    for message in messages:
        calls = [f"{call.function.name}({call.function.arguments})" for call in message.tool_calls]
        turns.append(" ".join([f"{message.role}:", *([message.content] if message.content else []), *calls]))
    return "\n\n".join(turns)
