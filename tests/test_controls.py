"""A golden set that cannot tell right from wrong is found without a model; each detector is shown its fault."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from harness.checks import validate
from harness.controls import SetControl, control, saturated
from harness.golden import load_golden_set
from harness.policy import GatePolicy
from harness.record import CaseResult, ModelIdentity, RunRecord, SetResult

Rows = Sequence[Mapping[str, object]]


@pytest.fixture
def controlled(tmp_path: Path):
    def run(rows: Rows, **options: int) -> SetControl:
        file = tmp_path / "set.jsonl"
        file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        return control(load_golden_set(file, root=tmp_path, validate_check=validate), file="sets/set.jsonl", **options)

    return run


def capitals(n: int = 10) -> list[dict[str, object]]:
    names = [f"capital-{chr(97 + i)}" for i in range(n)]
    return [{"id": x, "input": f"{x}?", "target": f"It is city {x}.", "checks": [{"includes": x}]} for x in names]


def labelled(checks=lambda label: [{"equals": label}], labels=("billing", "shipping", "returns", "other")) -> Rows:
    rows = []
    for i in range(24):
        label = labels[i % len(labels)]
        rows.append({"id": f"ticket-{chr(97 + i)}", "input": f"{i}?", "target": label, "checks": checks(label)})
    return rows


def test_a_sound_set_scores_one_on_its_own_targets_and_nothing_on_others(controlled):
    seen = controlled(capitals())
    assert (seen.own, seen.shuffled, seen.chance, seen.findings) == (1.0, 0.0, 0.0, ())


def test_shuffled_labels_score_at_the_chance_level(controlled):
    seen = controlled(labelled())
    assert seen.own == 1.0
    assert seen.shuffled == seen.chance == pytest.approx(1 / 4, abs=0.08)
    assert seen.findings == ()


@pytest.mark.parametrize("label", ["退款", "物流"])
def test_chinese_targets_are_controlled_like_any_other(controlled, label):
    rows = labelled(labels=("退款", "物流"), checks=lambda own: [{"includes": own}])
    assert controlled(rows).faults == ()
    rows = labelled(labels=("退款", "物流"), checks=lambda own: [{"matches": "退款|物流"}, {"excludes": "x" + own}])
    assert controlled(rows).faults


def test_a_target_that_fails_its_own_checks_is_named_with_its_line(controlled):
    rows = capitals(30)
    rows[3]["target"] = "I do not know."
    seen = controlled(rows)
    assert [f.severity for f in seen.findings] == ["warning"]  # 29 of 30 is still about 1
    assert seen.findings[0].where == "sets/set.jsonl:4"
    assert "'capital-d'" in seen.findings[0].message
    rows[9]["target"] = rows[13]["target"] = "Perhaps."
    seen = controlled(rows)
    assert seen.own == pytest.approx(0.9)
    assert [f.where for f in seen.faults] == [f"sets/set.jsonl:{line}" for line in (4, 10, 14)]


def test_checks_that_accept_every_other_answer_are_a_fault(controlled):
    rows = capitals()
    for i, row in enumerate(rows):
        row["checks"] = [{"matches": f"city|{i}"}]
    seen = controlled(rows)
    assert seen.own == seen.shuffled == 1.0
    assert len(seen.faults) == 1
    assert "cannot tell a right answer from a wrong one" in seen.faults[0].message


def test_labels_of_which_one_word_passes_for_two_are_a_fault(controlled):
    # "other" is also accepted for shipping: 1/12 of the pairs too many is allowed, and so 1 of 3 is not.
    rows = labelled(checks=lambda label: [{"one_of": [label, "other", "returns"]}])
    assert controlled(rows).faults


def test_a_check_that_passes_whatever_is_answered_is_pinned_at_one(controlled):
    rows = [{"id": x["id"], "input": x["input"], "checks": [{"max_words": 5000}]} for x in capitals()]
    seen = controlled(rows)
    assert (seen.own, seen.shuffled) == (None, None)
    assert "pinned at 1" in seen.faults[0].message
    assert seen.faults[0].where == "sets/set.jsonl:1"


def test_a_check_that_only_forbids_may_be_silent_about_silence(controlled):
    rows = [{"id": x["id"], "input": x["input"], "checks": [{"excludes": "guarantee"}]} for x in capitals()]
    rows += [{"id": f"{x['id']}-b", "input": x["input"], "checks": [{"not": "refuses"}]} for x in capitals()]
    assert controlled(rows).findings == ()


def test_cases_that_ask_for_the_same_cannot_be_shuffled_and_are_no_fault(controlled):
    rows = capitals()
    for row in rows:
        row["checks"], row["target"] = ["valid_json"], json.dumps({"city": row["id"]})
    seen = controlled(rows)
    assert seen.shuffled == seen.chance == 1.0
    assert seen.faults == ()


def choices(places: Sequence[int]) -> Rows:
    words = ("ant", "bee", "cow", "dog")
    return [
        {"id": f"animal-{chr(97 + i)}", "input": f"{i}?", "choices": list(words), "answer": words[place]}
        for i, place in enumerate(places)
    ]


def test_answers_that_always_stand_at_one_place_are_a_fault(controlled):
    assert controlled(choices([0, 1, 2, 3] * 5)).findings == ()
    seen = controlled(choices([2] * 15 + [0, 1, 3]))
    assert "choice 3 in 15 of 18 cases" in seen.faults[0].message
    assert seen.chance == 0.25


def test_a_sample_of_a_large_set_is_enough_for_a_run(controlled):
    rows = [{"id": f"case-{chr(97 + i // 26)}{chr(97 + i % 26)}", "input": "?", "target": "x", "checks": ["valid_json"]}
            for i in range(400)]  # fmt: skip
    seen = controlled(rows, at_most=50)
    assert (seen.cases, seen.targets, seen.own) == (400, 50, 0.0)
    assert seen.faults


def record_of(rates: Mapping[str, float]) -> RunRecord:
    def model(label: str) -> ModelIdentity:
        return ModelIdentity(
            label=label, reference=label, digest=label, base_digest=label, adapter_digest=None, engine="hf", dtype="x"
        )

    def cases(rate: float) -> tuple[CaseResult, ...]:
        return tuple(
            CaseResult(case=f"c-{i}", line=i + 1, candidate=1.0, baseline=float(i < 100 * rate)) for i in range(100)
        )

    return RunRecord(
        run_id="run", created="", harness_version="", arguments=(), candidate=model("new"), baseline=model("old"),
        root=None, policy=GatePolicy(), policy_digest="", collection_digest="",
        sets=tuple(SetResult(name=n, path=n, digest=n, kind="ask", cases=cases(r)) for n, r in rates.items()),
    )  # fmt: skip


def test_a_baseline_without_room_is_named_and_a_target_may_start_at_nothing():
    record = record_of({"middling": 0.5, "solved": 0.97, "hopeless": 0.0, "goal": 0.0, "won": 1.0, "gone": 1.0})
    policy = GatePolicy(improve=("goal", "won"))
    files = {name: f"{name}.jsonl" for name in ("middling", "solved", "hopeless", "goal", "won")}
    found = {finding.where: finding.message for finding in saturated(record, policy, files)}
    assert list(found) == ["solved.jsonl", "hopeless.jsonl", "won.jsonl"]
    assert "97% of 100 cases" in found["solved.jsonl"]
    assert "cannot see a loss" in found["hopeless.jsonl"]
    assert "target cannot improve" in found["won.jsonl"]
