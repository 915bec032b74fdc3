"""The terminal and the page name the same cases first."""

from __future__ import annotations

from pathlib import Path

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
    of_page = [(case.line.set, case.line.case) for case in worst(cases, 25)]
    assert of_page == [(one.set, one.case) for one in worst_cases(record, verdict, texts, 25)]
    assert len(of_page) == 25
    told = [case.line for case in cases if case.line.fate in ("broken", "regressed") and not case.line.waived]
    assert count_worst(record, verdict) == len(told)
