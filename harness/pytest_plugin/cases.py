"""From the outcomes of a case's tests to its line in the record."""

from __future__ import annotations

from collections.abc import Sequence

from harness.golden import GoldenSet
from harness.pytest_plugin.lanes import CaseOutcome
from harness.record import CaseResult, Role, SetResult, TestResult


def case_result(golden: GoldenSet, index: int, tests: dict[str, CaseOutcome]) -> CaseResult:
    case = golden.cases[index]
    outcomes = list(tests.values())
    longest = max(outcomes, key=lambda o: len(o.keys))
    answers: dict[Role, tuple[str, ...]] = {"candidate": tuple(longest.keys)}
    if longest.baseline_keys:
        answers["baseline"] = tuple(longest.baseline_keys)
    baselines = [o.baseline for o in outcomes if o.baseline is not None]
    return CaseResult(
        case=case.id,
        line=golden.lines[index],
        candidate=_all_pass([o.candidate for o in outcomes]),
        baseline=_all_pass(baselines) if len(baselines) == len(outcomes) else None,
        weight=case.weight,
        tags=case.tags,
        variant_of=case.variant_of,
        tests=tuple(
            TestResult(
                test=o.test,
                lane=o.lane,
                candidate=_mean(o.candidate),
                baseline=None if o.baseline is None else _mean(o.baseline),
                explanation=o.explanation,
                # Counted and shown, not broken.
                unstable=o.status == "unstable",
            )
            for o in sorted(outcomes, key=lambda o: o.test)
        ),
        answers=answers,
        same_answer=longest.same,
        cut_off=max(o.cut_off for o in outcomes),
        samples=len(_columns([o.candidate for o in outcomes])),
    )


def _all_pass(samples: list[tuple[int, ...]]) -> float:
    """Share of samples in which every test passed; tests that judge all samples at once hold for each."""
    return _mean([int(all(column)) for column in _columns(samples)])


def _columns(samples: list[tuple[int, ...]]) -> list[list[int]]:
    """By sample, what each test said of it."""
    width = max(len(s) for s in samples)
    return [[s[i] if len(s) > 1 else s[0] for s in samples] for i in range(width) if _in_all(samples, i)]


def _in_all(samples: list[tuple[int, ...]], index: int) -> bool:
    # A red line may have more samples than the rate tests of its case; only shared ones make a case's share.
    return all(len(s) == 1 or index < len(s) for s in samples)


def _mean(values: Sequence[int]) -> float:
    return sum(values) / len(values)


def beyond(seen: dict[str, dict[str, CaseOutcome]], measured: SetResult | None) -> dict[str, dict[str, CaseOutcome]]:
    """The outcomes that the retention probes have not recorded already: a check counts once per case."""
    known = set() if measured is None else {(c.case, t.test) for c in measured.cases for t in c.tests}
    kept = {case: {n: o for n, o in tests.items() if (case, n) not in known} for case, tests in seen.items()}
    return {case: tests for case, tests in kept.items() if tests}
