"""Small run records with known contents, for the tests of the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.models import Response
from harness.policy import GatePolicy
from harness.record import CaseResult, ModelIdentity, Probe, RunRecord, SetResult, TestResult

#: (case id, baseline's score, candidate's score, baseline's text, candidate's text)
Told = tuple[str, float | None, float, str, str]


def identity(label: str, digest: str) -> ModelIdentity:
    return ModelIdentity(
        label=label,
        reference=label,
        digest=digest * 64,
        base_digest="b" * 64,
        adapter_digest=None if digest == "b" else digest * 64,
        engine="hf",
        dtype="bfloat16",
    )


def golden(name: str, told: Sequence[Told], *, red: frozenset[str] = frozenset(), **fields: Any) -> SetResult:
    cases = tuple(
        CaseResult(
            case=case,
            line=line,
            candidate=after,
            baseline=before,
            root=before,
            tests=(
                TestResult(
                    test="includes:right",
                    lane="red_line" if case in red else "rate",
                    candidate=after,
                    baseline=before,
                    root=before,
                    explanation="" if after == 1 else f"'right' is not in {new!r}",
                ),
            ),
            answers={"candidate": (f"c:{name}:{case}",)}
            | ({} if before is None else {"baseline": (f"b:{name}:{case}",)}),
            same_answer=None if before is None else old == new,
        )
        for line, (case, before, after, old, new) in enumerate(told, start=1)
    )
    return SetResult(name=name, path=f"golden_sets/{name}.jsonl", digest="d" * 64, kind="ask", cases=cases, **fields)


def texts_of(sets: dict[str, Sequence[Told]]) -> dict[str, Response]:
    texts = {}
    for name, told in sets.items():
        for case, _, _, old, new in told:
            texts[f"b:{name}:{case}"] = Response(text=old)
            texts[f"c:{name}:{case}"] = Response(text=new)
            texts[f"prompt:{name}:{case}"] = Response(text=f"What about {case}?")
            texts[f"target:{name}:{case}"] = Response(text=f"The right answer to {case}.")
    return texts


def run(*sets: SetResult, **fields: Any) -> RunRecord:
    policy = fields.pop("policy", GatePolicy(margin=0.1, improve=("triage",) if sets[0].name == "triage" else ()))
    settings: dict[str, Any] = {
        "run_id": "20260102-030405-triage-2",
        "created": "2026-01-02T03:04:05+00:00",
        "harness_version": "0.1.0",
        "arguments": ("suites/", "--model=triage@2"),
        "candidate": identity("triage@2", "c"),
        "baseline": identity("triage@2 (adapter off)", "b"),
        "root": identity("triage@2 (adapter off)", "b"),
        "policy": policy,
        "policy_digest": policy.digest,
        "collection_digest": "e" * 64,
        "sets": sets,
        "phases": {"load": 2.5, "generate": 41.0, "run": 46.2},
        "versions": {"python": "3.11.9"},
    } | fields
    return RunRecord(**settings)


def many(name: str, n: int, *, fell: int = 0, rose: int = 0, missed: int = 0) -> list[Told]:
    """`n` cases, the first of which fell, the next rose, the next are missed by both; the rest passes."""
    told: list[Told] = []
    for i in range(n):
        if i < fell:
            told.append((f"{name}-{i:05}", 1.0, 0.0, "the right answer", f"wrong {i}"))
        elif i < fell + rose:
            told.append((f"{name}-{i:05}", 0.0, 1.0, f"wrong {i}", "the right answer"))
        elif i < fell + rose + missed:
            told.append((f"{name}-{i:05}", 0.0, 0.0, f"wrong {i}", f"still wrong {i}"))
        else:
            told.append((f"{name}-{i:05}", 1.0, 1.0, "the right answer", "the right answer"))
    return told


def bleed(cases: Sequence[Told], bled: int) -> Probe:
    names = tuple(case for case, *_ in cases)
    zeros = (0.0,) * len(names)
    return Probe(
        probe="bleed",
        role="alarm",
        unit="share of answers",
        higher_is_better=False,
        cases=names,
        candidate=(1.0,) * bled + (0.0,) * (len(names) - bled),
        baseline=zeros,
        root=zeros,
    )
