"""Generation speed on SmolLM2: the harness against one call per test, and against a bare loop over the same batches.

64 closed questions, at most 32 new tokens, greedy, loading excluded, cold store (its writes count). The harness must
be at least 5 times as fast as asking one question per call, at most 1.05 times as slow as the bare loop, and say
exactly what the bare loop says. Harness and loop take turns, and who begins; medians of the rounds; one by one is
measured once.

    python benchmarks/generation.py [--rounds 3] [--dtype bfloat16] [--questions 64]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from machine import save, versions
from transformers import AutoModelForCausalLM, AutoTokenizer

from harness.generation import GenerationPlan, case_requests, run
from harness.golden import load_golden_set
from harness.models import Request, Sampling
from harness.models.hf.quiet import quiet_transformers
from harness.models.refs import ModelRef
from harness.models.resolution import Surroundings, resolve
from harness.store import Store

ROOT = Path(__file__).parent.parent
QUESTIONS = 64
MAX_TOKENS = 32
FASTER_THAN_SINGLE = 5.0
SLOWER_THAN_LOOP = 1.05


def ours(ref: ModelRef, requests: list[Request]) -> tuple[float, list[str]]:
    """Seconds and texts of a cold run, as the plugin makes it."""
    plan = GenerationPlan()
    for request in requests:
        plan.ask(ref, request)
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "store.sqlite") as store:
        answers = run(plan, store)
    return answers.stats.seconds["generate"], [answers.response(ref, request).text for request in requests]


def bare(model: Any, tokenizer: Any, requests: list[Request], batch_size: int) -> tuple[float, list[str]]:
    """Seconds and texts of transformers alone, longest prompts first, in batches of the given size."""
    texts = [""] * len(requests)
    started = time.perf_counter()
    prompts = [
        tokenizer.apply_chat_template(
            [{"role": m.role, "content": m.content} for m in request.messages],
            add_generation_prompt=True,
            tokenize=False,
        )
        for request in requests
    ]
    lengths = [len(tokenizer(prompt, add_special_tokens=False)["input_ids"]) for prompt in prompts]
    order = sorted(range(len(requests)), key=lambda i: (-lengths[i], i))
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        inputs = tokenizer([prompts[i] for i in batch], add_special_tokens=False, padding=True, return_tensors="pt")
        output = model.generate(**inputs, max_new_tokens=MAX_TOKENS, do_sample=False)
        answers = output[:, inputs["input_ids"].shape[1] :]
        for i, text in zip(batch, tokenizer.batch_decode(answers, skip_special_tokens=True), strict=True):
            texts[i] = text
    return time.perf_counter() - started, texts


def main() -> int:
    """Measure, print, keep; exit status 1 when over budget or when texts differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--questions", type=int, default=QUESTIONS, help="Other than 64 keeps no result.")
    options = parser.parse_args()
    ref = resolve("smollm2", Surroundings(root=ROOT, device="cpu", dtype=options.dtype))
    golden_set = load_golden_set(ROOT / "golden_sets" / "retention" / "general.jsonl", root=ROOT / "golden_sets")
    sampling = Sampling(max_tokens=MAX_TOKENS)
    requests = [r for case in golden_set.cases[: options.questions] for r in case_requests(case, sampling, 1)]
    with quiet_transformers():
        model = AutoModelForCausalLM.from_pretrained(ref.base, dtype=getattr(torch, ref.dtype)).eval()
        tokenizer = AutoTokenizer.from_pretrained(ref.base, padding_side="left")
        bare(model, tokenizer, requests[:2], 2)
        pairs = []
        for number in range(options.rounds):
            if number % 2:
                loop = bare(model, tokenizer, requests, ref.batch_size)
                pairs.append((ours(ref, requests), loop))
            else:
                mine = ours(ref, requests)
                pairs.append((mine, bare(model, tokenizer, requests, ref.batch_size)))
        single_s, single_texts = bare(model, tokenizer, requests, 1)
    ours_s = statistics.median(mine[0] for mine, _ in pairs)
    loop_s = statistics.median(loop[0] for _, loop in pairs)
    texts, loop_texts = pairs[0][0][1], pairs[0][1][1]
    tokens = sum(len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts)
    result = {
        "questions": len(requests),
        "dtype": ref.dtype,
        "threads": torch.get_num_threads(),
        "harness_s": round(ours_s, 2),
        "bare_loop_s": round(loop_s, 2),
        "one_by_one_s": round(single_s, 2),
        "tokens_per_s": round(tokens / ours_s, 1),
        "faster_than_one_by_one": round(single_s / ours_s, 2),
        "times_the_bare_loop": round(statistics.median(mine[0] / loop[0] for mine, loop in pairs), 3),
        "same_texts_as_bare_loop": sum(map(str.__eq__, texts, loop_texts)),
        "same_texts_as_one_by_one": sum(map(str.__eq__, texts, single_texts)),
        **versions("torch", "transformers", "finetune-harness"),
    }
    print(json.dumps(result, indent=2))
    if options.questions == QUESTIONS:
        save("generation", result)
    return int(
        result["faster_than_one_by_one"] < FASTER_THAN_SINGLE
        or result["times_the_bare_loop"] > SLOWER_THAN_LOOP
        or texts != loop_texts
    )


if __name__ == "__main__":
    sys.exit(main())
