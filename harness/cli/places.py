"""Places on the disk: how they are told to the user, where something may be written, where a run lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.errors import ConfigError


class Writable(click.Path):
    """A file (or a folder) to be written in a folder that is there: a mistyped path makes no folders all the way up,
    and is found before anything is asked."""

    def __init__(self, *, folder: bool = False) -> None:
        super().__init__(path_type=Path, dir_okay=folder, file_okay=not folder)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path."""
        path = super().convert(value, param, ctx)
        assert isinstance(path, Path), "asked for as one"
        if not path.parent.is_dir():
            self.fail(f"{path}: there is no folder {path.parent}. Make it, or name a place that is there.", param, ctx)
        return path


def near(path: Path) -> Path:
    """Relative to where the user is, where it lies below."""
    here = Path.cwd()
    for one in (here / path, path.resolve()):
        if one.is_relative_to(here):
            return one.relative_to(here)
    return path


def record_folder(path: Path) -> Path:
    """The run's folder, from the folder itself or its record.json."""
    folder = path.parent if path.name == "record.json" else path
    if not (folder / "record.json").is_file():
        raise ConfigError(f"{path}: no run record there. Runs write theirs to reports/<run-id>/record.json.")
    return folder
