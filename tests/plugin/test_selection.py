"""The batch covers exactly what is selected; a selection carries no verdict."""

from __future__ import annotations

import pytest

from harness.cli.main import run as command_line
from harness.gate import decide


@pytest.fixture
def models(project):
    return [f"--model={project.model('cand')}", f"--baseline={project.model('base')}"]


def test_a_full_run_asks_each_model_each_case_once(project, models):
    assert project.generated(project.run("suites", *models)) == 12


def test_a_second_identical_run_generates_nothing_and_loads_no_model(project, models):
    project.run("suites", *models)
    result = project.run("suites", *models)
    assert project.generated(result) == 0
    result.stdout.fnmatch_lines(["*no model was loaded*"])


def test_k_asks_only_the_selected_case(project, models):
    result = project.run("suites", "-k", "fact-ac", *models)
    assert project.generated(result) == 2
    result.stdout.fnmatch_lines(["partial run: no verdict (*-k*"])
    assert result.ret == 0
    assert project.record().partial is not None


def test_one_node_id_asks_only_that_case(project, models):
    node = "suites/test_facts.py::test_names_the_answer[fact-ab]"
    result = project.run(node, *models)
    assert project.generated(result) == 2
    assert project.record().partial is not None


def test_lf_reruns_what_failed_from_the_store(project):
    models = [f"--model={project.model('cand', project.ids(2))}"]
    first = project.pytester.runpytest_inprocess("suites", *models)
    assert first.ret == 1
    result = project.pytester.runpytest_inprocess("suites", "--lf", *models)
    result.assert_outcomes(failed=2)
    assert project.generated(result) == 0
    assert project.record().partial is not None


def test_collect_only_asks_nothing(project, models):
    result = project.run("suites", "--collect-only", *models)
    result.stdout.fnmatch_lines(["*6 tests collected*"])
    assert not (project.path / ".harness" / "store.sqlite").exists()
    assert not (project.path / "reports").exists()


def test_a_part_that_went_badly_is_decided_again_as_pytest_told_it_without_a_verdict(project, capsys):
    project.facts(12, red_line=True)
    project.write("suites/test_more.py", "def test_more():\n    pass\n")
    models = [f"--model={project.model('cand', project.ids(3))}", f"--baseline={project.model('base')}"]
    result = project.run("suites", "--ignore=suites/test_more.py", *models)
    assert result.ret == 1
    told = [
        "scripted:cand.jsonl against scripted:base.jsonl",
        "partial run: no verdict (cases were selected by --ignore)",
    ]
    result.stdout.fnmatch_lines(told)
    (folder,) = (project.path / "reports").iterdir()
    capsys.readouterr()
    assert command_line(["gate", "--record", str(folder)]) == 11
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == told
    assert lines[-1].startswith("next:   harness gate scripted:cand.jsonl")
    assert not any("FAIL" in line for line in lines)


def test_exitfirst_makes_the_run_partial(project, models):
    project.run("suites", "-x", *models)
    assert project.record().partial is not None


def test_a_part_of_the_policys_suites_carries_no_verdict(project, models):
    project.write("suites/test_more.py", "def test_more():\n    pass\n")
    project.run("suites/test_facts.py", *models)
    assert "suites/" in str(project.record().partial)


def test_a_skipped_golden_test_is_a_missing_one(project, models):
    suite = project.path / "suites" / "test_facts.py"
    suite.write_text(
        suite.read_text().replace("    assert", "    if case.id == 'fact-aa': pytest.skip('later')\n    assert")
    )
    result = project.run("suites", *models)
    assert result.ret == 11


def test_store_only_uses_the_store_and_never_a_model(project, models):
    missing = project.run("suites", "--store-only", *models)
    missing.assert_outcomes(errors=6)
    assert missing.ret == 11
    project.run("suites", *models)
    assert project.generated(project.run("suites", "--store-only", *models)) == 0


def test_chinese_ids_are_ids_like_any_other(project):
    project.cases = [
        {"id": "退款", "input": "多久可以退款？", "target": "三十天"},
        {"id": "发货", "input": "什么时候发货？", "target": "明天"},
    ]
    project.golden("facts", project.cases)
    result = project.run("suites", "-k", "退款", f"--model={project.model('cand')}")
    result.assert_outcomes(passed=1, deselected=1)


def test_golden_files_are_collected_without_any_python(project):
    project.cases = [
        {
            "id": "late-parcel",
            "input": "Where?",
            "target": "x",
            "checks": [{"includes": "answer"}, {"max_words": 1}],
        }
    ]
    project.golden("facts", project.cases)
    project.write("cand.jsonl", '{"id": "late-parcel", "output": "the answer"}\n')
    result = project.run("golden_sets", "--model=scripted:cand.jsonl", "-v")
    result.stdout.fnmatch_lines(
        [
            "golden_sets/facts.jsonl::late-parcel*includes*PASSED*",
            "golden_sets/facts.jsonl::late-parcel*max_words*FAILED*",
        ]
    )


def test_without_a_model_golden_tests_are_skipped_with_a_hint(project):
    result = project.run("suites", "-rs")
    result.assert_outcomes(skipped=6)
    result.stdout.fnmatch_lines(["*add --model=REF*"])
    assert result.ret == 0


def test_without_a_model_a_quiet_run_says_once_why_all_was_skipped(project):
    result = project.run("suites", "-q")
    assert [line for line in result.outlines if "--model=REF" in line] == [
        "6 not asked: golden cases need a model to answer them: add --model=REF (candidate, smollm2, a PEFT folder, …)"
    ]
    assert result.ret == 0


def test_whole_set_fixtures_plan_their_whole_set_also_under_k(project):
    project.facts(60, checks=[{"includes": "answer"}])
    project.write(
        "suites/test_facts.py",
        "import pytest\npytestmark = pytest.mark.golden('facts')\n"
        "def test_rate(scores):\n    assert scores.not_worse()\n"
        "def test_case(case, response):\n    assert response.text\n",
    )
    models = [f"--model={project.model('cand')}", f"--baseline={project.model('base')}"]
    assert project.generated(project.run("suites", "-k", "test_rate", *models)) == 120


def test_retention_is_one_test_over_all_of_its_sets(project):
    project.facts(60, checks=[{"includes": "answer"}])
    project.golden("general/colours", [{**c, "id": f"{c['id']}-x"} for c in project.cases])
    project.golden("general/animals", [{**c, "id": f"{c['id']}-y"} for c in project.cases])
    project.cases = [{**c, "id": f"{c['id']}-{s}"} for s in "xy" for c in project.cases]
    project.write(
        "suites/test_facts.py",
        "import pytest\n@pytest.mark.golden('general/*')\n"
        "def test_kept(retention):\n    assert retention.not_worse()\n",
    )
    models = [f"--model={project.model('cand', project.ids(50))}", f"--baseline={project.model('base')}"]
    for options in ("-n2", "-n0"):
        result = project.run("suites", *models, options)
        assert result.ret == 1
        sets = {s.name: s for s in project.record().sets}
        assert set(sets) == {"general/animals", "general/colours"}
        assert sets["general/colours"].retention
        assert sum(c.candidate for c in sets["general/colours"].cases) == 10


@pytest.mark.parametrize(
    "option", ["--ignore=suites/test_more.py", "--ignore-glob=*more*", "-opython_files=test_f*.py"]
)
def test_leaving_files_out_makes_the_run_partial(project, models, option):
    project.write("suites/test_more.py", "def test_more():\n    assert False\n")
    project.run("suites", option, *models)
    assert project.record().partial is not None


def test_a_file_that_cannot_be_collected_makes_the_run_partial(project, models):
    project.write("suites/test_more.py", "import no_such_module\n")
    project.run("suites", "--continue-on-collection-errors", *models)
    assert project.record().partial is not None


def test_a_suite_and_the_retention_probes_judge_one_set_side_by_side(project):
    project.facts(60, checks=[{"includes": "answer"}])
    project.golden("facts", [*project.cases, {"id": "unchecked", "input": "Who?", "target": "answer unchecked"}])
    project.cases.append({"id": "unchecked", "target": "answer unchecked"})
    suite = project.path / "suites" / "test_facts.py"
    suite.write_text(
        suite.read_text().replace('golden("facts")', 'golden("facts", lane="red_line")')
        + "\n@pytest.mark.golden('facts')\ndef test_kept(retention):\n    assert retention.not_worse()\n"
    )
    models = [f"--model={project.model('cand', ['unchecked'])}", f"--baseline={project.model('base')}"]
    assert project.run("suites", *models).ret == 1
    record = project.record()
    assert decide(record, record.policy).status == "FAIL"
    assert {one.name for one in record.sets} == {"facts", "facts (suites)"}


def test_a_check_counts_once_however_often_it_is_collected(project):
    project.facts(60, checks=[{"includes": "answer"}])
    project.write(
        "suites/test_facts.py",
        "import pytest\n@pytest.mark.golden('facts')\ndef test_kept(retention):\n    assert retention.not_worse()\n",
    )
    models = [f"--model={project.model('cand')}", f"--baseline={project.model('base')}"]
    project.run("suites", "golden_sets", *models)
    (only,) = project.record().sets
    assert [len(case.tests) for case in only.cases] == [1] * 60
