"""Adapter parity (T14) from numbers alone, and in the verdict."""

from __future__ import annotations

import math

import pytest
from test_gate import flips, record

from harness.errors import GenerationError
from harness.gate import decide
from harness.generation import GenerationPlan
from harness.models import TokenScores
from harness.models.refs import ModelRef
from harness.parity import PROBES, judge, plan_parity, training_stack
from harness.policy import GatePolicy
from harness.record import AdapterParity

ADAPTED = ModelRef(
    text="vllm:triage",
    label="vllm:triage@1",
    engine="vllm",
    base="b",
    base_digest="0" * 64,
    base_name="smollm2",
    adapter="a",
    adapter_digest="1",
    dtype="bfloat16 quantization=fp8",
)


def scores(*values: float) -> list[TokenScores]:
    return [TokenScores(logprobs=values)]


def compare(base: float, adapted: float, trained_base: float, trained: float) -> AdapterParity:
    """One token, four times."""
    return judge(
        "vllm:triage@1",
        "vllm",
        base=scores(base),
        adapted=scores(adapted),
        trained_base=scores(trained_base),
        trained=scores(trained),
    )


def test_an_engine_that_follows_the_training_stack_within_its_own_noise_is_fine() -> None:
    parity = compare(base=-2.01, adapted=-3.015, trained_base=-2.0, trained=-3.0)
    assert parity.fault is None
    assert (parity.effect, parity.tokens) == (pytest.approx(1.0), 1)
    assert parity.noise == pytest.approx(0.01)
    assert parity.error == pytest.approx(0.015)


def test_an_engine_that_answers_as_the_base_is_found() -> None:
    fault = compare(base=-2.01, adapted=-2.01, trained_base=-2.0, trained=-3.0).fault
    assert fault is not None
    assert "answers as the base, the adapter is ignored" in fault


def test_an_ignored_adapter_is_found_even_where_it_does_less_than_the_noise() -> None:
    fault = compare(base=-2.5, adapted=-2.5, trained_base=-2.0, trained=-2.1).fault
    assert fault is not None
    assert "as the base" in fault


def test_an_adapter_that_is_applied_by_half_is_found() -> None:
    fault = compare(base=-2.01, adapted=-2.5, trained_base=-2.0, trained=-3.0).fault
    assert fault is not None
    assert "does not apply the adapter as it was trained" in fault
    assert "0.02 are allowed" in fault


def test_an_adapter_that_changes_nothing_anywhere_is_no_fault_of_the_engine() -> None:
    assert compare(base=-2.01, adapted=-2.01, trained_base=-2.0, trained=-2.0).fault is None


def test_roundings_of_float32_are_no_fault() -> None:
    assert compare(base=-2.0, adapted=-3.0001, trained_base=-2.0, trained=-3.0).fault is None


def test_a_likelihood_that_is_not_a_number_is_no_comparison() -> None:
    with pytest.raises(GenerationError, match="not a number"):
        compare(base=-2.0, adapted=math.nan, trained_base=-2.0, trained=-3.0)


def test_each_adapter_is_probed_once_by_engine_and_training_stack() -> None:
    plan = GenerationPlan()
    again = ModelRef(**{name: getattr(ADAPTED, name) for name in ADAPTED.__struct_fields__} | {"replica": 1})
    plan_parity([ADAPTED, ADAPTED.root, again, training_stack(ADAPTED)], plan)
    assert len(plan) == 4 * len(PROBES)
    asked = {(ref.engine, ref.dtype, ref.adapter) for ref, _ in plan.score_requests.values()}
    assert asked == {
        ("vllm", "bfloat16 quantization=fp8", "a"),
        ("vllm", "bfloat16 quantization=fp8", None),
        ("hf", "bfloat16", "a"),
        ("hf", "bfloat16", None),
    }


def test_other_engines_and_bases_are_not_probed() -> None:
    plan = GenerationPlan()
    plan_parity([ADAPTED.root, training_stack(ADAPTED)], plan)
    assert len(plan) == 0


def test_a_run_over_an_engine_that_ignores_the_adapter_is_invalid_with_numbers_and_the_remedy() -> None:
    good = compare(base=-2.01, adapted=-3.015, trained_base=-2.0, trained=-3.0)
    bad = compare(base=-2.01, adapted=-2.01, trained_base=-2.0, trained=-3.0)
    sets = flips(both=400)
    passed = decide(record(sets, parity=(good,)), GatePolicy())
    assert passed.status == "PASS"
    assert any(
        "applies the adapter as trained (0.015 nats per token apart, 0.01 on the base" in n for n in passed.notes
    )
    refused = decide(record(sets, parity=(bad,)), GatePolicy())
    assert refused.status == "INVALID"
    (why,) = [c.reason for c in refused.criteria if c.status == "INVALID"]
    assert "T14" in why
    assert "1 nats" in why
    assert "Merge the adapter" in why
