"""Annotations and the step's summary: at the right line, bounded, escaped, and never from the mouth of a model."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from harness.ci.github import MOST, Mute, annotate, command, tell
from harness.gate import decide
from harness.worst import worst_cases

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "report"))

from example_records import golden, many, run, texts_of

HOSTILE = "fine\n::error file=x::owned\r\n  ::add-mask::y\n##[error]owned\x1b[31m 100% a,b: c"


def obeyed(line: str) -> tuple[str, dict[str, str], str]:
    """A line as the runner reads it: the command, its properties, its message."""
    found = re.match(r"::(?P<name>[^ :]+)(?: (?P<properties>.*?))?::(?P<message>.*)$", line)
    assert found is not None, line
    told = dict(pair.split("=", 1) for pair in found["properties"].split(","))
    return found["name"], {k: _unescaped(v) for k, v in told.items()}, _unescaped(found["message"])


def _unescaped(text: str) -> str:
    for code, char in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, char)
    return text


def told_of(*, fell: int, answer: str = "wrong", root: Path = Path("/w/p"), partial: str | None = None, n: int = 200):
    told = [(c, b, a, old, answer if a == 0 else new) for c, b, a, old, new in many("general", n, fell=fell)]
    record = run(golden("general", told, retention=True), partial=partial)
    verdict = decide(record, record.policy)
    worst = worst_cases(record, verdict, texts_of({"general": told}), MOST)
    return list(annotate(record, verdict, worst, root=root, workspace="/w"))


def test_each_newly_missed_case_is_told_at_its_line_of_the_golden_file_as_seen_from_the_checkout():
    verdict, *cases = [obeyed(line) for line in told_of(fell=3, n=60)]
    assert verdict[0] == "warning"  # 3 of 60: INCONCLUSIVE
    assert [(name, p["file"], p["line"]) for name, p, _ in cases] == [
        ("warning", "p/golden_sets/general.jsonl", str(line)) for line in (1, 2, 3)
    ]
    assert cases[0][1]["title"] == "newly missed: general: general-00000"
    assert cases[0][2] == "'right' is not in 'wrong'\nbaseline: the right answer\ncandidate: wrong"


def test_a_fail_gives_errors_ten_at_most_and_says_how_many_more():
    lines = [obeyed(line) for line in told_of(fell=60)]
    assert len(lines) == MOST == 10
    assert {name for name, _, _ in lines} == {"error"}
    assert lines[0][2].startswith("FAIL: triage@2 must not ship\nFAIL: ")
    assert "(and 51 more, see the report)" in lines[-1][2]


def test_a_pass_with_nothing_lost_says_nothing():
    assert told_of(fell=0, n=400) == []


def test_a_partial_run_says_nothing():
    assert told_of(fell=60, partial="-k was given") == []


def test_a_projects_file_outside_of_the_checkout_keeps_its_path():
    assert obeyed(told_of(fell=3, root=Path("/elsewhere"))[1])[1]["file"] == "/elsewhere/golden_sets/general.jsonl"


@pytest.mark.parametrize("fell", [3, 60])
def test_what_a_model_wrote_is_never_a_command_of_its_own(fell):
    lines = told_of(fell=fell, answer=HOSTILE)
    for line in lines:
        assert "\n" not in line
        assert "\r" not in line
        assert "\x1b" not in line
    name, properties, message = obeyed(lines[-1])
    assert name in ("error", "warning")
    assert set(properties) == {"file", "line", "title"}
    assert "100% a,b: c" in message


def test_properties_and_messages_are_escaped_as_github_wants_them():
    line = command("error", "a%0Ab\r\nc", title="x:y,z%\n::", file="a,b:c.jsonl", line=7, rest="more\n")
    assert line == "::error file=a%2Cb%3Ac.jsonl,line=7,title=x%3Ay%2Cz%25%0A%3A%3A::a%250Ab%0D%0Ac%0Amore%0A"


def test_the_page_is_added_to_what_the_step_said_before(tmp_path):
    file = tmp_path / "summary"
    file.write_text("before\n")
    record = run(golden("general", many("general", 50)))
    verdict = decide(record, record.policy)
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(file)}
    assert not any("cannot" in line for line in tell(record, verdict, (), "the page", environ=environ, root=tmp_path))
    assert file.read_text() == "before\nthe page\n"


def test_nothing_is_said_or_written_elsewhere(tmp_path):
    record = run(golden("general", many("general", 50, fell=40)))
    verdict = decide(record, record.policy)
    environ = {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    assert list(tell(record, verdict, (), "page", environ=environ, root=tmp_path)) == []
    assert not (tmp_path / "summary").exists()


def test_a_summary_that_cannot_be_written_is_told_and_changes_nothing(tmp_path):
    record = run(golden("general", many("general", 50)))
    verdict = decide(record, record.policy)
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path)}
    first = next(tell(record, verdict, (), "page", environ=environ, root=tmp_path))
    assert first == f"note: {tmp_path}: the step's summary cannot be written (Is a directory)"


def test_nobody_can_guess_how_to_end_the_quiet():
    one, other = Mute(), Mute()
    assert one.quiet != other.quiet
    assert one.loud == f"::{one.quiet.removeprefix('::stop-commands::')}::"
    assert len(one.loud) > 40
