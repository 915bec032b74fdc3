"""The gate's decision: what passes, what fails, what cannot be told, what cannot be trusted."""

from __future__ import annotations

import time
import timeit

import msgspec
import numpy as np
import pytest

from harness.gate import Criterion, Verdict, decide
from harness.policy import GatePolicy
from harness.record import CaseResult, ModelIdentity, Probe, RunRecord, SetResult, SuiteAnswer, TestResult
from harness.verdict import clip, in_cases, points

POLICY = GatePolicy()


def identity(label: str) -> ModelIdentity:
    return ModelIdentity(
        label=label,
        reference=label,
        digest=label,
        base_digest="root",
        adapter_digest=None,
        engine="scripted",
        dtype="none",
    )


def flips(
    name: str = "refunds",
    *,
    both: int = 0,
    gained: int = 0,
    lost: int = 0,
    neither: int = 0,
    retention: bool = False,
    root: str = "same",
    **case_fields: object,
) -> SetResult:
    """A set by its four counts; `root` scores as the baseline does ("same"), or not at all ("none")."""
    pairs = [(1.0, 1.0)] * both + [(1.0, 0.0)] * gained + [(0.0, 1.0)] * lost + [(0.0, 0.0)] * neither
    cases = tuple(
        CaseResult(
            case=f"{name}-{i}",
            line=i + 1,
            candidate=x,
            baseline=y,
            root=y if retention and root == "same" else None,
            **case_fields,
        )
        for i, (x, y) in enumerate(pairs)
    )
    return SetResult(name=name, path=f"{name}.jsonl", digest=name, kind="ask", retention=retention, cases=cases)


def red_lines(name: str = "rules", *, held: int, broken: int = 0) -> SetResult:
    cases = tuple(
        CaseResult(
            case=f"{name}-{i}",
            line=i + 1,
            candidate=1.0,
            tests=(TestResult(test="valid", lane="red_line", candidate=float(i >= broken)),),
        )
        for i in range(held + broken)
    )
    return SetResult(name=name, path=f"{name}.jsonl", digest=name, kind="ask", cases=cases)


def record(*sets: SetResult, **changes: object) -> RunRecord:
    run = RunRecord(
        run_id="r1",
        created="2026-01-01T00:00:00Z",
        harness_version="0.1.0",
        arguments=(),
        candidate=identity("triage@2"),
        baseline=identity("triage@1"),
        root=None,
        policy=POLICY,
        policy_digest=POLICY.digest,
        collection_digest="c",
        sets=sets,
    )
    return msgspec.structs.replace(run, **changes)


def only(verdict: Verdict, name: str) -> Criterion:
    (found,) = [criterion for criterion in verdict.criteria if criterion.name == name]
    return found


# ---- not worse ----------------------------------------------------------------------------------------------


def test_an_equal_model_with_few_flips_passes():
    verdict = decide(record(flips(both=180, gained=3, lost=3, neither=14)), POLICY)
    assert verdict.status == "PASS"
    assert verdict.exit_code(POLICY) == 0
    assert "drops over 2.4 points are ruled out; 5 points = 10 of your 200 cases" in only(verdict, "not worse").reason
    assert verdict.reasons() == []


def test_too_few_cases_are_inconclusive_and_say_how_many_would_settle_it():
    verdict = decide(record(flips(both=40, gained=2, lost=3, neither=5)), POLICY)
    assert verdict.status == "INCONCLUSIVE"
    reason = only(verdict, "not worse").reason
    assert "no regression seen" in reason
    assert "5 points are not (5 points = 2.5 of your 50 cases)" in reason
    assert "about 390 more cases would settle it" in reason
    assert verdict.exit_code(POLICY) == 10
    assert verdict.exit_code(GatePolicy(on_inconclusive="warn")) == 0


def test_sets_are_pooled_so_that_small_ones_need_not_prove_it_alone():
    small = [flips(f"s{i}", both=45, gained=1, lost=1, neither=3) for i in range(5)]
    alone = decide(record(small[0]), POLICY)
    together = decide(record(*small), POLICY)
    assert (alone.status, together.status) == ("INCONCLUSIVE", "PASS")
    assert all(one.answer.status == "PASS" for one in together.sets)
    assert alone.sets[0].answer.status == "INCONCLUSIVE"


def test_byte_identical_answers_pass_however_few_they_are():
    verdict = decide(record(flips(both=3, neither=1, same_answer=True)), POLICY)
    assert verdict.status == "PASS"
    assert only(verdict, "not worse").reason == "refunds: same answers as the baseline, so not worse."
    assert verdict.sets[0].same_answers


def test_one_changed_answer_is_judged_by_its_numbers():
    same, other = flips("a", both=3, same_answer=True), flips("b", both=3, same_answer=False)
    assert decide(record(same, other), POLICY).status == "INCONCLUSIVE"


def test_a_pool_that_lost_more_than_the_margin_for_certain_fails_even_without_an_alarm():
    sets = [flips(f"s{i}", both=20, lost=3) for i in range(20)]
    verdict = decide(record(*sets), POLICY)
    assert only(verdict, "alarm").status == "PASS"
    assert only(verdict, "not worse").status == verdict.status == "FAIL"


@pytest.mark.parametrize("margins", [{}, {"s*": 0.4}])
@pytest.mark.parametrize(("lost", "status"), [(1, "INCONCLUSIVE"), (3, "FAIL")])
def test_some_set_answers_for_a_pool_that_does_not_pass(margins, lost, status):
    sets = [flips(f"s{i}", both=20, lost=lost) for i in range(20)]
    verdict = decide(record(*sets), GatePolicy(margins=margins))
    assert verdict.status == status
    assert status in {one.answer.status for one in verdict.sets}


def test_weights_count_in_the_pool():
    good, bad = flips("good", both=190, gained=2, lost=2, neither=6), flips("bad", both=30, lost=3, neither=7)
    heavy = msgspec.structs.replace(bad, cases=tuple(msgspec.structs.replace(case, weight=20.0) for case in bad.cases))
    assert decide(record(good, bad), POLICY).status == "PASS"
    assert decide(record(good, heavy), POLICY).status == "INCONCLUSIVE"


def test_rewordings_of_one_question_do_not_count_as_many():
    originals = flips("q", both=40)
    reworded = [
        msgspec.structs.replace(
            one,
            cases=tuple(msgspec.structs.replace(case, variant_of=f"q-{i}") for i, case in enumerate(one.cases)),
        )
        for one in (flips(f"v{k}", both=40) for k in range(4))
    ]
    verdict = decide(record(originals, *reworded), POLICY)
    assert verdict.status == "INCONCLUSIVE"
    assert decide(record(originals, *[flips(f"v{k}", both=40) for k in range(4)]), POLICY).status == "PASS"


# ---- alarm --------------------------------------------------------------------------------------------------


def test_an_alarm_fails_and_names_the_set_and_the_cases():
    bad = flips("retention/general", both=60, gained=2, lost=30, neither=28)
    verdict = decide(record(flips(both=200), bad), POLICY)
    alarm = only(verdict, "alarm")
    assert verdict.status == alarm.status == "FAIL"
    assert verdict.exit_code(POLICY) == 1
    assert alarm.set == "retention/general"
    assert "-23.3 points over 120 cases, 30 worse and 2 better" in alarm.reason
    assert len(alarm.cases) == 30
    assert verdict.sets[1].ratchet == alarm.cases
    assert len(verdict.sets[1].gained) == 2


def test_holm_asks_more_of_one_alarm_among_many():
    bad = flips("bad", both=92, gained=1, lost=7)
    many = [flips(f"s{i}", both=90, gained=5, lost=5) for i in range(9)]
    assert only(decide(record(bad), POLICY), "alarm").status == "FAIL"
    assert only(decide(record(bad, *many), POLICY), "alarm").status == "PASS"


def test_partial_scores_raise_the_alarm_by_sign_flips():
    cases = tuple(CaseResult(case=f"c{i}", line=i, candidate=0.5, baseline=0.75) for i in range(12))
    one = SetResult(name="s", path="s", digest="s", kind="ask", cases=cases)
    alarm = only(decide(record(one), POLICY), "alarm")
    assert alarm.status == "FAIL"
    assert "sign flips" in alarm.reason


@pytest.mark.parametrize(("higher_is_better", "status"), [(False, "FAIL"), (True, "PASS")])
def test_an_alarm_probe_fires_in_its_own_direction(higher_is_better, status):
    n = 30
    probe = Probe(
        probe="target_nll",
        role="alarm",
        unit="nats",
        higher_is_better=higher_is_better,
        cases=tuple(f"c{i}" for i in range(n)),
        candidate=tuple(2.0 + i / 100 for i in range(n)),
        baseline=tuple(1.5 + i / 200 for i in range(n)),
    )
    one = msgspec.structs.replace(flips(both=200), probes=(probe,))
    alarm = only(decide(record(one), POLICY), "alarm")
    assert alarm.status == status
    if status == "FAIL":
        assert "refunds target_nll got worse than the baseline: 0.572 nats worse over 30 cases" in alarm.reason
        assert alarm.cases[0] == "c29"


def test_a_share_is_told_in_points():
    probe = Probe(
        probe="bleed",
        role="alarm",
        unit="share of answers",
        higher_is_better=False,
        cases=tuple(f"c{i}" for i in range(46)),
        candidate=(1.0,) * 35 + (0.0,) * 11,
        baseline=(0.0,) * 46,
    )
    one = msgspec.structs.replace(flips(both=200), probes=(probe,))
    alarm = only(decide(record(one), POLICY), "alarm")
    assert "refunds bleed got worse than the baseline: 76.1 points worse over 46 cases" in alarm.reason


def test_an_advisory_probe_never_fails():
    probe = Probe(
        probe="kl",
        role="advisory",
        unit="nats",
        higher_is_better=False,
        cases=("a",) * 30,
        candidate=(9.0,) * 30,
        baseline=(0.0,) * 30,
    )
    one = msgspec.structs.replace(flips(both=200), probes=(probe,))
    assert decide(record(one), POLICY).status == "PASS"


# ---- red lines ----------------------------------------------------------------------------------------------


def test_one_broken_red_line_fails_whatever_the_rates():
    verdict = decide(record(flips(both=300, gained=20), red_lines(held=11, broken=1)), POLICY)
    lines = only(verdict, "red lines")
    assert verdict.status == lines.status == "FAIL"
    assert lines.cases == ("rules-0",)
    assert "1 of 12 red lines broken" in lines.reason


def test_a_clean_sheet_says_what_it_proves():
    verdict = decide(record(flips(both=300), red_lines(held=20)), POLICY)
    assert verdict.status == "PASS"
    assert "rules out failure rates over 14%" in only(verdict, "red lines").reason


def test_an_unstable_red_line_is_counted_and_not_broken():
    lines = red_lines(held=12)
    shaky = TestResult(test="valid", lane="red_line", candidate=0.6, unstable=True)
    cases = (msgspec.structs.replace(lines.cases[0], tests=(shaky,)), *lines.cases[1:])
    verdict = decide(record(flips(both=300), msgspec.structs.replace(lines, cases=cases)), POLICY)
    assert verdict.status == "PASS"
    assert "12 red lines, none broken, 1 of them unstable (rules/rules-0)" in only(verdict, "red lines").reason


def test_a_case_with_nothing_but_red_lines_is_not_rated_and_needs_no_pair():
    verdict = decide(record(flips(both=300), red_lines(held=5)), POLICY)
    assert verdict.sets[1].n == 0
    assert verdict.sets[1].answer.status == "PASS"


# ---- retention and the root ---------------------------------------------------------------------------------


def test_retention_is_held_against_the_root_too():
    drifted = flips("retention/general", both=200, retention=True)
    # Each promotion lost a little: against the root, 20 of 200 are gone.
    cases = tuple(
        msgspec.structs.replace(case, candidate=0.0, baseline=0.0, root=1.0) if i < 20 else case
        for i, case in enumerate(drifted.cases)
    )
    drifted = msgspec.structs.replace(drifted, cases=cases)
    run = record(drifted, root=identity("root"))
    verdict = decide(run, POLICY)
    assert verdict.status == "FAIL"
    assert only(verdict, "alarm").against == "root"
    by_rival = {c.against: c.status for c in verdict.criteria if c.name == "not worse"}
    assert by_rival == {"baseline": "PASS", "root": "FAIL"}


def test_a_root_that_is_the_baseline_is_asked_once():
    run = record(flips("retention/x", both=200, retention=True), root=identity("triage@1"))
    assert [c.against for c in decide(run, POLICY).criteria if c.name == "not worse"] == ["baseline"]


def test_only_retention_sets_are_compared_with_the_root():
    run = record(flips(both=200), root=identity("root"))
    verdict = decide(run, POLICY)
    assert verdict.status == "PASS"
    assert verdict.sets[0].against_root is None


def test_a_retention_set_without_root_scores_is_invalid():
    run = record(flips("retention/x", both=200, retention=True, root="none"), root=identity("root"))
    verdict = decide(run, POLICY)
    assert verdict.status == "INVALID"
    assert "have no score of the root" in verdict.reasons()[0]


# ---- targets, own bars, floors ------------------------------------------------------------------------------


def test_a_target_that_improved_passes_with_its_interval():
    policy = GatePolicy(improve=("triage",))
    verdict = decide(record(flips("triage", gained=62, neither=10), flips(both=200)), policy)
    target = only(verdict, "target")
    assert verdict.status == target.status == "PASS"
    assert "62 of 72 (86.1%) against 0 of 72 (0%) of the baseline" in target.reason


@pytest.mark.parametrize(
    ("gained", "lost", "status", "words"),
    [
        (8, 5, "INCONCLUSIVE", "more cases would show it"),
        (5, 8, "INCONCLUSIVE", "no improvement is seen"),
        (1, 20, "FAIL", "got worse"),
    ],
)
def test_a_target_that_did_not_improve_does_not_pass(gained, lost, status, words):
    policy = GatePolicy(improve=("triage",))
    verdict = decide(record(flips("triage", gained=gained, lost=lost, both=50), flips(both=200)), policy)
    assert verdict.status == only(verdict, "target").status == status
    assert words in only(verdict, "target").reason


def test_a_target_with_the_same_answers_fails():
    policy = GatePolicy(improve=("triage",))
    verdict = decide(record(flips("triage", both=50, same_answer=True), flips(both=200)), policy)
    assert only(verdict, "target").status == "FAIL"


def test_a_target_is_no_guard_and_a_run_of_targets_says_so():
    policy = GatePolicy(improve=("triage",))
    verdict = decide(record(flips("triage", gained=60, neither=10)), policy)
    assert verdict.status == "PASS"
    assert verdict.notes == ("every set is a target: no guard watches for regressions",)


def test_a_set_with_its_own_margin_must_meet_it_alone():
    policy = GatePolicy(margins={"ref*": 0.05})
    verdict = decide(record(flips(both=40, neither=5, gained=2, lost=2), flips("big", both=400)), policy)
    assert only(verdict, "not worse").status == "PASS"
    assert only(verdict, "own bar").status == verdict.status == "INCONCLUSIVE"
    assert verdict.sets[0].answer.status == "INCONCLUSIVE"


def test_weights_count_in_the_alarm_and_in_its_difference():
    cases = [
        msgspec.structs.replace(case, weight=0.05 if case.candidate < case.baseline else 1.0)
        for case in flips(both=80, gained=4, lost=16).cases
    ]
    light = msgspec.structs.replace(flips(), cases=tuple(cases))
    assert only(decide(record(flips(both=80, gained=4, lost=16)), POLICY), "alarm").status == "FAIL"
    alarm = only(decide(record(light), POLICY), "alarm")
    assert alarm.status == "PASS", "what the user calls unimportant raises no alarm"
    heavy = [msgspec.structs.replace(case, weight=3.0 if case.weight < 1 else 1.0) for case in cases]
    alarm = only(decide(record(msgspec.structs.replace(light, cases=tuple(heavy))), POLICY), "alarm")
    assert alarm.status == "FAIL"
    assert "weighted exact sign flips" in alarm.reason
    assert "-33.3 points over 100 cases" in alarm.reason  # (4 - 16 * 3) / (84 + 16 * 3)


def test_weights_count_in_a_floor():
    one = flips(both=8, neither=2)
    heavy = tuple(msgspec.structs.replace(c, weight=1.0 if c.candidate else 8.0) for c in one.cases)
    floors = GatePolicy(floors={"refunds": 0.5}, margin=0.5)
    assert only(decide(record(one), floors), "floor").status == "PASS"
    floor = only(decide(record(msgspec.structs.replace(one, cases=heavy)), floors), "floor")
    assert floor.status == "FAIL"
    assert "8 of 10 (weighted 33.3%) pass; the policy's floor is 50%, 5 of 10." in floor.reason


def test_equal_weights_change_nothing():
    plain, double = flips(both=40, gained=2, lost=3), flips(both=40, gained=2, lost=3, weight=2.0)
    assert decide(record(plain), POLICY).criteria == decide(record(double), POLICY).criteria


@pytest.mark.parametrize(("floor", "status"), [(0.9, "PASS"), (0.96, "FAIL")])
def test_a_floor_is_the_least_rate(floor, status):
    verdict = decide(record(flips(both=190, neither=10)), GatePolicy(floors={"refunds": floor}))
    assert only(verdict, "floor").status == verdict.status == status


# ---- invalid ------------------------------------------------------------------------------------------------


def said(status: str) -> SuiteAnswer:
    return SuiteAnswer(test="test_tone", status=status, reason="because")


@pytest.mark.parametrize(
    ("changes", "policy", "words"),
    [
        ({"partial": "-k late"}, POLICY, "Partial run, no verdict: -k late"),
        ({"errors": (said("INVALID"),)}, POLICY, "1 test ended in an error, first test_tone: because"),
        ({"baseline": None}, POLICY, "Nothing to compare: the run has no baseline"),
        ({"baseline": identity("triage@2")}, POLICY, "the same weights"),
        ({}, GatePolicy(improve=("refund",)), "did you mean 'refunds'?"),
        ({}, GatePolicy(margins={"retention/*": 0.1}), "policy's margins name a set that was not run"),
        ({}, GatePolicy(floors={"x": 0.1}), "policy's floors"),
        ({"sets": ()}, POLICY, "Nothing was compared"),
        ({"sets": (red_lines(held=3),)}, POLICY, "Nothing was compared"),
    ],
)
def test_what_cannot_be_trusted_is_invalid_and_says_why(changes, policy, words):
    verdict = decide(record(flips(both=300), **changes) if "sets" not in changes else record(**changes), policy)
    assert verdict.status == "INVALID"
    assert verdict.exit_code(policy) == 11
    assert words in " ".join(verdict.reasons())


def test_a_part_of_a_run_has_no_verdict_however_badly_it_went():
    bad = record(flips(both=100, lost=200), red_lines(held=1, broken=2))
    assert decide(bad, POLICY).status == "FAIL"
    verdict = decide(msgspec.structs.replace(bad, partial="-k late"), POLICY)
    assert verdict.status == "INVALID"
    assert {c.name for c in verdict.criteria if c.status == "FAIL"} >= {"red lines", "alarm"}


def test_one_cause_that_ended_many_tests_is_told_once():
    errors = tuple(SuiteAnswer(test=f"test_{x}", status="INVALID", reason="no rows.") for x in "abc")
    (told,) = [c for c in decide(record(errors=errors), POLICY).criteria if "error" in c.summary]
    assert told.summary == "3 errors, all the same: no rows."
    assert told.reason == "3 tests ended in the same error, first test_a: no rows. Mend it, then run again."


def test_a_set_that_an_error_kept_out_of_the_run_is_not_called_unknown():
    verdict = decide(record(errors=(said("INVALID"),)), GatePolicy(improve=("refunds",)))
    assert not any("improve" in reason for reason in verdict.reasons())


def test_a_missing_pair_is_invalid_and_named():
    one = flips(both=300)
    cases = (msgspec.structs.replace(one.cases[0], baseline=None), *one.cases[1:])
    verdict = decide(record(msgspec.structs.replace(one, cases=cases)), POLICY)
    assert verdict.status == "INVALID"
    assert "1 of 300 cases have no score of the baseline (refunds-0)" in verdict.reasons()[0]
    assert verdict.sets[0].answer.status == "INVALID"


def test_without_a_baseline_red_lines_and_floors_are_still_judged():
    run = record(flips(both=10), red_lines(held=1, broken=1), baseline=None)
    assert decide(run, POLICY).status == "FAIL"


def test_fail_beats_invalid_beats_inconclusive():
    small, bad = flips("small", both=5), flips("bad", lost=30, both=30)
    assert decide(record(small, errors=(said("INVALID"),)), POLICY).status == "INVALID"
    assert decide(record(small, bad, errors=(said("INVALID"),)), POLICY).status == "FAIL"


@pytest.mark.parametrize("status", ["FAIL", "INCONCLUSIVE", "INVALID"])
def test_what_a_suite_says_counts(status):
    verdict = decide(record(flips(both=300), answers=(said("PASS"), said(status))), POLICY)
    assert verdict.status == only(verdict, "suite").status == status


def test_a_probe_that_was_not_available_is_noted():
    one = msgspec.structs.replace(flips(both=300), unavailable=("target_nll: no token scores",))
    assert "not available: refunds: target_nll: no token scores" in decide(record(one), POLICY).notes


def test_a_set_of_which_nothing_could_be_measured_is_invalid_not_quiet():
    choices = SetResult(
        name="retention/choices",
        path="c.jsonl",
        digest="c",
        kind="choice",
        retention=True,
        unavailable=("choices: triage@2 (candidate) gives no token scores",),
    )
    verdict = decide(record(flips(both=300), choices), POLICY)
    assert verdict.status == "INVALID"
    assert verdict.sets[1].answer.status == "INVALID"
    assert "retention/choices: nothing was measured (choices: triage@2" in verdict.reasons()[0]
    assert any(c.summary.startswith("retention/choices: nothing was measured (choices: ") for c in verdict.criteria)


# ---- how it is told -----------------------------------------------------------------------------------------


def test_lines_fit_a_terminal_and_start_with_the_verdict():
    long = flips("retention/" + "客服对话" * 12, both=20, lost=30)
    run = record(long, flips(both=30, gained=2, lost=2), red_lines(held=10), answers=(said("INCONCLUSIVE"),))
    lines = decide(run, GatePolicy(margins={"refunds": 0.04})).lines()
    assert lines[0] == "FAIL: triage@2 against triage@1"
    assert lines[1].startswith("  FAIL         alarm     retention/客服")
    assert all(clip(line) == line for line in lines)
    assert any(line.startswith("  newly missed: ") for line in lines)


def test_an_answer_quoted_by_a_suite_cannot_command_the_terminal():
    quoted = SuiteAnswer(test="t", status="FAIL", reason="\x1b[2Jall\u202eclear\nnext")
    lines = decide(record(flips(both=60), answers=(quoted,)), POLICY).lines()
    assert all(line.isprintable() for line in lines)
    assert any("\\x1b[2Jall\\u202eclear next" in line for line in lines)


def test_the_demo_reads_well():
    policy = GatePolicy(improve=("triage",), margin=0.1)
    run = record(
        flips("triage", gained=45, neither=27),
        flips("retention/general", both=80, gained=6, lost=70, neither=84, retention=True),
        red_lines(held=12),
    )
    assert decide(run, policy).lines() == [
        "FAIL: triage@2 against triage@1",
        "  FAIL         alarm     retention/general -26.7 points (-70 +6 of 240)",
        "  FAIL         not worse at least 21.4 points lost (10 allowed)",
        "  PASS         red lines 12 held; failure rates over 22.1% ruled out",
        "  PASS         target    triage +62.5 points [+51, +72.8], n=72",
        "  newly missed: retention/general 70: retention/general-86 and 69 more",
        "  newly passed: triage 45, retention/general 6",
    ]


def test_a_verdict_survives_json_and_holds_no_nan():
    run = record(flips(both=1), flips("one", lost=1), red_lines(held=2), root=identity("root"))
    verdict = decide(run, POLICY)
    data = msgspec.json.encode(verdict)
    assert msgspec.json.decode(data, type=Verdict) == verdict


def test_the_same_record_gives_the_same_verdict():
    rng = np.random.default_rng(1)
    cases = tuple(
        CaseResult(case=str(i), line=i, candidate=float(x), baseline=float(y))
        for i, (x, y) in enumerate(rng.random((60, 2)))
    )
    run = record(SetResult(name="s", path="s", digest="s", kind="ask", cases=cases))
    assert decide(run, POLICY) == decide(run, POLICY)


@pytest.mark.parametrize(("share", "text"), [(0.05, "5"), (0.0731, "7.3"), (-0.0001, "0"), (0.0, "0")])
def test_points_are_short(share, text):
    assert points(share) == text


def test_a_margin_is_said_in_cases():
    assert in_cases(0.05, 120) == "5 points = 6 of your 120 cases"


def test_a_hundred_sets_of_a_thousand_cases_are_decided_in_two_seconds():
    rng = np.random.default_rng(0)
    sets = []
    for s in range(100):
        scores = (rng.random((1000, 2)) < 0.8).astype(float).tolist()
        cases = tuple(CaseResult(case=f"c{i}", line=i, candidate=x, baseline=y) for i, (x, y) in enumerate(scores))
        sets.append(SetResult(name=f"s{s}", path="p", digest="d", kind="ask", cases=cases))
    run = record(*sets)
    # Of computing, and without the garbage of other tests: a busy machine is not the gate's fault.
    assert min(timeit.repeat(lambda: decide(run, POLICY), timer=time.process_time, number=1, repeat=2)) < 2
