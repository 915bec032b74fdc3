"""Published results, where their files are at hand: the AlpacaEval table and a pair of models of MT-Bench."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from harness.errors import StatisticsError
from harness.stats.paired import compare_paired
from harness.stats.preference import both_orders, length_adjusted_win_rate, position_bias, win_rate


def published(name: str) -> list[dict[str, str]]:
    """The rows of a file of `shared/validation`, which lies beside the checkout or further up."""
    for folder in Path(__file__).resolve().parents[2:]:
        file = folder / "shared" / "validation" / name
        if file.exists():
            with file.open(encoding="utf-8", newline="") as stream:
                return list(csv.DictReader(stream))
    pytest.skip(f"no shared/validation/{name} beside this checkout")


def alpaca(model: str) -> dict[str, np.ndarray]:
    rows = [row for row in published("annotations_compact_10models.csv") if row["model"] == model]
    return {
        "case": np.array([int(row["case"]) for row in rows]),
        # 1 = the baseline is preferred, 2 = the model.
        "score": np.array([float(row["preference"]) - 1 for row in rows]),
        "length": np.array([float(row["len_2"]) for row in rows]),
        "baseline_length": np.array([float(row["len_1"]) for row in rows]),
    }


@pytest.mark.parametrize(
    ("model", "percent", "error", "counts"),
    [
        ("NullModel", 76.9198, 0.9090, (676, 0, 129)),
        ("FuseChat-Llama-3.1-8B-Instruct", 63.3316, 1.4225, (518, 1, 286)),
        ("FuseChat-Qwen-2.5-7B-Instruct", 64.6407, 1.4301, (531, 1, 273)),
        ("claude-2", 17.1882, 1.1748, (131, 1, 673)),
        ("FuseChat-Llama-3.2-1B-Instruct", 29.9219, 1.3935, (233, 2, 570)),
        ("claude-2.1", 15.7335, 1.1203, (115, 2, 688)),
        ("gpt-3.5-turbo-0301", 9.6225, 0.9130, (71, 1, 733)),
        ("vicuna-13b-v1.5", 6.7221, 0.7674, (48, 4, 753)),
        ("vicuna-13b", 5.8311, 0.7423, (44, 2, 759)),
        ("alpaca-7b", 2.5915, 0.4871, (17, 3, 785)),
    ],
)
def test_the_alpaca_eval_table(model, percent, error, counts):
    found = win_rate(alpaca(model)["score"])
    assert round(100 * found.estimate, 4) == percent
    assert round(100 * found.standard_error, 4) == error
    assert (found.wins, found.ties, found.losses) == counts
    assert found.interval.n == 805


def test_two_models_of_the_table_in_pairs():
    newer, older = alpaca("claude-2"), alpaca("claude-2.1")
    assert np.array_equal(newer["case"], older["case"])
    found = compare_paired(newer["score"], older["score"], margin=0.02)
    assert round(100 * found.difference, 4) == 1.4547
    assert round(100 * found.standard_error, 4) == 0.9138
    unpaired = np.hypot(win_rate(newer["score"]).standard_error, win_rate(older["score"]).standard_error)
    assert round(100 * unpaired, 4) == 1.6234
    assert round(float(np.corrcoef(newer["score"], older["score"])[0, 1]), 4) == 0.6839
    assert found.answer.status == "PASS"
    assert round(100 * found.lower_limit, 3) == -0.050


def test_a_length_blind_reading_moves_towards_the_published_one():
    # The published figures also adjust for each prompt's difficulty, with data that are not here.
    for model, published_percent in (
        ("FuseChat-Llama-3.1-8B-Instruct", 65.386),
        ("FuseChat-Qwen-2.5-7B-Instruct", 63.583),
        ("FuseChat-Llama-3.2-1B-Instruct", 25.271),
    ):
        row = alpaca(model)
        found = length_adjusted_win_rate(
            row["score"], row["length"], row["baseline_length"], np.random.default_rng(0), rounds=100
        )
        raw, adjusted = 100 * found.raw.estimate, 100 * found.adjusted.estimate
        assert abs(adjusted - published_percent) < abs(raw - published_percent)
    row = alpaca("gpt-3.5-turbo-0301")
    with pytest.raises(StatisticsError, match=r"only 9.9% of the pairs"):
        length_adjusted_win_rate(row["score"], row["length"], row["baseline_length"], np.random.default_rng(0))


def test_a_position_biased_judge_of_mt_bench():
    rows = published("mtbench_phi3_vs_dpo_gpt4_pair.csv")
    assert len(rows) == 75
    # model_2 is the fine-tune; it was shown second in game 1 and first in game 2.
    worth = {"model_2": 1.0, "model_1": 0.0, "tie": 0.5, "error": None}
    shown_second = [worth[row["g1_winner"]] for row in rows]
    shown_first = [worth[row["g2_winner"]] for row in rows]
    found = both_orders(shown_first, shown_second)
    ties = sum(a == b == 0.5 for a, b in zip(shown_first, shown_second, strict=True))
    assert (found.wins, found.losses, ties) == (20, 18, 8)
    assert found.consistent == 46
    assert found.unparsed == 2
    assert (found.first_first, found.second_second) == (16, 2)
    assert round(position_bias(found.first_first, found.second_second).p_value, 5) == 0.00131
