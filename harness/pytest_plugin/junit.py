"""What JUnit's file says of a run beside its test cases: the verdict, who was compared, by which digests."""

from __future__ import annotations

import pytest
from _pytest.junitxml import xml_key

from harness.pytest_plugin.lanes import CaseOutcome
from harness.record import RunRecord
from harness.verdict import Verdict


def add_suite_properties(config: pytest.Config, record: RunRecord, verdict: Verdict) -> None:
    """Properties of the test suite, where `--junitxml` was given. A partial run has no verdict, and says why."""
    xml = config.stash.get(xml_key, None)
    if xml is None:
        return
    told = {
        "verdict": "none" if record.partial is not None else verdict.status,
        "partial": record.partial,
        "run": record.run_id,
        "candidate": record.candidate.label,
        "candidate.digest": record.candidate.digest,
        "baseline": None if record.baseline is None else record.baseline.label,
        "baseline.digest": None if record.baseline is None else record.baseline.digest,
        "policy.digest": verdict.policy_digest,
        "collection.digest": record.collection_digest,
        "texts.digest": record.texts_digest,
    }
    told |= {f"set.{one.name}.digest": one.digest for one in record.sets}
    for name, value in told.items():
        if value is not None:
            xml.add_global_property(f"harness.{name}", value)


def case_properties(outcome: CaseOutcome) -> list[tuple[str, object]]:
    """Properties of one test on one case: builtins only, for they travel from workers; no texts."""
    properties: list[tuple[str, object]] = [
        ("harness.set", outcome.set),
        ("harness.case", outcome.case),
        ("harness.lane", outcome.lane),
        ("harness.outcome", outcome.status),
        ("harness.candidate", _share(outcome.candidate)),
    ]
    if outcome.baseline is not None:
        properties.append(("harness.baseline", _share(outcome.baseline)))
    return properties


def _share(samples: tuple[int, ...]) -> float:
    return sum(samples) / len(samples)
