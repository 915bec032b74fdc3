"""The whole loop on the real model, small: train a candidate, gate it, reload it without us, promote what passed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.config import load_project
from harness.gate import decide
from harness.record import read_record, read_texts
from harness.registry import Registry

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

ROOT = Path(__file__).resolve().parent.parent.parent
SETTINGS = """
[tool.harness]
dtype = "float32"  # so that batching moves no token, and a plain reload must say the very same
[tool.harness.gate]
margin = 0.2
improve = ["triage"]
[tool.harness.sets]
"triage" = { max_tokens = 40 }
"retention/general" = { max_tokens = 24 }
"""
RECIPE = """
name: triage
base: smollm2
data: {train: rows.jsonl, validation: 0}
replay: {prompts: prompts.jsonl, ratio: 0.2, max_tokens: 24}
lora: {r: 8, alpha: 16}
optim: {lr: 1e-3, epochs: 2, batch_size: 8}
"""
#: Answers golden cases with transformers and peft alone.
RELOAD = """
import json, sys, torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
base, adapter, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
tokenizer = AutoTokenizer.from_pretrained(base, padding_side="left")
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), adapter).eval()
questions = [[{"role": "user", "content": question}] for question in json.load(sys.stdin)]
inputs = tokenizer.apply_chat_template(
    questions, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
)
ids = model.generate(**inputs, do_sample=False, max_new_tokens=limit)[:, inputs["input_ids"].shape[1]:]
answers = tokenizer.batch_decode(ids, skip_special_tokens=True)
assert not any(name.split(".")[0] == "harness" for name in sys.modules)
print(json.dumps(answers))
"""


def head(source: Path, target: Path, lines: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("".join(source.read_text(encoding="utf-8").splitlines(keepends=True)[:lines]), encoding="utf-8")


def harness(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "harness", *words], cwd=folder, capture_output=True, text=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    (folder / "pyproject.toml").write_text(SETTINGS)
    (folder / "recipe.yaml").write_text(RECIPE)
    shutil.copytree(ROOT / "suites", folder / "suites", ignore=shutil.ignore_patterns("__pycache__"))
    head(ROOT / "data/triage/train.jsonl", folder / "rows.jsonl", 48)
    head(ROOT / "data/general_prompts.jsonl", folder / "prompts.jsonl", 24)
    head(ROOT / "golden_sets/triage.jsonl", folder / "golden_sets/triage.jsonl", 12)
    head(ROOT / "golden_sets/retention/general.jsonl", folder / "golden_sets/retention/general.jsonl", 16)
    head(ROOT / "golden_sets/retention/choices.jsonl", folder / "golden_sets/retention/choices.jsonl", 12)
    trained = harness(folder, "train", "recipe.yaml", "--no-gate")
    assert trained.returncode == 0, trained.stdout + trained.stderr
    return folder


@pytest.fixture(scope="module")
def gated(folder):
    done = harness(folder, "gate")
    assert done.returncode in (0, 1, 10), done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def run(folder, gated):
    (found,) = (folder / "reports").glob("*/record.json")
    return found.parent


def test_the_gate_judges_exactly_the_trained_weights_and_both_can_be_told_apart(folder, gated, run):
    record = read_record(run)
    version = Registry(load_project(folder).registry).version("candidate")
    assert record.partial is None
    assert record.errors == ()
    assert record.candidate.digest == version.digest
    assert record.baseline.digest == version.manifest.base_digest
    triage = next(one for one in record.sets if one.name == "triage")
    assert sum(case.candidate for case in triage.cases) > sum(case.baseline for case in triage.cases)
    assert decide(record, record.policy).exit_code(record.policy) == gated.returncode


def test_bare_transformers_and_peft_give_the_answers_of_the_record(folder, run):
    record = read_record(run)
    texts = read_texts(run, record)
    version = Registry(load_project(folder).registry).version("candidate")
    triage = next(one for one in record.sets if one.name == "triage")
    lines = (folder / "golden_sets/triage.jsonl").read_text(encoding="utf-8").splitlines()
    questions = {case["id"]: case["input"] for case in map(json.loads, lines)}
    done = subprocess.run(
        [sys.executable, "-c", RELOAD, version.manifest.base, str(version.adapter), "40"],
        input=json.dumps([questions[case.case] for case in triage.cases]),
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    recorded = [texts[case.answers["candidate"][0]].text for case in triage.cases]
    assert [answer.strip() for answer in json.loads(done.stdout)] == [text.strip() for text in recorded]


def test_the_same_gate_again_asks_nothing_and_says_the_same(folder, gated, run):
    again = harness(folder, "gate")
    assert again.returncode == gated.returncode
    assert "0 answers generated (no model was loaded)" in again.stdout


def test_the_same_recipe_again_is_the_same_version(folder):
    again = harness(folder, "train", "recipe.yaml", "--no-gate")
    assert again.returncode == 0
    assert "triage@1 is reused" in again.stdout


def test_only_a_pass_is_promoted(folder, gated, run):
    done = harness(folder, "models", "promote")
    passed = gated.returncode == 0
    assert done.returncode == (0 if passed else 1), done.stdout + done.stderr
    assert Registry(load_project(folder).registry).alias("baseline") == ("triage@1" if passed else None)
    assert "Traceback" not in done.stderr
