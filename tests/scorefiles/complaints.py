"""What a damaged file may do: give scores, or one sentence that begins with its name."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from harness.errors import ScoreFileError


@contextlib.contextmanager
def scores_or_one_sentence(file: str) -> Iterator[None]:
    """Whatever else is raised goes through and fails the test."""
    told = None
    try:
        yield
    except ScoreFileError as error:
        told = str(error)
    if told is not None:
        assert told.startswith(file)
        assert "\n" not in told
