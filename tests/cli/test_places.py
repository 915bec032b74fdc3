"""Places on the disk as they are told to the user."""

from __future__ import annotations

from pathlib import Path

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
