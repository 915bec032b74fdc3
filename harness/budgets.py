"""What the policy allows answers to take: tokens and seconds, as growth over the baseline's."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence

from harness.errors import unknown_name
from harness.measures.amounts import Amount, AmountName, amount_from
from harness.pairs import PairedSet
from harness.policy import Budget, GatePolicy
from harness.record import Probe, RunRecord, SetResult
from harness.verdict import Criterion


def budget_criteria(record: RunRecord, sets: Sequence[PairedSet], policy: GatePolicy) -> Iterator[Criterion]:
    """One answer for each amount that a budget limits, over all cases of the sets that it names."""
    for pattern, budget in policy.budgets.items():
        held = [one for one in sets if fnmatch.fnmatchcase(one.name, pattern)]
        if not held:
            if record.partial is None:
                known = unknown_name("set", pattern, [one.name for one in sets])
                yield _criterion("INVALID", pattern, f"the policy's budgets name a set that was not run: {known}")
            continue
        for name, share in _limits(budget):
            found = _amount(held, name, pattern).not_more(share)
            yield _criterion(found.status, pattern, found.reason, held[0].name if len(held) == 1 else None)


def _limits(budget: Budget) -> Iterator[tuple[AmountName, float]]:
    limits: tuple[tuple[AmountName, float | None], ...] = (
        ("output tokens", budget.output_tokens),
        ("prompt tokens", budget.prompt_tokens),
        ("seconds", budget.seconds),
    )
    for name, share in limits:
        if share is not None:
            yield name, share


def _amount(held: Sequence[PairedSet], name: AmountName, of: str) -> Amount:
    """The amount over every case of these sets."""
    candidate: list[float | None] = []
    baseline: list[float | None] = []
    clusters: list[str] = []
    loads: tuple[list[float], list[float]] = ([], [])
    for one in held:
        labels = _labels(one)
        clusters += [labels[case.case] for case in one.result.cases]
        values = _by_case(one.result, name)
        candidate += [values[0].get(case.case) for case in one.result.cases]
        baseline += [values[1].get(case.case) for case in one.result.cases]
        for side, found in zip(loads, _by_case(one.result, "asked together"), strict=True):
            side += found.values()
    return amount_from(name, of, candidate, baseline, clusters=tuple(clusters), loads=loads)


def _labels(one: PairedSet) -> dict[str, str]:
    """The question that each case asks, across sets; a red line without a rate stands for itself."""
    known = {} if one.clusters is None else dict(zip(one.ids, one.clusters, strict=True))
    return {case.case: known.get(case.case, f"{one.name}\0{case.case}") for case in one.result.cases}


def _by_case(result: SetResult, name: AmountName) -> tuple[dict[str, float], dict[str, float]]:
    probe: Probe | None = next((probe for probe in result.probes if probe.probe == name), None)
    if probe is None:
        return {}, {}
    theirs = probe.baseline or ()
    return dict(zip(probe.cases, probe.candidate, strict=True)), dict(zip(probe.cases, theirs, strict=bool(theirs)))


def _criterion(status: str, pattern: str, reason: str, of: str | None = None) -> Criterion:
    return Criterion(name="budget", status=status, summary=reason, reason=f"{reason}.", set=of)  # type: ignore[arg-type]
