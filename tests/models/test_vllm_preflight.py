"""What is refused before vLLM is loaded. None of these needs vLLM."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_llama import ask

from harness.config import VllmConfig, parse_config
from harness.errors import ConfigError, ModelError
from harness.models.opening import open_models
from harness.models.refs import ModelRef
from harness.models.vllm import memory
from harness.models.vllm.preflight import engine_arguments, engine_variables, require_vllm
from harness.store import response_key

Refer = Callable[..., ModelRef]


@pytest.fixture
def altered(adapter: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the adapter with other words in its configuration."""

    def copy(**words: Any) -> Path:
        folder = tmp_path / "altered"
        shutil.copytree(adapter, folder, dirs_exist_ok=True)
        file = folder / "adapter_config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **words}))
        return folder

    return copy


def on_vllm(refer: Refer, base: Path, adapter: Path | None = None, **settings: Any) -> ModelRef:
    text = f"vllm:{base}" if adapter is None else f"vllm:{base}+{adapter}"
    return refer(text, vllm=VllmConfig(**settings))


def test_a_reference_names_the_same_weights_on_another_engine(refer: Refer, base: Path, adapter: Path) -> None:
    here, there = refer(f"hf:{base}+{adapter}"), on_vllm(refer, base, adapter)
    assert there.engine == "vllm"
    assert there.digest == here.digest
    assert there.root.digest == here.root.digest
    assert there.root.engine == "vllm"
    assert there.label.startswith("vllm:")
    assert there.root.label == f"vllm:{base}"


def test_an_adapter_folder_can_be_named_alone(refer: Refer, base: Path, adapter: Path) -> None:
    assert refer(f"vllm:{adapter}").digest == refer(f"vllm:{base}+{adapter}").digest
    assert refer(f"vllm:hf:{base}").digest == refer(str(base)).digest


def test_a_change_of_engine_keeps_answers_apart(refer: Refer, base: Path) -> None:
    request = ask("Why?")
    keys = {
        response_key(ref, request)
        for ref in (
            refer(str(base)),
            on_vllm(refer, base),
            on_vllm(refer, base, engine_args={"quantization": "fp8"}),
        )
    }
    assert len(keys) == 3


def test_settings_that_change_only_speed_share_their_answers(refer: Refer, base: Path) -> None:
    request = ask("Why?")
    small, large = on_vllm(refer, base, max_num_seqs=4), on_vllm(refer, base, max_num_seqs=400, kv_cache_gib=1)
    assert response_key(small, request) == response_key(large, request)


def test_what_is_no_local_model_cannot_be_asked_through_vllm(refer: Refer, tmp_path: Path) -> None:
    (tmp_path / "script.jsonl").write_text('{"input": "a", "output": "b"}\n')
    with pytest.raises(ModelError, match="is no local model"):
        refer("vllm:scripted:script.jsonl")
    with pytest.raises(ModelError, match="no model 'nowhere'"):
        refer("vllm:nowhere")


def test_without_the_package_it_says_what_to_install(refer: Refer, base: Path, monkeypatch: Any) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "vllm" else find(name, *rest))
    with pytest.raises(ModelError, match=r"vLLM is not installed.*pip install vllm.*make vllm"):
        require_vllm("m")
    with pytest.raises(ModelError, match="vLLM is not installed"):
        next(open_models([on_vllm(refer, base)]))


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"peft_type": "IA3"}, "of kind IA3"),
        ({"use_dora": True}, "DoRA"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save: lm_head"),
        ({"bias": "all"}, "bias = 'all'"),
        ({"lora_bias": True}, "have biases"),
        ({"init_lora_weights": "pissa_niter_16"}, "changes the base"),
        ({"trainable_token_indices": [3]}, "single tokens"),
        ({"layer_replication": [[0, 1]]}, "replicates layers"),
        ({"r": 600}, "up to rank 512"),
    ],
)
def test_an_adapter_that_vllm_would_serve_otherwise_is_refused_with_the_way_out(
    refer: Refer, base: Path, altered: Callable[..., Path], words: dict[str, Any], why: str
) -> None:
    with pytest.raises(ModelError, match=why) as told:
        engine_arguments([on_vllm(refer, base, altered(**words))])
    assert "Merge it into its base" in str(told.value)
    assert "docs/vllm.md" in str(told.value)


def test_weights_that_are_no_lora_are_refused(refer: Refer, base: Path, altered: Callable[..., Path]) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    folder = altered()
    tensors = load_file(folder / "adapter_model.safetensors")
    tensors["base_model.model.model.embed_tokens.weight"] = torch.zeros(259, 32)
    save_file(tensors, folder / "adapter_model.safetensors")
    with pytest.raises(ModelError, match=r"weights that are no LoRA \(base_model.model.model.embed_tokens.weight\)"):
        engine_arguments([on_vllm(refer, base, folder)])


def test_there_is_room_for_the_highest_rank(refer: Refer, base: Path, adapter: Path, altered: Any) -> None:
    arguments = engine_arguments([on_vllm(refer, base, adapter)])
    assert arguments["max_lora_rank"] == 8  # of rank 4
    higher = on_vllm(refer, base, altered(rank_pattern={"q_proj": 40}))
    both = engine_arguments([on_vllm(refer, base, adapter), higher])
    assert both["max_lora_rank"] == 64
    assert both["max_cpu_loras"] == 2
    assert "enable_lora" not in engine_arguments([on_vllm(refer, base)])


def test_a_rank_over_the_projects_own_limit_names_the_setting(refer: Refer, base: Path, altered: Any) -> None:
    ref = on_vllm(refer, base, altered(r=64), max_lora_rank=16)
    with pytest.raises(ModelError, match=r"rank 64, and the project allows 16.*\[tool.harness.vllm\]"):
        engine_arguments([ref])


def test_a_longer_context_than_the_models_is_refused(refer: Refer, base: Path) -> None:
    with pytest.raises(ModelError, match=r"max_model_len = 4096 .* reads at most 512 tokens"):
        engine_arguments([on_vllm(refer, base, max_model_len=4096)])
    assert engine_arguments([on_vllm(refer, base, max_model_len=256)])["max_model_len"] == 256


def test_a_cache_that_holds_no_whole_text_is_refused(refer: Refer, base: Path) -> None:
    # Two layers of two heads of 8 numbers, keys and values, 4 bytes: 256 bytes a token, 512 tokens.
    shape = memory.read_shape(base, "float32")
    assert shape.per_token == 256
    with pytest.raises(ModelError, match=r"a text of 512 tokens takes 0.0 GiB of cache"):
        memory.cache_bytes(shape, VllmConfig(kv_cache_gib=1e-5), "cpu", "m")


def test_a_model_that_does_not_fit_says_how_much_is_missing(monkeypatch: Any) -> None:
    shape = memory.Shape(weights=15 * memory.GIB, per_token=131072, context=8192)
    monkeypatch.setattr(memory, "free_memory", lambda: 8 * memory.GIB)
    with pytest.raises(ModelError, match=r"15.0 GiB of weights .* 8.0 GiB of memory are free.*smaller model"):
        memory.cache_bytes(shape, VllmConfig(), "cpu", "m")
    monkeypatch.setattr(memory, "free_memory", lambda: 16 * memory.GIB)
    with pytest.raises(ModelError, match=r"Lower max_model_len \(now 8192\)"):
        memory.cache_bytes(shape, VllmConfig(kv_cache_gib=2), "cpu", "m")
    monkeypatch.setattr(memory, "free_memory", lambda: 64 * memory.GIB)
    assert memory.cache_bytes(shape, VllmConfig(), "cpu", "m") == 4 * memory.GIB


def test_a_card_is_reckoned_with_the_share_that_may_be_used(monkeypatch: Any) -> None:
    shape = memory.Shape(weights=15 * memory.GIB, per_token=131072, context=8192)
    monkeypatch.setattr(memory, "_cards", lambda: [24 * memory.GIB])
    assert memory.cache_bytes(shape, VllmConfig(), "cuda", "m") is None
    with pytest.raises(ModelError, match=r"12.0 GiB of the card's memory may be used"):
        memory.cache_bytes(shape, VllmConfig(gpu_memory_utilization=0.5), "cuda", "m")
    assert (
        memory.cache_bytes(shape, VllmConfig(gpu_memory_utilization=0.5, tensor_parallel_size=2), "cuda", "m") is None
    )


def test_further_arguments_win_over_what_is_chosen_here(refer: Refer, base: Path) -> None:
    arguments = engine_arguments([on_vllm(refer, base, engine_args={"seed": 7, "enforce_eager": True})])
    assert arguments["seed"] == 7
    assert arguments["enforce_eager"] is True


@pytest.mark.parametrize("table", [{"max_model_len": 0}, {"gpu_memory_utilization": 1.5}, {"kv_cache": 2}])
def test_a_setting_that_cannot_be_is_refused_where_it_is_written(table: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"pyproject\.toml"):
        parse_config({"vllm": table}, where="pyproject.toml")


def test_on_a_cpu_a_start_can_read_what_an_earlier_one_compiled_and_nothing_is_told_to_anybody() -> None:
    assert engine_variables("cpu") == {"VLLM_NO_USAGE_STATS": "1", "VLLM_USE_AOT_COMPILE": "0"}
    assert engine_variables("cuda") == {"VLLM_NO_USAGE_STATS": "1"}
