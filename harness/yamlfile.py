"""YAML files of settings, read so that no key is lost in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from harness.errors import HarnessError


class UniqueKeys(yaml.SafeLoader):
    """Plain YAML keeps the last of two equal keys without a word: the first would be a dead option."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"duplicate key {key!r}", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def read_mapping(path: Path, what: str, error: type[HarnessError]) -> dict[Any, Any]:
    """The keys and values of a YAML file; `what` names such a file in messages ("recipe").

    Raises `error` where the file cannot be read, is not valid YAML, has a key twice, or is no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        beside = sorted(p.name for p in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
        hint = f" There is: {', '.join(beside)}." if beside else ""
        raise error(f"{path}: no such {what}.{hint} Check the path.") from None
    except (OSError, UnicodeDecodeError) as cause:
        raise error(f"{path}: the {what} cannot be read ({cause}).") from cause
    try:
        table = yaml.load(text, Loader=UniqueKeys)
    except yaml.YAMLError as cause:
        raise error(f"{path}: not valid YAML: {one_line(cause)}. Fix the file, then run again.") from cause
    if not isinstance(table, dict):
        raise error(f"{path}: a {what} is a mapping: keys, each with a value.")
    return table


def one_line(error: Exception) -> str:
    """An error's words on one line."""
    return " ".join(str(error).split())
