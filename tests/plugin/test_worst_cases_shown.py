"""The end of a run in the terminal: the worst cases, with both answers, on any terminal and in a log."""

from __future__ import annotations

import re

import pytest

from harness.columns import columns_of


def block(result: pytest.RunResult) -> list[str]:
    """From our section's title to the path of the report."""
    lines = result.stdout.str().split("\n")
    start = next(i for i, line in enumerate(lines) if " finetune harness " in line)
    end = next(i for i, line in enumerate(lines) if line.startswith("report: "))
    return lines[start : end + 1]


def regressed(project, answer: str = "no idea") -> pytest.RunResult:
    """Eight of forty cases fell."""
    project.facts(40)
    old, new = project.model("old"), project.model("new", wrong=project.ids(8), says=lambda _: answer)
    return project.run("suites", f"--model={new}", f"--baseline={old}")


def test_the_five_worst_cases_are_shown_with_place_answers_and_why(project):
    lines = block(regressed(project))
    start = lines.index("worst cases (of 8; the report has all)")
    assert lines[start + 1 : start + 6] == [
        "  facts: fact-aa",
        "    golden_sets/facts.jsonl:1",
        "    baseline   It is answer fact-aa, old.",
        "    candidate  no idea",
        "    why        includes failed: 'answer fact-aa' not found in 'no idea'",
    ]
    assert sum(line.startswith("  facts: ") for line in lines) == 5
    assert lines[-1].startswith("report: ")


def test_a_broken_red_line_comes_before_newly_missed_cases(project):
    project.facts(40)
    project.cases[20]["red_line"] = True
    project.golden("facts", project.cases)
    old, new = project.model("old"), project.model("new", wrong=[*project.ids(3), str(project.cases[20]["id"])])
    lines = block(project.run("suites", f"--model={new}", f"--baseline={old}"))
    heads = [line for line in lines[lines.index("worst cases") :] if line.startswith("  ") and line[2] != " "]
    assert heads[:2] == ["  red line: facts: fact-au", "  facts: fact-aa"]


def test_nothing_is_shown_where_no_case_got_worse(project):
    project.facts(40)
    old, new = project.model("old"), project.model("new")
    lines = block(project.run("suites", f"--model={new}", f"--baseline={old}"))
    assert lines[1].startswith("PASS: ")
    assert not any("worst" in line for line in lines)


def test_a_partial_run_shows_no_worst_cases(project):
    project.facts(40)
    old, new = project.model("old"), project.model("new", wrong=project.ids(8))
    lines = block(project.run("suites", f"--model={new}", f"--baseline={old}", "-k", "fact-aa"))
    assert any("partial run: no verdict" in line for line in lines)
    assert not any("worst" in line for line in lines)


@pytest.mark.parametrize("columns", [60, 80, 200])
@pytest.mark.parametrize("answer", ["退款政策" * 40, "many English words " * 20], ids=["zh", "en"])
def test_no_line_is_wider_than_the_terminal(project, monkeypatch, columns, answer):
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = block(regressed(project, answer))
    wide = [line for line in lines if columns_of(line) > min(columns, 80) and "====" not in line]
    # Paths are whole, so that they can be copied.
    assert [line for line in wide if not line.startswith("report: ")] == []
    assert any("worst cases" in line for line in lines)


def test_in_60_columns_no_number_of_a_criterion_is_lost(project, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    lines = block(regressed(project))
    whole = " ".join(" ".join(lines).split())
    assert "FAIL alarm facts -20 points (-8 +0 of 40)" in whole
    assert "at least" in whole or "ruled out" in whole


HOSTILE = "\x1b[2J\x1b]0;owned\x07\x1b[31mred\x1b[0m \u202e005 yap\u202c\r\n::error::x\x00\x08 fin"


def test_a_log_file_holds_no_control_characters_whatever_the_model_wrote(project):
    lines = block(regressed(project, HOSTILE))
    text = "\n".join(lines)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    assert "red ⟨U+202E⟩005 yap⟨U+202C⟩ ::error::x" in text
    assert not any(line.lstrip().startswith("::") for line in lines)


def test_with_colours_on_the_models_own_are_still_gone(project):
    result = regressed(project, HOSTILE)
    plain = block(result)
    project.facts(40)
    coloured = project.run("suites", "--model=scripted:new.jsonl", "--baseline=scripted:old.jsonl", "--color=yes")
    text = coloured.stdout.str()
    assert "\x1b[2J" not in text
    assert "\x1b]0;" not in text
    assert "\x1b[1m  facts: fact-aa\x1b[0m" in text
    # Without its colours it is the very same text.
    start = text.index("worst cases")
    told = re.sub(r"\x1b\[[0-9;]*m", "", text[start:]).splitlines()
    at = next(i for i, line in enumerate(plain) if line.startswith("worst cases"))
    assert told[:20] == plain[at : at + 20]
