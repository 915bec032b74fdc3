"""Writes blocked/record.json: the example that docs/explain.md reads.

The questions, tags and red lines are those of golden_sets/. What became of each question is drawn with a fixed seed, so
that the counts below come out: a candidate that learned its task and forgot general questions. No model answered here;
a real run's record can take this one's place.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from harness.config import GatePolicy
from harness.record import CaseResult, ModelIdentity, Probe, RunRecord, SetResult, TestResult, write_record

HERE = Path(__file__).resolve().parent
GOLDEN_SETS = HERE.parent.parent / "golden_sets"

#: Set -> (both right, lost, gained); the rest is wrong for both.
FATES = {
    "retention/choices": (118, 22, 17),
    "retention/general": (95, 95, 8),
    "retention/refusals": (60, 16, 4),
    "triage": (0, 0, 61),
    "triage_reworded": (0, 0, 54),
}
#: Tags whose questions are lost first: forgetting is seldom even.
LOST_FIRST = ("geography", "words", "harmful")
#: General questions that the candidate answers in the task's JSON, and the baseline does not.
BLED = 71


def build() -> RunRecord:
    """The record, the same at every call."""
    rng = random.Random(20260101)
    policy = GatePolicy(margin=0.10, improve=("triage", "triage_reworded"))
    return RunRecord(
        run_id="20260101-120000-triage-1",
        created="2026-01-01T12:00:00+00:00",
        harness_version="0.1.0",
        arguments=("suites/", "--model=candidate"),
        candidate=_identity("triage@1", "c", adapter=True),
        baseline=_identity("smollm2", "b", adapter=False),
        root=_identity("smollm2", "b", adapter=False),
        policy=policy,
        policy_digest=policy.digest,
        collection_digest="e" * 64,
        sets=tuple(_set(name, fates, rng) for name, fates in FATES.items()),
    )


def _identity(label: str, digest: str, *, adapter: bool) -> ModelIdentity:
    return ModelIdentity(
        label=label,
        reference=label,
        digest=digest * 64,
        base_digest="b" * 64,
        adapter_digest="a" * 64 if adapter else None,
        engine="hf",
        dtype="bfloat16",
    )


def _set(name: str, fates: tuple[int, int, int], rng: random.Random) -> SetResult:
    rows = [json.loads(line) for line in (GOLDEN_SETS / f"{name}.jsonl").read_text("utf-8").splitlines()]
    both, lost, gained = fates
    order = list(range(len(rows)))
    rng.shuffle(order)
    order.sort(key=lambda i: rng.random() < 0.5 or not set(LOST_FIRST) & set(rows[i].get("tags", ())))
    kinds = ["lost"] * lost + ["both"] * both + ["gained"] * gained
    kinds += ["neither"] * (len(rows) - len(kinds))
    fate = dict(zip(order, kinds, strict=True))
    retention = name.startswith("retention/")
    cases = tuple(_case(row, i + 1, fate[i], retention) for i, row in enumerate(rows))
    probes = ()
    if name == "retention/general":
        ids = tuple(case.case for case in cases)
        bled = {case.case for case in cases if case.candidate == 0.0}
        bled = set(sorted(bled)[:BLED])
        probes = (
            Probe(
                probe="bleed",
                role="alarm",
                unit="share of answers",
                higher_is_better=False,
                cases=ids,
                candidate=tuple(float(case in bled) for case in ids),
                baseline=(0.0,) * len(ids),
                root=(0.0,) * len(ids),
            ),
        )
    return SetResult(
        name=name,
        path=f"golden_sets/{name}.jsonl",
        digest="d" * 64,
        kind="choice" if name == "retention/choices" else "ask",
        retention=retention,
        cases=cases,
        probes=probes,
    )


def _case(row: dict[str, object], line: int, fate: str, retention: bool) -> CaseResult:
    candidate, baseline = float(fate in ("both", "gained")), float(fate in ("both", "lost"))
    root = baseline if retention else None
    tests = [TestResult(test="as expected", lane="rate", candidate=candidate, baseline=baseline, root=root)]
    if row.get("red_line"):
        tests.append(TestResult(test="valid JSON", lane="red_line", candidate=1.0, baseline=0.0))
    return CaseResult(
        case=str(row["id"]),
        line=line,
        candidate=candidate,
        baseline=baseline,
        root=root,
        tags=tuple(row.get("tags", ())),
        variant_of=row.get("variant_of"),
        tests=tuple(tests),
        same_answer=False,
        same_answer_as_root=False if retention else None,
    )


if __name__ == "__main__":
    write_record(HERE / "blocked", build(), {})
    (HERE / "blocked" / "texts.json.gz").unlink()
