"""When margins, golden sets and recipes last changed, from the history of this repository.

A gate whose margin was chosen after the candidate was seen proves nothing, so a result says which commit each part
comes from and which parts are newer than a recipe that they judge.
"""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path
from typing import Any

SETTINGS = "pyproject.toml"


def origins(root: Path) -> dict[str, Any]:
    """Per part its last commit and date; what differs from the last commit; and what is newer than each recipe.

    Parts that judge: the policy (the `[tool.harness]` tables, not the whole file), every golden set, the suites.
    Without a git history: the reason, under `unavailable`.
    """
    if subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, check=False).returncode:
        return {"unavailable": "not a git repository, or one without commits"}
    judges = {"policy": _policy(root), "suites": _last(root, "suites")}
    judges |= {name: _last(root, name) for name in _names(root, "golden_sets", "*.jsonl")}
    recipes = {name: _last(root, name) for name in _names(root, "recipes", "*.yaml")}
    return {
        "judges": judges,
        "recipes": recipes,
        "data": {name: _last(root, name) for name in _names(root, "data", "*.jsonl")},
        "newer_than_recipe": {
            recipe: [name for name, one in judges.items() if not _before(root, one, of)]
            for recipe, of in recipes.items()
        },
        "not_committed": _uncommitted(root),
    }


def _names(root: Path, folder: str, pattern: str) -> list[str]:
    return sorted(file.relative_to(root).as_posix() for file in (root / folder).rglob(pattern))


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout


def _last(root: Path, path: str) -> dict[str, str] | None:
    """The last commit that changed the path; None for one that was never committed."""
    return _commit(_git(root, "log", "-1", "--format=%H %cI", "--", path))


def _policy(root: Path) -> dict[str, str] | None:
    """The first of the commits since which `[tool.harness]` says what it says today."""
    today = _table((root / SETTINGS).read_text(encoding="utf-8"))
    found = None
    for line in _git(root, "log", "--format=%H %cI", "--", SETTINGS).splitlines():
        commit = _commit(line)
        assert commit is not None
        if _table(_git(root, "show", f"{commit['commit']}:./{SETTINGS}")) != today:
            break
        found = commit
    return found


def _table(text: str) -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads(text).get("tool", {}).get("harness", {})
    return table


def _commit(line: str) -> dict[str, str] | None:
    commit, _, date = line.strip().partition(" ")
    return {"commit": commit, "date": date} if commit else None


def _before(root: Path, one: dict[str, str] | None, other: dict[str, str] | None) -> bool:
    """Was `one` committed before `other`, or with it? What was not committed was not."""
    if one is None or other is None:
        return False
    command = ["git", "merge-base", "--is-ancestor", one["commit"], other["commit"]]
    return subprocess.run(command, cwd=root, capture_output=True, check=False).returncode == 0


def _uncommitted(root: Path) -> list[str]:
    """Files of all these parts that are new or changed."""
    lines = _git(root, "status", "--porcelain", "-uall", "--", SETTINGS, "golden_sets", "suites", "recipes", "data")
    return [line[3:] for line in lines.splitlines()]
