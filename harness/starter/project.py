"""What a new project consists of, and writing it without touching anything that is there."""

from __future__ import annotations

import math
import string
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import msgspec

from harness.checks import validate
from harness.errors import ConfigError
from harness.golden import ENDING, GoldenSet, find_golden_sets, load_golden_set
from harness.policy import GatePolicy
from harness.starter.margins import POWER, MarginChoice, choose_margin

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

SETTINGS = "pyproject.toml"
_FILES = Path(__file__).parent / "files"
_SETS = "golden_sets"

#: Packaged under other names, so that no tool takes them for this package's own suites and settings.
_TEMPLATE = ".template"
_DOTTED = {"gitignore": ".gitignore", "gitkeep": ".gitkeep"}

#: Sets that the starter's policy wants improved; all others are guards.
_TARGETS = GatePolicy(improve=("triage",))


class StarterFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of the project, relative to its folder. `there` already: it is left as it is."""

    path: str
    content: bytes
    there: bool


class StarterProject(msgspec.Struct, frozen=True, kw_only=True):
    """A project as it would be written into `folder`. `configured` says whether harness finds its settings there
    afterwards: a pyproject.toml of the user's own may lack them."""

    folder: Path
    files: tuple[StarterFile, ...]
    margin: MarginChoice
    configured: bool

    @property
    def new(self) -> tuple[StarterFile, ...]:
        """What is to be written."""
        return tuple(file for file in self.files if not file.there)

    @property
    def kept(self) -> tuple[StarterFile, ...]:
        """What is there already."""
        return tuple(file for file in self.files if file.there)

    @property
    def settings(self) -> str:
        """The text of the starter's pyproject.toml, written or not."""
        return next(file.content.decode() for file in self.files if file.path == SETTINGS)


def plan_project(folder: Path, language: Language, *, flips: float) -> StarterProject:
    """The starter for `folder`; the margin is worked out for the golden sets as they will stand there, the user's own
    included.

    Raises ConfigError where the folder is a file, or where no margin will do, and GoldenSetError for a faulty set.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is a file. Name a folder; it may exist already.")
    source = _FILES / language
    sources = {_written_name(file.relative_to(source)): file for file in sorted(source.rglob("*")) if file.is_file()}
    margin = choose_margin(_guard_sizes(_golden_sets(folder, sources)), flips)
    files = []
    for path, file in sources.items():
        content = file.read_bytes()
        if path == SETTINGS:
            content = _fill(content.decode(), margin).encode()
        there = (folder / path).exists() or (folder / path).is_symlink()
        files.append(StarterFile(path=path, content=content, there=there))
    return StarterProject(folder=folder, files=tuple(files), margin=margin, configured=_configured(folder))


def write_project(project: StarterProject) -> None:
    """Write the files that are not there yet, each whole or not at all. Raises OSError; a file that appeared meanwhile
    is not overwritten."""
    for file in project.new:
        target = project.folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as opened:
            try:
                opened.write(file.content)
                opened.flush()
            except BaseException:
                target.unlink()
                raise


def _written_name(packaged: Path) -> str:
    name = packaged.name.removesuffix(_TEMPLATE)
    return packaged.with_name(_DOTTED.get(name, name)).as_posix()


def _golden_sets(folder: Path, sources: dict[str, Path]) -> list[GoldenSet]:
    """The sets of the folder, and those of the starter that it lacks."""
    home = folder / _SETS
    names = find_golden_sets(home) if home.is_dir() else []
    sets = [load_golden_set(home / f"{name}{ENDING}", root=home, validate_check=validate) for name in names]
    for path, file in sources.items():
        if path.startswith(f"{_SETS}/") and path.removeprefix(f"{_SETS}/").removesuffix(ENDING) not in names:
            root = next(parent for parent in file.parents if parent.name == _SETS)
            sets.append(load_golden_set(file, root=root, validate_check=validate))
    return sets


def _guard_sizes(sets: Sequence[GoldenSet]) -> dict[str, int]:
    """Rated cases of each guard set: multiple choice, and questions with a check."""
    sizes = {
        one.name: sum(bool(case.choices or case.checks) for case in one.cases)
        for one in sorted(sets, key=lambda one: one.name)
        if not _TARGETS.is_target(one.name)
    }
    return {name: n for name, n in sizes.items() if n}


def _fill(template: str, choice: MarginChoice) -> str:
    wide = max(len(name) for name in choice.sizes)
    return string.Template(template).substitute(
        cases=choice.cases,
        flips=f"{choice.flips:.0%}",
        power=f"{POWER:.0%}",
        margin=f"{choice.margin:.2f}",
        choices="\n".join(f"#   margin {margin:.2f}:  {power}" for margin, power in choice.choices.items()),
        sees="\n".join(
            f"#   {name:<{wide}}  n={choice.sizes[name]:<4} {math.ceil(100 * drop)} points"
            for name, drop in choice.sees.items()
        ),
    )


def _configured(folder: Path) -> bool:
    """Will there be a `[tool.harness]`? True where the file is still to be written, or cannot be read: then
    whoever loads it says so."""
    try:
        table = tomllib.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return True
    return "harness" in table.get("tool", {})
