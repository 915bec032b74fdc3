"""A run record is written whole, read back equal, and refused where it cannot be trusted."""

from __future__ import annotations

import gzip
import importlib.metadata
import json
import math
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import RecordError
from harness.models import Response
from harness.policy import GatePolicy
from harness.record import (
    RECORD_VERSION,
    CaseResult,
    ModelIdentity,
    Probe,
    RunRecord,
    SetResult,
    SuiteAnswer,
    TestResult,
    read_record,
    read_texts,
    write_record,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SHARE = st.floats(0, 1, allow_nan=False)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)


def identity(label: str = "triage@1") -> ModelIdentity:
    return ModelIdentity(
        label=label,
        reference=label,
        digest="d" + label,
        base_digest="b",
        adapter_digest=None,
        engine="scripted",
        dtype="none",
    )


def a_record(**changes: object) -> RunRecord:
    case = CaseResult(case="late", line=3, candidate=1.0, baseline=0.5, answers={"candidate": ("k1",)})
    record = RunRecord(
        run_id="r1",
        created="2026-01-01T00:00:00Z",
        harness_version="0.1.0",
        arguments=("suites/",),
        candidate=identity(),
        baseline=identity("base"),
        root=None,
        policy=GatePolicy(),
        policy_digest=GatePolicy().digest,
        collection_digest="c",
        sets=(SetResult(name="refunds", path="refunds.jsonl", digest="s", kind="ask", cases=(case,)),),
    )
    return msgspec.structs.replace(record, **changes)


def with_score(value: float) -> RunRecord:
    one = a_record().sets[0]
    case = msgspec.structs.replace(one.cases[0], candidate=value)
    return a_record(sets=(msgspec.structs.replace(one, cases=(case,)),))


scores = st.builds(
    TestResult,
    test=TEXT,
    lane=st.sampled_from(["rate", "red_line"]),
    candidate=SHARE,
    baseline=st.none() | SHARE,
    explanation=TEXT,
)
cases = st.builds(
    CaseResult,
    case=TEXT,
    line=st.integers(1, 10**6),
    candidate=SHARE,
    baseline=st.none() | SHARE,
    root=st.none() | SHARE,
    weight=st.floats(0.1, 10),
    tags=st.lists(TEXT, max_size=2).map(tuple),
    tests=st.lists(scores, max_size=2).map(tuple),
    answers=st.dictionaries(st.sampled_from(["candidate", "baseline", "root"]), st.lists(TEXT, max_size=2).map(tuple)),
    same_answer=st.none() | st.booleans(),
)
probes = st.builds(
    Probe,
    probe=TEXT,
    role=st.sampled_from(["alarm", "advisory"]),
    unit=TEXT,
    higher_is_better=st.booleans(),
    cases=st.just(("a", "b")),
    candidate=st.tuples(NUMBER, NUMBER),
    baseline=st.none() | st.tuples(NUMBER, NUMBER),
)
sets = st.builds(
    SetResult,
    name=TEXT,
    path=TEXT,
    digest=TEXT,
    kind=st.sampled_from(["ask", "choice", "text"]),
    retention=st.booleans(),
    cases=st.lists(cases, max_size=3).map(tuple),
    probes=st.lists(probes, max_size=2).map(tuple),
)
responses = st.builds(Response, text=TEXT, finish_reason=st.sampled_from(["stop", "length"]))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sets=st.lists(sets, max_size=2).map(tuple),
    texts=st.dictionaries(TEXT, responses, max_size=3),
    partial=st.none() | TEXT,
    phases=st.dictionaries(TEXT, NUMBER, max_size=2),
)
def test_what_is_written_is_read_back_equal(tmp_path, sets, texts, partial, phases):
    record = a_record(sets=sets, partial=partial, phases=phases)
    written = write_record(tmp_path, record, texts)
    assert read_record(tmp_path) == read_record(tmp_path / "record.json") == written
    assert msgspec.structs.replace(written, texts_digest="") == record
    assert read_texts(tmp_path, written) == texts


def test_the_same_run_gives_the_same_bytes(tmp_path):
    texts = {"b": Response(text="退款"), "a": Response(text="x")}
    write_record(tmp_path / "one", a_record(), texts)
    write_record(tmp_path / "two", a_record(), dict(reversed(texts.items())))
    for name in ("record.json", "texts.json.gz"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_nothing_else_is_left_in_the_folder(tmp_path):
    write_record(tmp_path, a_record(), {})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["record.json", "texts.json.gz"]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_score_that_is_no_number_is_named_and_nothing_is_written(tmp_path, value):
    with pytest.raises(RecordError, match=r"refunds: case 'late': candidate is (nan|inf)"):
        write_record(tmp_path / "run", with_score(value), {})
    assert not (tmp_path / "run").exists()


def test_a_probe_value_that_is_no_number_is_named(tmp_path):
    probe = Probe(
        probe="nll", role="alarm", unit="nats", higher_is_better=False, cases=("late",), candidate=(math.nan,)
    )
    one = msgspec.structs.replace(a_record().sets[0], probes=(probe,))
    with pytest.raises(RecordError, match="refunds: nll: case 'late'"):
        write_record(tmp_path, a_record(sets=(one,)), {})


def test_a_disk_that_refuses_is_told_and_leaves_nothing_half_written(tmp_path, monkeypatch):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RecordError, match="No space left on device"):
        write_record(tmp_path / "run", a_record(), {})
    assert list(tmp_path.iterdir()) == []


def test_a_record_from_a_newer_harness_is_refused_by_version_not_by_field(tmp_path):
    write_record(tmp_path, a_record(), {})
    data = json.loads((tmp_path / "record.json").read_text())
    data |= {"version": RECORD_VERSION + 1, "mood": "sunny"}
    (tmp_path / "record.json").write_text(json.dumps(data))
    with pytest.raises(RecordError, match=r"newer harness .*Upgrade"):
        read_record(tmp_path)


def test_a_newer_record_names_its_version_and_ours(tmp_path):
    write_record(tmp_path, a_record(harness_version="9.1.0"), {})
    data = json.loads((tmp_path / "record.json").read_text())
    (tmp_path / "record.json").write_text(json.dumps(data | {"version": RECORD_VERSION + 3}))
    ours = importlib.metadata.version("finetune-harness")
    with pytest.raises(RecordError) as refused:
        read_record(tmp_path)
    assert f"record version {RECORD_VERSION + 3}, written by finetune-harness 9.1.0" in str(refused.value)
    assert f"finetune-harness {ours} reads up to version {RECORD_VERSION}" in str(refused.value)


def test_a_record_of_before_a_field_was_added_is_still_read(tmp_path):
    case = CaseResult(case="a", line=1, candidate=1.0, tests=(TestResult(test="t", lane="red_line", candidate=1.0),))
    one = msgspec.structs.replace(a_record().sets[0], cases=(case,))
    write_record(tmp_path, a_record(sets=(one,)), {})
    data = json.loads((tmp_path / "record.json").read_text())
    del data["sets"][0]["cases"][0]["tests"][0]["unstable"]
    del data["policy"]["groups"], data["policy"]["waivers"]
    (tmp_path / "record.json").write_text(json.dumps(data))
    read = read_record(tmp_path)
    assert not read.sets[0].cases[0].tests[0].unstable
    assert read.policy.digest == read.policy_digest, "an old policy keeps its digest"


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"version": 1}', b'{"version": 1, "x": 2}', b"\xff\xfe"], ids=repr
)
def test_a_damaged_record_is_refused_with_its_path(tmp_path, damage):
    (tmp_path / "record.json").write_bytes(damage)
    with pytest.raises(RecordError, match=r"record\.json: not a run record"):
        read_record(tmp_path)


def test_a_missing_record_says_where_records_are(tmp_path):
    with pytest.raises(RecordError, match="reports/<run-id>"):
        read_record(tmp_path)
    with pytest.raises(RecordError, match="reports/<run-id>"):
        read_record(tmp_path / "nowhere")


def test_texts_of_another_run_are_refused(tmp_path):
    record = write_record(tmp_path, a_record(), {"k1": Response(text="yes")})
    (tmp_path / "texts.json.gz").write_bytes(gzip.compress(b"{}", mtime=0))
    with pytest.raises(RecordError, match="not the texts of run r1"):
        read_texts(tmp_path, record)


@pytest.mark.parametrize("damage", [b"", b"not gzip", gzip.compress(b"{}" * 50, mtime=0)[:20]], ids=repr)
def test_damaged_texts_are_refused(tmp_path, damage):
    record = write_record(tmp_path, a_record(), {"k1": Response(text="yes")})
    (tmp_path / "texts.json.gz").write_bytes(damage)
    with pytest.raises(RecordError, match=r"texts\.json\.gz"):
        read_texts(tmp_path, record)


def test_missing_texts_are_refused(tmp_path: Path):
    record = write_record(tmp_path, a_record(), {})
    (tmp_path / "texts.json.gz").unlink()
    with pytest.raises(RecordError, match="beside record"):
        read_texts(tmp_path, record)


def test_suite_answers_and_errors_survive(tmp_path):
    said = SuiteAnswer(test="test_x", status="INCONCLUSIVE", reason="too few")
    record = a_record(answers=(said,), errors=(said,))
    write_record(tmp_path, record, {})
    assert read_record(tmp_path).answers == (said,)
