"""What the run can see is said before anything is asked, once, and not where no verdict will follow."""

from __future__ import annotations

import pytest

BLOCK = "what this run can see*"


@pytest.fixture
def models(project):
    project.facts(40)
    return [f"--model={project.model('cand', project.ids(3))}", f"--baseline={project.model('base', project.ids(1))}"]


def test_it_is_said_before_the_models_are_loaded_and_the_second_run_knows_the_flips(project, models):
    result = project.run("suites", *models)
    result.stdout.fnmatch_lines(
        [
            "what this run can see (no earlier run of these sets: 5 / 10 / 20% flips assumed):",
            "  facts 40 cases, 5 / 10 / 20% flips: alone, sees drops of * points or more",
            "  together 40 cases: an equal model passes *%, one 10 points (4 cases) worse *",
            "scripted:cand.jsonl: loading",
        ]
    )
    result = project.run("suites", *models)
    result.stdout.fnmatch_lines(
        [f"what this run can see (flips as in run {project.record().run_id[:8]}*", "*2 of 40 flipped*"]
    )


@pytest.mark.parametrize("arguments", [["-q"], ["-k", "fact-aa"], ["--collect-only"]])
def test_it_is_not_said_where_it_would_be_noise(project, models, arguments):
    assert "can see" not in project.run("suites", *arguments, *models).stdout.str()


def test_a_model_against_itself_or_nobody_can_show_nothing(project, models):
    assert "can see" not in project.run("suites", models[0]).stdout.str()
    same = models[0].replace("--model", "--baseline")
    assert "can see" not in project.run("suites", models[0], same).stdout.str()
