"""Large values inside a page: JSON, deflated, as base64. The page's script unpacks a block when it is looked at.

What is packed cannot close a tag or start one, whatever a model wrote.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence

import msgspec

from harness.report.cases import Case

#: Bytes of JSON in one block: unpacked in a few milliseconds, and large enough to be compressed well.
BLOCK = 300_000


def pack(value: object) -> str:
    """One value as a block."""
    return base64.b64encode(zlib.compress(msgspec.json.encode(value), 6)).decode("ascii")


def pack_details(cases: Sequence[Case]) -> tuple[list[tuple[int, int]], list[str]]:
    """All details in blocks; of each case its (block, place in the block)."""
    places: list[tuple[int, int]] = []
    blocks: list[str] = []
    waiting: list[bytes] = []
    size = 0
    for case in cases:
        encoded = msgspec.json.encode(case.detail)
        if waiting and size + len(encoded) > BLOCK:
            blocks.append(_joined(waiting))
            waiting, size = [], 0
        places.append((len(blocks), len(waiting)))
        waiting.append(encoded)
        size += len(encoded)
    if waiting:
        blocks.append(_joined(waiting))
    return places, blocks


def _joined(encoded: Sequence[bytes]) -> str:
    plain = b"[" + b",".join(encoded) + b"]"
    return base64.b64encode(zlib.compress(plain, 6)).decode("ascii")
