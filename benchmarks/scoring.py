"""Scoring speed on SmolLM2: shared beginnings read once, against every text read from its first token.

All texts of the shipped retention sets, loading excluded. Both ways take turns in one process; medians of the rounds.
The ways must agree: in float32 to 1e-3 nats per token and in every choice; in bfloat16, where rounding moves either
way, the shared one must be as near to float32 as the plain one. Scoring multiple choice must be at least 2.5 times as
fast as the plain way.

    python benchmarks/scoring.py [--rounds 3] [--limit N]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
from machine import save, versions

from harness.generation import GenerationPlan
from harness.golden import load_golden_set
from harness.models import Sampling, ScoreRequest, TokenScores
from harness.models.hf import scoring
from harness.models.hf.loading import HfModel, LoadedBase
from harness.models.hf.memory import Batches
from harness.models.hf.quiet import quiet_transformers
from harness.models.refs import ModelRef
from harness.models.resolution import Surroundings, resolve
from harness.retention.measurement import plan_retention

ROOT = Path(__file__).resolve().parent.parent
SETS = ("choices", "general", "texts")
FLOAT32_TOLERANCE = 1e-3
AS_NEAR = 1.25
FASTER = 2.5
#: By whether beginnings are shared.
WAYS = {"shared": True, "plain": False}


def asked(ref: ModelRef, name: str, limit: int | None) -> list[ScoreRequest]:
    """What a gate asks of one set; `limit` takes its first cases."""
    golden_set = load_golden_set(ROOT / "golden_sets" / "retention" / f"{name}.jsonl", root=ROOT / "golden_sets")
    kept = {case.id for case in golden_set.cases[:limit]}
    plan = GenerationPlan()
    plan_retention(golden_set, ref, plan, sampling=Sampling())
    return [request for _, request in plan.score_requests.values() if request.case in kept]


def score(model: HfModel, ref: ModelRef, texts: list[ScoreRequest], share: bool) -> tuple[float, list[TokenScores]]:
    """Seconds and scores."""
    started = time.perf_counter()
    scores = scoring.score(
        model._model,
        model._prompts,
        texts,
        batches=Batches(ref.batch_size, label=ref.label),
        label=ref.label,
        adapter_off=None,
        on_done=lambda index, result: None,
        share=share,
    )
    return time.perf_counter() - started, scores


def distances(one: list[TokenScores], other: list[TokenScores]) -> list[float]:
    """Differences of all token log-probabilities, in nats."""
    return [abs(a - b) for x, y in zip(one, other, strict=True) for a, b in zip(x.logprobs, y.logprobs, strict=True)]


def chosen(texts: list[ScoreRequest], scores: list[TokenScores]) -> dict[str, str]:
    """The likeliest choice of each question."""
    best: dict[str, tuple[float, str]] = {}
    for text, result in zip(texts, scores, strict=True):
        if text.case not in best or result.total > best[text.case][0]:
            best[text.case] = (result.total, text.text)
    return {case: choice for case, (_, choice) in best.items()}


def measure(name: str, models: dict[str, tuple[HfModel, ModelRef]], rounds: int, limit: int | None) -> dict[str, Any]:
    """One set: both ways in both precisions."""
    model, ref = models["bfloat16"]
    texts = asked(ref, name, limit)
    pairs = [{way: score(model, ref, texts, share) for way, share in WAYS.items()} for _ in range(rounds)]
    half = {way: pairs[0][way][1] for way in WAYS}
    exact = {way: score(*models["float32"], texts, share)[1] for way, share in WAYS.items()}
    seconds = {way: statistics.median(pair[way][0] for pair in pairs) for way in WAYS}
    result: dict[str, Any] = {
        "texts": len(texts),
        "seconds": {way: round(value, 2) for way, value in seconds.items()},
        "times_as_fast": round(statistics.median(pair["plain"][0] / pair["shared"][0] for pair in pairs), 2),
        "float32_largest_difference": max(distances(exact["shared"], exact["plain"])),
        "bfloat16_mean_error": {way: statistics.fmean(distances(half[way], exact["plain"])) for way in WAYS},
        "bfloat16_largest_error": {way: max(distances(half[way], exact["plain"])) for way in WAYS},
    }
    if name == "choices":
        picked = {way: chosen(texts, exact[way]) for way in WAYS}
        rough = {way: chosen(texts, half[way]) for way in WAYS}
        result["questions"] = len(picked["plain"])
        result["float32_same_choice"] = _agreeing(picked["shared"], picked["plain"])
        result["bfloat16_same_choice_as_float32"] = {way: _agreeing(rough[way], picked["plain"]) for way in WAYS}
    return result


def _agreeing(one: dict[str, str], other: dict[str, str]) -> int:
    return sum(one[case] == other[case] for case in other)


def missed(name: str, result: dict[str, Any]) -> list[str]:
    """The bars that this set does not reach."""
    found = []
    if result["float32_largest_difference"] > FLOAT32_TOLERANCE:
        found.append(f"{name}: the ways differ by {result['float32_largest_difference']:.2g} nats in float32")
    error = result["bfloat16_mean_error"]
    if error["shared"] > AS_NEAR * error["plain"]:
        found.append(
            f"{name}: in bfloat16 the shared way errs by {error['shared']:.3g}, the plain by {error['plain']:.3g}"
        )
    if name == "choices" and result["float32_same_choice"] != result["questions"]:
        found.append(f"{name}: the ways choose differently in float32")
    if name == "choices" and result["times_as_fast"] < FASTER:
        found.append(f"{name}: {result['times_as_fast']} times as fast as the plain way (bar {FASTER})")
    return found


def main() -> int:
    """Measure, print, keep; exit status 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int, help="Take the first cases of each set only, and keep no result.")
    options = parser.parse_args()
    models = {}
    for dtype in ("bfloat16", "float32"):
        ref = resolve("smollm2", Surroundings(root=ROOT, device="cpu", dtype=dtype))
        models[dtype] = (LoadedBase(ref).model(ref), ref)
    sets, short = {}, []
    with quiet_transformers():
        score(*models["bfloat16"], asked(models["bfloat16"][1], "choices", 1), True)
        for name in SETS:
            sets[name] = measure(name, models, options.rounds, options.limit)
            print(name, json.dumps(sets[name], indent=2), flush=True)
            short += missed(name, sets[name])
    total = {way: sum(result["seconds"][way] for result in sets.values()) for way in WAYS}
    result: dict[str, object] = {
        "sets": sets,
        "all_sets_times_as_fast": round(total["plain"] / total["shared"], 2),
        "threads": torch.get_num_threads(),
        "bars": {"float32_difference": FLOAT32_TOLERANCE, "bfloat16_error": AS_NEAR, "choices_times_as_fast": FASTER},
        **versions("torch", "transformers", "finetune-harness"),
    }
    print("\n".join([f"all sets: {result['all_sets_times_as_fast']} times as fast", *short]))
    if options.limit is None:
        print(save("scoring", result))
    return int(bool(short))


if __name__ == "__main__":
    sys.exit(main())
