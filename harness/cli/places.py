"""How a place on the disk is told to the user."""

from __future__ import annotations

from pathlib import Path


def near(path: Path) -> Path:
    """Relative to where the user is, where it lies below."""
    here = Path.cwd()
    for one in (here / path, path.resolve()):
        if one.is_relative_to(here):
            return one.relative_to(here)
    return path
