"""What a run can see before it begins: the printed numbers of the rule, and flips measured on an earlier run."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from harness.foresight import PlannedSet, foresee, measured_flips, pass_chance
from harness.policy import GatePolicy
from harness.record import CaseResult, ModelIdentity, RunRecord, SetResult

FOUR = [PlannedSet(name=name, n=n, digest=name) for name, n in (("a", 60), ("b", 40), ("c", 120), ("d", 150))]


def model(label: str) -> ModelIdentity:
    return ModelIdentity(
        label=label, reference=label, digest=label, base_digest=label, adapter_digest=None, engine="hf", dtype="x"
    )


def record_of(name: str, n: int, lost: int, gained: int) -> RunRecord:
    def case(i: int) -> CaseResult:
        fell, rose = i < lost, lost <= i < lost + gained
        return CaseResult(case=f"c-{i}", line=i + 1, candidate=float(not fell), baseline=float(not rose))

    return RunRecord(
        run_id="earlier", created="", harness_version="", arguments=(), candidate=model("new"), baseline=model("old"),
        root=None, policy=GatePolicy(), policy_digest="", collection_digest="",
        sets=(SetResult(name=name, path=name, digest=name, kind="ask", cases=tuple(case(i) for i in range(n))),),
    )  # fmt: skip


def test_the_pool_of_370_cases_says_what_the_rule_was_measured_to_do():
    # The committed table of the rule: 98 / 89 / 68% and 4.0 / 4.6 / 4.9%, from draws.
    found = foresee(FOUR, GatePolicy(margin=0.05))
    assert [pool.equal for pool in found.pools] == pytest.approx([0.98, 0.89, 0.68], abs=0.01)
    assert [pool.worse for pool in found.pools] == pytest.approx([0.040, 0.046, 0.049], abs=0.012)
    assert [pool.assumed for pool in found.pools] == [0.05, 0.1, 0.2]


def test_a_set_says_its_smallest_margin_at_each_assumed_share_of_flips():
    found = foresee([PlannedSet(name="a", n=100)], GatePolicy(), details=True)
    assert [sight.smallest for sight in found.sets[0].sights] == [0.07, 0.09, 0.12]


def test_the_block_names_every_guard_and_no_target_and_says_the_margin_in_cases():
    lines = foresee([*FOUR, PlannedSet(name="goal", n=70)], GatePolicy(improve=("goal",))).lines()
    assert len(lines) == 1 + 4 + 1
    assert "no earlier run of these sets: 5 / 10 / 20% flips assumed" in lines[0]
    assert not any("goal" in line for line in lines)
    assert "together 370 cases" in lines[-1]
    assert "5 points (18.5 cases) worse" in lines[-1]
    assert foresee([PlannedSet(name="goal", n=70)], GatePolicy(improve=("goal",))).lines() == []


def test_flips_come_from_an_earlier_run_of_the_same_file_and_of_no_other():
    record = record_of("c", 120, lost=4, gained=2)
    found = {one.name: one for one in foresee(FOUR, GatePolicy(), record=record).sets}
    assert found["c"].measured is not None
    assert found["c"].measured.share == pytest.approx(6 / 120)
    assert len(found["c"].sights) == 1
    assert found["a"].measured is None
    edited = [PlannedSet(name="c", n=120, digest="edited")]
    assert foresee(edited, GatePolicy(), record=record).sets[0].measured is None


@pytest.mark.parametrize(
    ("lost", "gained", "flipped"),
    [
        (4, 2, 6),  # no difference is certain: all of it may be noise
        (40, 3, 6),  # a model that forgot: only what cancels out says how much equal models flip
        (0, 0, 0),
    ],
)
def test_a_real_change_is_not_taken_for_flips(lost, gained, flipped):
    rate = measured_flips(record_of("c", 120, lost, gained))["c"]
    assert rate.flipped == flipped
    assert rate.share == max(flipped, 0.5) / 120


def test_no_flip_seen_promises_no_certainty():
    sight = foresee(
        [PlannedSet(name="c", n=120, digest="c")], GatePolicy(), record=record_of("c", 120, 0, 0), details=True
    ).sets[0].sights[0]  # fmt: skip
    assert 0.9 < sight.equal < 1
    assert sight.sees > 0.02


@pytest.mark.parametrize("sizes", [[4000], [1500, 1000, 1500]])
@pytest.mark.parametrize(("drop", "flips"), [(0.0, 0.1), (0.02, 0.1), (0.02, 0.2)])
def test_past_what_can_be_exact_the_approximation_goes_on_from_there(
    monkeypatch, sizes: Sequence[int], drop: float, flips: float
):
    exact = pass_chance(sizes, [flips] * len(sizes), drop, 0.02, 0.05)
    monkeypatch.setattr("harness.foresight._EXACT", 0)
    assert pass_chance(sizes, [flips] * len(sizes), drop, 0.02, 0.05) == pytest.approx(exact, abs=0.015)


def test_a_hundred_thousand_cases_take_no_table():
    assert pass_chance([1000] * 100, [0.1] * 100, 0.0, 0.05, 0.05) == pytest.approx(0.95, abs=0.01)
    assert foresee([PlannedSet(name="a", n=100_000)], GatePolicy(), details=True).sets[0].sights[0].smallest == 0.01


def test_one_case_sees_no_drop_at_all():
    assert "sees no drop at all" in foresee([PlannedSet(name="a", n=1)], GatePolicy()).lines()[1]
