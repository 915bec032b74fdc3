"""The project's settings: `[tool.harness]` of the nearest pyproject.toml."""

from __future__ import annotations

import fnmatch
import re
import tomllib
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec

from harness.errors import ConfigError, unknown_name
from harness.policy import Budget, CaseGroup, GatePolicy, Waiver
from harness.reviewing import ReviewPolicy, ReviewSettings
from harness.settings import find_settings

Tracker = Literal["tensorboard", "wandb"]


class SamplingConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Defaults of generation; greedy unless a temperature is set."""

    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens = {self.max_tokens}: an answer needs at least 1")
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature = {self.temperature}: it is 0 (greedy) or more")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p = {self.top_p}: a share above 0 and up to 1")


class SetConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What differs for one golden set (by name or pattern). `schema` is a file with the JSON Schema that its answers
    are held to."""

    max_tokens: int | None = None
    schema: str | None = None

    def __post_init__(self) -> None:
        if self.max_tokens is not None and self.max_tokens < 1:
            raise ValueError(f"max_tokens = {self.max_tokens}: an answer needs at least 1")


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a million tokens cost, read (`input`) and written (`output`), in the currency of your bill."""

    input: float
    output: float

    def __post_init__(self) -> None:
        for name in ("input", "output"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"price {name} = {getattr(self, name)}: a price per million tokens is 0 or more")

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """What so many tokens cost."""
        return (prompt_tokens * self.input + completion_tokens * self.output) / 1_000_000


class EndpointConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A server that speaks the OpenAI protocol, and the model to ask there.

    `url` ends where `/chat/completions` begins. Secrets are named, never written: `api_key_env` is a variable of the
    environment, and a value of `headers` that begins with `env:` names one. `extra_body` goes into every request and
    is part of the model's identity; `omit` names parameters that the server does not take. `rpm` and `tpm` are
    requests and tokens a minute. `token_scores` says that the server's /completions gives the log-probabilities of a
    prompt: of "prose", or of "all" texts, where it has /tokenize beside it (vLLM). `in_flight` is how many requests
    are open at first (default: 64 on this machine and on private networks, 20 elsewhere). `timeout` and `cooldown`
    (after a 429 that names no time) are seconds.
    """

    url: str
    model: str
    api_key_env: str | None = None
    headers: dict[str, str] = {}
    extra_body: dict[str, Any] = {}
    omit: tuple[str, ...] = ()
    max_tokens_key: str | None = None
    price: Price | None = None
    token_scores: Literal["prose", "all"] | None = None
    rpm: int | None = None
    tpm: int | None = None
    in_flight: int | None = None
    max_in_flight: int = 512
    timeout: float = 300.0
    attempts: int = 5
    cooldown: float = 15.0

    def __post_init__(self) -> None:
        for name in ("rpm", "tpm", "in_flight", "max_in_flight", "timeout", "attempts"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} = {value}: it must be above 0")
        if self.cooldown < 0:
            raise ValueError(f"cooldown = {self.cooldown}: seconds to wait are 0 or more")


class JudgeConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who compares answers, and how.

    `model` is any model reference; `judges` names several others that vote instead. `choice` compares the probabilities
    of the labels A, B and tie (default of local models), `verdict` reads a reasoned reply (default elsewhere).
    `rubric` is a Markdown file; `structured` has the server hold replies to a JSON form. `max_tokens` of a reply and
    `context` of the judge are tokens. `family` is the maker, where the model's name does not tell.
    """

    model: str = ""
    judges: tuple[str, ...] = ()
    mode: Literal["auto", "verdict", "choice"] = "auto"
    rubric: str | None = None
    structured: bool = False
    max_tokens: int = 512
    context: int = 8192
    family: str | None = None

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens = {self.max_tokens}: a verdict needs tokens")
        if self.context < 512:
            raise ValueError(f"context = {self.context}: a rubric and two answers need 512 tokens and more")


class VllmConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How vLLM is started in process. What is None is left to it, or read from the model.

    `max_model_len` is the longest text in tokens, prompt and answer; `max_num_seqs` how many requests are in flight at
    most; `gpu_memory_utilization` the share of a card's memory that may be used; `kv_cache_gib` the cache's memory in
    GiB. `engine_args` are any further arguments of `vllm.LLM`: they may change answers, so they are part of the number
    format that records and the store know a model by.
    """

    tensor_parallel_size: int = 1
    max_model_len: int | None = None
    max_num_seqs: int | None = None
    max_lora_rank: int | None = None
    gpu_memory_utilization: float | None = None
    kv_cache_gib: float | None = None
    engine_args: dict[str, Any] = {}

    def __post_init__(self) -> None:
        for name in ("tensor_parallel_size", "max_model_len", "max_num_seqs", "max_lora_rank", "kv_cache_gib"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} = {value}: it must be above 0")
        if self.gpu_memory_utilization is not None and not 0 < self.gpu_memory_utilization <= 1:
            raise ValueError(f"gpu_memory_utilization = {self.gpu_memory_utilization}: a share above 0 and up to 1")


class HarnessConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of `[tool.harness]`. Paths are relative to the folder of pyproject.toml; `language` is that of reports."""

    golden_sets: str = "golden_sets"
    state: str = ".harness"
    reports: str = "reports"
    language: Literal["en", "zh"] = "en"
    trackers: tuple[Tracker, ...] = ()
    device: str = "auto"
    dtype: str = "auto"
    batch_size: int = 32
    sampling: SamplingConfig = SamplingConfig()
    sets: dict[str, SetConfig] = {}
    gate: GatePolicy = GatePolicy()
    egress: tuple[str, ...] = ()
    endpoints: dict[str, EndpointConfig] = {}
    judge: str | None = None
    judges: dict[str, JudgeConfig] = {}
    thinking: Literal["keep", "strip"] = "keep"
    vllm: VllmConfig = VllmConfig()
    review: ReviewSettings = ReviewSettings()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"auto|cpu|mps|(cuda|xpu)(:\d+)?", self.device):
            raise ValueError(f"device = {self.device!r}: auto, cpu, cuda, cuda:1, or what else torch calls one")

    def max_tokens(self, set_name: str) -> int:
        """The token limit for a set: its own, else its first matching pattern's, else the default."""
        own = self._of_set(set_name).max_tokens
        return self.sampling.max_tokens if own is None else own

    def schema(self, set_name: str) -> str | None:
        """The schema file for a set, found as its token limit is."""
        return self._of_set(set_name).schema

    def _of_set(self, set_name: str) -> SetConfig:
        own = self.sets.get(set_name)
        if own is None:
            own = next((v for k, v in self.sets.items() if fnmatch.fnmatchcase(set_name, k)), None)
        return own or SetConfig()


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

    def schema(self, set_name: str) -> str | None:
        """The JSON Schema that answers of this set are held to, as JSON; ConfigError where its file has none."""
        name = self.config.schema(set_name)
        if name is None:
            return None
        file = self.root / name
        try:
            schema = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
        except OSError as error:
            raise ConfigError(
                f"{file}: the schema of {set_name} cannot be read ({error.strerror}). Check its name."
            ) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{file}: the schema of {set_name} is not a JSON object ({error}). Correct it."
            ) from error
        return msgspec.json.encode(schema, order="sorted").decode()

    @property
    def noise(self) -> Path:
        """How much each baseline differs from itself."""
        return self.root / self.config.state / "noise"

    @property
    def judges(self) -> Path:
        """The judges' cards."""
        return self.root / self.config.state / "judges"

    @property
    def reports(self) -> Path:
        """One folder per run."""
        return self.root / self.config.reports


def load_project(start: Path) -> Project:
    """The project that `start` lies in: the nearest pyproject.toml with a `[tool.harness]` table, else the defaults
    in `start` itself.

    Raises ConfigError naming the file, the key and the nearest known key.
    """
    found = find_settings(start)
    if found is None:
        return Project(root=start.resolve(), config=HarnessConfig())
    return Project(root=found.file.parent, config=parse_config(found.table, where=str(found.file)))


def parse_config(table: dict[str, Any], *, where: str) -> HarnessConfig:
    """Validate a `[tool.harness]` table; `where` names it in errors."""
    _refuse_unknown(table, HarnessConfig, where, "tool.harness")
    gate = table.get("gate", {})
    _refuse_unknown(gate, GatePolicy, where, "tool.harness.gate")
    groups, waivers = gate.get("groups", {}), gate.get("waivers", [])
    for name, group in groups.items() if isinstance(groups, dict) else ():
        _refuse_unknown(group, CaseGroup, where, f"tool.harness.gate.groups.{name}")
    for name, budget in budgets.items() if isinstance(budgets := gate.get("budgets", {}), dict) else ():
        _refuse_unknown(budget, Budget, where, f"tool.harness.gate.budgets.{name!r}")
    for waiver in waivers if isinstance(waivers, list) else ():
        _refuse_unknown(waiver, Waiver, where, "[tool.harness.gate.waivers]")
    _refuse_unknown(gate.get("review", {}), ReviewPolicy, where, "tool.harness.gate.review")
    _refuse_unknown(table.get("review", {}), ReviewSettings, where, "tool.harness.review")
    _refuse_unknown(table.get("sampling", {}), SamplingConfig, where, "tool.harness.sampling")
    _refuse_unknown(table.get("vllm", {}), VllmConfig, where, "tool.harness.vllm")
    sets = table.get("sets", {})
    for name, own in sets.items() if isinstance(sets, dict) else ():
        _refuse_unknown(own, SetConfig, where, f"tool.harness.sets.{name!r}")
    endpoints = table.get("endpoints", {})
    for name, endpoint in endpoints.items() if isinstance(endpoints, dict) else ():
        _refuse_unknown(endpoint, EndpointConfig, where, f"tool.harness.endpoints.{name}")
        if "price" in endpoint:
            _refuse_unknown(endpoint["price"], Price, where, f"tool.harness.endpoints.{name}.price")
    judges = table.get("judges", {})
    for name, judge in judges.items() if isinstance(judges, dict) else ():
        _refuse_unknown(judge, JudgeConfig, where, f"tool.harness.judges.{name}")
    # Without one, part of the suites would be all that the policy wants asked.
    if gate.get("suites") == []:
        raise ConfigError(
            f"{where}: [tool.harness.gate] suites is empty, so nothing would have to be asked. Name the folders of "
            'your suites, or leave it out for ["suites/"].'
        )
    try:
        return msgspec.convert(table, HarnessConfig)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: [tool.harness]: {_told(str(error))}") from error


def _told(error: str) -> str:
    """What msgspec says, with the words that may stand there where one is none of them."""
    found = re.fullmatch(r"Invalid enum value '(.*)' - at `\$\.([\w.]+).*`", error)
    if found is None:
        return error
    kind: Any = HarnessConfig
    for name in found[2].split("."):
        kind = next(field.type for field in msgspec.structs.fields(kind) if field.name == name)
    known = [word for part in (kind, *get_args(kind)) if get_origin(part) is Literal for word in get_args(part)]
    return f"{found[2]}: {unknown_name('word', found[1], known)}" if known else error


def read_policy(file: Path) -> GatePolicy:
    """A policy from a TOML file: its [tool.harness.gate] table where it has one, else the whole file.

    Raises ConfigError for one that cannot be read, or has neither.
    """
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror}). Name a TOML file with a policy.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not valid TOML ({error}). Fix the file, then run again.") from error
    if "tool" in table:
        table = table["tool"].get("harness", {}).get("gate")
        if table is None:
            raise ConfigError(
                f"{file}: no [tool.harness.gate] in it. Add the table, or write its keys at the top level."
            )
    return parse_config({"gate": table}, where=str(file)).gate


def _refuse_unknown(table: object, struct: type[msgspec.Struct], where: str, path: str) -> None:
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: [{path}] must be a table, not {type(table).__name__}")
    known = struct.__struct_fields__
    for key in table:
        if key not in known:
            raise ConfigError(f"{where}: [{path}] {unknown_name('key', str(key), known)}")
