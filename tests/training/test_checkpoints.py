"""Checkpoints: whole or absent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors import SafetensorError

from harness.errors import HarnessError
from harness.training import checkpoints
from harness.training.checkpoints import latest_checkpoint, write_checkpoint
from harness.training.trainer import Trainer

MakeTrainer = Callable[..., Trainer]


def written(trainer: Trainer, folder: Path, step: int) -> Path:
    trainer.state.step = step
    return write_checkpoint(folder, trainer.state, trainer.parameters, trainer.optimizer.optimizer, None)


def test_only_the_newest_is_kept(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    trainer = make_trainer()
    written(trainer, tmp_path, 1)
    newest = written(trainer, tmp_path, 12)
    assert [p.name for p in tmp_path.iterdir()] == [newest.name] == ["step-00000012"]
    assert written(trainer, tmp_path, 12) == newest


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), SafetensorError("No space left")])
def test_a_full_disk_leaves_the_last_whole_checkpoint_and_one_sentence(
    make_trainer: MakeTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    trainer = make_trainer()
    kept = written(trainer, tmp_path, 1)

    def full(tensors: Any, file: Path) -> None:
        file.write_bytes(b"half")
        raise failure

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(HarnessError, match=r"could not be written .*space"):
        written(trainer, tmp_path, 2)
    assert list(tmp_path.iterdir()) == [kept]


def test_a_folder_that_was_never_finished_is_not_a_checkpoint(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path / "none") is None
    (tmp_path / "step-00000007").mkdir()
    (tmp_path / ".partial-1").mkdir()
    assert latest_checkpoint(tmp_path) is None
