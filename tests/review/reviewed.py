"""A small world with a run to review: a record, its texts, a project, and reviewers whose answers are known."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness.judges.judgement import JudgedSet, JudgeIdentity, Judgement, OrderJudgement
from harness.models import Response
from harness.policy import GatePolicy
from harness.record import CaseResult, ModelIdentity, RunRecord, SetResult, write_record
from harness.review.blinding import Blinded, blind
from harness.review.form import Form, Page
from harness.review.opinions import Review, joined, unblind
from harness.review.page import form_digest
from harness.review.returned import FORMAT, _Saved, _signature, read_returned
from harness.review.seal import Key, read_key
from harness.review.selection import Chosen, Pool, Readable
from harness.review.subject import Subject

RUN = "20260102-030405-triage-2"


def identity(label: str, digest: str) -> ModelIdentity:
    return ModelIdentity(
        label=label,
        reference=label,
        digest=digest * 64,
        base_digest="b" * 64,
        adapter_digest=None,
        engine="hf",
        dtype="bfloat16",
    )


def order(score: float | None) -> OrderJudgement:
    return OrderJudgement(score=score, fault=None if score is not None else "prose")


def judged(cases: Sequence[tuple[str, float, float]]) -> JudgedSet:
    """A judge's word on cases, in both orders."""
    return JudgedSet(
        set="refunds",
        path="golden_sets/refunds.jsonl",
        digest="d" * 64,
        judge=JudgeIdentity(name="gpt", kind="model", mode="verdict", digest="9" * 64),
        judgements=tuple(
            Judgement(
                case=case,
                judge="9" * 64,
                score=(first + second) / 2,
                first=order(first),
                second=order(second),
                answers=(f"c:{case}", f"b:{case}"),
            )
            for case, first, second in cases
        ),
    )


def run(n: int = 20, *, same: int = 0, policy: GatePolicy | None = None, **fields: Any) -> RunRecord:
    """`n` cases that both models passed, of which the last `same` have the same answer twice."""
    policy = policy or GatePolicy()
    cases = tuple(
        CaseResult(
            case=f"case-{i:03}",
            line=i + 1,
            candidate=1.0,
            baseline=1.0,
            answers={"candidate": (f"c:case-{i:03}",), "baseline": (f"b:case-{i:03}",)},
            same_answer=i >= n - same,
        )
        for i in range(n)
    )
    settings: dict[str, Any] = {
        "run_id": RUN,
        "created": "2026-01-02T03:04:05+00:00",
        "harness_version": "0.1.0",
        "arguments": ("suites/",),
        "candidate": identity("triage@2", "c"),
        "baseline": identity("triage@1", "b"),
        "root": None,
        "policy": policy,
        "policy_digest": policy.digest,
        "collection_digest": "e" * 64,
        "sets": (
            SetResult(name="refunds", path="golden_sets/refunds.jsonl", digest="d" * 64, kind="ask", cases=cases),
        ),
    } | fields
    return RunRecord(**settings)


def texts_of(record: RunRecord) -> dict[str, Response]:
    texts = {}
    for of in record.sets:
        for i, case in enumerate(of.cases):
            texts[f"prompt:{of.name}:{case.case}"] = Response(text=f"What about number {i}?")
            texts[f"target:{of.name}:{case.case}"] = Response(text=f"Right {i}.")
            texts[f"c:{case.case}"] = Response(text=f"New answer {i}.")
            texts[f"b:{case.case}"] = Response(text=f"New answer {i}." if case.same_answer else f"Old answer {i}.")
    return texts


def project(folder: Path, record: RunRecord, gate: str = "") -> Path:
    """A project whose only run is `record`; returns the run's folder."""
    (folder / "pyproject.toml").write_text(f"[tool.harness]\n[tool.harness.gate]\n{gate}", encoding="utf-8")
    write_record(folder / "reports" / record.run_id, record, texts_of(record))
    return folder / "reports" / record.run_id


def subject(n: int, *, why: str = "random", **fields: Any) -> Subject:
    cases = tuple(
        Readable(
            set="refunds",
            case=f"case-{i:03}",
            prompt=f"What about {i}?",
            target="",
            candidate=f"new {i}",
            baseline=f"old {i}",
        )
        for i in range(n)
    )
    settings: dict[str, Any] = {
        "name": "review",
        "mode": "pairs",
        "run_id": RUN,
        "texts_digest": "t" * 64,
        "models": ("c" * 64, "b" * 64),
        "pool": Pool(cases=cases, same=0),
        "chosen": tuple(Chosen(readable=one, why=why) for one in cases),
    } | fields
    return Subject(**settings)


def drawn(of: Subject, reviewers: Sequence[str] = ("ana", "ben"), seed: int = 7, **fields: Any) -> Blinded:
    settings: dict[str, Any] = {"overlap": 1.0, "repeats": 0.0, "created": "2026-01-03T00:00:00+00:00"} | fields
    return blind(of, reviewers, seed=seed, **settings)


def pressed(key: Key, form: Form, want: Callable[[str], float | None]) -> dict[str, str | None]:
    """The key that says `want(case)` of the candidate, for each page; None leaves a page open."""
    slots = {slot.id: slot for slot in next(one for one in key.forms if one.code == form.code).slots}
    found: dict[str, str | None] = {}
    for page in form.pages:
        score, side = want(slots[page.id].case), slots[page.id].candidate
        if score is None or side is None:
            found[page.id] = None if score is None else str(int(score))
        else:
            found[page.id] = {1.0: "1" if side == "left" else "2", 0.5: "0", 0.0: "2" if side == "left" else "1"}[score]
    return found


def saved(folder: Path, form: Form, choices: dict[str, str | None], **extra: dict[str, Any]) -> Path:
    """The file that the page would save; `extra[page id]` are further fields of an answer."""
    answers = [
        {"id": page.id, "choice": choices.get(page.id), "skip": None, "comment": "", "marks": {}, "seconds": 12.5}
        | extra.get(page.id, {})
        for page in form.pages
    ]
    file: dict[str, Any] = {
        "format": FORMAT,
        "seal": form.seal,
        "form": form.code,
        "reviewer": form.reviewer,
        "shown": form_digest(form),
        "saved": "2026-01-04T00:00:00.000Z",
        "answers": answers,
    }
    file["digest"] = _signature(_Saved(digest="", **file))
    path = folder / f"review-{form.reviewer}-{form.code}.json"
    path.write_text(json.dumps(file, ensure_ascii=False), encoding="utf-8")
    return path


def reviewed(folder: Path, blinded: Blinded, wants: dict[str, Callable[[str], float | None]]) -> Review:
    """What an import makes of reviewers who want these scores."""
    found = []
    for form in blinded.forms:
        if form.reviewer in wants:
            file = saved(folder, form, pressed(blinded.key, form, wants[form.reviewer]))
            found.append(unblind(read_returned(file), blinded.key))
    return joined(None, blinded.key, found)


def form_and_key(folder: Path, name: str, export: str = "review") -> tuple[Form, Key]:
    """The form as the reviewer's page holds it."""
    page = (folder / "review" / "forms" / f"{export}-{name}.html").read_text(encoding="utf-8")
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    pages = tuple(Page(**page) for page in data["pages"])
    form = Form(code=data["form"], seal=data["seal"], reviewer=name, mode=data["mode"], pages=pages)
    return form, read_key(folder / "review" / f"{export}.key.json")


def answered(
    folder: Path,
    name: str,
    want: Callable[[str], float | None],
    to: Path | None = None,
    *,
    export: str = "review",
) -> Path:
    """The file that a reviewer who wants these scores sends back."""
    form, key = form_and_key(folder, name, export)
    return saved(to or folder.parent.parent, form, pressed(key, form, want))
