"""Identity of model files: what must be equal for two models to be the same one."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import ModelError

#: Beside the weights, these decide what a model says: the prompt's rendering, the tokens, where it stops.
_TOKENIZER_FILES = (
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
)

#: Keys of JSON files that say where or by what a model was saved, and nothing about its answers.
_INCIDENTAL = {
    "_name_or_path",
    "_model_name_or_path",
    "base_model_name_or_path",
    "transformers_version",
    "peft_version",
}

#: Small files are read faster than their digest is looked up.
_CACHED_FROM_BYTES = 1 << 20


def cache_folder() -> Path:
    """The user's cache folder of this product; `HARNESS_CACHE` overrides it. May be deleted at any time."""
    own = os.environ.get("HARNESS_CACHE")
    if own:
        return Path(own).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "finetune-harness"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "finetune-harness" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "finetune-harness"


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes; of a big file remembered by (path, size, mtime), because a model has
    gigabytes.
    """
    try:
        stat = path.stat()
        if stat.st_size < _CACHED_FROM_BYTES:
            return hashlib.sha256(path.read_bytes()).hexdigest()
        identity = f"{path.resolve()}\n{stat.st_size}\n{stat.st_mtime_ns}"
        note = cache_folder() / "digests" / hashlib.sha256(identity.encode()).hexdigest()
        with contextlib.suppress(OSError):
            known = note.read_text(encoding="ascii").strip()
            if len(known) == 64:
                return known
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}). Check the file and its permissions.") from error
    _remember(note, digest)
    return digest


def base_digest(folder: Path) -> str:
    """sha256 over weights, configuration, tokenizer and template of a whole model.

    Raises ModelError where there are no safetensors: other formats run code when they are loaded.
    """
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise ModelError(
            f"{folder}: no *.safetensors. Only safetensors are loaded; save the model again with "
            "save_pretrained(…, safe_serialization=True)."
        )
    return _over([*weights, *_present(folder, ("config.json", "generation_config.json", *_TOKENIZER_FILES))])


def adapter_digest(folder: Path) -> str:
    """sha256 over weights and configuration of a PEFT adapter, and over the tokenizer if it brings one."""
    weights = folder / "adapter_model.safetensors"
    if not weights.is_file():
        raise ModelError(
            f"{folder}: no adapter_model.safetensors. Only safetensors are loaded; save the adapter again."
        )
    return _over([weights, *_present(folder, ("adapter_config.json", *_TOKENIZER_FILES))])


def refuse_damaged(weights: Path) -> None:
    """Raise ModelError where a safetensors file is cut off, empty or none.

    Only its header is read: 8 bytes with its length, JSON, and then tensors up to the last end that it names.
    """
    try:
        size = weights.stat().st_size
        with weights.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = file.read(length) if length <= size - 8 else b""
        tensors = msgspec.json.decode(header, type=dict[str, dict[str, Any]])
        ends = [tensor["data_offsets"][1] for name, tensor in tensors.items() if name != "__metadata__"]
        if 8 + length + max(ends, default=0) == size:
            return
        why = f"{size:,} bytes, and its header names {8 + length + max(ends, default=0):,}"
    except OSError as error:
        raise ModelError(
            f"{weights}: cannot be read ({error.strerror}). Check the file and its permissions."
        ) from error
    except (msgspec.MsgspecError, UnicodeDecodeError, LookupError, TypeError):
        why = f"{size:,} bytes without a whole header"
    raise ModelError(f"{weights}: damaged ({why}). Copy it again, or save the adapter again.")


def recorded_base_digest(adapter: Path) -> str | None:
    """The digest of the base that an adapter was trained on, where training.json in or beside its folder says
    it.
    """
    for digest in _noted(adapter, "base_digest"):
        if isinstance(digest, str) and digest:
            return digest
    return None


def training_seconds(adapter: Path) -> float | None:
    """How long it took to train this adapter, by the training.json in or beside its folder; None where none says."""
    for seconds in _noted(adapter, "seconds"):
        if isinstance(seconds, int | float) and seconds > 0:
            return float(seconds)
    return None


def _noted(adapter: Path, key: str) -> Iterator[object]:
    for file in (
        adapter / "training.json",
        adapter.parent / "training.json",
        adapter.parent / "manifest.json",
    ):
        try:
            notes = msgspec.json.decode(file.read_bytes())
        except (OSError, msgspec.DecodeError):
            continue
        if isinstance(notes, dict) and key in notes:
            yield notes[key]


def _present(folder: Path, names: Iterable[str]) -> list[Path]:
    return [folder / name for name in sorted(names) if (folder / name).is_file()]


def _over(files: list[Path]) -> str:
    lines = (f"{file.name} {_canonical_digest(file)}" for file in files)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _canonical_digest(file: Path) -> str:
    """Of a configuration: sha256 of its canonical JSON without incidental keys. Of any other file: of its
    bytes.
    """
    if not file.name.endswith("config.json"):
        return file_digest(file)
    try:
        value: Any = msgspec.json.decode(file.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise ModelError(f"{file}: cannot be read as JSON ({error}). Save the model again.") from error
    if isinstance(value, dict):
        value = {key: item for key, item in value.items() if key not in _INCIDENTAL}
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()


def _remember(note: Path, digest: str) -> None:
    """A cache that cannot be written costs time, never the run."""
    with contextlib.suppress(OSError):
        note.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=note.parent)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(digest)
        os.replace(temporary, note)
