"""The table of docs/metrics.md is what the script prints, and it shows what the page says."""

from __future__ import annotations

from pathlib import Path

import bleu_misleads

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


def test_the_page_has_the_scripts_table_and_a_wrong_answer_outscores_a_right_one():
    results = bleu_misleads.measure()
    assert bleu_misleads.table(results) in PAGE.read_text(encoding="utf-8")
    wrong, right = results["wrong category"], results["right, keys in another order"]
    assert wrong["bleu"] > right["bleu"]
    assert wrong["macro-F1 of category"] == 0.0
    assert right["macro-F1 of category"] == right["F1 of reference"] == 1.0
    assert results["not JSON: no closing brace"]["rougeL"] == 1.0
