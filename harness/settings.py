"""Where a project's settings are written: the nearest pyproject.toml with a `[tool.harness]` table."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Settings:
    """The table as it is written, and the file it stands in."""

    file: Path
    table: dict[str, Any]


def find_settings(start: Path) -> Settings | None:
    """The settings of the project that `start` lies in; None where no pyproject.toml from there up has any.

    Raises ConfigError for a file that cannot be read.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        file = folder / "pyproject.toml"
        if not file.is_file():
            continue
        try:
            table = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("harness")
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file}: not valid TOML ({error}). Fix the file, then run again.") from error
        except OSError as error:
            raise ConfigError(f"{file}: cannot be read ({error.strerror}). Check its permissions.") from error
        if table is not None:
            return Settings(file=file, table=table)
    return None
