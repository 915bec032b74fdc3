"""Suites that are asked again where no model is: from an exported store, by the names and digests in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.cli.main import run
from harness.gate import decide


@pytest.fixture
def box(project):
    """A project in which two models were asked, exported for the record; then the models and the store are gone."""
    models = [f"--model={project.model('cand', project.ids(1))}", f"--baseline={project.model('base')}"]
    project.run("suites", *models)
    record = project.record()
    reports = next((project.path / "reports").iterdir())
    assert run(["store", "export", "answers.gz", f"--record={reports}"]) == 0
    for name in ("cand.jsonl", "base.jsonl"):
        (project.path / name).unlink()
    shutil.rmtree(project.path / ".harness")
    return record


def test_without_import_the_name_is_unknown_and_the_way_is_told(project, box):
    result = project.run("suites", "--store-only", "--model=scripted:cand.jsonl")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    text = result.stderr.str() + result.stdout.str()
    assert "no file cand.jsonl" in text
    assert "harness store import" in text


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["one process", "two workers"])
def test_an_imported_run_is_asked_and_decided_again_without_the_models(project, box, capsys, workers):
    assert run(["store", "import", "answers.gz"]) == 0
    told = capsys.readouterr().out
    assert "12 rows verified; 12 are new" in told
    assert "pytest suites/ --model=scripted:cand.jsonl --store-only" in told
    result = project.run("suites", "--store-only", "--model=scripted:cand.jsonl", *workers)
    assert project.generated(result) == 0
    again = project.record()
    assert again.run_id != box.run_id
    assert (again.candidate, again.baseline) == (box.candidate, box.baseline)
    assert again.sets == box.sets
    assert decide(again, again.policy).status == decide(box, box.policy).status


def test_only_with_store_only(project, box):
    run(["store", "import", "answers.gz"])
    assert project.run("suites", "--model=scripted:cand.jsonl").ret == pytest.ExitCode.USAGE_ERROR


def test_a_file_that_is_here_means_itself(project, box):
    run(["store", "import", "answers.gz"])
    reference = project.model("cand", project.ids(3))
    result = project.run("suites", "--store-only", f"--model={reference}")
    result.stdout.fnmatch_lines(["*answers are not in*"])


def test_another_baseline_can_be_named(project, box):
    run(["store", "import", "answers.gz"])
    project.run("suites", "--store-only", "--model=scripted:base.jsonl", "--baseline=scripted:cand.jsonl")
    swapped = project.record()
    assert (swapped.candidate.digest, swapped.baseline.digest) == (box.baseline.digest, box.candidate.digest)


def test_a_check_that_was_changed_is_applied_to_the_travelled_answers(project, box):
    run(["store", "import", "answers.gz"])
    suite = project.path / "suites" / "test_facts.py"
    suite.write_text(suite.read_text().replace("case.target", "'cand'"))
    project.run("suites", "--store-only", "--model=scripted:cand.jsonl")
    assert sum(case.candidate for case in project.record().sets[0].cases) == len(box.sets[0].cases) - 1


def test_verify_compares_store_and_record(project, box, capsys):
    folder = next((project.path / "reports").iterdir())
    assert run(["store", "verify", f"--record={folder}"]) == 1
    run(["store", "import", "answers.gz"])
    assert run(["store", "verify", f"--record={folder}"]) == 0
    assert "12 of 12 answers are here and the record's" in capsys.readouterr().out
    texts = folder / "texts.json.gz"
    texts.write_bytes(texts.read_bytes()[:-9])
    assert run(["store", "verify", f"--record={folder}"]) != 0


def test_a_whole_set_test_and_a_retention_set_travel_too(project, capsys):
    project.write("suites/test_whole.py", WHOLE)
    project.golden("whole", [{**c, "checks": [{"includes": {"text": c["target"]}}]} for c in project.cases])
    project.golden("retention/kept", [{**c, "checks": [{"includes": {"text": c["target"]}}]} for c in project.cases])
    models = [f"--model={project.model('cand')}", f"--baseline={project.model('base')}"]
    project.run("suites", *models)
    record = project.record()
    folder = next((project.path / "reports").iterdir())
    run(["store", "export", "answers.gz", f"--record={folder}"])
    shutil.rmtree(project.path / ".harness")
    Path(project.path / "cand.jsonl").unlink()
    Path(project.path / "base.jsonl").unlink()
    run(["store", "import", "answers.gz"])
    result = project.run("suites", "--store-only", "--model=scripted:cand.jsonl")
    assert project.generated(result) == 0
    assert project.record().answers == record.answers
    assert project.record().sets == record.sets


WHOLE = """
import pytest

@pytest.mark.golden("whole")
def test_whole(scores):
    assert scores.not_worse()

@pytest.mark.golden("retention/*")
def test_kept(retention):
    assert retention.not_worse()
"""


def test_a_damaged_store_is_told_at_the_end_of_the_run(project):
    models = [f"--model={project.model('cand')}", f"--baseline={project.model('base')}"]
    project.run("suites", *models)
    store = project.path / ".harness" / "store.sqlite"
    store.write_bytes(b"garbage" * 1000)
    result = project.run("suites", *models)
    assert project.generated(result) == 12
    result.stdout.fnmatch_lines(["note: *was damaged*is now store.sqlite.corrupt-1; answers are generated again."])
