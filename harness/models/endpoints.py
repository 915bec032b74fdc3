"""Servers that answer: which one a reference means, whether data may go there, what it costs. Sends nothing."""

from __future__ import annotations

import fnmatch
import hashlib
import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

import msgspec

from harness.config import EndpointConfig, Price
from harness.errors import ModelError, unknown_name
from harness.models.refs import ModelRef

SCHEME = "openai"

_SHAPE = f"{SCHEME}:MODEL@URL (an URL that ends before /chat/completions, as http://127.0.0.1:8000/v1)"

#: Parts of a URL's query that say a secret: a URL stands in reports.
_SECRET = ("key", "token", "secret", "password", "sig")


def find_endpoint(text: str, endpoints: Mapping[str, EndpointConfig]) -> tuple[str, EndpointConfig] | None:
    """Label and settings of the endpoint that `text` means: the NAME of a configured one, `openai:NAME`, or
    `openai:MODEL@URL`; None where it means something else.

    Raises ModelError for an `openai:` reference that means nothing.
    """
    if text in endpoints:
        return text, endpoints[text]
    scheme, _, rest = text.partition(":")
    if scheme != SCHEME or not rest:
        return None
    if rest in endpoints:
        return rest, endpoints[rest]
    named = re.fullmatch(r"(.+?)@([a-z]+://.*)", rest)
    if named is None:
        # A URL without its scheme may have a password in it: not quoted.
        name = rest if "@" not in rest else rest.partition("@")[0] + "@…"
        raise ModelError(
            f"{SCHEME}:{name}: {unknown_name('endpoint', name, endpoints)}. Name one of [tool.harness.endpoints], "
            f"or write {_SHAPE}"
        )
    model, url = named.groups()
    host = checked_url(f"{SCHEME}:{model}@…", url)
    # The key of one provider is never sent to another: whoever wants a key elsewhere names it.
    key = "OPENAI_API_KEY" if host == "api.openai.com" else None
    return f"{model}@{host}", EndpointConfig(url=url, model=model, api_key_env=key)


def endpoint_ref(text: str, label: str, endpoint: EndpointConfig, egress: tuple[str, ...]) -> ModelRef:
    """The resolved reference. Its digest is of what is asked for (URL, model, what goes into every request): what
    weights answer there nobody can verify.

    Raises ModelError for a URL that cannot be used, and for a host that golden data may not be sent to.
    """
    checked_url(label, endpoint.url)
    check_egress(label, endpoint.url, egress)
    identity = (SCHEME, endpoint.url.rstrip("/"), endpoint.model, endpoint.extra_body, sorted(endpoint.omit))
    return ModelRef(
        text=text,
        label=label,
        engine="openai",
        base=endpoint.url.rstrip("/"),
        base_digest=hashlib.sha256(msgspec.json.encode(identity, order="deterministic")).hexdigest(),
        base_name=endpoint.model,
        dtype="none",
        device="none",
        endpoint=msgspec.json.encode(endpoint, order="deterministic").decode(),
    )


def endpoint_of(ref: ModelRef) -> EndpointConfig | None:
    """The settings that travel in a reference; None for models that are no endpoint."""
    return msgspec.json.decode(ref.endpoint, type=EndpointConfig) if ref.endpoint else None


def price_of(ref: ModelRef) -> Price | None:
    """The price of a model's tokens; None where none was told, or none is asked."""
    endpoint = endpoint_of(ref)
    return None if endpoint is None else endpoint.price


def checked_url(label: str, url: str) -> str:
    """The host of a URL that can be asked; ModelError otherwise, which never quotes what may be a secret."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if host is None or parts.scheme not in ("http", "https"):
        raise ModelError(f"{label}: its URL is not one. Write it as https://HOST/v1.")
    if parts.username is not None or parts.password is not None:
        raise ModelError(
            f"{label}: its URL has a user or a password in it, which every report would show. Put the secret into an "
            f'environment variable and name it: headers = {{ Authorization = "env:VARIABLE" }}'
        )
    for name, _ in parse_qsl(parts.query, keep_blank_values=True):
        if any(word in name.lower() for word in _SECRET):
            raise ModelError(
                f"{label}: its URL carries {name!r}, which every report would show. Put the secret into an "
                f'environment variable and name it: api_key_env, or a header "env:VARIABLE".'
            )
    if parts.path.rstrip("/").endswith(("/completions", "/chat")):
        raise ModelError(f"{label}: the URL ends before /chat/completions: {url.split('/chat')[0]}")
    return host


def check_egress(label: str, url: str, egress: tuple[str, ...]) -> None:
    """May golden data be sent to this URL? This machine always; any other host where `egress` lists it, by name or
    by pattern ("*.example.com"). Raises ModelError with the line to add."""
    host = checked_url(label, url)
    if is_loopback(host) or any(fnmatch.fnmatchcase(host, allowed.lower()) for allowed in egress):
        return
    listed = ", ".join(f'"{one}"' for one in (*egress, host))
    raise ModelError(
        f"{label}: golden data may not be sent to {host}. Nothing was sent. To allow it, write in pyproject.toml, "
        f"[tool.harness]: egress = [{listed}]"
    )


def is_loopback(host: str) -> bool:
    """Is it this machine?"""
    if host == "localhost":
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def is_near(host: str) -> bool:
    """Is it this machine or one on a private network, told by its address?"""
    address = _address(host)
    return is_loopback(host) or (address is not None and address.is_private)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
