"""What a server sent back: an answer, or why it is none. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from harness.models import FunctionCall, Response, TokenScores, ToolCall

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
    "filtered",  # a filter before or behind the model stopped this one
    "unscored",  # no log-probabilities of a prompt: the same for every text
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
    id: str | None = None


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


class _Logprobs(msgspec.Struct, frozen=True):
    token_logprobs: list[float | None]


class _Echo(msgspec.Struct, frozen=True):
    logprobs: _Logprobs | None = None


class _Echoes(msgspec.Struct, frozen=True):
    choices: list[_Echo]
    usage: _Usage = _Usage()


class _Tokens(msgspec.Struct, frozen=True):
    tokens: list[int]


class _Listed(msgspec.Struct, frozen=True):
    id: str


class _ModelList(msgspec.Struct, frozen=True):
    data: list[_Listed]


_completion = msgspec.json.Decoder(_Completion)
_echoes = msgspec.json.Decoder(_Echoes)
_tokens = msgspec.json.Decoder(_Tokens)
_model_list = msgspec.json.Decoder(_ModelList)


def read_completion(body: bytes) -> Response | Fault:
    """The answer in the body of a 200; a Fault where there is none.

    An answer's text is the message's content. Where there is none but calls of tools, it is these, as a JSON list of
    `{"name", "arguments"}`. Thinking that a server puts beside the content is no part of it.
    """
    try:
        completion = _completion.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Fault(kind="unreadable", told=f"the answer is not a chat completion ({error}): {_excerpt(body)}")
    if not completion.choices:
        return Fault(kind="unreadable", told=f"the answer has no choices: {_excerpt(body)}")
    choice, usage = completion.choices[0], completion.usage or _Usage()
    if choice.finish_reason == "content_filter":
        return Fault(kind="filtered", told=_FILTERED)
    if choice.finish_reason in ("abort", "error"):
        return Fault(kind="failed", told=f"the server broke off the answer (finish_reason {choice.finish_reason!r})")
    return Response(
        text=_text(choice.message),
        finish_reason="length" if choice.finish_reason == "length" else "stop",
        prompt_tokens=usage.prompt_tokens or 0,
        completion_tokens=usage.completion_tokens or 0,
        tool_calls=tuple(_call(call) for call in choice.message.tool_calls or ()),
    )


def read_refusal(status: int, body: bytes, headers: Mapping[str, str]) -> Fault:
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
    if code == "content_filter":
        return Fault(kind="filtered", told=f"{_FILTERED} ({quoted})")
    if code in ("context_length_exceeded", "exceed_context_size_error") or _OVERFLOW.search(said):
        return Fault(kind="overflow", told=f"longer than the model's context ({quoted}{_counted(body, said)})")
    return Fault(kind="rejected", told=f"the server rejects it ({quoted})")


def read_tokens(body: bytes) -> list[int] | Fault:
    """The tokens in the body of a 200 of /tokenize."""
    try:
        return _tokens.decode(body).tokens
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Fault(kind="unscored", told=f"its /tokenize gives no tokens ({error}): {_excerpt(body)}")


def read_echo(body: bytes, *, last: int | None) -> TokenScores | Fault:
    """The log-probabilities of a prompt's tokens in the body of a 200 of /completions: of the `last` ones, or of all.

    The first token of all has none where nothing stands before it. Servers that do not know `echo` answer with those
    of the tokens that they wrote themselves: these are not mistaken for the prompt's.
    """
    try:
        found = _echoes.decode(body)
        values = found.choices[0].logprobs.token_logprobs  # type: ignore[union-attr]
    except (msgspec.DecodeError, UnicodeDecodeError, IndexError, AttributeError) as error:
        return Fault(kind="unscored", told=f"its /completions gives no log-probabilities ({error}): {_excerpt(body)}")
    count = found.usage.prompt_tokens
    if not count or len(values) < max(count, last or 0):
        return Fault(kind="unscored", told="its /completions does not echo the log-probabilities of what it is given")
    values = values[:count]
    if last is not None:
        values = values[-last:]
    elif values[0] is None:
        values = values[1:]
    if not values or None in values:
        return Fault(kind="unreadable", told=f"the log-probability of a token is missing: {_excerpt(body)}")
    return TokenScores(logprobs=tuple(value for value in values if value is not None))


def read_models(body: bytes) -> list[str] | None:
    """The names in a list of models; None where it is none."""
    try:
        return sorted(row.id for row in _model_list.decode(body).data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


_FILTERED = "a content filter of the server's stopped it"

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


def _call(call: _ToolCall) -> ToolCall:
    said = call.function.arguments
    text = said if isinstance(said, str) else msgspec.json.encode(said).decode()
    return ToolCall(function=FunctionCall(name=call.function.name, arguments=text), id=call.id or "")


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


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds; a date, or no number, counts as not told."""
    found = {name.lower(): value for name, value in headers.items()}
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
