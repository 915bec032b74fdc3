"""What answers take: told per case, compared in suites and by the policy."""

from __future__ import annotations

import msgspec
import pytest

from harness.answers import Status
from harness.config import parse_config
from harness.errors import ConfigError
from harness.gate import decide
from harness.golden import GoldenCase
from harness.measures import CaseAnswers, SetAnswers
from harness.measures.amounts import set_amount
from harness.models import Response, Timing
from harness.policy import Budget, GatePolicy
from harness.record import CaseResult, ModelIdentity, Probe, RunRecord, SetResult

N = 40


def answer(tokens: int, *, seconds: float | None = None, together: int = 1) -> Response:
    timing = None if seconds is None else Timing(seconds=seconds, together=together)
    return Response(text="x" * tokens, prompt_tokens=20, completion_tokens=tokens, timing=timing)


def asked(candidate: list[Response], baseline: list[Response]) -> SetAnswers:
    pairs = zip(candidate, baseline or [None] * len(candidate), strict=True)
    return SetAnswers(
        golden_set="triage",
        margin=0.05,
        cases=tuple(
            CaseAnswers(
                case=GoldenCase(id=f"case-{i:02}x", input="?"), candidate=(a,), baseline=() if b is None else (b,)
            )
            for i, (a, b) in enumerate(pairs)
        ),
    )


def lengths(factor: float) -> list[Response]:
    return [answer(round(factor * (20 + i % 7))) for i in range(N)]


@pytest.mark.parametrize(("factor", "status"), [(1.0, "PASS"), (1.1, "PASS"), (2.0, "FAIL")])
def test_growth_within_the_share_passes_and_more_fails(factor: float, status: Status) -> None:
    assert set_amount(asked(lengths(factor), lengths(1.0)), "output tokens").not_more(0.2).status == status


def test_growth_near_the_share_is_neither() -> None:
    noisy = [answer(24 + (i * 37) % 19 - 9) for i in range(N)]
    plain = [answer(20 + (i * 11) % 9 - 4) for i in range(N)]
    found = set_amount(asked(noisy, plain), "output tokens").not_more(0.2)
    assert found.status == "INCONCLUSIVE"
    assert "is ruled out (+20% allowed)" in found.reason


def test_what_nobody_told_is_invalid_and_never_zero() -> None:
    silent = [Response(text="x")] * N
    for candidate, baseline, whose in ((silent, lengths(1), "candidate"), (lengths(1), silent, "baseline")):
        found = set_amount(asked(candidate, baseline), "output tokens").not_more(0.2)
        assert found.status == "INVALID"
        assert f"not told for {N} of {N} answers of the {whose}" in found.reason


def test_an_empty_answer_has_no_tokens_and_that_is_told() -> None:
    empty = [answer(0) for _ in range(N)]
    amount = set_amount(asked(empty, lengths(1)), "output tokens")
    assert amount.candidate == (0.0,) * N
    assert amount.not_more(0.2).status == "PASS"


def test_without_a_baseline_only_a_bar_can_be_asked() -> None:
    amount = set_amount(asked(lengths(1), []), "output tokens")
    assert amount.not_more(0.2).status == "INVALID"
    assert (amount.at_most(30).status, amount.at_most(20).status) == ("PASS", "FAIL")


def test_seconds_under_another_load_are_not_compared() -> None:
    alone = [answer(9, seconds=1 + i / 100) for i in range(N)]
    crowd = [answer(9, seconds=2 + i / 100, together=32) for i in range(N)]
    assert set_amount(asked(alone, alone), "seconds").not_more(0.1).status == "PASS"
    found = set_amount(asked(crowd, alone), "seconds").not_more(5)
    assert found.status == "INVALID"
    assert "asked 32 at once, the baseline 1: not the same load" in found.reason


@pytest.mark.parametrize("share", [-0.1, float("inf"), float("nan")])
def test_a_share_that_means_nothing_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="give the growth that is allowed"):
        set_amount(asked(lengths(1), lengths(1)), "output tokens").not_more(share)


def record(candidate: list[float], baseline: list[float] | None, *, sets: tuple[str, ...] = ("triage",)) -> RunRecord:
    def model(name: str) -> ModelIdentity:
        return ModelIdentity(
            label=name,
            reference=name,
            digest=name,
            base_digest=name,
            adapter_digest=None,
            engine="scripted",
            dtype="none",
        )

    names = tuple(f"case-{i:02}x" for i in range(len(candidate)))
    probe = Probe(
        probe="output tokens",
        role="advisory",
        unit="tokens",
        higher_is_better=False,
        cases=names,
        candidate=tuple(candidate),
        baseline=None if baseline is None else tuple(baseline),
    )
    cases = tuple(CaseResult(case=name, line=1, candidate=1.0, baseline=1.0, same_answer=True) for name in names)
    return RunRecord(
        run_id="r",
        created="2026-01-01T00:00:00+00:00",
        harness_version="0",
        arguments=(),
        candidate=model("new"),
        baseline=model("old"),
        root=None,
        policy=GatePolicy(),
        policy_digest="",
        collection_digest="",
        sets=tuple(
            SetResult(name=name, path=name, digest=name, kind="ask", cases=cases, probes=(probe,)) for name in sets
        ),
    )


def with_budget(**limits: float) -> GatePolicy:
    return GatePolicy(budgets={"triage*": Budget(**limits)})


OLD = [20.0 + i % 7 for i in range(N)]


@pytest.mark.parametrize(("factor", "status"), [(1.05, "PASS"), (1.5, "FAIL")])
def test_a_budget_of_the_policy_decides_with_the_rest(factor: float, status: Status) -> None:
    run = record([factor * value for value in OLD], OLD)
    verdict = decide(run, with_budget(output_tokens=0.2))
    assert verdict.status == status
    found = next(c for c in verdict.criteria if c.name == "budget")
    assert (found.status, found.set) == (status, "triage")
    assert decide(run, GatePolicy()).status == "PASS"


def test_a_budget_takes_all_its_sets_together() -> None:
    run = record([1.05 * value for value in OLD], OLD, sets=("triage", "triage_reworded"))
    found = [c for c in decide(run, with_budget(output_tokens=0.2)).criteria if c.name == "budget"]
    assert len(found) == 1
    assert found[0].reason.startswith("triage* output tokens")


def test_a_budget_on_what_was_not_told_or_not_run_is_invalid() -> None:
    run = record(OLD, None)
    assert decide(run, with_budget(output_tokens=0.2)).status == "INVALID"
    assert decide(run, with_budget(seconds=0.2)).status == "INVALID"
    verdict = decide(record(OLD, OLD), GatePolicy(budgets={"triag": Budget(seconds=1)}))
    assert "did you mean 'triage'?" in verdict.reasons()[0]


def test_a_policy_without_budgets_keeps_its_digest() -> None:
    plain = GatePolicy()
    assert msgspec.structs.replace(plain, budgets={}).digest == plain.digest
    assert with_budget(seconds=0.5).digest != plain.digest


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        ({"output_token": 0.2}, "did you mean 'output_tokens'?"),
        ({}, "a budget limits something"),
        ({"seconds": -1}, "a budget is the growth that is allowed"),
    ],
)
def test_a_budget_that_means_nothing_is_told_so(budget: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config({"gate": {"budgets": {"triage": budget}}}, where="pyproject.toml")
    assert words in str(caught.value)
