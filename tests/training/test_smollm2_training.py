"""A few real updates of the embedded model, by LoRA and QLoRA, read back without us."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from harness.data.formats import load_rows
from harness.models.refs import ModelRef
from harness.models.resolution import Surroundings, resolve
from harness.training.model import load_tokenizer
from harness.training.recipe import DataRecipe, LoraRecipe, OptimRecipe, Recipe
from harness.training.template import render, stop_ids
from harness.training.trainer import train

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def smollm2() -> ModelRef:
    return resolve("smollm2", Surroundings(root=ROOT, device="cpu"))


def test_the_masks_agree_on_every_row_of_the_example(smollm2: ModelRef) -> None:
    tokenizer = load_tokenizer(smollm2)
    for row in load_rows(ROOT / "data/triage/train.jsonl", root=ROOT):
        example = render(tokenizer, row, stops=stop_ids(tokenizer))
        assert example.ids[-1] == tokenizer.convert_tokens_to_ids("<|im_end|>")


@pytest.mark.parametrize("method", ["lora", "qlora"])
def test_a_few_steps_train_save_and_reload(smollm2: ModelRef, tmp_path: Path, method: Literal["lora", "qlora"]) -> None:
    from peft import PeftModel
    from tiny_chat import prepared_rows
    from transformers import AutoModelForCausalLM

    tokenizer = load_tokenizer(smollm2)
    rows = load_rows(ROOT / "data/triage/train.jsonl", root=ROOT, limit=6)
    examples = [render(tokenizer, row, stops=stop_ids(tokenizer)) for row in rows]
    recipe = Recipe(
        name="few",
        method=method,
        data=DataRecipe(train="rows.jsonl", validation=0.0),
        lora=LoraRecipe(r=4, alpha=8),
        optim=OptimRecipe(lr=2e-3, epochs=2, batch_size=2, warmup=0.0),
    )
    made = train(recipe, prepared_rows(examples), smollm2, tokenizer, digest="d", folder=tmp_path / "run")
    losses = [step["loss"] for step in made.training["loss"]]
    assert losses[-1] < losses[0] < 4
    assert not list(made.adapter.glob("*.bin"))
    base: Any = AutoModelForCausalLM.from_pretrained(smollm2.base, dtype=torch.bfloat16)
    probe = torch.tensor([examples[0].ids])
    with torch.no_grad():
        off = base(input_ids=probe).logits
        on = PeftModel.from_pretrained(base, str(made.adapter))(input_ids=probe).logits
    assert float((on - off).abs().max()) > 0.1


TWO_PROCESSES = """
import sys, torch
from pathlib import Path
torch.set_num_threads(1)
from tiny_chat import prepared_rows, ragged_rows, tiny_recipe, tiny_tokenizer
from harness.models.refs import ModelRef
from harness.training.template import render
from harness.training.trainer import train

base = ModelRef(text="t", label="t", engine="hf", base=sys.argv[1], base_digest="0" * 64, dtype="float32")
tokenizer = tiny_tokenizer()
rows = prepared_rows([render(tokenizer, r, stops={2}) for r in ragged_rows()], 2)
made = train(tiny_recipe(base, micro_batch_size=1), rows, base, tokenizer, digest="d", folder=Path(sys.argv[2]))
print([step["loss"] for step in made.training["loss"]], made.training["processes"])
"""


def test_two_processes_train_what_one_would(tiny_base: ModelRef, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    script = tmp_path / "train.py"
    script.write_text(TWO_PROCESSES)
    launchers = {
        "one": [sys.executable],
        "two": [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"],
    }
    for name, launcher in launchers.items():
        done = subprocess.run(
            [*launcher, str(script), tiny_base.base, str(tmp_path / name)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent), "ACCELERATE_USE_CPU": "true"},
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert ("] 2" in done.stdout) == (name == "two")
    one, two = (load_file(tmp_path / name / "result" / "adapter_model.safetensors") for name in launchers)
    for key, tensor in one.items():
        torch.testing.assert_close(two[key], tensor, rtol=1e-3, atol=1e-5)
