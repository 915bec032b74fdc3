"""A small judged run with known contents: two files of answers, as `harness judge run` records them."""

from __future__ import annotations

from typing import Any

import msgspec
from example_records import identity

from harness.judgedfiles import JudgedFiles, judged_record
from harness.judges.judgement import CardLine, JudgeCard, JudgedSet, JudgeIdentity, Judgement, OrderJudgement
from harness.judges.prompts import Pair
from harness.models import Response
from harness.policy import GatePolicy
from harness.record import RunRecord

JUDGE = JudgeIdentity(
    name="careful", kind="model", mode="verdict", digest="9" * 64, label="careful@8b", rubric="helpful"
)

#: (case, tag, verdict with the candidate first, with it second, baseline's answer, candidate's answer)
TOLD: tuple[tuple[str, str, float | None, float | None, str, str], ...] = (
    *(
        (f"refund-{i:02}", "refunds", 0.0, 0.0,
         f"You can return it within 30 days, order {i}.",
         f"Thank you for reaching out! You can return it within 14 days, order {i}.")
        for i in range(12)
    ),
    *(
        (f"greeting-{i:02}", "greetings", 1.0, 1.0, f"Hello {i}.", f"Hello {i}, how can I help you today?")
        for i in range(6)
    ),
    *(
        (f"退货-{i:02}", "中文", 1.0, 0.0, f"您可以在三十天内退货，单号 {i}。", f"您可以在十四天内退货，单号 {i}。")
        for i in range(8)
    ),
    ("cut-off", "greetings", 0.0, None, "Good morning.", "Good"),
    ("same", "greetings", None, None, "Goodbye.", "Goodbye."),
)  # fmt: skip

REASONS = {
    1.0: "The reply is friendlier and offers help. <b>Bold</b> is no tag.",
    0.0: "The refund window is wrong: the policy says 30 days.",
    None: "I cannot decide.",
}


def judgement(case: str, tag: str, first: float | None, second: float | None, old: str, new: str) -> Judgement:
    same = old == new

    def order(score: float | None) -> OrderJudgement | None:
        return (
            None
            if same
            else OrderJudgement(score=score, reason=REASONS[score], fault=None if score is not None else "prose")
        )

    known = first is not None and second is not None
    return Judgement(
        case=case,
        judge=JUDGE.digest,
        score=0.5 if same else (first + second) / 2 if known else None,
        first=order(first),
        second=order(second),
        same_answer=same,
        lengths=(len(new), len(old)),
        answers=(f"c:{case}", f"b:{case}"),
        tags=(tag,),
    )


def card(*, fit: bool = True) -> JudgeCard:
    lines = (
        CardLine(
            line="known answers", told="of the pairs with a known verdict are right", value=0.94, n=64, bar=0.9,
            passed=True,
        ),
        CardLine(
            line="verbosity", told="of the padded answers win", value=0.4 if not fit else 0.0, n=20, bar=0.1,
            passed=fit, fault="likes length", cases=("padded-1", "padded-2"),
        ),
    )  # fmt: skip
    return JudgeCard(
        judge=JUDGE, created="2026-11-20T10:00:00+00:00", harness_version="0.1.0", probes_digest="p" * 64, fit=fit,
        faults=() if fit else ("likes length",), lines=lines, seconds_each=0.8,
    )  # fmt: skip


def judged_run(**fields: Any) -> tuple[RunRecord, dict[str, Response]]:
    """The record and its texts; `fields` change the judged set."""
    one = JudgedSet(
        set="answers",
        path="new.jsonl",
        digest="a" * 64,
        judge=JUDGE,
        judgements=tuple(judgement(*told) for told in TOLD),
        criterion="better",
        total=len(TOLD),
        unfit=("the judge careful has no card for its model, prompt and rubric (harness judge card careful)",),
        calls=54,
    )
    pairs = tuple(
        Pair(case=case, question=f"About {case}?", candidate=new, baseline=old, reference=f"Right: {case}",
             answers=(f"c:{case}", f"b:{case}"))
        for case, _, _, _, old, new in TOLD
    )  # fmt: skip
    files = JudgedFiles(
        judged=msgspec.structs.replace(one, **fields),
        candidate=identity("new", "c"),
        baseline=identity("old", "b"),
        pairs=pairs,
    )
    return judged_record(
        files,
        GatePolicy(),
        run_id="20260102-030405-new",
        created="2026-01-02T03:04:05+00:00",
        harness_version="0.1.0",
        arguments=("new.jsonl", "old.jsonl", "--judge", "careful"),
    )
