"""The same 400 questions over the same server by other tools, each as its documentation says is fastest.

Each tool lives in a virtual environment of its own. What a run is: the tool's own command, from start to end, with as
many calls open as it is told to (64). deepeval has no calls of its own to the model under test; what it sends is one
question to a judge for each test case, so it is measured at that.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

#: What is installed for each; exact, so that a result says what it is about.
PACKAGES: dict[str, tuple[str, ...]] = {
    "deepeval": ("deepeval==4.3.1",),
    "inspect_ai": ("inspect-ai==0.3.285", "openai"),
    "lm_eval": ("lm_eval[api]==0.4.13",),
}

DEEPEVAL = """
import json, sys
from deepeval import evaluate
from deepeval.evaluate import AsyncConfig, CacheConfig, DisplayConfig
from deepeval.metrics import GEval
from deepeval.models import LocalModel
from deepeval.test_case import LLMTestCase, SingleTurnParams

url, in_flight = sys.argv[1], int(sys.argv[2])
metric = GEval(
    name="fine",
    evaluation_steps=["Is it fine?"],
    evaluation_params=[SingleTurnParams.INPUT, SingleTurnParams.ACTUAL_OUTPUT],
    model=LocalModel(model="m", base_url=url, api_key="none"),
)
rows = [json.loads(line) for line in open("facts.jsonl")]
cases = [LLMTestCase(input=row["input"], actual_output="fine") for row in rows]
result = evaluate(
    cases,
    [metric],
    async_config=AsyncConfig(run_async=True, throttle_value=0, max_concurrent=in_flight),
    display_config=DisplayConfig(show_indicator=False, print_results=False, inspect_after_run=False),
    cache_config=CacheConfig(write_cache=False, use_cache=False),
)
assert all(one.success for one in result.test_results)
"""

INSPECT = """
from inspect_ai import Task, task
from inspect_ai.dataset import json_dataset
from inspect_ai.scorer import includes
from inspect_ai.solver import generate

@task
def facts():
    return Task(dataset=json_dataset("facts.jsonl"), solver=generate(), scorer=includes())
"""

LM_EVAL = """
task: facts
dataset_path: json
dataset_kwargs: {data_files: {test: facts.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: "{{input}}"
doc_to_target: "{{target}}"
generation_kwargs: {until: ["@@"], max_gen_toks: 256}
metric_list: [{metric: exact_match}]
"""

_FILES = {"deepeval": ("facts.py", DEEPEVAL), "inspect_ai": ("facts.py", INSPECT), "lm_eval": ("facts.yaml", LM_EVAL)}


def install(folder: Path, packages: tuple[str, ...]) -> Path:
    """The interpreter of a virtual environment with these packages; made where it is not there yet."""
    python, ready = folder / "bin" / "python", folder / "installed"
    if ready.is_file() and ready.read_text() == " ".join(packages):
        return python
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True)
    ready.write_text(" ".join(packages))
    return python


def environment() -> dict[str, str]:
    """Ours, without settings that would reach the measured interpreters."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PYTEST"))}


def installed_version(python: Path, package: str) -> str:
    """As the environment itself tells it."""
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    return subprocess.run([str(python), "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def command(tool: str, python: Path, port: int, in_flight: int) -> list[str]:
    """What a user would type, with the tool's own number of calls at once."""
    url = f"http://127.0.0.1:{port}/v1"
    if tool == "deepeval":
        return [str(python), "facts.py", url, str(in_flight)]
    if tool == "inspect_ai":
        return [
            str(python), "-m", "inspect_ai", "eval", "facts.py", "--model", "openai-api/local/m",
            "--max-connections", str(in_flight), "--max-samples", str(in_flight), "--display", "none",
        ]  # fmt: skip
    return [
        str(python), "-m", "lm_eval", "run", "--model", "local-chat-completions", "--model_args",
        f"model=m,base_url={url}/chat/completions,num_concurrent={in_flight},max_retries=1",
        "--tasks", "facts", "--include_path", ".", "--apply_chat_template",
    ]  # fmt: skip


def timed(tool: str, python: Path, folder: Path, port: int, *, rows: list[dict[str, str]], in_flight: int) -> dict:
    """Wall and processor seconds of one run of the tool over `rows`, in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "facts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    name, text = _FILES[tool]
    (folder / name).write_text(text)
    own = {
        "HOME": str(folder), "NO_PROXY": "127.0.0.1", "OPENAI_API_KEY": "none", "LOCAL_API_KEY": "none",
        "LOCAL_BASE_URL": f"http://127.0.0.1:{port}/v1", "HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1", "DEEPEVAL_TELEMETRY_OPT_OUT": "YES", "DO_NOT_TRACK": "1",
    }  # fmt: skip
    before, started = _processor(), time.perf_counter()
    done = subprocess.run(
        command(tool, python, port, in_flight), cwd=folder, env=environment() | own, capture_output=True, text=True
    )
    seconds, cpu = time.perf_counter() - started, _processor() - before
    if done.returncode:
        raise SystemExit(f"{tool} ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return {"seconds": round(seconds, 2), "cpu_s": round(cpu, 2)}


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
