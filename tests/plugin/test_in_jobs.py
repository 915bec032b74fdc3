"""A run as a job: GitHub's annotations and summary, summary.md, and JUnit's properties."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest


@pytest.fixture
def github(project, monkeypatch):
    """The environment of a job; gives the file of the step's summary."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(project.path))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.path / "step.md"))
    return project.path / "step.md"


@pytest.fixture(autouse=True)
def _no_job(monkeypatch):
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)


def blocked(project, *arguments: str, answer: str = "no idea") -> pytest.RunResult:
    project.facts(40)
    old, new = project.model("old"), project.model("new", wrong=project.ids(12), says=lambda _: answer)
    return project.run("suites", f"--model={new}", f"--baseline={old}", *arguments)


def commands(text: str) -> list[str]:
    """The lines that GitHub's runner obeys: what is between `stop-commands` and its token is not."""
    found, token = [], None
    for line in text.split("\n"):
        line = line.strip()
        if token is not None:
            token = None if line == f"::{token}::" else token
        elif line.startswith("::stop-commands::"):
            token = line.removeprefix("::stop-commands::")
        elif re.match(r"::[a-z-]+", line) or "##[" in line:
            found.append(line)
    assert token is None, "the runner would obey nothing any more"
    return found


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "workers"])
def test_a_job_annotates_the_worst_cases_at_their_lines_and_shows_the_page(project, github, workers):
    result = blocked(project, *workers)
    told = commands(result.stdout.str())
    assert len(told) == 10
    assert told[0].startswith("::error title=finetune harness::FAIL: scripted:new.jsonl must not ship%0A")
    assert told[1].startswith("::error file=golden_sets/facts.jsonl,line=1,title=newly missed%3A facts%3A fact-aa::")
    page = github.read_text(encoding="utf-8")
    assert "must not ship" in page
    assert page == (next((project.path / "reports").iterdir()) / "summary.md").read_text(encoding="utf-8") + "\n"


def test_no_text_of_a_model_becomes_a_command_wherever_pytest_prints_it(project, github):
    project.write(
        "suites/test_printed.py",
        """
import pytest
from harness import includes

@pytest.mark.golden("facts", lane="red_line")
def test_prints_the_answer(case, response):
    print(response.text)
    assert includes(response, "never said"), response.text
""",
    )
    answer = "x\n::error::owned\n  ::set-output name=a::b\n##[add-path]/tmp\n::stop-commands::mine\n::mine::"
    result = blocked(project, "-rA", answer=answer)
    assert "owned" in result.stdout.str()
    told = commands(result.stdout.str())
    assert told
    ours = ("::error title=finetune harness::", "::error file=golden_sets/facts.jsonl,line=")
    assert [line for line in told if not line.startswith(ours)] == []


def test_other_plugins_can_still_annotate(project, github):
    project.write(
        "conftest.py",
        "def pytest_terminal_summary(terminalreporter):\n    terminalreporter.write_line('::notice::from another')\n",
    )
    assert "::notice::from another" in commands(blocked(project).stdout.str())


def test_a_partial_run_in_a_job_annotates_nothing(project, github):
    result = blocked(project, "-k", "fact-aa")
    assert commands(result.stdout.str()) == []
    assert not github.exists()


def test_elsewhere_nothing_looks_like_a_command_and_the_page_still_lies_beside_the_report(project):
    result = blocked(project)
    assert not any(line.strip().startswith("::") for line in result.stdout.str().split("\n"))
    folder = next((project.path / "reports").iterdir())
    assert {"index.html", "record.json", "summary.md"} <= {file.name for file in folder.iterdir()}
    assert "## ❌ FAIL" in (folder / "summary.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "workers"])
def test_junit_tells_the_verdict_the_models_and_of_every_case_its_set_id_and_outcome(project, workers):
    blocked(project, "--junitxml=junit.xml", *workers)
    tree = ElementTree.parse(project.path / "junit.xml")
    suite = {p.get("name"): p.get("value") for p in tree.find("testsuite/properties")}
    record = project.record()
    assert suite["harness.verdict"] == "FAIL"
    assert suite["harness.candidate"] == "scripted:new.jsonl"
    assert suite["harness.candidate.digest"] == record.candidate.digest
    assert suite["harness.baseline.digest"] == record.baseline.digest
    assert suite["harness.policy.digest"] == record.policy_digest
    assert suite["harness.texts.digest"] == record.texts_digest
    assert suite["harness.set.facts.digest"] == record.sets[0].digest
    assert suite["harness.run"] == record.run_id
    of_cases = {
        case.get("name"): {p.get("name"): p.get("value") for p in case.iter("property")}
        for case in tree.iter("testcase")
    }
    assert of_cases["test_names_the_answer[fact-aa]"] == {
        "harness.set": "facts",
        "harness.case": "fact-aa",
        "harness.lane": "rate",
        "harness.outcome": "missed",
        "harness.candidate": "0.0",
        "harness.baseline": "1.0",
    }
    assert of_cases["facts"] == {"harness.set": "facts", "harness.verdict": "FAIL"}


def test_junit_of_a_partial_run_has_no_verdict_and_says_why(project):
    blocked(project, "--junitxml=junit.xml", "-k", "fact-aa")
    properties = ElementTree.parse(project.path / "junit.xml").find("testsuite/properties")
    suite = {p.get("name"): p.get("value") for p in properties}
    assert suite["harness.verdict"] == "none"
    assert "-k" in suite["harness.partial"]


def test_a_run_tells_the_trackers_that_are_on_and_keeps_its_verdict(project):
    pytest.importorskip("tensorboard")
    text = (project.path / "pyproject.toml").read_text()
    project.write("pyproject.toml", '[tool.harness]\ntrackers = ["tensorboard"]\n' + text)
    result = blocked(project)
    assert result.ret == 1
    assert "tensorboard: tensorboard --logdir" in result.stdout.str()
    assert list((project.path / ".harness" / "tensorboard").rglob("events.out.tfevents.*"))
