"""A user's mistake is one clear sentence with the next step, and never a traceback."""

from __future__ import annotations

import pytest

from harness.cli.main import run as command_line

RETENTION = """
import pytest

@pytest.mark.golden("retention/*")
def test_nothing_was_forgotten(retention):
    assert retention.not_worse()
"""


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


@pytest.mark.parametrize(
    "table",
    [
        "[tool.harness.sets.fatcs]\nmax_tokens = 9",
        '[tool.harness.gate]\nimprove = ["fatcs"]',
        "[tool.harness.gate.margins]\nfatcs = 0.2",
        "[tool.harness.gate.floors]\nfatcs = 0.2",
        "[tool.harness.gate.budgets.fatcs]\noutput_tokens = 0.2",
    ],
)
def test_a_set_that_is_no_file_is_told_before_anything_is_asked(project, table):
    project.write("pyproject.toml", f"[tool.harness]\n{table}\n")
    result = project.run("suites", f"--model={project.model('cand')}")
    assert "unknown golden set 'fatcs': did you mean 'facts'?" in clean(result)
    assert result.ret == 4
    assert not (project.path / ".harness" / "store.sqlite").exists()


def test_a_folder_of_golden_sets_that_is_not_there_is_named(project):
    project.write("pyproject.toml", '[tool.harness]\ngolden_sets = "nowhere"\n')
    result = project.run("suites", f"--model={project.model('cand')}")
    assert "nowhere: there is no such folder" in clean(result)


@pytest.mark.parametrize(("reference", "words"), [("", "no model is named"), ("scripted:", "names nothing behind")])
def test_a_reference_that_names_nothing_says_what_there_is(project, reference, words):
    result = project.run("suites", f"--model={reference}")
    assert words in clean(result)
    assert "smollm2" in clean(result) or "scripted:FILE.jsonl" in clean(result)
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


@pytest.fixture(params=[(), ("-n2",)], ids=["alone", "workers"])
def workers(request):
    if request.param:
        pytest.importorskip("xdist")
    return request.param


def told_once(project, result, sentence: str) -> None:
    """The run is INVALID, all of its tests are counted as errors, and one of them says why."""
    text = clean(result)
    assert result.ret == 11
    assert result.parseoutcomes() == {"errors": 7}
    assert text.count("ERROR at setup") == 1
    assert "\n6 more tests ended by an error that is told below\n" in text
    assert len([line for line in text.splitlines() if line.startswith("ERROR suites")]) == 1
    told = [line for line in text.splitlines() if line.endswith(sentence)]
    # In CI, pytest's short summary is not cut.
    assert len([line for line in told if not line.startswith("ERROR suites")]) == 1
    assert "INVALID      complete  7 errors, all the same" in text
    # Nothing of it is a finding about the model.
    assert "could not be written" not in text
    assert "no set" not in text
    record = project.record()
    assert record.sets == record.answers == ()
    assert {error.reason for error in record.errors} == {sentence}
    assert len(record.errors) == 7


def test_a_mistake_in_a_models_file_is_told_once_and_no_fault_of_the_model(project, workers, capsys):
    project.golden("retention/general", project.cases)
    project.write("suites/test_old_skills.py", RETENTION)
    candidate, baseline = project.model("cand"), project.model("base")
    file = project.path / "cand.jsonl"
    file.write_text(file.read_text() + '{"id": "unfinished"}\n')
    result = project.run("suites", f"--model={candidate}", f"--baseline={baseline}", *workers)
    row = '{"input": "What is 2+2?", "output": "4"}'
    told_once(project, result, f"{file}:7: give either output or outputs. A row looks like {row}")
    (folder,) = (project.path / "reports").iterdir()
    capsys.readouterr()
    assert command_line(["gate", "--record", str(folder)]) == 11
    assert capsys.readouterr().out.endswith(
        "next:   remove the cause (see above), then: harness gate scripted:cand.jsonl\n"
    )


def test_a_store_that_cannot_be_opened_is_told_once(project, workers):
    project.golden("retention/general", project.cases)
    project.write("suites/test_old_skills.py", RETENTION)
    store = project.path / ".harness" / "store.sqlite"
    store.mkdir(parents=True)
    candidate, baseline = project.model("cand"), project.model("base")
    result = project.run("suites", f"--model={candidate}", f"--baseline={baseline}", *workers)
    told_once(
        project,
        result,
        f"{store}: the answers cannot be kept (unable to open database file). Make room, or make the folder writable, "
        "then run again: finished answers are kept.",
    )


def test_errors_with_causes_of_their_own_are_each_told(project):
    project.write(
        "suites/test_facts.py",
        "import pytest\n@pytest.mark.golden('facts')\n"
        "def test_parses(case, response):\n    assert int(response.text)\n",
    )
    candidate, baseline = project.model("cand"), project.model("base")
    result = project.run("suites", f"--model={candidate}", f"--baseline={baseline}")
    assert result.stdout.str().count("ERROR at call") == 6


def test_one_sentence_that_two_tests_raise_themselves_is_told_of_both(project):
    raising = "@pytest.mark.golden('facts')\ndef test_{}(responses):\n    raise DataError('no such column')\n"
    project.write(
        "suites/test_facts.py",
        "import pytest\nfrom harness.errors import DataError\n" + raising.format("one") + raising.format("two"),
    )
    candidate, baseline = project.model("cand"), project.model("base")
    result = project.run("suites", f"--model={candidate}", f"--baseline={baseline}")
    told = [line for line in clean(result).splitlines() if line.startswith("ERROR suites") and "no such column" in line]
    assert len(told) == 12
    assert "more tests ended" not in clean(result)
