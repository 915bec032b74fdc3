"""Many requests over one event loop: send at the server's pace, ask again what may be asked again, give up in words."""

from __future__ import annotations

import asyncio
import heapq
import os
import random
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar
from urllib.parse import urlsplit

import msgspec

from harness.config import EndpointConfig
from harness.errors import HarnessError
from harness.models import Response, Timing, TokenScores
from harness.models.endpoints import is_near
from harness.models.openai.pace import Pace
from harness.models.openai.replies import Fault

#: Requests open at first.
NEAR, FAR = 64, 20

#: Seconds without one answer after which a server that had answered is given up: a restart takes a minute.
PATIENCE = 120.0

#: Seconds that open requests get to end once the run is given up.
GRACE = 10.0

#: Cases that may fail alone before the run is given up.
_LONE_FAULTS = 20

_BACKOFF_S, _LONGEST_BACKOFF_S = 0.5, 30.0

#: Faults that every other request would meet as well.
_WHOLE = ("denied", "unknown", "unreachable", "unscored")

#: Faults of one request, which says nothing of the others.
_LONE = ("overflow", "rejected", "filtered")

#: Faults that asking again would only repeat.
_FINAL = (*_LONE, "denied", "unknown", "unscored")

_Question = TypeVar("_Question")
_Answer = TypeVar("_Answer", Response, TokenScores)


class GivenUp(Exception):
    """The batch ends without all of its answers; `told` says how far it came and why."""

    def __init__(self, told: str, fault: Fault | None) -> None:
        super().__init__(told)
        self.told = told
        self.fault = fault


class Ask(Generic[_Question]):
    """One question to be sent, and where its answer belongs. `read` and `written` are its tokens, estimated."""

    def __init__(self, question: _Question, *, case: str, read: int, written: int) -> None:
        self.question = question
        self.case = case
        self.read = read
        self.tokens = read + written
        self.indexes: list[int] = []
        self.cuts = 0
        self.sent = 0
        self.refused = 0
        #: Open requests, this one among them, when it was last sent.
        self.together = 0
        #: How many others had been answered when this one was first, and last, sent.
        self.answered_first = 0
        self.answered_last = 0


class Batch(Generic[_Question, _Answer]):
    """The questions of one call: a heap of what waits, tasks of what is open, and why it ends."""

    def __init__(
        self,
        endpoint: EndpointConfig,
        label: str,
        asks: Sequence[Ask[_Question]],
        on_done: Callable[[int, _Answer], None],
        ask: Callable[[_Question], Awaitable[_Answer | Fault]],
    ) -> None:
        host = urlsplit(endpoint.url).hostname or ""
        self._endpoint = endpoint
        self._label = label
        self._on_done: Callable[[int, _Answer], None] = on_done
        self._ask: Callable[[_Question], Awaitable[_Answer | Fault]] = ask
        self._pace = Pace(
            start=endpoint.in_flight or (NEAR if is_near(host) else FAR),
            most=endpoint.max_in_flight,
            cooldown=endpoint.cooldown,
            rpm=endpoint.rpm,
            tpm=endpoint.tpm,
        )
        self._waiting = [(0.0, number, one) for number, one in enumerate(asks)]
        self._open: set[asyncio.Task[None]] = set()
        self._returned: asyncio.Queue[tuple[Ask[_Question], _Answer | Fault] | None] = asyncio.Queue()
        self._found: list[_Answer | None] = [None] * sum(len(one.indexes) for one in asks)
        self._answered = 0
        self._last_answer = 0.0
        self._faults: list[tuple[Ask[_Question], Fault]] = []
        self._stopped: HarnessError | GivenUp | None = None
        self._numbers = len(self._waiting)
        # Only spreads retries in time; no answer depends on it.
        self._jitter = random.Random(os.getpid())

    async def answers(self) -> list[_Answer]:
        """Every answer, in order; GivenUp, or the error that `on_done` raised, otherwise."""
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
            one.together = self._pace.in_flight
            one.sent += 1
            one.answered_last = self._answered
            if one.sent == 1:
                one.answered_first = self._answered
            task = asyncio.create_task(self._asked(one))
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        return None

    async def _asked(self, one: Ask[_Question]) -> None:
        clock = asyncio.get_running_loop().time
        started = clock()
        outcome = await self._ask(one.question)
        if isinstance(outcome, Response):
            timing = Timing(seconds=round(clock() - started, 6), together=one.together)
            outcome = msgspec.structs.replace(outcome, timing=timing)
        self._returned.put_nowait((one, outcome))

    def _take(self, one: Ask[_Question], outcome: _Answer | Fault, now: float) -> None:
        """Keep an answer; of a fault decide whether to ask again, to go on without, or to stop."""
        if not isinstance(outcome, Fault):
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
        alone = outcome.kind in _LONE or self._answered > one.answered_first
        if not alone or outcome.kind in _WHOLE or _too_late(outcome) or len(self._faults) >= _LONE_FAULTS:
            self._stopped = self._stopped or self._given_up(outcome, _times(one))

    def _wait(self, one: Ask[_Question], fault: Fault, now: float) -> float | None:
        """Seconds until the request may be sent again; None where it will not be."""
        if self._stopped is not None or fault.kind in _FINAL:
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
        paid = not isinstance(self._stopped, GivenUp)
        grace = self._endpoint.timeout if paid else min(GRACE, self._endpoint.timeout)
        if self._open:
            await asyncio.wait(self._open, timeout=grace)
        loop = asyncio.get_running_loop()
        while not self._returned.empty():
            one = self._returned.get_nowait()
            if one is not None and not isinstance(one[1], Fault):
                self._take(*one, loop.time())

    def _given_up(self, fault: Fault, times: str) -> GivenUp:
        total = len(self._found)
        cases = "; ".join(f"case {one.case!r}: {why.told}{_length(one, why)}" for one, why in self._faults[:3])
        more = f"; and {len(self._faults) - 3} more" if len(self._faults) > 3 else ""
        return GivenUp(f"{self._label}: {self._answered} of {total} answered, and kept. {cases}{times}{more}.", fault)


def _too_late(fault: Fault) -> bool:
    """Does the server want to be left alone for longer than a run waits?"""
    return fault.after is not None and fault.after > PATIENCE


def _times(one: Ask[_Question]) -> str:
    return f" (asked {one.sent} times)" if one.sent > 1 else ""


def _length(one: Ask[_Question], fault: Fault) -> str:
    """How long a case is that is too long, where the server did not tell."""
    told = fault.kind != "overflow" or re.search(r"\d+\W+(\w+\W+){0,4}tokens|tokens\W+(\w+\W+){0,4}\d", fault.told)
    return "" if told else f", about {one.read} tokens by its length"
