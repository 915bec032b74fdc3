"""A report of 5,000 cases with two answers of 4 KB each: how long it takes to build, to open and to filter, and how
large it is.

The answers are new to each other word by word, drawn from the words of this repository's docs as often as they occur
there; the candidate's is the baseline's with every sixth word changed. Each pair is judged in both orders as well. The
page is built from the record on disk, as `harness report` does, and opened in Chromium: until its first paint, and how
long each filter takes from the event to the next frame, the slowest of them counting. Then two answer files of
AlpacaEval's shape (805 pairs) go through `harness judge run` with the reference judge, the whole command from start to
end.

    python benchmarks/report.py [--cases 5000] [--pairs 805] [--rounds 3]

Best of the rounds, because other work on the machine can only add. Needs Chromium (.ci/chromium).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from machine import save, versions

from harness.judges.judgement import JudgedSet, JudgeIdentity, Judgement, OrderJudgement
from harness.models import Response
from harness.policy import GatePolicy
from harness.record import CaseResult, ModelIdentity, RunRecord, SetResult, TestResult, write_record

ROOT = Path(__file__).resolve().parents[1]
#: What the report may take.
BUDGETS = {"build_s": 20.0, "megabytes": 30.0, "first_paint_s": 2.0, "filter_s": 0.2, "pairs_s": 3.0}
ANSWER = 4096
SETS = 5
TAGS = ("billing", "refunds", "shipping", "中文", "safety", "tone", "long", "greeting")
REASONS = (
    "The second answer names the refund window, the first leaves it out.",
    "Both are correct, but this one is shorter and asks what is needed.",
    "It promises something that the policy does not say.",
    "回答遗漏了关键信息，而且没有说明退款时间。",
)
#: From the event to the frame that shows its effect.
TIMED = """async ([id, value, kind]) => {
  const field = document.getElementById(id) || document.querySelector(id);
  const began = performance.now();
  if (kind === 'click') field.click();
  else { field.value = value; field.dispatchEvent(new Event(kind, { bubbles: true })); }
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  return (performance.now() - began) / 1000;
}"""
#: (what, field, value, event)
FILTERS = (
    ("show all", "#groups button[value=all]", "", "click"),
    ("regressed", "#groups button[value=regressed]", "", "click"),
    ("show all again", "#groups button[value=all]", "", "click"),
    ("set", "f-set", "set-2", "change"),
    ("any set", "f-set", "", "change"),
    ("tag", "f-tag", "refunds", "change"),
    ("any tag", "f-tag", "", "change"),
    ("flipped under swap", "f-judge", "swapped", "change"),
    ("any verdict", "f-judge", "", "change"),
    ("longest first", "f-sort", "longer", "change"),
    ("worst first", "f-sort", "worst", "change"),
)


class Writer:
    """Texts in words of the docs, as often as they occur there."""

    def __init__(self, seed: int) -> None:
        words = [word for file in sorted((ROOT / "docs").glob("*.md")) for word in re.findall(r"\S+", file.read_text())]
        counts = Counter(words)
        self._words, self._weights = list(counts), list(counts.values())
        self._rng = random.Random(seed)

    def words(self, many: int) -> list[str]:
        return self._rng.choices(self._words, self._weights, k=many)

    def pair(self, size: int) -> tuple[str, str]:
        """An answer of about `size` bytes, and the same with every sixth word changed."""
        before: list[str] = []
        while sum(len(word.encode()) + 1 for word in before) < size:
            before += self.words(60)
        after = list(before)
        for i, word in zip(range(0, len(after), 6), self.words(len(after)), strict=False):
            after[i] = word
        return " ".join(before)[:size], " ".join(after)[:size]


def build_record(cases: int, seed: int = 20260101) -> tuple[RunRecord, dict[str, Response]]:
    """A record with its texts: a fifth of the cases regressed, a tenth improved."""
    writer, rng = Writer(seed), random.Random(seed)
    texts: dict[str, Response] = {}
    sets, judged = [], []
    judge = JudgeIdentity(name="drawn", kind="replay", mode="recorded", digest="9" * 64)
    for k in range(SETS):
        name = f"set-{k}"
        results, judgements = [], []
        for i in range(k, cases, SETS):
            before, after = writer.pair(ANSWER)
            case = f"case-{i:05}"
            texts |= {f"b:{case}": Response(text=before, completion_tokens=900), f"c:{case}": Response(text=after)}
            texts[f"prompt:{name}:{case}"] = Response(text=" ".join(writer.words(20)))
            texts[f"target:{name}:{case}"] = Response(text=" ".join(writer.words(20)))
            roll = rng.random()
            scores = (0.0, 1.0) if roll < 0.2 else (1.0, 0.0) if roll < 0.3 else (1.0, 1.0)
            results.append(_case(case, i, scores, tuple(rng.sample(TAGS, 2))))
            judgements.append(_judgement(case, rng, results[-1].tags))
        sets.append(SetResult(name=name, path=f"golden_sets/{name}.jsonl", digest="d" * 64, kind="ask",
                              cases=tuple(results)))  # fmt: skip
        judged.append(JudgedSet(set=name, path=f"golden_sets/{name}.jsonl", digest="d" * 64, judge=judge,
                                judgements=tuple(judgements), total=len(judgements)))  # fmt: skip
    policy = GatePolicy()
    record = RunRecord(
        run_id="20260101-000000-drawn", created="2026-01-01T00:00:00+00:00", harness_version="0.1.0", arguments=(),
        candidate=_model("new", "c"), baseline=_model("old", "b"), root=None, policy=policy,
        policy_digest=policy.digest, collection_digest="e" * 64, sets=tuple(sets), judged=tuple(judged),
    )  # fmt: skip
    return record, texts


def _model(label: str, digest: str) -> ModelIdentity:
    return ModelIdentity(label=label, reference=label, digest=digest * 64, base_digest="b" * 64, adapter_digest=None,
                         engine="hf", dtype="bfloat16")  # fmt: skip


def _case(case: str, line: int, scores: tuple[float, float], tags: tuple[str, ...]) -> CaseResult:
    candidate, baseline = scores
    told = "" if candidate else "'30 days' not found in the answer"
    test = TestResult(test="includes:30 days", lane="rate", candidate=candidate, baseline=baseline, explanation=told)
    return CaseResult(case=case, line=line + 1, candidate=candidate, baseline=baseline, tests=(test,), tags=tags,
                      answers={"candidate": (f"c:{case}",), "baseline": (f"b:{case}",)},
                      same_answer=False)  # fmt: skip


def _judgement(case: str, rng: random.Random, tags: tuple[str, ...]) -> Judgement:
    scores = rng.choices((0.0, 1.0), k=2)
    first, second = (OrderJudgement(score=score, reason=rng.choice(REASONS)) for score in scores)
    return Judgement(case=case, judge="9" * 64, score=sum(scores) / 2, first=first, second=second, tags=tags,
                     lengths=(ANSWER, ANSWER), answers=(f"c:{case}", f"b:{case}"))  # fmt: skip


def seconds(command: Sequence[str], folder: Path) -> float:
    """The whole command, from start to end; 10 and 11 are verdicts, not failures."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    if ended.returncode not in (0, 1, 10, 11):
        raise SystemExit(f"{' '.join(command)}: {ended.stderr}")
    return took


def measure_large(cases: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Build, open and filter the large report."""
    record, texts = build_record(cases)
    run = folder / "reports" / record.run_id
    write_record(run, record, texts)
    built = [seconds([sys.executable, "-m", "harness", "report", str(run)], folder) for _ in range(rounds)]
    page = run / "index.html"
    opened = [open_page(page) for _ in range(rounds)]
    filters = {what: round(min(one["filters"][what] for one in opened), 3) for what in opened[0]["filters"]}
    return {
        "cases": cases,
        "build_s": round(min(built), 2),
        "megabytes": round(page.stat().st_size / 1e6, 1),
        "text_megabytes": round(sum(len(text.text.encode()) for text in texts.values()) / 1e6, 1),
        "first_paint_s": round(min(one["first_paint"] for one in opened), 3),
        "ready_s": round(min(one["ready"] for one in opened), 3),
        "search_ready_s": round(min(one["search_ready"] for one in opened), 2),
        "filter_s": max(filters.values()),
        "filters": filters,
    }


def open_page(page: Path) -> dict[str, Any]:
    """Open the page once in a browser of its own and time it."""
    from playwright.sync_api import sync_playwright

    found = next((path for path in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if path), None)
    if found is None:
        raise SystemExit("no Chromium on this machine: run .ci/chromium first")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        tab.set_default_timeout(120_000)
        began = time.perf_counter()
        tab.goto(page.as_uri(), wait_until="commit")
        tab.wait_for_selector("#cases[data-ready]")
        ready = time.perf_counter() - began
        paint = (
            "performance.getEntriesByType('paint').find((e) => e.name === 'first-contentful-paint')?.startTime ?? null"
        )
        while (painted := tab.evaluate(paint)) is None:
            tab.wait_for_timeout(20)
        filters = {what: tab.evaluate(TIMED, [field, value, kind]) for what, field, value, kind in FILTERS}
        filters["text in ids"] = tab.evaluate(TIMED, ["f-q", "case-0042", "input"])
        searching = time.perf_counter()
        while "%" in tab.locator("#count").inner_text():
            tab.wait_for_timeout(50)
        search_ready = time.perf_counter() - searching
        # Every prompt and answer is in memory now, and every key press looks through all of them.
        filters["text in answers"] = tab.evaluate(TIMED, ["f-q", "the golden set that", "input"])
        filters["no more text"] = tab.evaluate(TIMED, ["f-q", "", "input"])
        browser.close()
    return {"first_paint": painted / 1000, "ready": ready, "search_ready": search_ready, "filters": filters}


def measure_pairs(pairs: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Two answer files of AlpacaEval's shape, from start to page."""
    writer = Writer(805)
    (folder / "pyproject.toml").write_text("[tool.harness]\n")
    rows: dict[str, list[str]] = {"new.jsonl": [], "old.jsonl": []}
    for i in range(pairs):
        before, after = writer.pair(1600)
        asked = {"id": f"p{i:03}", "input": " ".join(writer.words(30)), "target": before[:400]}
        rows["old.jsonl"].append(json.dumps({**asked, "output": before}))
        rows["new.jsonl"].append(json.dumps({**asked, "output": after}))
    for name, lines in rows.items():
        (folder / name).write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-m", "harness", "judge", "run", "new.jsonl", "old.jsonl", "--judge", "reference"]
    return {"pairs": pairs, "pairs_s": round(min(seconds(command, folder) for _ in range(rounds)), 2)}


def over_budget(result: Mapping[str, Any]) -> list[str]:
    """What took more than it may."""
    return [f"{name}: {result[name]} > {most}" for name, most in BUDGETS.items() if result[name] > most]


def main() -> int:
    """Measure, print, keep; exit status 1 when over budget."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=5_000)
    parser.add_argument("--pairs", type=int, default=805)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
        measured = measure_large(arguments.cases, arguments.rounds, Path(folder))
        measured |= measure_pairs(arguments.pairs, arguments.rounds, Path(other))
    result = {**measured, "budgets": BUDGETS, "rounds": arguments.rounds, **versions("finetune-harness", "playwright")}
    print(json.dumps(result, indent=2, ensure_ascii=False))
    save("report", result)
    late = over_budget(measured)
    for line in late:
        print(line, file=sys.stderr)
    return int(bool(late))


if __name__ == "__main__":
    sys.exit(main())
