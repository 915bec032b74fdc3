"""What a suite's own fixtures may do with ours."""

from __future__ import annotations

import pytest

FIXTURE = """
import pytest
from harness import includes

@pytest.fixture
def {fixture}({asks}):
    return {value}

@pytest.mark.golden("facts")
def test_names_the_answer(case, response, {fixture}):
    assert includes(response, case.target)
    {asserts}
"""


def suite(project, fixture, asks, value, asserts="pass"):
    project.facts(60)
    project.write("suites/test_facts.py", FIXTURE.format(fixture=fixture, asks=asks, value=value, asserts=asserts))
    return "suites", f"--model={project.model('cand')}", f"--baseline={project.model('base')}"


def test_a_fixture_may_work_on_the_case(project):
    arguments = suite(project, "wanted", "case", "case.target", "assert wanted == case.target")
    assert project.run(*arguments).ret == 0


def test_the_request_is_that_of_the_test(project):
    arguments = suite(project, "request_of_mine", "request", "request", "assert request_of_mine.node.name")
    source = project.path / "suites" / "test_facts.py"
    source.write_text(
        source.read_text().replace("def test_names_the_answer(case", "def test_names_the_answer(request, case")
    )
    assert project.run(*arguments).ret == 0


@pytest.mark.parametrize(("fixture", "asks"), [("parsed", "response"), ("response", "response")])
def test_a_fixture_that_works_on_an_answer_is_refused_because_the_baseline_is_asked_too(project, fixture, asks):
    arguments = suite(project, fixture, asks, "response.text")
    source = project.path / "suites" / "test_facts.py"
    source.write_text(source.read_text().replace("response, response)", "response)"))
    result = project.run(*arguments)
    result.stdout.fnmatch_lines([f"*test_names_the_answer: the fixture {fixture} works on an answer, but*"])
    result.stdout.no_fnmatch_line("*collect.py*")
    assert result.ret == pytest.ExitCode.INTERRUPTED
