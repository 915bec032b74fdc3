"""Answers that were paid for once: responses and token scores by content key, in one SQLite file.

A cache, not an archive: it may be deleted at any time, and a damaged file is moved aside and begun anew.
"""

from __future__ import annotations

from harness.store.cache import Store
from harness.store.keys import KEY_VERSIONS, Kind, response_key, score_key

__all__ = ["KEY_VERSIONS", "Kind", "Store", "response_key", "score_key"]
