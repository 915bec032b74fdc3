"""The project's settings: what cannot be meant is refused where it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.config import load_project
from harness.errors import ConfigError
from harness.policy import GatePolicy


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("[tool.harness.gate.floors]\ntriage = 90", "floors.triage = 90.0: a floor is a share"),
        ("[tool.harness.gate.floors]\ntriage = nan", "floors.triage = nan: a floor is a share"),
        ("[tool.harness.gate]\nmargin = 5", "margin = 5.0: a margin is a share"),
        ("[tool.harness.gate]\nsuites = []", "suites is empty, so nothing would have to be asked"),
        ("[tool.harness.sampling]\ntemperature = -1.0", "temperature = -1.0: it is 0 (greedy) or more"),
        ("[tool.harness.sampling]\ntop_p = 7.0", "top_p = 7.0: a share above 0"),
        ("[tool.harness.sampling]\nmax_tokens = 0", "max_tokens = 0: an answer needs at least 1"),
        ("[tool.harness.sets.triage]\nmax_tokens = -3", "max_tokens = -3: an answer needs at least 1"),
        ('[tool.harness]\ndevice = "tpu"', "device = 'tpu': auto, cpu, cuda"),
        ('[tool.harness]\nlanguage = "fr"', "language: unknown word 'fr': Known: en, zh"),
        (
            '[tool.harness.gate]\non_inconclusive = "wran"',
            "unknown word 'wran': did you mean 'warn'? Known",
        ),
        ('[tool.harness]\ntrackers = ["foo"]', "trackers: unknown word 'foo': Known: tensorboard, wandb"),
        ('[tool.harness]\nsets = ["triage"]', "$.sets"),
        ("[tool.harness]\nsets = 3", "$.sets"),
        ("[tool.harness]\ngate = 3", "[tool.harness.gate] must be a table, not int"),
    ],
)
def test_a_value_that_cannot_be_meant_is_one_sentence_with_the_file(tmp_path: Path, table: str, words: str) -> None:
    (tmp_path / "pyproject.toml").write_text(table)
    with pytest.raises(ConfigError) as refused:
        load_project(tmp_path)
    assert words in str(refused.value)
    assert str(refused.value).startswith(f"{tmp_path / 'pyproject.toml'}: ")


def test_a_set_may_have_to_be_perfect() -> None:
    assert GatePolicy(floors={"triage": 1.0}).floor("triage") == 1.0
