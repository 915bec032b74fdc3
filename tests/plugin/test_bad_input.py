"""A user's mistake is one clear sentence with the next step, and never a traceback."""

from __future__ import annotations


def clean(result) -> str:
    text = result.stdout.str() + result.stderr.str()
    assert "Traceback" not in text
    assert "INTERNALERROR" not in text
    return text


def test_an_unknown_golden_set_names_the_nearest(project):
    suite = project.path / "suites" / "test_facts.py"
    suite.write_text(suite.read_text().replace('golden("facts")', 'golden("fact")'))
    result = project.run("suites", f"--model={project.model('cand')}")
    assert "did you mean 'facts'" in clean(result)
    assert result.ret != 0


def test_an_unresolvable_model_lists_what_there_is(project):
    result = project.run("suites", "--model=candidat")
    assert "candidat" in clean(result)
    assert "smollm2" in clean(result)
    assert result.ret == 4


def test_several_samples_of_a_greedy_model_are_refused(project):
    result = project.run("suites", f"--model={project.model('cand')}", "--samples=3")
    assert "temperature" in clean(result)
    assert result.ret == 4


def test_a_malformed_golden_file_names_its_line(project):
    path = project.path / "golden_sets" / "facts.jsonl"
    path.write_text(path.read_text() + '{"id": "broken", \n')
    result = project.run("suites", f"--model={project.model('cand')}")
    assert "facts.jsonl:7:" in clean(result)
    assert result.ret != 0


def test_an_unknown_config_key_names_the_nearest(project):
    project.write("pyproject.toml", "[tool.harness.gate]\nmargins_ = 3\n")
    result = project.run("suites", f"--model={project.model('cand')}")
    assert "did you mean 'margins'" in clean(result)
    assert result.ret == 4


def test_the_case_fixture_without_a_marker_says_what_to_add(project):
    project.write("suites/test_facts.py", "def test_it(case, response):\n    pass\n")
    result = project.run("suites", f"--model={project.model('cand')}")
    assert "pytest.mark.golden" in clean(result)


def test_an_option_that_belongs_to_another_plugin_is_named_only_when_needed(project):
    project.write(
        "conftest.py", "def pytest_addoption(parser):\n    parser.getgroup('rival').addoption('--baseline')\n"
    )
    # Our plugin is an entry point and registers first; a conftest that clashes is pytest's own error to tell.
    project.write("rival.py", "def pytest_addoption(parser):\n    parser.getgroup('rival').addoption('--model')\n")
    (project.path / "conftest.py").unlink()
    project.write("unrelated/test_plain.py", "def test_plain():\n    pass\n")
    result = project.pytester.runpytest_subprocess("-p", "rival", "unrelated")
    result.assert_outcomes(passed=1)
    result = project.pytester.runpytest_subprocess("-p", "rival", "suites")
    assert "rival" in clean(result)
    assert "-p no:" in clean(result)
