"""Corners of the decision that planted faults (benchmarks/mutants.py) showed to be unwatched."""

from __future__ import annotations

import datetime

import msgspec
import numpy as np
import pytest
from test_gate import flips, only, record, red_lines

from harness.gate import decide
from harness.policy import GatePolicy, Waiver
from harness.record import Probe, SetResult
from harness.stats.paired import compare_paired
from harness.verdict import clip, margin_criterion, target_criterion

POLICY = GatePolicy()


def answers(verdict) -> dict[str, str]:
    return {one.name: one.answer.status for one in verdict.sets}


def prose(**values: object) -> SetResult:
    probe = Probe(probe="bleed", role="alarm", unit="share", higher_is_better=False, cases=("p",), **values)
    return SetResult(name="prose", path="prose.jsonl", digest="p", kind="text", probes=(probe,))


def test_a_set_that_stands_alone_does_not_answer_for_a_pool_that_cannot_tell():
    policy = GatePolicy(margin=0.02)
    small = flips("small", both=65, gained=7, lost=8)
    verdict = decide(record(flips("big", both=238, gained=1, lost=1), small), policy)
    assert only(verdict, "not worse").status == "INCONCLUSIVE"
    assert answers(verdict) == {"big": "PASS", "small": "INCONCLUSIVE"}


def test_a_set_that_cannot_stand_alone_answers_for_the_pool_beside_the_weakest():
    one, other = (flips(name, both=65, gained=7, lost=lost) for name, lost in (("a", 8), ("b", 7)))
    verdict = decide(record(one, other), GatePolicy(margin=0.02))
    assert answers(verdict) == {"a": "INCONCLUSIVE", "b": "INCONCLUSIVE"}


def test_every_set_that_fell_answers_for_a_pool_that_fails():
    verdict = decide(record(flips("a", both=26, lost=4), flips("b", both=28, lost=4)), POLICY)
    assert only(verdict, "alarm").status == "PASS"
    assert only(verdict, "not worse").status == "FAIL"
    assert answers(verdict) == {"a": "FAIL", "b": "FAIL"}


def test_a_watched_set_without_questions_passes_where_there_is_somebody_to_compare_with():
    watched = prose(candidate=(0.0,), baseline=(0.0,))
    assert answers(decide(record(flips(both=200), watched), POLICY))["prose"] == "PASS"
    alone = record(flips(both=200), prose(candidate=(0.0,)), baseline=None)
    assert answers(decide(alone, POLICY))["prose"] == "INVALID"


def test_passing_sets_say_pass_each_for_its_own_reason():
    same = flips("same", both=50, same_answer=True)
    better = flips("better", both=50, gained=30)
    quiet = flips("quiet", both=300, gained=1, lost=1)
    verdict = decide(record(same, better, quiet), GatePolicy(improve=("better",)))
    assert verdict.status == "PASS"
    assert answers(verdict) == {"same": "PASS", "better": "PASS", "quiet": "PASS"}
    reasons = {one.name: one.answer.reason for one in verdict.sets}
    assert reasons["same"] == "same: same answers."
    assert reasons["quiet"].startswith("quiet: no alarm. Alone, this set sees drops of ")


def test_a_floor_says_nothing_of_a_set_without_questions():
    watched = prose(candidate=(0.0,), baseline=(0.0,))
    verdict = decide(record(flips(both=300), watched), GatePolicy(floors={"prose": 0.9}))
    assert [c for c in verdict.criteria if c.name == "floor"] == []


def test_rewordings_and_weights_of_one_set_count_in_its_own_comparison():
    plain = flips("a", both=60, gained=2, lost=8)
    cases = [
        msgspec.structs.replace(c, variant_of=f"a-{i - i % 2}" if i % 2 else None) for i, c in enumerate(plain.cases)
    ]
    reworded = msgspec.structs.replace(plain, cases=tuple(cases))
    weighted = msgspec.structs.replace(
        plain, cases=tuple(msgspec.structs.replace(c, weight=1.0 + c.candidate) for c in plain.cases)
    )
    found = [decide(record(one), POLICY).sets[0].against_baseline for one in (plain, reworded, weighted)]
    assert [one.n_clusters for one in found] == [70, 35, 70]
    assert found[2].difference == pytest.approx((2 * 2 - 8 * 1) / (62 * 2 + 8))


def test_cases_asked_twice_forecast_twice_the_cases():
    rng = np.random.default_rng(4)
    x, y = rng.choice([0, 0.5, 1], 100), rng.choice([0, 0.5, 1], 100)
    once = compare_paired(y, x, margin=0.15)
    twice = compare_paired(np.repeat(y, 2), np.repeat(x, 2), margin=0.15, clusters=np.repeat(np.arange(100), 2))
    assert twice.lower_limit == pytest.approx(once.lower_limit)

    def forecast(found) -> int:
        said = margin_criterion("not worse", found, "a", "baseline", of=None).summary
        return int(said.split("~")[1].split()[0].replace(",", ""))

    assert forecast(twice) == pytest.approx(2 * forecast(once), rel=0.06)


def test_a_clipped_line_fits_with_its_ellipsis():
    assert clip("a" * 50, 10) == "a" * 9 + "…"
    assert clip("a" * 10, 10) == "a" * 10


def test_a_gain_that_is_not_proven_says_how_many_cases_would():
    found = compare_paired([1.0] * 6 + [0.0] * 3 + [1.0] * 41, [0.0] * 6 + [1.0] * 44, margin=0.05)
    ratio = (found.difference - found.interval.low) / found.difference
    further = 50 * (ratio**2 - 1)
    assert 100 < further < 400
    said = target_criterion(found, "", "a", "baseline", of="a").reason
    assert f"about {10 * int(np.ceil(further / 10))} more cases would show it" in said


def test_equal_texts_with_other_scores_are_not_the_same_answers():
    changed = flips("a", both=296, gained=2, lost=2, same_answer=True)
    verdict = decide(record(changed), POLICY)
    assert not verdict.sets[0].same_answers
    assert "same answers" not in only(verdict, "not worse").summary


def test_as_many_missed_cases_are_named_as_a_line_has_room_for():
    def missed(*names: str) -> str:
        one = flips("a", both=300, lost=len(names))
        renamed = (msgspec.structs.replace(c, case=n) for c, n in zip(one.cases[300:], names, strict=True))
        verdict = decide(record(msgspec.structs.replace(one, cases=(*one.cases[:300], *renamed))), POLICY)
        return next(line for line in verdict.lines() if "newly missed" in line)

    assert missed("x", "y").endswith("a 2: x, y")
    assert missed(*"uvwxyz").endswith("a 6: u, v, w, x and 2 more")
    assert missed("n" * 30, "m" * 30).endswith(f"a 2: {'n' * 30} and 1 more")


def test_sets_that_pass_alone_answer_for_their_pool_where_it_knows_less_than_each():
    # The second set rewords the first and flips where it flips: together they tell a little less than either.
    one = flips("a", both=25, gained=6, lost=9)
    again = tuple(msgspec.structs.replace(c, case=f"{c.case}-reworded", variant_of=c.case) for c in one.cases)
    other = msgspec.structs.replace(flips("b"), cases=again)
    policy = GatePolicy(margin=0.237)
    alone = [decide(record(each), policy).status for each in (one, msgspec.structs.replace(one, name="b"))]
    verdict = decide(record(one, other), policy)
    assert (alone, verdict.status) == (["PASS", "PASS"], "INCONCLUSIVE")
    assert answers(verdict) == {"a": "INCONCLUSIVE", "b": "INCONCLUSIVE"}


def test_the_rates_of_the_three_models_are_not_mixed_up():
    one = flips("a", both=50, gained=20, lost=10, neither=20, retention=True)
    cases = tuple(msgspec.structs.replace(c, root=float(i < 30)) for i, c in enumerate(one.cases))
    root = msgspec.structs.replace(record().candidate, label="root", digest="root")
    run = record(msgspec.structs.replace(one, cases=cases), root=root)
    (found,) = decide(run, POLICY).sets
    assert [found.candidate.estimate, found.baseline.estimate, found.root.estimate] == [0.7, 0.6, 0.3]


def test_a_waiver_of_a_case_is_not_one_of_its_namesake_in_another_set():
    first, second = red_lines("rules", held=5, broken=1), red_lines("laws", held=5, broken=1)
    second = msgspec.structs.replace(
        second, cases=tuple(msgspec.structs.replace(c, case=f"rules-{i}") for i, c in enumerate(second.cases))
    )
    excused = Waiver(set="rules", case="rules-0", owner="Ana", reason="known", expires=datetime.date(2026, 12, 31))
    verdict = decide(record(flips(both=300), first, second), GatePolicy(waivers=(excused,)))
    assert {one.name: one.waived for one in verdict.sets} == {"refunds": (), "rules": ("rules-0",), "laws": ()}
