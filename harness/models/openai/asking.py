"""One batch over one event loop: send at the server's pace, ask again what may be asked again, give up in words."""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import os
import random
import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import httpx2
import msgspec
from openai import APIConnectionError, APIStatusError, APITimeoutError, AsyncOpenAI, DefaultAsyncHttpxClient, Omit

from harness.config import EndpointConfig
from harness.errors import GenerationError, HarnessError, ModelError, unknown_name
from harness.models import Request, Response
from harness.models.endpoints import endpoint_of, is_loopback, is_near
from harness.models.openai.pace import Pace
from harness.models.openai.replies import Fault, hide, read_completion, read_refusal
from harness.models.refs import ModelRef

#: Requests open at first.
NEAR, FAR = 64, 20

#: Seconds without one answer after which a server that had answered is given up: a restart takes a minute.
PATIENCE = 120.0

#: Seconds that open requests get to end once the run is given up.
GRACE = 10.0

#: Cases that may fail alone before the run is given up.
_LONE_FAULTS = 20

_BACKOFF_S, _LONGEST_BACKOFF_S = 0.5, 30.0

#: Roughly, for the budget of tokens a minute: the server counts better, but only afterwards.
_CHARACTERS_PER_TOKEN = 4

#: Faults that every other request would meet as well.
_WHOLE = ("denied", "unknown", "unreachable")


class EndpointModel:
    """A model behind an OpenAI-compatible server; every batch is asked concurrently.

    Keys are read from the environment here, and made unreadable in whatever the server sends back.
    """

    def __init__(self, endpoint: EndpointConfig, *, label: str) -> None:
        self._endpoint = endpoint
        self._label = label
        self._key = _from_environment(endpoint.api_key_env, f"{label}: api_key_env")
        self._headers = {
            name: _from_environment(value.removeprefix("env:"), f"{label}: header {name}")
            if value.startswith("env:")
            else value
            for name, value in endpoint.headers.items()
        }
        named = [self._headers[name] for name, value in endpoint.headers.items() if value.startswith("env:")]
        self._secrets = tuple(sorted({s for s in (self._key, *named) if s}, key=len, reverse=True))

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
        if not requests:
            return []
        return asyncio.run(self._answered(requests, on_done))

    def close(self) -> None:
        """Nothing to free: connections end with the batch."""

    async def _answered(self, requests: Sequence[Request], on_done: Callable[[int, Response], None]) -> list[Response]:
        async with self._client() as client:
            batch = _Batch(self._endpoint, self._label, requests, on_done, lambda body: self._ask(client, body))
            try:
                return await batch.answers()
            except _GivenUp as why:
                hint = await self._hint(client, why.fault)
                raise GenerationError(hide(f"{why.told} {hint}", self._secrets)) from None

    def _client(self) -> AsyncOpenAI:
        parts = urlsplit(self._endpoint.url)
        host = parts.hostname or ""
        return AsyncOpenAI(
            api_key=self._key,
            admin_api_key="",
            base_url=urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")),
            default_query=dict(parse_qsl(parts.query)),
            max_retries=0,
            http_client=DefaultAsyncHttpxClient(
                # A redirect would carry golden data to a host that nobody allowed.
                follow_redirects=False,
                # No proxy stands between this machine and itself.
                trust_env=not is_loopback(host),
                timeout=httpx2.Timeout(self._endpoint.timeout, connect=min(30.0, self._endpoint.timeout)),
                limits=httpx2.Limits(max_connections=None, max_keepalive_connections=None),
            ),
        )

    def _options(self) -> Any:
        # The client would add organisation and project of the user's OpenAI account for any host.
        unset = {"OpenAI-Organization": Omit(), "OpenAI-Project": Omit()}
        if not self._key:
            unset["Authorization"] = Omit()
        own = {name.lower() for name in self._headers}
        return {"headers": {**{n: v for n, v in unset.items() if n.lower() not in own}, **self._headers}}

    async def _ask(self, client: AsyncOpenAI, body: dict[str, Any]) -> Response | Fault:
        """One request, once. No secret is left in what comes back."""
        found = await self._sent(client, body)
        if isinstance(found, Fault):
            return msgspec.structs.replace(found, told=hide(found.told, self._secrets))
        if any(secret in found.text for secret in self._secrets):
            return msgspec.structs.replace(found, text=hide(found.text, self._secrets))
        return found

    async def _sent(self, client: AsyncOpenAI, body: dict[str, Any]) -> Response | Fault:
        timeout = self._endpoint.timeout
        try:
            async with asyncio.timeout(timeout):
                raw = await client.post(
                    "/chat/completions", body=body, cast_to=httpx2.Response, options=self._options()
                )
            return read_completion(raw.content)
        except APIStatusError as error:
            return read_refusal(error.status_code, error.response.content, error.response.headers.items())
        except (APITimeoutError, TimeoutError):
            return Fault(kind="slow", told=f"no answer within {timeout:g} s")
        except APIConnectionError as error:
            cause = error.__cause__ or error
            if isinstance(cause, httpx2.ConnectError):
                return Fault(kind="unreachable", told=f"nothing answers there ({_words(cause)})")
            return Fault(kind="broken", told=f"the connection ended before the answer did ({_words(cause)})")
        except Exception as error:  # a client that stops in a way of its own must not stop the batch without a word
            return Fault(kind="broken", told=f"the request could not be made ({_words(error)})")

    async def _hint(self, client: AsyncOpenAI, fault: Fault | None) -> str:
        """What to do next."""
        kind = None if fault is None else fault.kind
        endpoint = self._endpoint
        if kind == "denied":
            if endpoint.api_key_env is None:
                return "Name the variable of the environment that holds the key: api_key_env of a named endpoint."
            return f"Check the key in the environment variable {endpoint.api_key_env}."
        if kind == "unknown":
            models = await self._models(client)
            if models is None:
                return f"Check the URL: {endpoint.url}/chat/completions is asked, and it lists no models either."
            if endpoint.model in models:
                return f"The server lists this model: check the URL, {endpoint.url}"
            return f"{unknown_name('model', endpoint.model, models)}."
        if kind == "overflow":
            return "Shorten the case or lower max_tokens, or serve the model with a longer context."
        if kind == "rejected":
            return "If it does not take a parameter, name that in `omit` of the endpoint ([tool.harness.endpoints])."
        if kind == "limited":
            return "Wait, or set rpm and tpm of the endpoint to what your account has, then run again."
        if kind == "slow":
            return "Raise `timeout` of the endpoint, or lower `in_flight`; see the server's log. Then run again."
        return "See the server's log, then run again."

    async def _models(self, client: AsyncOpenAI) -> list[str] | None:
        """What `/models` lists; None where it cannot be asked."""
        try:
            async with asyncio.timeout(GRACE):
                raw = await client.get("/models", cast_to=httpx2.Response, options=self._options())
            document = msgspec.json.decode(raw.content)
            return sorted(str(row["id"]) for row in document["data"])
        except (APIStatusError, APIConnectionError, TimeoutError, msgspec.DecodeError, KeyError, TypeError):
            return None


class _GivenUp(Exception):
    """The batch ends without all of its answers; `told` says how far it came and why."""

    def __init__(self, told: str, fault: Fault | None) -> None:
        super().__init__(told)
        self.told = told
        self.fault = fault


class _Ask:
    """One body to be sent, and the requests that it answers."""

    def __init__(self, request: Request, body: dict[str, Any]) -> None:
        self.request = request
        self.body = body
        self.indexes: list[int] = []
        prompt = sum(len(m.content) for m in request.messages) // _CHARACTERS_PER_TOKEN
        self.tokens = prompt + request.sampling.max_tokens
        self.cuts = 0
        self.sent = 0
        self.refused = 0
        #: How many others had been answered when this one was first, and last, sent.
        self.answered_first = 0
        self.answered_last = 0


class _Batch:
    """The requests of one `generate`: a heap of what waits, tasks of what is open, and why it ends."""

    def __init__(
        self,
        endpoint: EndpointConfig,
        label: str,
        requests: Sequence[Request],
        on_done: Callable[[int, Response], None],
        ask: Callable[[dict[str, Any]], Any],
    ) -> None:
        host = urlsplit(endpoint.url).hostname or ""
        self._endpoint = endpoint
        self._label = label
        self._on_done = on_done
        self._ask = ask
        self._pace = Pace(
            start=endpoint.in_flight or (NEAR if is_near(host) else FAR),
            most=endpoint.max_in_flight,
            cooldown=endpoint.cooldown,
            rpm=endpoint.rpm,
            tpm=endpoint.tpm,
        )
        self._waiting = [(0.0, number, one) for number, one in enumerate(_asks(endpoint, requests))]
        self._open: set[asyncio.Task[None]] = set()
        self._returned: asyncio.Queue[tuple[_Ask, Response | Fault] | None] = asyncio.Queue()
        self._found: list[Response | None] = [None] * len(requests)
        self._answered = 0
        self._last_answer = 0.0
        self._faults: list[tuple[_Ask, Fault]] = []
        self._stopped: HarnessError | _GivenUp | None = None
        self._numbers = len(self._waiting)
        # Only spreads retries in time; no answer depends on it.
        self._jitter = random.Random(os.getpid())

    async def answers(self) -> list[Response]:
        """Every answer, in order; _GivenUp, or the error that `on_done` raised, otherwise."""
        loop = asyncio.get_running_loop()
        try:
            # Not by the open tasks: the last one has not quite ended when its answer is here.
            while (self._waiting or self._pace.in_flight) and self._stopped is None:
                wake = self._send(loop.time())
                timer = None if wake is None else loop.call_later(wake, self._returned.put_nowait, None)
                returned = [await self._returned.get()]
                while not self._returned.empty():
                    returned.append(self._returned.get_nowait())
                if timer is not None:
                    timer.cancel()
                for one in returned:
                    if one is not None:
                        self._take(*one, loop.time())
            if self._stopped is not None:
                await self._drain()
                raise self._stopped
        finally:
            for task in self._open:
                task.cancel()
        if self._faults:
            raise self._given_up(self._faults[0][1], "")
        return [response for response in self._found if response is not None]

    def _send(self, now: float) -> float | None:
        """Send what may be sent; seconds until there may be more, None where only an answer makes room."""
        while self._waiting:
            ready, _, one = self._waiting[0]
            if ready > now:
                return ready - now
            delay = self._pace.delay(now, one.tokens)
            if delay is None:
                return None
            if delay > 0:
                return delay
            heapq.heappop(self._waiting)
            one.cuts = self._pace.sent(now, one.tokens)
            one.sent += 1
            one.answered_last = self._answered
            if one.sent == 1:
                one.answered_first = self._answered
            task = asyncio.create_task(self._asked(one))
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        return None

    async def _asked(self, one: _Ask) -> None:
        self._returned.put_nowait((one, await self._ask(one.body)))

    def _take(self, one: _Ask, outcome: Response | Fault, now: float) -> None:
        """Keep an answer; of a fault decide whether to ask again, to go on without, or to stop."""
        if isinstance(outcome, Response):
            self._pace.answered()
            self._last_answer = now
            self._answered += len(one.indexes)
            for index in one.indexes:
                self._found[index] = outcome
                try:
                    self._on_done(index, outcome)
                except HarnessError as error:
                    # A budget that is used up: what is open is still taken in, since it is paid for.
                    self._stopped = self._stopped or error
            return
        if outcome.kind == "limited":
            self._pace.limited(now, one.cuts, outcome.after)
            # While others are answered the server is only busy: that is no reason to give up.
            one.refused = 1 if self._answered > one.answered_last else one.refused + 1
        else:
            self._pace.failed()
        wait = self._wait(one, outcome, now)
        if wait is not None:
            self._numbers += 1
            heapq.heappush(self._waiting, (now + wait, self._numbers, one))
            return
        self._faults.append((one, outcome))
        alone = outcome.kind in ("overflow", "rejected") or self._answered > one.answered_first
        if not alone or outcome.kind in _WHOLE or _too_late(outcome) or len(self._faults) >= _LONE_FAULTS:
            self._stopped = self._stopped or self._given_up(outcome, _times(one))

    def _wait(self, one: _Ask, fault: Fault, now: float) -> float | None:
        """Seconds until the request may be sent again; None where it will not be."""
        if self._stopped is not None or fault.kind in ("denied", "unknown", "overflow", "rejected"):
            return None
        if _too_late(fault):
            return None
        backoff: float = min(_LONGEST_BACKOFF_S, _BACKOFF_S * 2 ** (one.sent - 1)) * self._jitter.uniform(0.5, 1.5)
        if fault.kind == "limited":
            # The pace itself waits; the jitter keeps the refused from coming back as one burst.
            return None if one.refused >= self._endpoint.attempts else self._jitter.uniform(0.0, 0.5)
        if fault.kind == "unreachable" and self._answered and now - self._last_answer < PATIENCE:
            return backoff
        if fault.kind == "slow" and one.sent >= min(3, self._endpoint.attempts):
            return None
        return None if one.sent >= self._endpoint.attempts else max(backoff, fault.after or 0.0)

    async def _drain(self) -> None:
        """Let what is open end, and keep it; after a fault it gets a short while only."""
        paid = not isinstance(self._stopped, _GivenUp)
        grace = self._endpoint.timeout if paid else min(GRACE, self._endpoint.timeout)
        if self._open:
            await asyncio.wait(self._open, timeout=grace)
        loop = asyncio.get_running_loop()
        while not self._returned.empty():
            one = self._returned.get_nowait()
            if one is not None and isinstance(one[1], Response):
                self._take(*one, loop.time())

    def _given_up(self, fault: Fault, times: str) -> _GivenUp:
        total = len(self._found)
        cases = "; ".join(f"case {one.request.case!r}: {why.told}{_length(one, why)}" for one, why in self._faults[:3])
        more = f"; and {len(self._faults) - 3} more" if len(self._faults) > 3 else ""
        return _GivenUp(f"{self._label}: {self._answered} of {total} answered, and kept. {cases}{times}{more}.", fault)


def _asks(endpoint: EndpointConfig, requests: Sequence[Request]) -> list[_Ask]:
    """One for each different request; a sample or a replica is a request of its own."""
    asks: dict[tuple[object, ...], _Ask] = {}
    for index, request in enumerate(requests):
        same = (request.messages, request.sampling, request.sample, request.replica)
        if same not in asks:
            asks[same] = _Ask(request, _body(endpoint, request))
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
        "messages": [{"role": m.role, "content": m.content} for m in request.messages],
        key: sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": _seed(request),
    }
    if sampling.stop:
        body["stop"] = list(sampling.stop)
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


def _too_late(fault: Fault) -> bool:
    """Does the server want to be left alone for longer than a run waits?"""
    return fault.after is not None and fault.after > PATIENCE


def _times(one: _Ask) -> str:
    return f" (asked {one.sent} times)" if one.sent > 1 else ""


def _length(one: _Ask, fault: Fault) -> str:
    """How long a case is that is too long, where the server did not tell."""
    told = fault.kind != "overflow" or re.search(r"\d+\W+(\w+\W+){0,4}tokens|tokens\W+(\w+\W+){0,4}\d", fault.told)
    return "" if told else f", about {one.tokens - one.request.sampling.max_tokens} tokens by its length"


def _words(error: BaseException) -> str:
    return str(error).strip() or type(error).__name__
