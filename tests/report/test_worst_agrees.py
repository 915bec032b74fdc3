"""The terminal and the page name the same cases first."""

from __future__ import annotations

from pathlib import Path

from example_judged import TOLD, judged_run

from harness.ci.comment import comment
from harness.ci.trackers import numbers
from harness.gate import decide
from harness.record import read_record, read_texts
from harness.report.cases import cases_of, worst
from harness.worst import count_worst, worst_cases

BLOCKED = Path(__file__).resolve().parent.parent / "records" / "triage-no-replay"


def test_terminal_and_page_name_the_same_worst_cases_in_the_same_order():
    record = read_record(BLOCKED)
    verdict = decide(record, record.policy)
    texts = read_texts(BLOCKED, record)
    cases = cases_of(record, verdict, texts)
    of_page = [(case.line.set, case.line.case) for case in worst(cases, record, verdict, 25)]
    assert of_page == [(one.set, one.case) for one in worst_cases(record, verdict, texts, 25)]
    assert len(of_page) == 25
    told = [case.line for case in cases if case.line.fate in ("broken", "regressed") and not case.line.waived]
    assert count_worst(record, verdict) == len(told)


def test_what_only_a_judge_has_seen_is_told_with_its_reason_and_counted():
    record, texts = judged_run()
    verdict = decide(record, record.policy)
    cases = cases_of(record, verdict, texts)
    told = worst_cases(record, verdict, texts, 25)
    assert [case.line.case for case in worst(cases, record, verdict, 25)] == [one.case for one in told]
    assert len(told) == count_worst(record, verdict) == 12
    assert told[0].why == "The refund window is wrong: the policy says 30 days."
    assert (told[0].place, told[0].candidate, told[0].baseline) == ("new.jsonl", TOLD[0][5], TOLD[0][4])
    page = comment(record, verdict, texts)
    assert "28 cases, the baseline's answer is preferred in 12, the candidate's in 6." in page
    assert "### The worst 10 of 12 cases that got worse" in page
    assert (numbers(record, verdict)["gate/worse"], numbers(record, verdict)["gate/better"]) == (12, 6)
