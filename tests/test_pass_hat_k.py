"""pass^k in a record: how many cases are answered well every time, beside how well they are answered on average."""

from __future__ import annotations

import msgspec
import pytest

from harness.gate import decide
from harness.generation import case_requests
from harness.golden import GoldenCase
from harness.models import Sampling
from harness.models.refs import ModelRef
from harness.policy import GatePolicy
from harness.record import CaseResult, ModelIdentity, RunRecord, SetResult
from harness.repeats import notes, passes, reliability
from harness.report.pages import build_page
from harness.store import response_key


def model(label: str) -> ModelIdentity:
    return ModelIdentity(
        label=label, reference=label, digest=label, base_digest=label, adapter_digest=None, engine="hf", dtype="x"
    )


def record_of(counts: list[tuple[int, int | None]], n: int = 4, k: int = 4) -> RunRecord:
    """Of each case, how many of `n` samples pass: the candidate's, the baseline's."""
    cases = tuple(
        CaseResult(case=f"c-{i}", line=i + 1, candidate=a / n, baseline=None if b is None else b / n, samples=n)
        for i, (a, b) in enumerate(counts)
    )
    return RunRecord(
        run_id="run", created="", harness_version="", arguments=(), candidate=model("new"), baseline=model("old"),
        root=None, policy=GatePolicy(), policy_digest="", collection_digest="", samples=k,
        sets=(SetResult(name="facts", path="f", digest="d", kind="ask", cases=cases),),
    )  # fmt: skip


def test_a_case_counts_where_all_its_samples_pass():
    record = record_of([(4, 4), (3, 4), (2, 0), (0, 4)])
    found = reliability(record.sets[0], 4)
    assert found is not None
    assert (found.candidate, found.baseline, found.cases) == (0.25, 0.75, 4)
    assert [passes(case, case.candidate) for case in record.sets[0].cases] == [4, 3, 2, 0]
    assert list(notes(record)) == ["pass^4 of facts: 25% of 4 cases pass all 4, baseline 75%"]


def test_more_samples_than_asked_estimate_the_same_thing_without_bias():
    # A red line is sampled five times in a run of two: C(4,2)/C(5,2) = 6/10.
    found = reliability(record_of([(4, 5)], n=5, k=2).sets[0], 2)
    assert found is not None
    assert found.candidate == pytest.approx(0.6)
    assert found.baseline == 1.0


def test_single_answers_and_partial_scores_have_no_such_number():
    assert list(notes(record_of([(1, 1)], n=1, k=1))) == []
    record = record_of([(4, 4)])
    partial = msgspec.structs.replace(record.sets[0].cases[0], candidate=0.61)
    assert reliability(msgspec.structs.replace(record.sets[0], cases=(partial,)), 4) is None
    assert reliability(record_of([(1, None)]).sets[0], 4).baseline is None  # type: ignore[union-attr]


def test_the_verdict_and_the_page_say_it_and_a_case_counts_its_samples():
    record = record_of([(4, 4), (3, 4)])
    verdict = decide(record, GatePolicy())
    assert "pass^4 of facts: 50% of 2 cases pass all 4, baseline 100%" in verdict.notes
    page = build_page(record, verdict, {})
    assert "all 4 samples pass on 50.0% of the cases" in page.sets[0].note
    (fell,) = [case.line for case in page.cases if case.line.fate == "regressed"]
    assert (fell.candidate, fell.samples) == (0.75, 4)


def test_samples_of_one_case_are_different_requests_with_keys_of_their_own():
    ref = ModelRef(text="m", label="m", engine="hf", base="b", base_digest="0")
    asked = case_requests(GoldenCase(id="a", input="Hi"), Sampling(temperature=0.7), 5)
    assert [request.sample for request in asked] == [0, 1, 2, 3, 4]
    assert len({response_key(ref, request) for request in asked}) == 5
