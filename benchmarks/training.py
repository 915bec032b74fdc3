"""Our trainer against TRL's SFTTrainer on the embedded model, both on this machine's CPU.

    python benchmarks/training.py [--quick]

1. Equality: one adapter, the same batches in the same order, the same schedule: the losses of every update agree.
2. Speed: each at its best batching (tried first, on a few rows; TRL is also given our order of rows), LoRA in
   bfloat16, no gradient checkpointing; median of three runs, in turns, each in a process of its own so that peak
   memory is its own. Tokens are real ones, padding not counted; loading and the first update are not timed.

Writes benchmarks/results/training.json and ends with 1 where a bar is missed. `--quick` tries every part on a few rows,
writes nothing and holds nobody to the speed.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import save, versions

ROOT = Path(__file__).resolve().parent.parent
TOLERANCE = 2e-2
BAR = 1.8
BATCH = 8
ROWS, ROWS_TO_CHOOSE = 56, 24
QUICK_ROWS = 16
#: micro-batch sizes of ours; of TRL: micro-batch size, and how it fills its batches (our order where nothing is said).
OURS = ("4", "8")
TRL = ("8", "4-grouped", "8-grouped", "4-padding_free")


def rows(count: int) -> list[Any]:
    """The example's own mix of lengths: tickets, and general prompts with hand-made long and short answers."""
    from harness.data.formats import Row, load_prompts, load_rows
    from harness.models import Message

    tickets = load_rows(ROOT / "data/triage/train.jsonl", root=ROOT, limit=count // 2)
    made = []
    for i, prompt in enumerate(load_prompts(ROOT / "data/general_prompts.jsonl", root=ROOT)[: count - len(tickets)]):
        question = prompt.messages[-1].content
        answer = " ".join([f"You asked: {question}", *["Here is what I can say about it."] * (i % 9)])
        messages = (*prompt.messages, Message(role="assistant", content=answer))
        made.append(Row(messages=messages, where=prompt.where, kind="replay"))
    return [*tickets, *made]


def prepared(count: int, epochs: int = 1, micro: int | None = None) -> tuple[Any, Any, Any, Any]:
    """(recipe, prepared rows, base, tokenizer)."""
    from harness.models.resolution import Surroundings, resolve
    from harness.training.model import load_tokenizer
    from harness.training.plan import Prepared
    from harness.training.recipe import DataRecipe, OptimRecipe, Recipe
    from harness.training.replay import Replay
    from harness.training.template import render, stop_ids

    base = resolve("smollm2", Surroundings(root=ROOT, device="cpu"))
    tokenizer = load_tokenizer(base)
    optim = OptimRecipe(lr=5e-4, epochs=epochs, batch_size=BATCH, micro_batch_size=micro, warmup=0.0)
    recipe = Recipe(name="bench", data=DataRecipe(train="rows", validation=0.0), optim=optim)
    examples = tuple(render(tokenizer, row, stops=stop_ids(tokenizer)) for row in rows(count))
    return recipe, Prepared(train=examples, validation=(), replay=Replay(), overlong=()), base, tokenizer


def run_ours(batching: str, count: int) -> dict[str, Any]:
    """One epoch with our trainer."""
    from harness.training.model import add_adapter, load_base
    from harness.training.trainer import Trainer

    recipe, data, base, tokenizer = prepared(count, micro=int(batching))
    trainer = Trainer(recipe, data, add_adapter(load_base(recipe, base), recipe), pad_id=tokenizer.pad_token_id)
    trainer.run()
    steps = trainer.state.history
    return {
        "losses": [step.loss for step in steps],
        "tokens_per_second": sum(s.tokens for s in steps[1:]) / (steps[-1].seconds - steps[0].seconds),
    }


def run_trl(batching: str, count: int) -> dict[str, Any]:
    """One epoch with TRL, over our order of rows where it does not group them itself."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from harness.training.batches import IGNORED, plan_epoch
    from harness.training.model import add_adapter, load_base

    micro, _, how = batching.partition("-")
    recipe, data, base, tokenizer = prepared(count)
    lengths = [len(example.ids) for example in data.train]
    windows = plan_epoch(lengths, batch_size=BATCH, seed=recipe.seed, epoch=0)
    order = [i for window in windows for batch in window for i in batch]
    examples = [data.train[i] for i in order]
    dataset = Dataset.from_dict(
        {
            "input_ids": [list(e.ids) for e in examples],
            "labels": [
                [i if learned else IGNORED for i, learned in zip(e.ids, e.learned, strict=True)] for e in examples
            ],
        }
    )
    model = add_adapter(load_base(recipe, base), recipe)
    stamps: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *arguments: Any, **rest: Any) -> None:
            stamps.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        trainer = SFTTrainer(
            model=model,
            processing_class=tokenizer,
            train_dataset=dataset,
            callbacks=[Clock()],
            args=SFTConfig(
                output_dir=folder,
                per_device_train_batch_size=int(micro),
                gradient_accumulation_steps=BATCH // int(micro),
                num_train_epochs=1,
                learning_rate=recipe.optim.lr,
                lr_scheduler_type="cosine",
                warmup_steps=0,
                max_grad_norm=recipe.optim.max_grad_norm,
                optim="adamw_torch",
                bf16=True,
                use_cpu=True,
                gradient_checkpointing=False,
                train_sampling_strategy="group_by_length" if how == "grouped" else "sequential",
                padding_free=how == "padding_free",
                max_length=None,
                dataset_kwargs={"skip_prepare_dataset": True},
                logging_steps=1,
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
            ),
        )
        trainer.train()
    total = sum(lengths)
    # Which rows were in its first update is TRL's business: the rest is taken as its share.
    share = (len(stamps) - 1) / len(stamps)
    return {
        "losses": [entry["loss"] for entry in trainer.state.log_history if "loss" in entry],
        "tokens_per_second": total * share / (stamps[-1] - stamps[0]),
    }


def in_a_process(side: str, batching: str, count: int) -> dict[str, Any]:
    """One run on its own; also its peak memory in bytes."""
    command = [sys.executable, __file__, "--side", side, "--batching", batching, "--rows", str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{side} ({batching}) ended with {done.returncode}:\n{done.stderr[-3000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(
        f"{side:5} {batching:15} {count} rows: {result['tokens_per_second']:.0f} tokens/s, "
        f"peak {result['peak_memory_bytes'] / 2**30:.2f} GiB",
        flush=True,
    )
    return result


def one_side(side: str, batching: str, count: int) -> None:
    import torch

    torch.set_num_threads(2)
    result = run_ours(batching, count) if side == "ours" else run_trl(batching, count)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result["peak_memory_bytes"] = peak if sys.platform == "darwin" else peak * 1024
    print(json.dumps(result))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", choices=["ours", "trl"], help=argparse.SUPPRESS)
    parser.add_argument("--batching", help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="Try every part on a few rows; keep no result.")
    options = parser.parse_args()
    if options.side:
        one_side(options.side, options.batching, options.rows)
        return 0

    count, tried_on, rounds = (QUICK_ROWS, QUICK_ROWS, 1) if options.quick else (ROWS, ROWS_TO_CHOOSE, 3)
    same = {side: in_a_process(side, str(BATCH), count)["losses"] for side in ("ours", "trl")}
    apart = max(abs(a - b) for a, b in zip(same["ours"], same["trl"], strict=True))
    print(f"loss traces over {len(same['ours'])} updates differ by at most {apart:.4f} (bar {TOLERANCE})", flush=True)

    best = {}
    for side, choices in (("ours", OURS), ("trl", TRL)):
        tried = {choice: in_a_process(side, choice, tried_on)["tokens_per_second"] for choice in choices}
        best[side] = max(tried, key=lambda choice: tried[choice])
    runs: dict[str, list[dict[str, Any]]] = {"ours": [], "trl": []}
    for _ in range(rounds):
        for side, done in runs.items():
            done.append(in_a_process(side, best[side], count))
    rate = {side: statistics.median(r["tokens_per_second"] for r in done) for side, done in runs.items()}
    peak = {side: max(r["peak_memory_bytes"] for r in done) for side, done in runs.items()}
    ratio = rate["ours"] / rate["trl"]
    for side in runs:
        print(f"{side:5} at its best ({best[side]}): {rate[side]:.0f} tokens/s, peak {peak[side] / 2**30:.2f} GiB")
    print(f"ours is {ratio:.2f} times as fast (bar {BAR})")
    if options.quick:
        return int(apart > TOLERANCE)
    result: dict[str, object] = {
        **versions("torch", "transformers", "peft", "trl", "finetune-harness"),
        "loss_traces": same,
        "largest_loss_difference": apart,
        "batching": best,
        "tokens_per_second": rate,
        "all_runs": {side: [r["tokens_per_second"] for r in done] for side, done in runs.items()},
        "peak_memory_bytes": peak,
        "ratio": ratio,
        "bars": {"loss_difference": TOLERANCE, "ratio": BAR},
    }
    print(save("training", result))
    return 0 if apart <= TOLERANCE and ratio >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
