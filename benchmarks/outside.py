"""Does the promoted adapter say outside of the harness what its record says?

    python benchmarks/outside.py [DEMO_FOLDER]

Loads the demo's promoted adapter with transformers and peft alone, in another process that cannot import harness, and
asks it every ticket of the record, one at a time. In bfloat16 the sums of a matrix product depend on what shares the
batch, so that now and then a greedy text parts at a near-tie: the script lists those tickets, and ends with 1 where
they are more than 1 in 20. (In float32 there is none: tests/cli/test_loop.py.)
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from machine import save, versions

from harness.config import load_project
from harness.record import RunRecord, read_record, read_texts
from harness.registry import Registry

ALLOWED = 0.05
RELOAD = """
import json, sys, torch
sys.modules["harness"] = None  # importing it would fail
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
base, adapter, dtype, limit = *sys.argv[1:4], int(sys.argv[4])
tokenizer = AutoTokenizer.from_pretrained(base)
model = AutoModelForCausalLM.from_pretrained(base, dtype=getattr(torch, dtype))
model = PeftModel.from_pretrained(model, adapter).eval()
answers = []
for question in json.load(sys.stdin):
    inputs = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    ids = model.generate(**inputs, do_sample=False, max_new_tokens=limit)[0, inputs["input_ids"].shape[1]:]
    answers.append(tokenizer.decode(ids, skip_special_tokens=True))
print(json.dumps(answers))
"""


def newest(project: Path, digest: str) -> tuple[Path, RunRecord]:
    """The newest complete run of these weights."""
    folder = load_project(project).reports
    for run in sorted(folder.glob("*/record.json"), reverse=True):
        record = read_record(run.parent)
        if record.candidate.digest == digest and record.partial is None:
            return run.parent, record
    raise SystemExit(f"{folder}: no complete run of the promoted weights. Run `make demo` first.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("demo"))
    project = parser.parse_args().folder.resolve()
    version = Registry(load_project(project).registry).version("baseline")
    run, record = newest(project, version.digest)
    texts = read_texts(run, record)
    cases = [(one.name, case) for one in record.sets if one.name.startswith("triage") for case in one.cases]
    recorded = [texts[case.answers["candidate"][0]].text.strip() for _, case in cases]
    questions = [texts[f"prompt:{name}:{case.case}"].text for name, case in cases]
    settings = [version.manifest.base, str(version.adapter), record.candidate.dtype, "40"]
    done = subprocess.run(
        [sys.executable, "-c", RELOAD, *settings],
        input=json.dumps(questions),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=project,
    )
    answers = [answer.strip() for answer in json.loads(done.stdout)]
    other = [case.case for (_, case), told, said in zip(cases, answers, recorded, strict=True) if told != said]
    print(f"{version.label}: {len(cases) - len(other)} of {len(cases)} answers are those of {run.name}, byte for byte")
    for (_, case), told, said in zip(cases, answers, recorded, strict=True):
        if told != said:
            print(f"  {case.case}\n    record   {said!r}\n    outside  {told!r}")
    share = len(other) / len(cases)
    print(f"different: {share:.1%}, allowed {ALLOWED:.0%}")
    result = {"dtype": record.candidate.dtype, "answers": len(cases), "different": other, "allowed_share": ALLOWED}
    print(save("outside", {**versions("torch", "transformers", "peft"), **result}))
    sys.exit(share > ALLOWED)


if __name__ == "__main__":
    main()
