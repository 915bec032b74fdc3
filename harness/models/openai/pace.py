"""How many requests may be open at once: found out while asking, from what the server refuses."""

from __future__ import annotations

from collections import deque

#: What a 429 leaves of the limit, and what a clean round adds once a first 429 was seen.
CUT, GROWTH = 0.8, 1.05

_MINUTE = 60.0


class Pace:
    """Doubles the number of open requests after each clean round until the first 429, then adds 5% a round.

    A 429 multiplies it by .8 and stops all sending for the time that the server names, else for `cooldown` seconds.
    Refusals of requests that were sent before the last cut do not cut again: one burst is one lesson. A round in
    which the server failed is not clean. `rpm` and `tpm` are known limits, requests and tokens a minute. The clock is
    the caller's.
    """

    def __init__(
        self, *, start: int, most: int, cooldown: float, rpm: int | None = None, tpm: int | None = None
    ) -> None:
        self.limit = float(min(start, most))
        self.in_flight = 0
        self.most_in_flight = 0
        #: How often the limit was cut.
        self.cuts = 0
        self._most = float(most)
        self._cooldown = cooldown
        self._rpm = rpm
        self._tpm = tpm
        self._resume = 0.0
        self._round = 0
        self._clean = True
        self._sent: deque[tuple[float, int]] = deque()
        self._tokens = 0

    def delay(self, now: float, tokens: int) -> float | None:
        """Seconds until a request of so many tokens may be sent; None where one that is open must come back first."""
        if self.in_flight >= int(self.limit):
            return None
        return max(self._resume - now, self._budget_delay(now, tokens), 0.0)

    def sent(self, now: float, tokens: int) -> int:
        """A request leaves; the number that tells later whether it was sent before a cut."""
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        if self._rpm is not None or self._tpm is not None:
            self._sent.append((now, tokens))
            self._tokens += tokens
        return self.cuts

    def answered(self) -> None:
        """A request came back with an answer."""
        self.in_flight -= 1
        self._round += 1
        if self._round < int(self.limit):
            return
        if self._clean:
            self.limit = min(self._most, max(self.limit * GROWTH, self.limit + 1) if self.cuts else self.limit * 2)
        self._round, self._clean = 0, True

    def limited(self, now: float, cuts: int, retry_after: float | None) -> None:
        """A request that was sent after so many `cuts` came back with a 429."""
        self.in_flight -= 1
        if cuts == self.cuts:
            self.limit = max(1.0, self.limit * CUT)
            self.cuts += 1
            self._round, self._clean = 0, True
            wait = self._cooldown if retry_after is None else retry_after
        else:
            wait = retry_after or 0.0
        self._resume = max(self._resume, now + wait)

    def failed(self) -> None:
        """A request came back with neither: the server failed, or nothing can be said of its load."""
        self.in_flight -= 1
        self._clean = False

    def _budget_delay(self, now: float, tokens: int) -> float:
        """Seconds until the last minute has room for one more request of so many tokens."""
        while self._sent and self._sent[0][0] <= now - _MINUTE:
            self._tokens -= self._sent.popleft()[1]
        wait = 0.0
        if self._rpm is not None and len(self._sent) >= self._rpm:
            wait = self._sent[len(self._sent) - self._rpm][0] + _MINUTE - now
        if self._tpm is not None and self._sent:
            # A request that is larger than the whole budget is sent alone: the server must say no, not we.
            over = self._tokens + tokens - self._tpm
            for when, freed in self._sent:
                if over <= 0:
                    break
                over -= freed
                wait = max(wait, when + _MINUTE - now)
        return wait
