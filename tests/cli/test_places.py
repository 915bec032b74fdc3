"""Places on the disk: as they are told to the user, and where something may be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.main import run
from harness.cli.places import near


def test_a_place_below_the_user_is_told_from_there_and_another_as_it_is(tmp_path, monkeypatch):
    here = tmp_path / "project"
    (here / "reports").mkdir(parents=True)
    monkeypatch.chdir(here)
    assert near(here / "reports" / "x") == Path("reports/x")
    assert near(Path("reports/x")) == Path("reports/x")
    assert near(tmp_path / "elsewhere") == tmp_path / "elsewhere"


def test_a_link_is_told_by_its_own_name_and_a_place_behind_one_by_where_it_lies(tmp_path, monkeypatch):
    here = tmp_path / "project"
    here.mkdir()
    (tmp_path / "disk").mkdir()
    (here / "reports").symlink_to(tmp_path / "disk")
    (tmp_path / "door").symlink_to(here)
    monkeypatch.chdir(here)
    assert near(here / "reports" / "x") == Path("reports/x")
    assert near(tmp_path / "door" / "x") == Path("x")


@pytest.mark.parametrize(
    "command",
    [
        "report record.json --csv",
        "report record.json --parquet",
        "gate --record record.json --summary",
        "judge grade answers.jsonl --json",
        "store export",
        "review to-preferences run --out",
        "review export run --reviewers ana --to",
    ],
)
def test_a_path_that_leads_nowhere_is_refused_before_all_else_and_no_folder_is_made(
    command, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert run([*command.split(), "nowhere/deep/file"]) == 4
    assert "nowhere/deep/file: there is no folder nowhere/deep. Make it, or name a place" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
