"""Other pytest plugins that want our options: pytest ends every run in which two plugins define one name."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from harness.environment.libraries import DISTRIBUTION

#: The names that our plugin registers.
OPTIONS = (
    "--model",
    "--baseline",
    "--judge",
    "--samples",
    "--aa",
    "--store-only",
    "--max-cost",
    "--strict-cases",
    "--report-dir",
    "--device",
    "--dtype",
)  # fmt: skip

#: The positional arguments of a call: everything before the first keyword or the end.
_ADDED = re.compile(r"\baddoption\(\s*((?:[\"'][^\"']*[\"']\s*,?\s*)+)")
_NAME = re.compile(r"[\"'](--[\w-]+)[\"']")


class Clash(msgspec.Struct, frozen=True, kw_only=True):
    """An option of ours that `owner`, a plugin or a conftest.py, defines too. `plugin` is its name for `-p no:NAME`,
    None for a conftest.py."""

    option: str
    owner: str
    plugin: str | None


def find_clashes(root: Path) -> tuple[Clash, ...]:
    """The clashes among installed plugins and the project's conftest.py files, from their source alone."""
    found: dict[tuple[str, str], Clash] = {}
    for owner, plugin, file in [*_plugin_files(), *((str(file), None, file) for file in _conftests(root))]:
        for option in added_options(file):
            if option in OPTIONS:
                found.setdefault((option, owner), Clash(option=option, owner=owner, plugin=plugin))
    return tuple(found[key] for key in sorted(found))


def added_options(file: Path) -> list[str]:
    """The long options that a module's source passes to `addoption`."""
    try:
        source = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    return [name for call in _ADDED.findall(source) for name in _NAME.findall(call)] if "addoption" in source else []


def _plugin_files() -> Iterator[tuple[str, str, Path]]:
    for entry in importlib.metadata.entry_points(group="pytest11"):
        if entry.dist is None or entry.dist.name == DISTRIBUTION:
            continue
        top = entry.module.split(".")[0]
        for file in entry.dist.files or ():
            if file.suffix == ".py" and file.parts[0] in (top, f"{top}.py"):
                yield entry.dist.name, entry.name, Path(str(file.locate()))


def _conftests(root: Path) -> Iterable[Path]:
    here = [root / "conftest.py"]
    return [file for file in [*here, *sorted((root / "suites").rglob("conftest.py"))] if file.is_file()]
