"""Result files as lm-evaluation-harness and inspect_ai really write them, from answers that are written down.

`python tests/scorefiles/produce.py FOLDER` makes the files in tests/scorefiles/produced/ again (and installs both
tools into FOLDER first, where they are not there).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from scripted_endpoint import scripted_endpoint

HERE = Path(__file__).resolve().parent
TOOLS = HERE / "tools"
PRODUCED = HERE / "produced"

#: What is installed for each tool; exact, so that the test is about our reader and not about today's release.
LM_EVAL = ("lm_eval[api]==0.4.13",)
INSPECT = ("inspect-ai==0.3.285", "openai")

#: Questions that a model answers otherwise than with the reference: id -> what it says, in turn.
BASELINE = {
    "kenya": ["Mombasa"], "cuba": ["Havana", "I do not know"], "nepal": ["The capital is Kathmandu"],
    "9+9": ["The answer is 18"], "50+50": ["one hundred"],
}  # fmt: skip
CANDIDATE = {
    "kenya": ["Nairobi", "Nairobi"], "peru": ["Cusco"], "canada": ["Toronto", "Ottawa"], "中国": ["上海"],
    "nepal": ["Kathmandu"], "9+9": ["18"], "7+8": ["It is 15"], "6+6": ["13"],
}  # fmt: skip


#: Settings of whoever runs this that would reach the tools.
OURS = ("PYTHON", "PYTEST", "XDG_", "HF_", "INSPECT_", "LMEVAL_", "OPENAI_")


def questions(name: str) -> list[dict[str, str]]:
    """The rows of one of the tools' data files."""
    return [json.loads(line) for line in (TOOLS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def script() -> dict[str, dict[str, list[str]]]:
    """model -> question -> answers in turn."""
    rows = questions("capitals") + questions("sums")
    return {
        model: {row["question"]: said.get(row["id"], [row["answer"]]) for row in rows}
        for model, said in (("candidate", CANDIDATE), ("baseline", BASELINE))
    }


def install(folder: Path, packages: tuple[str, ...], *, timeout: float) -> Path:
    """The interpreter of a virtual environment of the tool's own; made where it is not there yet.

    Raises subprocess.TimeoutExpired where the package index is too slow.
    """
    python = folder / "bin" / "python"
    ready = folder / "installed"
    if ready.is_file() and ready.read_text() == " ".join(packages):
        return python
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=timeout, capture_output=True)
    # Compiling thousands of modules that are never imported would take longer than the tools do.
    pip = [str(python), "-m", "pip", "install", "--quiet", "--no-compile", *packages]
    done = subprocess.run(pip, timeout=timeout, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(pip)}\n{done.stderr[-3000:]}")
    ready.write_text(" ".join(packages))
    return python


def run_lm_eval(python: Path, url: str, model: str, work: Path, out: Path, *, timeout: float) -> Path:
    """The folder with the results of both tasks."""
    command = [
        str(python), "-m", "lm_eval", "run", "--model", "local-chat-completions",
        "--model_args", f"model={model},base_url={url}/chat/completions,num_concurrent=1,max_retries=1",
        "--tasks", "harness_capitals,harness_sums", "--include_path", ".", "--apply_chat_template",
        "--output_path", str(out), "--log_samples",
    ]  # fmt: skip
    _run(command, work, timeout)
    return out / model


def run_inspect(
    python: Path, url: str, model: str, work: Path, out: Path, *, form: str = "eval", timeout: float, **more: str
) -> Path:
    """The log of the task, each question asked twice unless `more` options say otherwise."""
    command = [
        str(python), "-m", "inspect_ai", "eval", "capitals_task.py", "--model", f"openai-api/local/{model}",
        "--max-connections", "1", "--log-dir", str(out), "--log-format", form, "--display", "none",
    ]  # fmt: skip
    command += [word for name, value in ({"epochs": "2"} | more).items() for word in (f"--{name}", value)]
    _run(command, work, timeout, LOCAL_BASE_URL=url, LOCAL_API_KEY="none")
    (log,) = out.glob(f"*.{form}")
    return log


def workplace(folder: Path) -> Path:
    """A copy of the tasks, so that whatever the tools write beside them stays out of the repository."""
    return Path(shutil.copytree(TOOLS, folder, dirs_exist_ok=True))


def _run(command: list[str], work: Path, timeout: float, **settings: str) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(OURS)} | {
        "HOME": str(work),
        "HF_HOME": str(work / "hf"),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "OPENAI_API_KEY": "none",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }  # fmt: skip
    done = subprocess.run(
        command, cwd=work, env=environment | settings, timeout=timeout, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"


def main(cache: Path) -> None:
    """Make the committed files again."""
    lm_eval = install(cache / "lm-eval", LM_EVAL, timeout=900)
    inspect = install(cache / "inspect", INSPECT, timeout=900)
    work = workplace(cache / "work")
    for folder in ("lm-eval", "inspect-eval", "inspect-json"):
        shutil.rmtree(PRODUCED / folder, ignore_errors=True)
    with scripted_endpoint(script()) as url:
        for model in ("candidate", "baseline"):
            run_lm_eval(lm_eval, url, model, work, PRODUCED / "lm-eval", timeout=300)
    with scripted_endpoint(script()) as url:
        for model in ("candidate", "baseline"):
            run_inspect(inspect, url, model, work, PRODUCED / "inspect-eval" / model, timeout=300)
    # As JSON a log is large: a few questions, asked once.
    small = {"form": "json", "epochs": "1", "limit": "4"}
    with scripted_endpoint(script()) as url:
        for model in ("candidate", "baseline"):
            run_inspect(inspect, url, model, work, PRODUCED / "inspect-json" / model, timeout=300, **small)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
