"""By what an answer is found again, and by what it is known to be the one that was written."""

from __future__ import annotations

import functools
import hashlib
from typing import Literal

import msgspec

from harness.models import Request, ScoreRequest
from harness.models.refs import ModelRef

Kind = Literal["response", "score"]

#: Part of every key, by what is stored: raise it when the meaning of a key or the way a value is computed changes,
#: and old entries are not found. Scores are at 2 since shared beginnings are computed once, which rounds otherwise.
KEY_VERSIONS: dict[Kind, int] = {"response": 1, "score": 2}

_encode = msgspec.json.encode


def response_key(ref: ModelRef, request: Request) -> str:
    """Everything that an answer depends on: weights, engine, dtype, messages, sampling, sample and replica.

    Device and batch size are left out: they change speed, not what is asked. The case's name is left out too,
    but for scripted models, which answer by it.
    """
    case = request.case if ref.engine == "scripted" else ""
    asked: tuple[object, ...] = (request.messages, request.sampling, request.sample, request.replica, case)
    if request.tools:
        asked = (*asked, request.tools)
    return hashlib.sha256(_identity("response", ref) + _encode(asked)).hexdigest()


def score_key(ref: ModelRef, request: ScoreRequest) -> str:
    """Everything that the scores of a text depend on."""
    asked = (request.messages, request.text, request.kl)
    return hashlib.sha256(_identity("score", ref) + _encode(asked)).hexdigest()


def row_digest(kind: Kind, key: str, value: bytes) -> bytes:
    """What a stored row must hash to: also its key is in it, so that an answer cannot pass for another one's."""
    return hashlib.sha256(b"%b\0%b\0%b" % (kind.encode(), key.encode(), value)).digest()


@functools.lru_cache(maxsize=64)
def _identity(kind: Kind, ref: ModelRef) -> bytes:
    again = (ref.replica,) if ref.replica else ()
    return _encode((KEY_VERSIONS[kind], kind, ref.digest, ref.engine, ref.dtype, *again)) + b"\n"
