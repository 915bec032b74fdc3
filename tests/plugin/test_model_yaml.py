"""A model YAML as candidate or baseline of a run."""

from __future__ import annotations

import base64
import json
import re
import zlib

from harness.record import read_texts


def test_a_yaml_is_judged_against_the_model_that_it_asks(project):
    project.model("good")
    project.write("path.yaml", "model: scripted:good.jsonl\nsystem: Answer in one sentence.\n")
    result = project.run("suites", "--model=path.yaml")
    record = project.record()
    assert result.ret == 0, result.stdout.str()
    assert record.candidate.label == "path.yaml"
    assert record.candidate.prompting_digest is not None
    assert record.baseline is not None
    assert (record.baseline.digest, record.baseline.prompting_digest) == (record.candidate.base_digest, None)


def test_the_record_says_what_was_really_sent(project):
    project.model("good")
    project.write("docs/facts.md", "fact-aa is the first fact\n")
    project.write("path.yaml", "model: scripted:good.jsonl\nsystem: Brief.\nretriever: {folder: docs, top_k: 1}\n")
    project.run("suites", f"--model={project.model('plain')}", "--baseline=path.yaml")
    folder = next((project.path / "reports").iterdir())
    texts = read_texts(folder, project.record())
    assert texts["sent:baseline:facts:fact-aa"].text == (
        "system: Brief.\n\nuser: fact-aa is the first fact\n\nWhat is fact-aa?"
    )
    assert texts["prompt:facts:fact-aa"].text == "What is fact-aa?"
    assert "sent:candidate:facts:fact-aa" not in texts


def test_the_report_shows_what_was_sent(project):
    project.model("bad", wrong=["fact-aa"])
    project.write("path.yaml", "model: scripted:bad.jsonl\nsystem: Mind the <b>facts</b>.\n")
    project.run("suites", "--model=path.yaml", f"--baseline={project.model('good')}")
    page = next((project.path / "reports").iterdir()) / "index.html"
    packed = re.search(r'id="b0">([^<]+)<', page.read_text(encoding="utf-8"))
    details = json.loads(zlib.decompress(base64.b64decode(packed[1])))
    assert all("Mind the <b>facts</b>." in detail["sent"]["candidate"] for detail in details)


def test_a_second_run_asks_nothing_until_a_document_changes(project):
    project.model("good")
    project.write("docs/facts.md", "a fact\n")
    project.write("path.yaml", "model: scripted:good.jsonl\nretriever: {folder: docs}\n")
    run = ("suites", "--model=path.yaml", f"--baseline={project.model('plain')}")
    assert project.generated(project.run(*run)) == 12
    assert project.generated(project.run(*run)) == 0
    project.write("docs/facts.md", "another fact\n")
    assert project.generated(project.run(*run)) == 6


def test_workers_ask_through_the_yaml_too(project):
    project.model("good")
    project.write("path.yaml", "model: scripted:good.jsonl\nsystem: Brief.\n")
    result = project.run("suites", "--model=path.yaml", "-n2")
    assert result.ret == 0, result.stdout.str()
    assert project.record().candidate.prompting_digest is not None


def test_a_mistake_in_the_yaml_ends_the_run_in_one_sentence(project):
    project.write("path.yaml", "model: scripted:gone.jsonl\n")
    result = project.run("suites", "--model=path.yaml")
    assert result.ret == 4
    assert "there is no file gone.jsonl" in result.stderr.str()
    assert "Traceback" not in result.stderr.str()
