"""Bytes to a server and back; the only place that knows how HTTP is spoken."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterable
from types import TracebackType
from typing import Self
from urllib.parse import SplitResult, urlsplit, urlunsplit

import aiohttp
import msgspec
from multidict import CIMultiDict

from harness.models.endpoints import is_loopback
from harness.models.openai.replies import Fault

#: Seconds until a connection must stand.
_CONNECT_S = 30.0

#: Seconds that an unused connection is kept: less than the 5 after which common servers close theirs, and would
#: refuse the request that is just then on its way.
_IDLE_S = 4.0


#: What stands in place of a secret, wherever a server repeats it.
HIDDEN = b"***"


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What came back: of whatever status."""

    status: int
    body: bytes
    headers: dict[str, str]


class Wire:
    """Connections to one server, for one event loop; an async context manager.

    Nothing of the user's own is sent but what `headers` say: no cookies, no netrc, no settings of other clients. What
    comes back has `secrets` in it made unreadable before anybody reads it.
    """

    def __init__(self, url: str, *, headers: Iterable[tuple[str, str]], secrets: Iterable[str], timeout: float) -> None:
        self._parts = urlsplit(url)
        self._timeout = timeout
        self._secrets = _spellings(secrets)
        sent = CIMultiDict({"User-Agent": "finetune-harness", "Content-Type": "application/json"})
        for name, value in headers:
            sent[name] = value
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=sent,
            timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=min(_CONNECT_S, timeout)),
            proxy=_proxy(self._parts),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def exchange(self, path: str, body: bytes | None = None, *, root: bool = False) -> Reply | Fault:
        """POST the body below the URL, or GET without one; once. With `root`, below what stands before its /v1."""
        try:
            # A redirect would carry golden data to a host that nobody allowed.
            async with self._session.request(
                "GET" if body is None else "POST", self._url(path, root), data=body, allow_redirects=False
            ) as found:
                return Reply(
                    status=found.status, body=self._without_secrets(await found.read()), headers=dict(found.headers)
                )
        except TimeoutError:
            return Fault(kind="slow", told=f"no answer within {self._timeout:g} s")
        except aiohttp.ClientConnectorError as error:
            return Fault(kind="unreachable", told=f"nothing answers there ({_words(error)})")
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
            return Fault(kind="broken", told=f"the connection ended before the answer did ({_words(error)})")
        except Exception as error:  # a library that stops in a way of its own must not stop the batch without a word
            return Fault(kind="broken", told=f"the request could not be made ({_words(error)})")

    def _without_secrets(self, body: bytes) -> bytes:
        for secret in self._secrets:
            body = body.replace(secret, HIDDEN)
        return body

    def _url(self, path: str, root: bool) -> str:
        parts = self._parts
        above = parts.path.rstrip("/")
        if root:
            above = above.removesuffix("/v1")
        return urlunsplit((parts.scheme, parts.netloc, above + path, parts.query, ""))


def _spellings(secrets: Iterable[str]) -> list[bytes]:
    """Each secret as it may stand in JSON; the longest first, since one may be part of another."""
    ways = {
        way.encode()
        for secret in secrets
        for way in (secret, msgspec.json.encode(secret).decode()[1:-1], secret.replace("/", "\\/"))
    }
    return sorted(ways, key=len, reverse=True)


def _proxy(parts: SplitResult) -> str | None:
    """The proxy that the environment names for this host; none stands between this machine and itself."""
    host = parts.hostname or ""
    if is_loopback(host) or urllib.request.proxy_bypass(host):
        return None
    return urllib.request.getproxies().get(parts.scheme)


def _words(error: BaseException) -> str:
    return str(error).strip() or type(error).__name__
