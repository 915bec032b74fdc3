"""The demo lives in a folder of its own, and cannot eat anyone else's."""

from __future__ import annotations

import shutil

import pytest

from harness.cli.main import run
from harness.cli.story import MARK, PARTS, own_settings, prepare
from harness.config import load_project
from harness.errors import ConfigError

SETTINGS = """\
[project]
name = "x"

[tool.harness]
dtype = "float32"

[tool.pytest.ini_options]
addopts = "-q"

[tool.harness.gate]
margin = 0.1  # a comment

[tool.harness.sets]
"triage*" = { max_tokens = 48 }

[tool.harnessed]
other = 1
"""


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    for part in PARTS:
        (folder / part).mkdir(parents=True)
        (folder / part / "file").write_text("first")
    (folder / "pyproject.toml").write_text(SETTINGS)
    return load_project(folder)


def test_the_demo_judges_by_the_projects_own_policy(source, tmp_path):
    project = prepare(source, tmp_path / "demo", fresh=False)
    assert project.root == tmp_path / "demo"
    assert project.config == source.config
    assert project.config.gate.digest == source.config.gate.digest


def test_only_our_tables_are_taken(source):
    text = own_settings(SETTINGS)
    assert "margin = 0.1  # a comment" in text
    assert "addopts" not in text
    assert "harnessed" not in text
    assert own_settings("[project]\nname = 'x'\n").startswith("[tool.harness]\n")


def test_a_second_demo_begins_with_an_empty_registry_and_keeps_the_answers(source, tmp_path):
    folder = tmp_path / "demo"
    prepare(source, folder, fresh=False)
    for part in ("reports/run", ".harness/registry/triage"):
        (folder / part).mkdir(parents=True)
    (folder / ".harness" / "store.sqlite").write_text("answers")
    (source.root / "suites" / "file").write_text("second")
    prepare(source, folder, fresh=False)
    assert not (folder / "reports").exists()
    assert not (folder / ".harness" / "registry").exists()
    assert (folder / ".harness" / "store.sqlite").read_text() == "answers"
    assert (folder / "suites" / "file").read_text() == "second"
    prepare(source, folder, fresh=True)
    assert not (folder / ".harness").exists()


def test_a_folder_with_anything_else_in_it_is_left_alone(source, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match="not empty, and no earlier demo"):
        prepare(source, mine, fresh=True)
    assert (mine / "thesis.tex").read_text() == "years of work"
    assert not (mine / MARK).exists()


def test_outside_of_a_project_the_demo_says_where_to_start(source, tmp_path, monkeypatch, capsys):
    shutil.rmtree(source.root / "recipes")
    monkeypatch.chdir(source.root)
    assert run(["demo"]) == 4
    assert "no recipes/ here" in capsys.readouterr().err
