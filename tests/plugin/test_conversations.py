"""Conversations, tools and thinking text in a run."""

from __future__ import annotations

import json

from harness.record import read_texts

SUITE = """
import pytest

@pytest.mark.golden("facts")
def test_is_short(case, response):
    assert len(response.text) < 40
"""

CONFIG = '[tool.harness]\nthinking = "{policy}"\n[tool.harness.gate]\nmargin = 0.10\nsuites = ["suites/"]\n'


def thinker(project, name: str) -> str:
    rows = [{"id": c["id"], "output": f"<think>{'很长的思考。' * 20}</think>\n{name}"} for c in project.cases]
    project.write(f"{name}.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return f"scripted:{name}.jsonl"


def test_checks_read_the_answer_and_the_record_keeps_the_thinking(project):
    project.write("pyproject.toml", CONFIG.format(policy="strip"))
    project.write("suites/test_facts.py", SUITE)
    result = project.run("suites", f"--model={thinker(project, 'one')}", f"--baseline={thinker(project, 'two')}")
    record = project.record()
    assert [case.candidate for case in record.sets[0].cases] == [1.0] * 6
    assert record.thinking == "strip"
    result.stdout.fnmatch_lines(["*note: thinking text is stripped before checks: 12 of 12 answers had some*"])
    texts = read_texts(next((project.path / "reports").iterdir()), record)
    assert all(texts[key].text.startswith("<think>") for key in record.answer_keys())
    page = (next((project.path / "reports").iterdir()) / "index.html").read_text(encoding="utf-8")
    assert "stripped before checks" in page


def test_thinking_that_is_kept_is_checked_and_said(project):
    project.write("suites/test_facts.py", SUITE)
    project.run("suites", f"--model={thinker(project, 'one')}", f"--baseline={thinker(project, 'two')}")
    record = project.record()
    assert [case.candidate for case in record.sets[0].cases] == [0.0] * 6
    assert record.notes == ('12 of 12 answers hold thinking text, which is checked with them (thinking = "keep")',)


def test_a_conversation_with_tools_is_shown_as_it_was_asked(project):
    call = {"function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
    project.cases = [
        {
            "id": "weather-after-a-call",
            "tools": [{"name": "weather"}],
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "巴黎天气？"},
                {"role": "assistant", "content": "", "tool_calls": [call]},
                {"role": "tool", "content": "17 °C"},
            ],
            "target": "17",
        }
    ]
    project.golden("facts", project.cases)
    project.run("suites", f"--model={project.model('one')}", f"--baseline={project.model('two')}")
    texts = read_texts(next((project.path / "reports").iterdir()), project.record())
    assert texts["prompt:facts:weather-after-a-call"].text == (
        "tools: weather\n\nsystem: Be brief.\n\nuser: 巴黎天气？\n\n"
        'assistant: weather({"city": "Paris"})\n\ntool: 17 °C'
    )
