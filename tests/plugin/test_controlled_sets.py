"""A golden set that cannot tell right from wrong makes the run INVALID."""

from __future__ import annotations


def test_a_failed_control_is_an_invalid_run_with_its_reason(project):
    project.facts(6, checks=[{"max_words": 9999}])
    models = [f"--model={project.model('cand')}", f"--baseline={project.model('base')}"]
    result = project.run("suites", *models)
    assert result.ret == 11
    result.stdout.fnmatch_lines(["INVALID: *", "*INVALID*complete*control T20 of facts*"])
    assert "golden_sets/facts.jsonl:1: 'fact-aa' passes whatever is answered" in project.record().errors[0].reason


def test_a_sound_set_leaves_the_run_as_it_is(project):
    project.facts(6, checks=[{"includes": "answer"}])
    models = [f"--model={project.model('cand')}", f"--baseline={project.model('base')}"]
    assert project.run("suites", *models).ret in (0, 10)
    assert project.record().errors == ()
