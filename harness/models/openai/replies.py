"""What a server sent back: an answer, or why it is none. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from harness.models import Response

#: What stands in place of a secret, wherever a server may repeat it.
HIDDEN = "***"

_SHOWN = 300

Kind = Literal[
    "limited",  # 429
    "failed",  # 5xx
    "slow",  # no answer in time
    "unreachable",  # no connection
    "broken",  # a connection that ended in mid-answer
    "unreadable",  # not the protocol's JSON, or no answer in it
    "denied",  # 401, 403: the same for every request
    "unknown",  # 404: the same for every request
    "overflow",  # this request is longer than the model's context
    "rejected",  # this request is wrong in another way
]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Why there is no answer. `told` is the sentence for the user; `after` what the server's Retry-After said."""

    kind: Kind
    told: str
    after: float | None = None


class _Function(msgspec.Struct, frozen=True):
    name: str = ""
    arguments: str | dict[str, Any] = ""


class _ToolCall(msgspec.Struct, frozen=True):
    function: _Function = _Function()


class _Part(msgspec.Struct, frozen=True):
    text: str = ""


class _Message(msgspec.Struct, frozen=True):
    content: str | list[_Part] | None = None
    tool_calls: list[_ToolCall] | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    message: _Message
    finish_reason: str | None = None


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Completion(msgspec.Struct, frozen=True):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None


_completion = msgspec.json.Decoder(_Completion)


def read_completion(body: bytes) -> Response | Fault:
    """The answer in the body of a 200; a Fault where there is none.

    An answer is the message's content. Where there is none but calls of tools, it is these, as a JSON list of
    `{"name", "arguments"}`. Thinking that a server puts beside the content is no part of it.
    """
    try:
        completion = _completion.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Fault(kind="unreadable", told=f"the answer is not a chat completion ({error}): {_excerpt(body)}")
    if not completion.choices:
        return Fault(kind="unreadable", told=f"the answer has no choices: {_excerpt(body)}")
    choice, usage = completion.choices[0], completion.usage or _Usage()
    return Response(
        text=_text(choice.message),
        finish_reason="length" if choice.finish_reason == "length" else "stop",
        prompt_tokens=usage.prompt_tokens or 0,
        completion_tokens=usage.completion_tokens or 0,
    )


def read_refusal(status: int, body: bytes, headers: Iterable[tuple[str, str]]) -> Fault:
    """What an answer with another status than 200 means."""
    said, code = _complaint(body)
    quoted = f"{status}: {said}" if said else f"status {status}"
    if status in (401, 403):
        # Never quoted: servers like to repeat the key that they refuse.
        return Fault(kind="denied", told=f"the server refuses the key (status {status})")
    if status == 429:
        if code == "insufficient_quota":
            return Fault(kind="denied", told=f"the account has no credit left ({quoted})")
        return Fault(kind="limited", told=f"too many requests ({quoted})", after=_retry_after(headers))
    if status >= 500 or status in (408, 409, 425):
        return Fault(kind="failed", told=f"the server failed ({quoted})", after=_retry_after(headers))
    if status == 404 or code == "model_not_found":
        return Fault(kind="unknown", told=quoted)
    if status < 400:
        return Fault(kind="unknown", told=f"the server sends elsewhere (status {status}), which is not followed")
    if code in ("context_length_exceeded", "exceed_context_size_error") or _OVERFLOW.search(said):
        return Fault(kind="overflow", told=f"longer than the model's context ({quoted}{_counted(body, said)})")
    return Fault(kind="rejected", told=f"the server rejects it ({quoted})")


def hide(text: str, secrets: Iterable[str]) -> str:
    """`text` with every secret in it made unreadable."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text


_OVERFLOW = re.compile(
    r"context (length|size|window)|maximum (context|prompt|input)|(prompt|input) is too long|max_model_len|"
    r"too many (input )?tokens",
    re.IGNORECASE,
)


def _text(message: _Message) -> str:
    content = message.content
    text = content if isinstance(content, str) else "".join(part.text for part in content or ())
    if not text and message.tool_calls:
        calls = [{"name": c.function.name, "arguments": _arguments(c.function)} for c in message.tool_calls]
        return msgspec.json.encode(calls).decode()
    return text or message.refusal or ""


def _arguments(function: _Function) -> object:
    """The arguments as JSON where they are; a model's invalid JSON is kept as the text it is."""
    if not isinstance(function.arguments, str):
        return function.arguments
    try:
        found: object = msgspec.json.decode(function.arguments)
    except msgspec.DecodeError:
        return function.arguments
    return found


def _complaint(body: bytes) -> tuple[str, str]:
    """The message and code in the body of an error; servers agree on neither's place."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _excerpt(body), ""
    error = document.get("error", document) if isinstance(document, dict) else document
    if not isinstance(error, dict):
        return _cut(str(error)), ""
    said = error.get("message") or error.get("detail") or ""
    codes = [str(error.get(key) or "") for key in ("code", "type")]
    code = next((c for c in codes if "_" in c and not c.startswith("invalid_request")), "")
    return _cut(str(said)), code


def _counted(body: bytes, said: str) -> str:
    """The number of tokens, where a server tells it beside the message (llama.cpp)."""
    found = re.search(rb'"n_prompt_tokens"\s*:\s*(\d+)', body)
    return f"; {found[1].decode()} tokens" if found and found[1].decode() not in said else ""


def _retry_after(headers: Iterable[tuple[str, str]]) -> float | None:
    """Seconds; a date, or no number, counts as not told."""
    found = {name.lower(): value for name, value in headers}
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(found[name]) * scale
        except (KeyError, ValueError):
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    return None


def _excerpt(body: bytes) -> str:
    return _cut(body.decode("utf-8", errors="replace")) or "(empty)"


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 3] + "..."
