"""Metrics of `evaluate`, from a script on disk: no hub."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness import metric
from harness.checks.evaluated import Evaluated
from harness.errors import CheckError

SCRIPT = """
import datasets
import evaluate


class Agreement(evaluate.Metric):
    def _info(self):
        features = datasets.Features({"predictions": datasets.Value("string"), "references": datasets.Value("string")})
        return evaluate.MetricInfo(description="", citation="", inputs_description="", features=features)

    def _compute(self, predictions, references, fault="", factor=1.0):
        if fault == "crash":
            raise RuntimeError("the metric broke")
        if fault == "nan":
            return {"agreement": float("nan")}
        same = sum(p == r for p, r in zip(predictions, references))
        results = {"agreement": factor * same / len(references)}
        return results | {"errors": len(references) - same} if fault == "two" else results
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> str:
    with pytest.MonkeyPatch.context() as patch:
        # The library keeps copies of metrics there.
        patch.setenv("HF_MODULES_CACHE", str(tmp_path_factory.mktemp("modules")))
        path = tmp_path_factory.mktemp("metrics") / "agreement" / "agreement.py"
        path.parent.mkdir()
        path.write_text(SCRIPT)
        return str(path)


def test_a_metric_from_a_path_is_a_check_with_a_bar(script: str) -> None:
    assert metric("退款", "退款", name=script, at_least=1)
    score = metric("a", "b", name=script, at_least=1)
    assert not score
    assert "is 0, at least 1 is asked for" in score.explanation
    assert metric("a", "b", name=script, at_most=0)
    assert metric("a", "a", name=script, at_most=0.5, options={"factor": 0.5})


@pytest.mark.parametrize(
    ("options", "key", "reason"),
    [
        ({"fault": "crash"}, None, "crashed (RuntimeError: the metric broke)"),
        ({"fault": "nan"}, None, "gave nan as agreement: no number, so no score"),
        ({"fault": "two"}, None, "gives 2 numbers (agreement, errors). Say which one counts with key."),
        ({}, "agrement", "unknown key 'agrement': did you mean 'agreement'?"),
        ({"nonsense": 1}, None, "crashed (TypeError"),
    ],
)
def test_a_metric_that_crashes_or_gives_no_number_is_an_error_never_a_score(
    script: str, options: dict[str, object], key: str | None, reason: str
) -> None:
    with pytest.raises(CheckError) as caught:
        metric("a", "a", name=script, at_least=1, options=options, key=key)
    assert reason in str(caught.value)


def test_of_two_numbers_the_named_one_counts(script: str) -> None:
    assert metric("a", "b", name=script, at_least=1, options={"fault": "two"}, key="errors")


def test_a_script_that_is_not_there_is_not_asked_of_the_hub(tmp_path: Path) -> None:
    with pytest.raises(CheckError, match="there is no such file"):
        metric("a", "a", name=str(tmp_path / "gone.py"), at_least=1)


def test_over_a_set_it_is_asked_once_for_all_and_drawn_again_through_its_inner_function(script: str) -> None:
    agreement = Evaluated(script)
    rows = np.array(agreement.rows(["a", "b", "c", "d"], [("a",), ("b",), ("c",), ("x",)]))
    assert agreement.value(rows) == 0.75
    assert agreement.rounds == 1_000
    assert agreement.value(rows[[0, 0, 3, 3]]) == 0.5
