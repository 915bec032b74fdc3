"""A model behind a server: what is sent to it, what is kept of what it says, and what to do where it fails."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from harness.config import EndpointConfig
from harness.errors import GenerationError, ModelError, unknown_name
from harness.models import Request, Response, ScoreRequest, TokenScores
from harness.models.endpoints import endpoint_of
from harness.models.openai.batch import GRACE, Ask, Batch, GivenUp
from harness.models.openai.replies import Fault, read_completion, read_models, read_refusal
from harness.models.openai.scoring import Scorer
from harness.models.openai.wire import Wire
from harness.models.refs import ModelRef
from harness.models.tools import chat_messages, functions

#: Roughly, for the budget of tokens a minute: the server counts better, but only afterwards.
_CHARACTERS_PER_TOKEN = 4

_Answer = TypeVar("_Answer", Response, TokenScores)


class EndpointModel:
    """A model behind an OpenAI-compatible server; every batch is asked concurrently.

    Keys are read from the environment here, and made unreadable in whatever the server sends back.
    """

    def __init__(self, endpoint: EndpointConfig, *, label: str) -> None:
        self._endpoint = endpoint
        self._label = label
        key = _from_environment(endpoint.api_key_env, f"{label}: api_key_env")
        own = {
            name: _from_environment(value.removeprefix("env:"), f"{label}: header {name}")
            if value.startswith("env:")
            else value
            for name, value in endpoint.headers.items()
        }
        # The endpoint's own headers come last: they replace what stands before them.
        self._headers = ([("Authorization", f"Bearer {key}")] if key else []) + list(own.items())
        named = [own[name] for name, value in endpoint.headers.items() if value.startswith("env:")]
        self._secrets = tuple(s for s in (key, *named) if s)

    @classmethod
    def of(cls, ref: ModelRef) -> EndpointModel:
        """The model of a resolved reference; ModelError where a key that it names is not set."""
        endpoint = endpoint_of(ref)
        assert endpoint is not None, "an openai reference carries its endpoint"
        return cls(endpoint, label=ref.label)

    def generate(self, requests: Sequence[Request], *, on_done: Callable[[int, Response], None]) -> list[Response]:
        """All answers, asked in one event loop; identical requests are asked once.

        Raises GenerationError once nothing more can be had, or at the end for cases that failed alone; what was
        answered has been told to `on_done`.
        """
        asks = _asks(requests)

        async def answered(wire: Wire) -> list[Response]:
            async def ask(request: Request) -> Response | Fault:
                body = msgspec.json.encode(_body(self._endpoint, request))
                return await _completion(wire, body)

            return await Batch(self._endpoint, self._label, asks, on_done, ask).answers()

        return asyncio.run(self._over(answered)) if requests else []

    def score(
        self, requests: Sequence[ScoreRequest], *, on_done: Callable[[int, TokenScores], None]
    ) -> list[TokenScores]:
        """Log-likelihoods in order, from a server that gives them; fails as `generate` does. No divergence."""
        asks = _score_asks(requests)

        async def scored(wire: Wire) -> list[TokenScores]:
            scorer = Scorer(wire, self._endpoint)
            return await Batch(self._endpoint, self._label, asks, on_done, scorer.ask).answers()

        return asyncio.run(self._over(scored)) if requests else []

    def close(self) -> None:
        """Nothing to free: connections end with the batch."""

    async def _over(self, batch: Callable[[Wire], Awaitable[list[_Answer]]]) -> list[_Answer]:
        """What the batch gives, over a wire of its own; GenerationError with the next step where it gives up."""
        endpoint = self._endpoint
        async with Wire(endpoint.url, headers=self._headers, secrets=self._secrets, timeout=endpoint.timeout) as wire:
            try:
                return await batch(wire)
            except GivenUp as why:
                hint = await self._hint(wire, why.fault)
                raise GenerationError(f"{why.told} {hint}") from None

    async def _hint(self, wire: Wire, fault: Fault | None) -> str:
        """What to do next."""
        kind = None if fault is None else fault.kind
        endpoint = self._endpoint
        if kind == "denied":
            if endpoint.api_key_env is None:
                return "Name the variable of the environment that holds the key: api_key_env of a named endpoint."
            return f"Check the key in the environment variable {endpoint.api_key_env}."
        if kind == "unknown":
            models = await _models(wire)
            if models is None:
                return f"Check the URL: {endpoint.url}/chat/completions is asked, and it lists no models either."
            if endpoint.model in models:
                return f"The server lists this model: check the URL, {endpoint.url}"
            return f"{unknown_name('model', endpoint.model, models)}."
        if kind == "overflow":
            return "Shorten the case or lower max_tokens, or serve the model with a longer context."
        if kind == "filtered":
            return "What it stops says nothing of the model: relax the filter for this model, or take the case out."
        if kind == "unscored":
            return (
                "Remove token_scores from the endpoint ([tool.harness.endpoints]): what needs them is then reported as "
                "not available."
            )
        if kind == "rejected":
            return "If it does not take a parameter, name that in `omit` of the endpoint ([tool.harness.endpoints])."
        if fault is not None and "out of memory" in fault.told.casefold():
            return "Lower in_flight and max_in_flight of the endpoint, or serve with less, then run again."
        if kind == "limited":
            return "Wait, or set rpm and tpm of the endpoint to what your account has, then run again."
        if kind == "slow":
            return "Raise `timeout` of the endpoint, or lower `in_flight`; see the server's log. Then run again."
        return "See the server's log, then run again."


async def _completion(wire: Wire, body: bytes) -> Response | Fault:
    found = await wire.exchange("/chat/completions", body)
    if isinstance(found, Fault):
        return found
    if found.status == 200:
        return read_completion(found.body)
    return read_refusal(found.status, found.body, found.headers)


async def _models(wire: Wire) -> list[str] | None:
    """What `/models` lists; None where it cannot be asked."""
    try:
        async with asyncio.timeout(GRACE):
            found = await wire.exchange("/models")
    except TimeoutError:
        return None
    return None if isinstance(found, Fault) or found.status != 200 else read_models(found.body)


def _asks(requests: Sequence[Request]) -> list[Ask[Request]]:
    """One for each different request; a sample or a replica is a request of its own."""
    asks: dict[tuple[object, ...], Ask[Request]] = {}
    for index, request in enumerate(requests):
        tools = msgspec.json.encode(request.tools)
        same = (request.messages, tools, request.sampling, request.sample, request.replica)
        if same not in asks:
            read = sum(len(m.content) for m in request.messages) // _CHARACTERS_PER_TOKEN
            asks[same] = Ask(request, case=request.case, read=read, written=request.sampling.max_tokens)
        asks[same].indexes.append(index)
    return list(asks.values())


def _score_asks(requests: Sequence[ScoreRequest]) -> list[Ask[ScoreRequest]]:
    """One for each different text in its conversation."""
    asks: dict[tuple[object, ...], Ask[ScoreRequest]] = {}
    for index, request in enumerate(requests):
        same = (request.messages, request.text)
        if same not in asks:
            characters = len(request.text) + sum(len(m.content) for m in request.messages)
            asks[same] = Ask(request, case=request.case, read=characters // _CHARACTERS_PER_TOKEN, written=1)
        asks[same].indexes.append(index)
    return list(asks.values())


def _body(endpoint: EndpointConfig, request: Request) -> dict[str, Any]:
    sampling = request.sampling
    key = endpoint.max_tokens_key
    if key is None:
        host = urlsplit(endpoint.url).hostname or ""
        key = "max_completion_tokens" if host == "api.openai.com" else "max_tokens"
    body: dict[str, Any] = {
        "model": endpoint.model,
        "messages": chat_messages(request.messages, arguments=str),
        key: sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": _seed(request),
    }
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if isinstance(sampling.schema, str):
        held = {"name": "answer", "strict": True, "schema": msgspec.json.decode(sampling.schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": held}
    if request.tools:
        body["tools"] = functions(request.tools)
    return {name: value for name, value in body.items() if name not in endpoint.omit} | endpoint.extra_body


def _seed(request: Request) -> int:
    """The configured seed; of further samples and replicas one of their own, or they would be the same answer."""
    if not request.sample and not request.replica:
        return request.sampling.seed
    asked = f"{request.sampling.seed} {request.sample} {request.replica}"
    # Servers take 32 bits, with a sign.
    return int.from_bytes(hashlib.sha256(asked.encode()).digest()[:4]) >> 1


def _from_environment(name: str | None, what: str) -> str:
    if name is None:
        return ""
    value = os.environ.get(name, "").strip()
    if not value:
        raise ModelError(f"{what} is the environment variable {name}, which is not set. Set it, then run again.")
    if not value.isascii() or not value.isprintable():
        raise ModelError(f"{what}: the environment variable {name} has characters that no key has. Set it again.")
    return value
