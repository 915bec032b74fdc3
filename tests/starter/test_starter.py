"""The starter: whole, free of leaks, equal to what it was taken from, and with a margin that the sets can see."""

from __future__ import annotations

import importlib.resources
import json
import os
import re
import resource
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from harness.checks import run_check, validate
from harness.cli.main import run
from harness.config import load_project
from harness.data.formats import load_prompts, load_rows
from harness.data.leakage import refuse_leaks
from harness.errors import ConfigError, GoldenSetError
from harness.golden import select_golden_sets
from harness.models import Response
from harness.starter import LANGUAGES, choose_margin, plan_project, write_project
from harness.stats.power import rule_power
from harness.training.recipe import load_recipe
from harness.training.replay import choose_prompts

shares = runpy.run_path(str(Path(__file__).with_name("shares.py")))


@pytest.fixture(params=LANGUAGES)
def language(request):
    return request.param


@pytest.fixture
def folder(tmp_path, language):
    write_project(plan_project(tmp_path / "project", language, flips=0.2))
    return tmp_path / "project"


def sets_of(folder):
    return select_golden_sets(folder / "golden_sets", ("*",), validate_check=validate)


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(("target", "source", "lines"), shares["SHARES"], ids=[s[0] for s in shares["SHARES"]])
def test_the_starter_is_taken_from_this_repository(target, source, lines):
    packaged = importlib.resources.files("harness.starter") / "files" / target
    assert packaged.read_text(encoding="utf-8") == shares["share"](source, lines), (
        f"{source} changed: python tests/starter/shares.py"
    )


def test_a_project_is_whole(folder):
    there = set(contents(folder))
    assert {"pyproject.toml", "README.md", ".gitignore", "reports/.gitkeep", "recipes/triage.yaml"} <= there
    assert {"suites/test_triage.py", "suites/test_retention.py", "golden_sets/triage.jsonl"} <= there
    assert not [name for name in there if "template" in name or "__pycache__" in name]
    assert (folder / "README.md").read_text(encoding="utf-8").count("\n") <= 24
    project = load_project(folder)
    assert project.root == folder
    for suite in project.config.gate.suites:
        assert (folder / suite).is_dir()


def test_its_settings_name_sets_that_exist(folder):
    project = load_project(folder)
    names = {one.name for one in sets_of(folder)}
    assert set(project.config.gate.improve) | set(project.config.sets) <= names


def test_every_reference_answer_passes_its_own_checks(folder):
    asked = [case for one in sets_of(folder) for case in one.cases if case.target and case.checks]
    assert len(asked) > 100
    for case in asked:
        for spec in case.checks:
            score = run_check(spec, Response(text=case.target, finish_reason="stop"))
            assert score, f"{case.id}: {score.explanation}"


def test_the_sets_pass_their_controls(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert run(["suites", "check"]) == 0
    assert "0 faults, 0 warnings, 0 unreadable" in capsys.readouterr().out


def test_ids_and_questions_of_the_chinese_starter_are_chinese(tmp_path):
    write_project(plan_project(tmp_path, "zh", flips=0.2))
    han = re.compile(r"[\u4e00-\u9fff]")
    for one in sets_of(tmp_path):
        if one.name != "retention/english":
            assert all(han.search(case.id) and han.search(case.input) for case in one.cases), one.name
    texts = [(tmp_path / name).read_text(encoding="utf-8") for name in ("README.md", "suites/test_triage.py")]
    assert all(han.search(text) for text in texts)


def test_nothing_that_is_trained_on_is_a_golden_question(folder):
    rows = load_rows(folder / "data/triage/train.jsonl", root=folder)
    prompts = load_prompts(folder / "data/general_prompts.jsonl", root=folder)
    refuse_leaks([*rows, *prompts], sets_of(folder))
    golden = {
        re.findall(r"TK-\d+", case.input)[0] for one in sets_of(folder) if one.name == "triage" for case in one.cases
    }
    assert not golden & {re.findall(r"TK-\d+", row.prompt)[0] for row in rows}


def test_the_recipe_finds_what_it_needs(folder):
    recipe = load_recipe(folder / "recipes/triage.yaml")
    rows = load_rows(folder / recipe.data.train, root=folder)
    prompts = load_prompts(folder / recipe.replay.prompts, root=folder)
    assert choose_prompts(prompts, recipe.replay, rows=len(rows), seed=recipe.seed)


def test_the_recipe_is_the_one_that_this_repository_was_tried_with(tmp_path):
    write_project(plan_project(tmp_path, "en", flips=0.2))
    tried = load_recipe(shares["ROOT"] / "recipes/triage.yaml")
    assert tried.data.limit == 80, "the starter brings as many rows: see shares.py"
    starter = load_recipe(tmp_path / "recipes/triage.yaml", overrides=["data.limit=80"])
    assert starter == tried


@pytest.mark.parametrize("flips", [0.05, 0.2])
def test_the_margin_is_the_smallest_that_an_equal_model_passes(folder, language, tmp_path, flips):
    plan = plan_project(tmp_path / "other", language, flips=flips)
    policy = tomllib.loads(plan.settings)["tool"]["harness"]["gate"]
    sizes = [
        sum(bool(case.checks or case.choices) for case in one.cases)
        for one in sets_of(folder)
        if one.name != "triage" and one.kind != "text"
    ]
    assert rule_power(sizes, [flips] * len(sizes), margin=policy["margin"]).passes >= 0.8
    assert rule_power(sizes, [flips] * len(sizes), margin=policy["margin"] - 0.01).passes < 0.8
    passes = rule_power(sizes, [flips] * len(sizes), margin=policy["margin"]).passes
    assert f"margin {policy['margin']:.2f}:  PASS {passes:.1%}" in plan.settings
    assert f"{sum(sizes)}" in plan.settings


@pytest.mark.parametrize(("n", "margin"), [(60, 0.12), (100, 0.09), (300, 0.05)])
def test_one_set_gets_the_margin_of_the_power_table(n, margin):
    assert choose_margin({"one": n}, 0.1).margin == margin


def test_too_few_cases_for_any_margin_are_told():
    with pytest.raises(ConfigError, match=r"2 guard cases .* Add cases"):
        choose_margin({"one": 2}, 0.5)
    with pytest.raises(ConfigError, match="no guard set"):
        choose_margin({}, 0.2)


def test_a_file_that_is_there_is_never_touched(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes/triage.yaml").symlink_to("nowhere")
    assert run(["init"]) == 0
    out = capsys.readouterr().out
    assert "2 kept as they were\n  README.md\n  recipes/triage.yaml\n" in out
    assert (tmp_path / "README.md").read_text() == "mine"
    assert os.readlink(tmp_path / "recipes/triage.yaml") == "nowhere"
    before = contents(tmp_path)
    assert run(["init", "--language", "zh"]) == 0
    after = contents(tmp_path)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"golden_sets/retention/english.jsonl"}


def test_what_a_full_disk_cut_off_is_not_taken_for_the_users_own(tmp_path):
    command = [sys.executable, "-m", "harness", "init", "."]
    new, untroubled = tmp_path / "new", tmp_path / "untroubled"
    for folder in (new, untroubled):
        folder.mkdir()
    # As on a disk without room, part of a file is written and the rest is not.
    limits = (resource.RLIMIT_FSIZE, (4096, 4096))
    cut = subprocess.run(
        command, cwd=new, preexec_fn=lambda: resource.setrlimit(*limits), capture_output=True, text=True, check=False
    )
    assert cut.returncode == 4
    assert "cannot be written (File too large)" in cut.stderr
    for folder in (new, untroubled):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    for file in untroubled.rglob("*.*"):
        assert (new / file.relative_to(untroubled)).read_bytes() == file.read_bytes()


def test_a_pyproject_without_our_settings_is_kept_and_the_settings_are_shown(tmp_path, capsys):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "app"\n')
    assert run(["init", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "has no [tool.harness] yet" in out
    assert "[tool.harness.gate]" in out
    assert "disable_test_id_escaping" in out
    assert (tmp_path / "pyproject.toml").read_text() == '[project]\nname = "app"\n'


def test_a_pyproject_with_our_settings_is_left_in_peace(tmp_path, capsys):
    (tmp_path / "pyproject.toml").write_text("[tool.harness.gate]\nmargin = 0.03\n")
    assert run(["init", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "[tool.harness.gate]" not in out
    assert "These sets ask for margin 0.07" in out


def test_the_users_own_guard_sets_count_too(tmp_path):
    own = tmp_path / "golden_sets/refunds.jsonl"
    own.parent.mkdir()
    names = [f"refund-{a}{b}" for a in "abcdefghijklmnopqrst" for b in "abcdefghijklmnopqrst"]
    rows = [{"id": name, "input": name, "checks": [{"includes": "30 days"}]} for name in names]
    own.write_text("".join(json.dumps(row) + "\n" for row in rows))
    plan = plan_project(tmp_path, "en", flips=0.2)
    assert plan.margin.sizes["refunds"] == 400
    assert plan.margin.margin < plan_project(tmp_path / "empty", "en", flips=0.2).margin.margin


def test_a_faulty_set_is_told_before_anything_is_written(tmp_path):
    own = tmp_path / "golden_sets/refunds.jsonl"
    own.parent.mkdir()
    own.write_text("{}\n")
    with pytest.raises(GoldenSetError, match=r"refunds\.jsonl:1"):
        plan_project(tmp_path, "en", flips=0.2)
    assert set(contents(tmp_path)) == {"golden_sets/refunds.jsonl"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("file",), "is a file. Name a folder"),
        (("file/below",), "cannot be written"),
        (("x", "--flips", "1.5"), "1.5"),
        (("x", "--language", "fr"), "fr"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    assert run(["init", *words]) == 4
    assert said in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
