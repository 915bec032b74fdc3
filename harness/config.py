"""The project's settings: `[tool.harness]` of the nearest pyproject.toml."""

from __future__ import annotations

import fnmatch
import hashlib
import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec

from harness.errors import ConfigError, unknown_name


class GatePolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a candidate must do to ship. Committed before the first candidate; its digest is in every record.

    `margin` is the largest drop in pass rate (0.05 = 5 points) that still counts as "not worse", for all guard sets
    pooled; `margins` gives single sets (by name or pattern) a bar of their own as well. Sets matched by `improve`
    are targets and must get better; every other set is a guard. `floors` are least pass rates of single sets.
    """

    margin: float = 0.05
    alpha: float = 0.05
    improve: tuple[str, ...] = ()
    margins: dict[str, float] = {}
    floors: dict[str, float] = {}
    on_inconclusive: Literal["block", "warn"] = "block"
    suites: tuple[str, ...] = ("suites/",)

    def __post_init__(self) -> None:
        for name, value in [("margin", self.margin), *((f"margins.{k}", v) for k, v in self.margins.items())]:
            if not 0 < value < 1:
                raise ValueError(f"{name} = {value}: a margin is a share between 0 and 1 (0.05 = 5 points)")
        for name, least in self.floors.items():
            if not 0 < least <= 1:
                raise ValueError(f"floors.{name} = {least}: a floor is a share above 0 and up to 1 (0.9 = 90%)")
        if not 0 < self.alpha < 0.5:
            raise ValueError(f"alpha = {self.alpha}: the false-alarm rate lies between 0 and 0.5")

    def is_target(self, set_name: str) -> bool:
        """Must this set improve (rather than merely not get worse)?"""
        return matches(set_name, self.improve)

    def own_margin(self, set_name: str) -> float | None:
        """The set's own margin, exact name before pattern, or None where only the pool is judged."""
        if set_name in self.margins:
            return self.margins[set_name]
        return next((v for k, v in self.margins.items() if fnmatch.fnmatchcase(set_name, k)), None)

    def floor(self, set_name: str) -> float | None:
        """The least pass rate demanded of the set, exact name before pattern, or None."""
        if set_name in self.floors:
            return self.floors[set_name]
        return next((v for k, v in self.floors.items() if fnmatch.fnmatchcase(set_name, k)), None)

    @property
    def digest(self) -> str:
        """sha256 of the policy's canonical JSON."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()


class SamplingConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Defaults of generation; greedy unless a temperature is set."""

    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int = 0


class SetConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What differs for one golden set (by name or pattern)."""

    max_tokens: int | None = None


class HarnessConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of `[tool.harness]`. Paths are relative to the folder of pyproject.toml."""

    golden_sets: str = "golden_sets"
    state: str = ".harness"
    reports: str = "reports"
    device: str = "auto"
    dtype: str = "auto"
    batch_size: int = 32
    sampling: SamplingConfig = SamplingConfig()
    sets: dict[str, SetConfig] = {}
    gate: GatePolicy = GatePolicy()
    egress: tuple[str, ...] = ()

    def max_tokens(self, set_name: str) -> int:
        """The token limit for a set: its own, else its first matching pattern's, else the default."""
        own = self.sets.get(set_name)
        if own is None:
            own = next((v for k, v in self.sets.items() if fnmatch.fnmatchcase(set_name, k)), None)
        return self.sampling.max_tokens if own is None or own.max_tokens is None else own.max_tokens


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A configured folder on disk; the only place where configured names become paths."""

    root: Path
    config: HarnessConfig

    @property
    def golden_sets(self) -> Path:
        """Folder of the golden sets."""
        return self.root / self.config.golden_sets

    @property
    def store(self) -> Path:
        """The answer cache; may be deleted at any time."""
        return self.root / self.config.state / "store.sqlite"

    @property
    def registry(self) -> Path:
        """Versions and aliases; not a cache."""
        return self.root / self.config.state / "registry"

    @property
    def reports(self) -> Path:
        """One folder per run."""
        return self.root / self.config.reports


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Does `name` equal or glob-match one of the patterns ('retention/*')?"""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def load_project(start: Path) -> Project:
    """The project that `start` lies in: the nearest pyproject.toml with a `[tool.harness]` table, else the defaults
    in `start` itself.

    Raises ConfigError naming the file, the key and the nearest known key.
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
            return Project(root=folder, config=parse_config(table, where=str(file)))
    return Project(root=start, config=HarnessConfig())


def parse_config(table: dict[str, Any], *, where: str) -> HarnessConfig:
    """Validate a `[tool.harness]` table; `where` names it in errors."""
    _refuse_unknown(table, HarnessConfig, where, "tool.harness")
    _refuse_unknown(table.get("gate", {}), GatePolicy, where, "tool.harness.gate")
    _refuse_unknown(table.get("sampling", {}), SamplingConfig, where, "tool.harness.sampling")
    sets = table.get("sets", {})
    for name, own in sets.items() if isinstance(sets, dict) else ():
        _refuse_unknown(own, SetConfig, where, f"tool.harness.sets.{name!r}")
    try:
        return msgspec.convert(table, HarnessConfig)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: [tool.harness]: {error}") from error


def _refuse_unknown(table: object, struct: type[msgspec.Struct], where: str, path: str) -> None:
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: [{path}] must be a table, not {type(table).__name__}")
    known = struct.__struct_fields__
    for key in table:
        if key not in known:
            raise ConfigError(f"{where}: [{path}] {unknown_name('key', str(key), known)}")
