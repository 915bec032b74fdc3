"""The public names of the room, their page, and their one-line results."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PUBLIC = {
    "intervals": "Interval wilson clopper_pearson mean_interval bootstrap_interval zero_failures_bound",
    "paired": "PairedComparison compare_paired mcnemar tango_interval sign_flip_test holm benjamini_hochberg",
    "classification": "confusion macro_f1_difference slot_f1 slot_f1_difference paired_interval",
    "power": "minimum_detectable_effect cases_needed rule_power",
    "repeats": "pass_at_k pass_hat_k",
    "forgetting": "backward_transfer average_forgetting",
    "agreement": "cohen_kappa gwet_ac1 krippendorff_alpha ppi_mean",
    "sequential": "WinRateSequence ScoreSequence",
    "preference": "win_rate both_orders position_bias davidson rao_kupper bradley_terry length_adjusted_win_rate",
}


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_are_there_and_on_the_page(module):
    page = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")
    room = importlib.import_module(f"harness.stats.{module}")
    for name in PUBLIC[module].split():
        assert getattr(room, name).__doc__
        if name not in ("Interval", "PairedComparison"):
            assert f"`{name}" in page, f"docs/statistics.md lacks {name}"


def test_the_example_of_the_page_is_what_it_prints():
    page = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")
    lines = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1].splitlines()
    scope: dict[str, object] = {}
    exec(lines[0].removeprefix(">>> "), scope)
    assert repr(eval(lines[1].removeprefix(">>> "), scope)) == lines[2]


def test_the_benchmark_does_not_hide_the_standard_librarys_statistics():
    code = "import statistics, sys; print(statistics.median([1, 2, 4]), statistics.NormalDist().inv_cdf(0.5))"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, 'benchmarks'); {code}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["2", "0.0"]
