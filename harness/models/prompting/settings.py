"""The keys of a model YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from harness.errors import ModelError, unknown_name
from harness.models import Message, Sampling
from harness.yamlfile import read_mapping

WHAT = "model YAML"


class RetrieverSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where passages come from, and where they go.

    `folder` holds Markdown and JSONL, and is counted from the YAML's own folder. The `top_k` passages that fit the
    question best replace `{passages}` in `template`. Where the template has `{question}` as well, it becomes the
    user's last message, else it follows the system prompt. A passage has at most about `max_characters`.
    """

    folder: str
    top_k: int = 3
    template: str = "{passages}\n\n{question}"
    max_characters: int = 1000

    def __post_init__(self) -> None:
        if self.top_k < 1:
            raise ValueError(f"top_k = {self.top_k}: at least one passage must be taken")
        if self.max_characters < 50:
            raise ValueError(f"max_characters = {self.max_characters}: a passage needs 50 or more to say anything")
        if "{passages}" not in self.template:
            raise ValueError("template has no {passages}: nothing that was found would reach the model")


class SamplingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How tokens are chosen, where this differs from the project's."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.temperature is not None and not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature = {self.temperature}: 0 or more")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p = {self.top_p}: above 0, and 1 at most")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise ValueError(f"max_tokens = {self.max_tokens}: 1 or more")

    def over(self, sampling: Sampling) -> Sampling:
        """`sampling` with what is set here in its place."""
        own = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}
        return msgspec.structs.replace(sampling, **own)


class ExampleRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One example as it is written: a conversation, or a prompt and its completion. The rest is for people."""

    messages: tuple[Message, ...] = ()
    prompt: str | None = None
    completion: str | None = None
    id: str | None = None
    source: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = {}


class ModelFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model YAML. `model` is any other model reference; the rest is put around every request to it.

    `examples` are rows, or the name of a JSONL file of such rows beside the YAML.
    """

    model: str
    system: str | None = None
    examples: str | tuple[ExampleRow, ...] = ()
    retriever: RetrieverSettings | None = None
    sampling: SamplingSettings = SamplingSettings()

    def __post_init__(self) -> None:
        if self.system is not None and not self.system.strip():
            raise ValueError("system is empty: write it, or leave the key out")


def read_model_file(path: Path) -> ModelFile:
    """The settings of a model YAML. Raises ModelError naming file and key, with the nearest known key."""
    table = read_mapping(path, WHAT, ModelError)
    if "model" not in table and "data" in table:
        raise ModelError(f"{path}: this is a training recipe, not a model. Train it: harness train {path}")
    _refuse_unknown(table, ModelFile, str(path))
    for key, struct in (("retriever", RetrieverSettings), ("sampling", SamplingSettings)):
        _refuse_unknown(table.get(key), struct, f"{path}: {key}")
    for number, row in enumerate(rows if isinstance(rows := table.get("examples"), list) else (), start=1):
        _refuse_unknown(row, ExampleRow, f"{path}: examples, number {number}")
    if "model" not in table:
        raise ModelError(f"{path}: no key model: name the model that is asked, as model: smollm2")
    try:
        # Not strict: YAML 1.1 reads `1e-3` as text.
        return msgspec.convert(table, ModelFile, strict=False)
    except msgspec.ValidationError as error:
        raise ModelError(f"{path}: {error}. Correct the value, then run again.") from error


def _refuse_unknown(table: object, struct: type[msgspec.Struct], where: str) -> None:
    for key in table if isinstance(table, dict) else ():
        if key not in struct.__struct_fields__:
            raise ModelError(f"{where}: {unknown_name('key', str(key), struct.__struct_fields__)}")
