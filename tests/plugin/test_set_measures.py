"""Whole-set measures in a run: an answer of their own, and the matrices in the record."""

from __future__ import annotations

import pytest

SUITE = """
import pytest
pytestmark = pytest.mark.golden("topics")
def test_topics(scores):
    assert scores.macro_f1().not_worse()
def test_overlap(scores):
    assert scores.chrf().at_least(1)
"""
TOPICS = ("账单", "物流", "退货")


@pytest.fixture
def topics(project):
    """60 labelled tickets; models answer with the right label but for the `wrong` cases."""
    project.facts(60)
    for i, case in enumerate(project.cases):
        label = TOPICS[i % 3]
        case |= {"target": label, "checks": [{"labels": {"of": list(TOPICS), "equals": label}}]}
    project.golden("topics", project.cases)
    (project.path / "golden_sets" / "facts.jsonl").unlink()
    (project.path / "suites" / "test_facts.py").unlink()
    project.write("suites/test_topics.py", SUITE)
    return project


@pytest.mark.parametrize("options", [("-n2",), ("-n0",)], ids=["workers", "alone"])
def test_a_lost_class_fails_the_run_and_the_record_keeps_the_matrices(topics, options):
    lost = [str(c["id"]) for i, c in enumerate(topics.cases) if i % 3 == 2]
    models = [f"--model={topics.model('cand', lost)}", f"--baseline={topics.model('base')}"]
    result = topics.run("suites", *models, *options)
    result.stdout.fnmatch_lines(["*topics macro-F1 1 -> 0.6667 over 60 cases: worse*"])
    assert result.ret == 1
    (table,) = topics.record().classifications
    assert (table.golden_set, table.source) == ("topics", "labels")
    assert table.candidate.labels == TOPICS
    assert table.candidate.states == ("no label",)
    assert table.candidate.counts == ((20, 0, 0, 0), (0, 20, 0, 0), (0, 0, 0, 20))
    assert table.baseline is not None
    assert table.baseline.accuracy == 1.0


def test_a_check_that_compares_with_the_target_runs_without_any_python(topics):
    topics.golden("topics", [{**c, "checks": [{"chrf": {"at_least": 5}}]} for c in topics.cases])
    result = topics.run("golden_sets", f"--model={topics.model('cand')}")
    result.assert_outcomes(passed=60)


def test_a_set_of_targets_without_checks_can_be_measured(topics):
    topics.golden("topics", [{k: v for k, v in c.items() if k != "checks"} for c in topics.cases])
    result = topics.run("suites", "-k", "test_overlap", f"--model={topics.model('cand')}")
    result.assert_outcomes(passed=1)
    result = topics.run("suites", "-k", "test_topics", f"--model={topics.model('cand')}")
    result.stdout.fnmatch_lines(["*topics: no case says which class is right*"])
    assert result.ret == 11


def test_a_metric_that_crashes_is_an_error_and_never_a_score(topics):
    topics.write(
        "suites/test_topics.py",
        'import pytest\n@pytest.mark.golden("topics")\n'
        'def test_gone(scores):\n    assert scores.metric("gone/gone.py").at_least(0)\n',
    )
    models = [f"--model={topics.model('cand')}", f"--baseline={topics.model('base')}"]
    result = topics.run("suites", *models)
    result.stdout.fnmatch_lines(["*metric 'gone/gone.py' cannot be loaded*"])
    assert result.ret == 11
    assert [e.status for e in topics.record().errors] == ["INVALID"]
