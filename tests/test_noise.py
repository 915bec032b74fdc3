"""How much a baseline differs from itself: counted by case, bound to weights and files, shown beside the margins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from harness.errors import ConfigError, RecordError
from harness.gate import decide
from harness.models.refs import ModelRef
from harness.noise import (
    NoiseFloor,
    applied,
    measured_on_another,
    noise_of,
    notes,
    once_more,
    read_floor,
    told,
    unstable,
    write_floor,
)
from harness.policy import GatePolicy
from harness.record import CaseResult, ModelIdentity, RunRecord, SetResult, TestResult

LOCAL = ModelRef(text="base", label="base", engine="hf", base="b", base_digest="0" * 64)


def model(label: str, **fields: str) -> ModelIdentity:
    own = {"digest": "w", "engine": "hf", "dtype": "bfloat16"} | fields
    return ModelIdentity(label=label, reference=label, base_digest="w", adapter_digest=None, **own)  # type: ignore[arg-type]


def run_of(how: str, flipped: Sequence[int], n: int = 20, *, red: int | None = None) -> RunRecord:
    def case(i: int) -> CaseResult:
        tests = (TestResult(test="t", lane="red_line", candidate=1.0),) if i == red else ()
        return CaseResult(
            case=f"c-{i}", line=i + 1, candidate=float(i not in flipped), baseline=1.0, tests=tests,
            same_answer=i not in flipped and i != n - 1,
        )  # fmt: skip

    return RunRecord(
        run_id="aa", created="", harness_version="", arguments=(), candidate=model(how), baseline=model("base"),
        root=None, policy=GatePolicy(), policy_digest="", collection_digest="",
        sets=(SetResult(name="facts", path="f", digest="d1", kind="ask", cases=tuple(map(case, range(n)))),),
    )  # fmt: skip


def floor(**fields: object) -> NoiseFloor:
    sets = noise_of([run_of("base (asked again)", [2]), run_of("base (float32, not bfloat16)", [2, 5])])
    return NoiseFloor(**{"baseline": model("base"), "created": "2026-01-02T03:04:05", "sets": sets, **fields})  # type: ignore[arg-type]


def test_cases_that_score_differently_are_counted_by_id_and_texts_beside_them():
    noise = floor().sets[0]
    assert (noise.name, noise.digest, noise.n, noise.flips) == ("facts", "d1", 20, 2)
    assert [(v.how, v.flipped, v.changed) for v in noise.variants] == [
        ("base (asked again)", ("c-2",), 2),
        ("base (float32, not bfloat16)", ("c-2", "c-5"), 3),
    ]
    assert unstable(noise) == [("c-2", 2), ("c-5", 1)]


def test_an_unstable_red_line_is_seen_like_any_other_case():
    assert noise_of([run_of("again", [4], red=4)])[0].variants[0].flipped == ("c-4",)


def test_the_floor_stands_beside_the_pools_margin_and_beside_a_bar_of_its_own():
    said = list(notes(floor().sets, GatePolicy(margin=0.05, margins={"facts": 0.15})))
    assert said == [
        "noise floor, guards: 2 of 20 flip (10 points); margin 5: the margin lies within the noise",
        "noise floor, facts: 2 of 20 flip (10 points); margin 15",
    ]
    assert list(notes(floor().sets, GatePolicy(improve=("facts",)))) == []


def test_the_verdict_says_it_and_an_old_floor_is_called_stale():
    record = msgspec.structs.replace(run_of("x", [1, 2]), candidate=model("new", digest="v"))
    assert decide(record, GatePolicy()).notes == ()
    for digest, expected in (("d1", "noise floor, guards: 2 of 20 flip"), ("d2", "is stale (the set changed since)")):
        sets = (msgspec.structs.replace(record.sets[0], digest=digest),)
        known = msgspec.structs.replace(record, sets=sets, noise=applied(floor(), model("base"), sets))
        verdict = decide(known, GatePolicy())
        assert [note for note in verdict.notes if expected in note]
        assert any("noise floor" in line for line in verdict.lines())


def test_another_number_format_makes_it_stale():
    found = applied(floor(), model("base", dtype="float32"), run_of("x", []).sets)
    assert found[0].stale == "measured with hf bfloat16"
    assert applied(floor(), model("base"), ()) == ()


def test_it_is_kept_by_the_weights_and_read_again(tmp_path: Path):
    assert read_floor(tmp_path / "noise", "w") is None
    assert measured_on_another(tmp_path / "noise") is None
    file = write_floor(tmp_path / "noise", floor())
    assert read_floor(tmp_path / "noise", "w") == floor()
    assert read_floor(tmp_path / "noise", "other") is None
    assert measured_on_another(tmp_path / "noise") == "base"
    file.write_text("{")
    with pytest.raises(RecordError, match="Measure it again: harness gate --aa"):
        read_floor(tmp_path / "noise", "w")


def test_all_of_it_is_told_with_the_unstable_cases():
    shown = "\n".join(told(floor(), GatePolicy()))
    assert "base (asked again): 1 of 20 cases flip, 2 texts differ" in shown
    assert "facts: 2 of 20 cases (10 points); margin 5 points = 1 of your 20 cases" in shown
    assert "unstable: c-2 (2 of 2), c-5 (1 of 2)" in shown


def test_a_local_model_is_asked_in_other_batches_and_another_format():
    again, batch, dtype = (once_more(LOCAL, variant) for variant in ("again", "batch", "dtype"))
    assert (again.replica, again.batch_size, again.dtype) == (1, 32, "bfloat16")
    assert (batch.replica, batch.batch_size, batch.label) == (2, 8, "base (batch size 8, not 32)")
    assert (dtype.dtype, dtype.label) == ("float32", "base (float32, not bfloat16)")
    assert once_more(msgspec.structs.replace(LOCAL, batch_size=1), "batch").batch_size == 8
    assert once_more(msgspec.structs.replace(LOCAL, dtype="float32"), "dtype").dtype == "bfloat16"
    assert {ref.digest for ref in (again, batch, dtype)} == {LOCAL.digest}


def test_an_engine_without_such_a_setting_says_so():
    scripted = msgspec.structs.replace(LOCAL, engine="scripted")
    assert once_more(scripted, "again").replica == 1
    with pytest.raises(ConfigError, match="--aa=again"):
        once_more(scripted, "batch")
