"""Where margins, sets and recipes come from, told from a history made here."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from origins import origins

POLICY = "[tool.harness.gate]\nmargin = {margin}\n\n[tool.ruff]\nline-length = {length}\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    for name in ("golden_sets/a.jsonl", "golden_sets/retention/b.jsonl", "suites/test_a.py", "data/train.jsonl"):
        write(tmp_path, name, "one\n")
    write(tmp_path, "pyproject.toml", POLICY.format(margin=0.1, length=100))
    commit(tmp_path)
    write(tmp_path, "recipes/r.yaml", "lr: 1\n")
    commit(tmp_path)
    return tmp_path


def git(root: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def commit(root: Path) -> str:
    git(root, "add", "-A")
    git(root, "commit", "-qm", "a change")
    return git(root, "rev-parse", "HEAD")


def test_sets_and_policy_committed_before_the_recipe_are_not_newer(root: Path) -> None:
    found = origins(root)
    assert found["newer_than_recipe"] == {"recipes/r.yaml": []}
    assert found["not_committed"] == []
    first = git(root, "rev-parse", "HEAD^")
    assert {name: one["commit"] for name, one in found["judges"].items()} == dict.fromkeys(
        ("policy", "suites", "golden_sets/a.jsonl", "golden_sets/retention/b.jsonl"), first
    )
    assert found["recipes"]["recipes/r.yaml"]["commit"] == git(root, "rev-parse", "HEAD")
    assert found["data"]["data/train.jsonl"]["date"].startswith("20")


def test_a_margin_moved_after_the_recipe_is_named_and_other_settings_are_not(root: Path) -> None:
    before = origins(root)["judges"]["policy"]
    write(root, "pyproject.toml", POLICY.format(margin=0.1, length=120))
    commit(root)
    assert origins(root)["judges"]["policy"] == before
    write(root, "pyproject.toml", POLICY.format(margin=0.3, length=120))
    moved = commit(root)
    found = origins(root)
    assert found["judges"]["policy"]["commit"] == moved
    assert found["newer_than_recipe"] == {"recipes/r.yaml": ["policy"]}


def test_a_set_changed_after_the_recipe_is_named(root: Path) -> None:
    write(root, "golden_sets/a.jsonl", "easier\n")
    commit(root)
    assert origins(root)["newer_than_recipe"] == {"recipes/r.yaml": ["golden_sets/a.jsonl"]}


def test_what_was_never_committed_counts_as_newer(root: Path) -> None:
    write(root, "golden_sets/new.jsonl", "one\n")
    write(root, "pyproject.toml", POLICY.format(margin=0.5, length=100))
    found = origins(root)
    assert found["not_committed"] == ["pyproject.toml", "golden_sets/new.jsonl"]
    assert found["newer_than_recipe"] == {"recipes/r.yaml": ["policy", "golden_sets/new.jsonl"]}
    assert found["judges"]["golden_sets/new.jsonl"] is None


def test_without_a_history_the_reason_is_kept(tmp_path: Path) -> None:
    assert "unavailable" in origins(tmp_path)
