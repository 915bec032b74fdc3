"""`harness serve`: what is refused before anything is started. tests/models/test_vllm.py serves a real model."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from harness.cli.main import run


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder that is a model as far as references go."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"")
    return "model"


def test_without_vllm_it_says_what_to_install(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "vllm" else find(name, *rest))
    assert run(["serve", model, "--device", "cpu"]) == 4
    assert "vLLM is not installed" in capsys.readouterr().err


def test_a_model_that_is_not_there_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["serve", "nowhere"]) == 4
    assert "no model 'nowhere'" in capsys.readouterr().err


def test_models_on_other_bases_are_not_served_together(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"a": 1}')
    (tmp_path / "other" / "model.safetensors").write_bytes(b"x")
    assert run(["serve", model, "--also", "other", "--device", "cpu"]) == 4
    assert "on another base than vllm:model" in capsys.readouterr().err
