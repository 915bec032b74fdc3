"""What is said of a loss curve: each fault planted once, and silence for a healthy one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.training.checkpoints import EpochRecord, StepRecord
from harness.training.diagnosis import plot_curve, read_curve


def curve(losses: list[float], norms: list[float] | None = None) -> list[StepRecord]:
    norms = norms or [1.0] * len(losses)
    return [
        StepRecord(step=i + 1, epoch=0, loss=loss, rate=1e-3, norm=norm, tokens=10, seconds=i)
        for i, (loss, norm) in enumerate(zip(losses, norms, strict=True))
    ]


HEALTHY = [2.0, 1.6, 1.2, 0.9, 0.7, 0.6, 0.5, 0.45]


def test_a_healthy_curve_is_not_remarked_upon() -> None:
    validated = [EpochRecord(epoch=i, step=4 * (i + 1), validation_loss=loss) for i, loss in enumerate([0.9, 0.6])]
    assert read_curve(curve(HEALTHY), validated) == []
    assert read_curve(curve([2.0, 2.0])) == []


@pytest.mark.parametrize(
    ("losses", "norms", "sentence"),
    [
        ([2.0] * 8, [0.0] * 8, "the gradient is zero: nothing is being trained"),
        ([2.0] * 8, None, "flat .* raise optim.lr"),
        ([2.0, 1.5, 1.0, 0.8, 9.0, 0.8, 0.7, 0.6], None, "jumps at step 5"),
        (HEALTHY, [1, 1, 300, 1, 1, 1, 1, 1], "norm reached 300 at step 3"),
    ],
)
def test_a_planted_fault_is_named(losses: list[float], norms: list[float] | None, sentence: str) -> None:
    (finding,) = read_curve(curve(losses, norms))
    assert re.search(sentence, finding)


def test_overfitting_is_named_with_its_best_epoch() -> None:
    validated = [EpochRecord(epoch=i, step=i, validation_loss=loss) for i, loss in enumerate([0.9, 0.6, 0.8])]
    (finding,) = read_curve(curve(HEALTHY), validated)
    assert "0.600 (epoch 2) to 0.800" in finding


def test_the_plot_is_the_same_bytes_for_the_same_numbers(tmp_path: Path) -> None:
    validated = [EpochRecord(epoch=0, step=8, validation_loss=0.6)]
    for name in ("a.svg", "b.svg"):
        plot_curve(curve(HEALTHY), validated, tmp_path / name, title="triage")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    text = (tmp_path / "a.svg").read_text()
    assert "validation" in text
    assert "triage" in text
