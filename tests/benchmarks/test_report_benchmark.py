"""The report's benchmark builds the report that it says; its committed result keeps every budget."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import report
from machine import RESULTS

from harness.gate import decide
from harness.report.cases import cases_of


def test_the_drawn_record_has_two_long_answers_a_verdict_and_a_judge_for_every_case() -> None:
    record, texts = report.build_record(100)
    cases = cases_of(record, decide(record, record.policy), texts)
    assert len(cases) == 100
    assert len({case.line.set for case in cases}) == report.SETS
    for case in cases:
        ours, theirs = (case.detail.answers[role][0].text for role in ("candidate", "baseline"))
        assert 3000 < len(ours) <= report.ANSWER
        assert ours != theirs
        assert case.detail.opinions
    regressed = sum(case.line.fate == "regressed" for case in cases)
    assert 10 <= regressed <= 35
    assert any(case.line.swapped for case in cases)


def test_two_files_of_answers_go_through_the_whole_command(tmp_path: Path) -> None:
    assert report.measure_pairs(12, 1, tmp_path)["pairs_s"] > 0
    (page,) = tmp_path.glob("reports/*/index.html")
    assert "advisory" in page.read_text(encoding="utf-8")


@pytest.mark.browser
def test_a_small_report_is_opened_and_every_filter_timed(tmp_path: Path) -> None:
    # A thread of its own: another test's browser may be open, and Playwright allows one in a thread.
    with ThreadPoolExecutor(1) as thread:
        measured = thread.submit(report.measure_large, 60, 1, tmp_path).result()
    assert len(measured["filters"]) == len(report.FILTERS) + 3
    assert 0 < measured["filter_s"] < 5
    assert 0 < measured["first_paint_s"] < 20


def test_the_committed_result_is_of_the_whole_size_and_within_budget() -> None:
    file = RESULTS / "report.json"
    if not file.exists():
        pytest.skip("not measured yet on a quiet machine: python benchmarks/report.py")
    result = json.loads(file.read_text())
    assert (result["cases"], result["pairs"]) == (5_000, 805)
    assert result["budgets"] == report.BUDGETS
    assert report.over_budget(result) == []
