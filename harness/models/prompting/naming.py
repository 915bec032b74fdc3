"""Which model a YAML means: the one it names, asked as it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from harness.errors import ModelError, looked_in
from harness.models.prompting.layers import Layer, Prompting, load_prompting
from harness.models.prompting.settings import WHAT
from harness.models.refs import MODEL_FILES, ModelRef


def through_yaml(
    text: str,
    root: Path,
    within: tuple[Path, ...],
    inner: Callable[[str, tuple[Path, ...]], ModelRef],
    *,
    is_name: Callable[[str], bool],
) -> ModelRef:
    """The reference of a model YAML. `inner` resolves what it names, told which YAMLs led there; `is_name`: does the
    registry know this name?

    Raises ModelError for a file that is not there or cannot be used, and for YAMLs that name each other.
    """
    path = _found(text, root)
    if path in within:
        circle = " -> ".join(one.name for one in (*within[within.index(path) :], path))
        raise ModelError(f"{within[-1]}: model: the YAMLs name each other ({circle}). Let one of them name a model.")
    layer = Layer.read(path)
    ref = inner(_beside(layer.file.model, path.parent, is_name), (*within, path))
    under = load_prompting(ref.prompting, ref.prompting_digest or "").layers if ref.prompting else ()
    return msgspec.structs.replace(
        ref,
        text=text,
        label=path.relative_to(root.resolve()).as_posix() if path.is_relative_to(root.resolve()) else text,
        prompting=(str(path), *ref.prompting),
        prompting_digest=Prompting((layer, *under)).digest,
    )


def _found(text: str, root: Path) -> Path:
    path = Path(text).expanduser()
    for place in (path, root / path):
        if place.is_file():
            return place.resolve()
    folder = next((place.parent for place in (path, root / path) if place.parent.is_dir()), None)
    names = sorted(one.name for one in folder.iterdir() if one.name.endswith(MODEL_FILES)) if folder else []
    there = f" In {folder} there is: {', '.join(names)}." if names else ""
    raise ModelError(f"{text}: there is no such {WHAT} in {looked_in(root)}.{there}")


def _beside(named: str, folder: Path, is_name: Callable[[str], bool]) -> str:
    """`named` with the files that lie beside the YAML by their whole path; a name in the registry stays one."""
    scheme, colon, rest = named.partition(":")
    if colon and scheme in ("hf", "scripted"):
        return f"{scheme}:{'+'.join(_whole(part, folder) for part in rest.split('+'))}"
    return named if is_name(named) else _whole(named, folder)


def _whole(name: str, folder: Path) -> str:
    path = folder / Path(name).expanduser()
    return str(path.resolve()) if name and path.exists() else name
