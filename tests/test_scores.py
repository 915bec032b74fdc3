from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_gate import record as run

from harness.errors import ConfigError, Inconclusive, Invalid
from harness.gate import decide
from harness.generation import Answers, GenerationStats, case_requests
from harness.golden import GoldenCase, GoldenSet
from harness.models import Response, Sampling
from harness.models.refs import ModelRef
from harness.policy import GatePolicy
from harness.record import CaseResult, Role, SetResult
from harness.scores import Scores, score_set
from harness.store import response_key


def scores(candidate: list[float], baseline: list[float] | None, **fields: Any) -> Scores:
    names = tuple(f"q{i}" for i in range(len(candidate)))
    settings: dict[str, Any] = {"margin": 0.05, "clusters": names} | fields
    return Scores(
        golden_set="triage",
        cases=names,
        candidate=tuple(candidate),
        baseline=None if baseline is None else tuple(baseline),
        **settings,
    )


def test_not_worse_passes_when_the_margin_is_ruled_out() -> None:
    answer = scores([1.0] * 150, [1.0] * 149 + [0.0]).not_worse()
    assert answer.status == "PASS"
    assert answer.reason.startswith("triage 149 -> 150 of 150 (0 worse, 1 better): a drop of 5 points (7.5 of 150")


def test_not_worse_fails_on_a_significant_drop_and_counts_the_cases() -> None:
    answer = scores([0.0] * 30 + [1.0] * 70, [1.0] * 100).not_worse()
    assert answer.status == "FAIL"
    assert "triage 100 -> 70 of 100 (30 worse, 0 better): worse: −30.0 points" in answer.reason
    assert not answer


def test_not_worse_cannot_tell_from_few_cases_and_says_how_many_would_do() -> None:
    answer = scores([1.0, 0.0, 1.0, 1.0] * 5, [1.0, 1.0, 1.0, 0.0] * 5).not_worse()
    assert answer.status == "INCONCLUSIVE"
    assert "more cases would settle it" in answer.reason
    with pytest.raises(Inconclusive):
        bool(answer)


def test_a_margin_given_in_the_test_overrides_the_policys() -> None:
    few = scores([1.0] * 54 + [0.0] * 6, [1.0] * 60)
    assert few.not_worse(0.01).status == "FAIL"
    assert few.not_worse(0.3).status == "PASS"


@pytest.mark.parametrize(("lost", "margin"), [(3, 0.01), (6, 0.05), (12, 0.05), (0, 0.05), (0, 0.01), (30, 0.3)])
def test_not_worse_answers_as_the_gate_does_for_a_set_with_its_own_bar(lost: int, margin: float) -> None:
    pairs = [(0.0, 1.0)] * lost + [(1.0, 1.0)] * (60 - lost)
    cases = tuple(CaseResult(case=f"q{i}", line=1, candidate=x, baseline=y) for i, (x, y) in enumerate(pairs))
    one = SetResult(name="triage", path="p", digest="d", kind="ask", cases=cases)
    verdict = decide(run(one), GatePolicy(margins={"triage": margin}))
    (bar,) = [criterion for criterion in verdict.criteria if criterion.name == "own bar"]
    asked = scores([x for x, _ in pairs], [y for _, y in pairs], margin=margin)
    assert asked.not_worse().status == bar.status


def test_weights_count_in_rates_and_comparisons() -> None:
    heavy = scores([0.0, 1.0, 1.0], [1.0, 1.0, 1.0], weights=(2.0, 1.0, 1.0))
    assert heavy.rate == 0.5
    assert heavy.compare().difference == -0.5
    assert not heavy.at_least(0.6)


def test_same_answers_are_equal_by_definition() -> None:
    answer = scores([0.0, 1.0], [0.0, 1.0], same_answers=True).not_worse()
    assert answer.status == "PASS"
    assert answer.reason.endswith("same answers")
    assert scores([0.0, 1.0], [0.0, 1.0], same_answers=True).better().status == "FAIL"


def test_better_needs_the_whole_interval_above_zero() -> None:
    assert scores([1.0] * 20 + [0.0] * 20, [0.0] * 40).better().status == "PASS"
    assert scores([1.0] * 2 + [0.0] * 38, [0.0] * 40).better().status == "INCONCLUSIVE"
    assert scores([0.0] * 40, [1.0] * 10 + [0.0] * 30).better().status == "FAIL"


def test_no_baseline_and_the_same_weights_are_invalid() -> None:
    for answer in (scores([1.0], None).not_worse(), scores([1.0], None).better()):
        assert "--baseline" in answer.reason
        with pytest.raises(Invalid):
            bool(answer)
    assert scores([1.0], [1.0], incomparable="same weights").not_worse().status == "INVALID"


def test_at_least_compares_the_rate_and_needs_no_baseline() -> None:
    most = scores([1.0] * 19 + [0.0], None)
    assert most.at_least(0.95)
    assert not most.at_least(0.96)
    assert "19 of 20 pass (95.0%" in most.at_least(0.96).reason
    with pytest.raises(ConfigError, match=r"0\.95"):
        most.at_least(95)


def test_rewordings_of_one_question_are_one_cluster() -> None:
    """Ten rewordings that all flip together are one observation, not ten."""
    better, before = [1.0] * 50, [0.0] * 10 + [1.0] * 40
    alone = scores(better, before).compare(0.05)
    together = scores(better, before, clusters=("one",) * 10 + tuple(f"q{i}" for i in range(40))).compare(0.05)
    assert together.n_clusters == 41
    assert together.interval.low < alone.interval.low


def test_the_repr_is_one_line() -> None:
    assert repr(scores([1.0, 0.0], [0.0, 0.0])) == "Scores(triage: 50.0% of 2 cases, baseline 0.0%)"


# score_set


def ref(name: str) -> ModelRef:
    return ModelRef(text=name, label=name, engine="hf", base=name, base_digest=name * 8)


def measured(
    cases: tuple[GoldenCase, ...],
    says: dict[tuple[str, str, int], str],
    *,
    samples: int = 1,
    roles: tuple[Role, ...] = ("candidate", "baseline"),
    policy: GatePolicy | None = None,
) -> Scores:
    sampling = Sampling(temperature=0.7 if samples > 1 else 0.0)
    golden_set = GoldenSet(
        name="triage",
        path=Path("golden_sets/triage.jsonl"),
        kind="ask",
        digest="d",
        cases=cases,
        lines=(1,) * len(cases),
    )
    refs: dict[Role, ModelRef] = {role: ref(role) for role in roles}
    responses = {
        response_key(model, request): Response(text=says.get((role, case.id, request.sample), ""))
        for role, model in refs.items()
        for case in cases
        for request in case_requests(case, sampling, samples)
    }
    stats = GenerationStats(generated=0, scored=0, reused=0, loaded=(), seconds={})
    return score_set(
        golden_set,
        Answers(responses, {}, stats),
        refs,
        sampling=sampling,
        samples=samples,
        policy=policy or GatePolicy(),
    )


def test_a_case_scores_the_share_of_samples_that_pass_all_of_its_checks() -> None:
    case = GoldenCase(id="a", input="?", checks=({"includes": "yes"}, {"max_words": 2}))
    found = measured(
        (case,),
        {
            ("candidate", "a", 0): "yes",
            ("candidate", "a", 1): "yes but far too long",
            ("candidate", "a", 2): "no",
            ("candidate", "a", 3): "oh yes",
            ("baseline", "a", 0): "yes",
        },
        samples=4,
    )
    assert found.candidate == (0.5,)
    assert found.baseline == (0.25,)
    assert not found.same_answers


def test_cases_without_checks_are_left_out_and_a_set_of_them_is_an_error() -> None:
    checked = GoldenCase(id="a", input="?", checks=("valid_json",))
    unchecked = GoldenCase(id="b", input="?")
    assert measured((checked, unchecked), {}).cases == ("a",)
    with pytest.raises(ConfigError, match=r"golden_sets/triage.jsonl: no case has checks"):
        measured((unchecked,), {})


def test_equal_texts_are_noticed_and_the_sets_own_margin_is_used() -> None:
    case = GoldenCase(id="a", input="?", checks=("valid_json",), variant_of="original")
    says = {("candidate", "a", 0): "{}", ("baseline", "a", 0): "{}"}
    found = measured((case,), says, policy=GatePolicy(margins={"tri*": 0.2}))
    assert found.same_answers
    assert found.margin == 0.2
    assert found.clusters == ("original",)


def test_without_a_baseline_only_the_candidate_is_scored() -> None:
    found = measured((GoldenCase(id="a", input="?", checks=("valid_json",)),), {}, roles=("candidate",))
    assert found.baseline is None
    assert not found.same_answers
    assert found.not_worse().status == "INVALID"
