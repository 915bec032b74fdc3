"""`harness train`, on the tiny model: the whole command but the gate."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tiny_chat import ragged_rows

from harness.cli.main import run
from harness.models.refs import ModelRef
from harness.registry import Registry
from harness.training.trainer import Trainer

RECIPE = """
name: tiny
base: {base}
data: {{train: data/rows.jsonl, validation: 0.2}}
replay: {{prompts: data/prompts.jsonl, ratio: 0.3, max_tokens: 4}}
lora: {{r: 2, alpha: 4}}
optim: {{lr: 1e-2, epochs: 2, batch_size: 4}}
dtype: float32
"""


@pytest.fixture
def project(tiny_base: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder in ("data", "recipes", "golden_sets"):
        (tmp_path / folder).mkdir()
    (tmp_path / "pyproject.toml").write_text("[tool.harness]\ndtype = 'float32'\n")
    (tmp_path / "recipes/tiny.yaml").write_text(RECIPE.format(base=tiny_base.base))
    rows = [{"prompt": r.messages[0].content + f" {i}", "completion": "yes"} for i, r in enumerate(ragged_rows())]
    (tmp_path / "data/rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (tmp_path / "data/prompts.jsonl").write_text("".join(json.dumps({"prompt": f"ask {i}"}) + "\n" for i in range(9)))
    (tmp_path / "golden_sets/facts.jsonl").write_text(
        '{"id": "france", "input": "What is the capital of France?", "target": "Paris"}\n'
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(*arguments: str) -> int:
    return run(["train", "recipes/tiny.yaml", "--no-gate", *arguments])


def test_a_recipe_becomes_the_candidate_and_an_unchanged_one_is_reused(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert train() == 0
    told = capfd.readouterr()
    assert "8 rows + 3 replayed, 2 held out" in told.err
    assert "tiny@1 is the candidate" in told.out
    registry = Registry(project / ".harness/registry", project)
    version = registry.version("candidate")
    assert version.label == "tiny@1"
    assert version.training is not None
    assert version.training["rows"]["replay"] == 3
    assert version.training["recipe_file"] == "recipes/tiny.yaml"
    assert version.training["recipe"]["optim"]["lr"] == 0.01
    assert (version.adapter / "loss.svg").is_file()
    assert (version.folder / "rows.jsonl.gz").is_file()
    assert not (version.adapter / "rows.jsonl.gz").exists(), "people publish adapters"
    assert not list((project / ".harness/training").glob("*/"))

    assert train() == 0
    assert "unchanged: tiny@1 is reused" in capfd.readouterr().out
    assert train("--set", "optim.lr=5e-3") == 0
    told = capfd.readouterr()
    assert "tiny@2 is the candidate" in told.out
    assert registry.alias("candidate") == "tiny@2"
    # The replay answers came from the store.
    assert "prompts answered" not in told.err

    assert train() == 0
    assert registry.alias("candidate") == "tiny@1"


def test_training_again_makes_the_same_adapter(project: Path) -> None:
    assert train() == 0
    file = project / ".harness/registry/tiny/1/adapter/adapter_model.safetensors"
    before = file.read_bytes()
    assert train("--restart") == 0
    registry = Registry(project / ".harness/registry", project)
    assert registry.labels() == ["tiny@1"]  # the same weights are the same version
    assert file.read_bytes() == before


def stopped_by_ctrl_c() -> None:
    """Train with Ctrl-C pressed in the fourth update."""
    real = Trainer._update

    def press(self: Trainer, step: int, *rest: Any) -> Any:
        if step == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return real(self, step, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_update", press)
        assert train() == 130


def test_ctrl_c_keeps_a_checkpoint_and_the_same_command_goes_on(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stopped_by_ctrl_c()
    told = " ".join(capfd.readouterr().err.split())
    assert "training stopped after step" in told
    assert "The same command goes on from there" in told
    assert Registry(project / ".harness/registry", project).labels() == []
    assert train() == 0
    assert "resumed after step" in capfd.readouterr().err


def test_a_changed_recipe_does_not_take_up_anothers_checkpoint(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stopped_by_ctrl_c()
    assert train("--set", "seed=1") == 0
    assert "resumed" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("file", "line", "sentence"),
    [
        (
            "data/rows.jsonl",
            {"prompt": "what is the CAPITAL of France", "completion": "x"},
            "golden_sets/facts.jsonl:1",
        ),
        ("data/prompts.jsonl", {"prompt": "What is the capital of France"}, "data/prompts.jsonl:10: "),
        ("data/rows.jsonl", {"messages": [{"role": "user", "content": "x"}]}, "data/rows.jsonl:11: no assistant turn"),
        ("data/rows.jsonl", {"prompt": "x", "completion": "a<|im_end|>b"}, "data/rows.jsonl:11: the two ways"),
    ],
)
def test_bad_data_stops_the_plan_before_anything_is_made(
    project: Path, capfd: pytest.CaptureFixture[str], file: str, line: dict[str, Any], sentence: str
) -> None:
    with (project / file).open("a") as opened:
        opened.write(json.dumps(line) + "\n")
    assert train() == 4
    told = capfd.readouterr().err
    assert sentence in " ".join(told.split())
    assert "Traceback" not in told
    assert Registry(project / ".harness/registry", project).labels() == []


def test_a_loss_that_is_not_a_number_registers_nothing(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert train("--set", "optim.lr=1e30", "--set", "optim.max_grad_norm=1e30") == 4
    told = " ".join(capfd.readouterr().err.split())
    assert "nothing was registered. The rows of this step: data/" in told
    assert Registry(project / ".harness/registry", project).labels() == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--set", "optim.rate=1"], "unknown key 'rate'"),
        (["--set", "base=nowhere"], "nowhere"),
        (["--set", "name=candidate"], "'candidate' cannot name a model"),
        (["--set", "data.train=data/none.jsonl"], "data/none.jsonl: no such file"),
        (["--set", "replay.ratio=0.9"], "needs 72 prompts"),
        (["--set", "max_length=8"], "no row is left"),
    ],
)
def test_wrong_settings_are_one_sentence(
    project: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert train(*arguments) == 4
    told = capfd.readouterr().err
    assert sentence in " ".join(told.split())
    assert "Traceback" not in told
