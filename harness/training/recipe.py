"""Recipes: everything that decides what a training run makes, in one file that can be reviewed."""

from __future__ import annotations

import hashlib
import types
import typing
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from harness.errors import RecipeError, unknown_name
from harness.yamlfile import UniqueKeys, one_line, read_mapping

#: Part of every plan digest: raised when the trainer makes another adapter from the same recipe.
TRAINER_VERSION = 2


def _demand(holds: bool, sentence: str) -> None:
    if not holds:
        raise ValueError(sentence)


class DataRecipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which rows are learned. `limit` takes the first rows of the file; `validation` is the share held out, by
    prompt, so that rows with one prompt stay on one side."""

    train: str
    limit: int | None = None
    validation: float = 0.1

    def __post_init__(self) -> None:
        _demand(self.limit is None or self.limit >= 1, f"data.limit = {self.limit}: take at least one row")
        _demand(0 <= self.validation < 1, f"data.validation = {self.validation}: a share from 0 to below 1")


class ReplayRecipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """General prompts mixed in, answered by the base itself (greedy, at most `max_tokens`), so that the model is
    reminded of what it already does. `ratio` = replay rows / all training rows.

    `learn` "distribution" keeps the base's whole next-token distribution over its answers (the divergence
    KL(base, model), with the adapter off for the base's side); "text" learns the answers' words alone, as if they
    were task rows: it costs one forward pass less, and teaches certainty where the base had none.
    """

    prompts: str
    ratio: float
    source: Literal["self"] = "self"
    max_tokens: int = 128
    learn: Literal["distribution", "text"] = "distribution"

    def __post_init__(self) -> None:
        _demand(0 < self.ratio < 1, f"replay.ratio = {self.ratio}: replay rows / all rows, between 0 and 1")
        _demand(self.max_tokens >= 1, f"replay.max_tokens = {self.max_tokens}: allow at least one token")


class LoraRecipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The adapter's shape. `targets` is "all-linear" (every linear layer but the head) or names of layers."""

    r: int = 16
    alpha: float = 32
    dropout: float = 0.0
    targets: Literal["all-linear"] | tuple[str, ...] = "all-linear"

    def __post_init__(self) -> None:
        _demand(self.r >= 1, f"lora.r = {self.r}: the rank is at least 1")
        _demand(self.alpha > 0, f"lora.alpha = {self.alpha}: the scale is positive")
        _demand(0 <= self.dropout < 1, f"lora.dropout = {self.dropout}: a share from 0 to below 1")
        _demand(bool(self.targets), "lora.targets is empty: nothing would be trained")


class OptimRecipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the weights move: AdamW, cosine decay to zero after a linear warm-up.

    `batch_size` rows make one update; they pass through the model `micro_batch_size` at a time (all at once where
    that is not set), which changes memory and speed but not the gradient. `warmup` is a share of all updates.
    `early_stopping` is the number of epochs without a better validation loss after which training stops; the best
    epoch's weights are kept. None trains to the end and keeps the last.
    """

    lr: float = 2e-4
    epochs: int = 3
    batch_size: int = 16
    micro_batch_size: int | None = None
    warmup: float = 0.05
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    early_stopping: int | None = None

    def __post_init__(self) -> None:
        _demand(self.lr >= 0, f"optim.lr = {self.lr}: the rate is not negative")
        _demand(self.epochs >= 1, f"optim.epochs = {self.epochs}: train at least one epoch")
        _demand(self.batch_size >= 1, f"optim.batch_size = {self.batch_size}: at least one row an update")
        micro = self.micro_batch_size
        _demand(
            micro is None or 1 <= micro <= self.batch_size,
            f"optim.micro_batch_size = {micro}: between 1 and optim.batch_size ({self.batch_size})",
        )
        _demand(0 <= self.warmup < 1, f"optim.warmup = {self.warmup}: a share of the updates, below 1")
        _demand(self.weight_decay >= 0, f"optim.weight_decay = {self.weight_decay}: not negative")
        _demand(self.max_grad_norm > 0, f"optim.max_grad_norm = {self.max_grad_norm}: positive")
        stopping = self.early_stopping
        _demand(stopping is None or stopping >= 1, f"optim.early_stopping = {stopping}: at least one epoch")


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One training run. Paths are relative to the project's root.

    `method` "qlora" loads the base in 4 bits (NF4, double quantisation). `max_length` is in tokens; what an
    `overlong` row does is decided here, because cutting it silently would lose the end of its answer. `dtype` is
    the frozen base's; the adapter is always trained in float32.
    """

    name: str
    data: DataRecipe
    base: str = "smollm2"
    method: Literal["lora", "qlora"] = "lora"
    replay: ReplayRecipe | None = None
    lora: LoraRecipe = LoraRecipe()
    optim: OptimRecipe = OptimRecipe()
    seed: int = 0
    max_length: int = 1024
    overlong: Literal["drop", "error"] = "drop"
    dtype: Literal["bfloat16", "float32"] = "bfloat16"

    def __post_init__(self) -> None:
        plain = self.name.replace("-", "").replace("_", "").replace(".", "")
        _demand(
            plain.isalnum() and plain.isascii() and self.name[0].isalnum(),
            f"name = {self.name!r}: letters, digits, '-', '_' and '.', beginning with a letter or digit",
        )
        _demand(self.max_length >= 8, f"max_length = {self.max_length}: in tokens, at least 8")
        _demand(self.seed >= 0, f"seed = {self.seed}: not negative")
        stopping = self.optim.early_stopping is not None
        _demand(
            not (stopping and self.data.validation == 0),
            "optim.early_stopping needs a validation split: set data.validation above 0",
        )

    def digest(self, inputs: Iterable[str]) -> str:
        """The plan digest: sha256 over every field of the recipe, the digests of its inputs (data files, base) and
        the trainer's version. Two runs with one plan digest make the same adapter."""
        parts = [msgspec.json.encode(self, order="sorted").decode(), *inputs, str(TRAINER_VERSION)]
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe; `overrides` are `key.path=value` from the command line, the value in YAML.

    Raises RecipeError naming the file and the key, with the nearest known key.
    """
    table = read_mapping(path, "recipe", RecipeError)
    for override in overrides:
        _override(table, override)
    where = f"{path} (with --set)" if overrides else str(path)
    _refuse_unknown(table, Recipe, where, "")
    try:
        # Not strict: YAML 1.1 reads `1e-3` as text, and everybody writes it.
        return msgspec.convert(table, Recipe, strict=False)
    except msgspec.ValidationError as error:
        raise RecipeError(f"{where}: {error}. Fix the recipe, then run again.") from error


def _override(table: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set {override}: write it as key=value, for example --set optim.lr=1e-3")
    *parents, last = key.strip().split(".")
    for name in parents:
        inner = table.setdefault(name, {})
        if inner is None:
            inner = table[name] = {}
        if not isinstance(inner, dict):
            raise RecipeError(f"--set {override}: {name!r} is a value, not a group of keys")
        table = inner
    try:
        table[last] = yaml.load(value, Loader=UniqueKeys)
    except yaml.YAMLError as error:
        raise RecipeError(f"--set {override}: the value is not valid YAML: {one_line(error)}") from error


def _refuse_unknown(table: dict[Any, Any], struct: type[msgspec.Struct], where: str, path: str) -> None:
    hints = typing.get_type_hints(struct)
    for key, value in table.items():
        if key not in struct.__struct_fields__:
            inside = f" in {path!r}" if path else ""
            raise RecipeError(f"{where}: {unknown_name('key', str(key), struct.__struct_fields__)}{inside}")
        inner = _struct_of(hints[key])
        if inner is not None and isinstance(value, dict):
            _refuse_unknown(value, inner, where, f"{path}.{key}" if path else str(key))


def _struct_of(hint: Any) -> type[msgspec.Struct] | None:
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return next((o for o in options if isinstance(o, type) and issubclass(o, msgspec.Struct)), None)
