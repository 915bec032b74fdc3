"""The run record: the one artefact from which verdicts and reports are derived."""

from __future__ import annotations

from typing import Literal

import msgspec

from harness.answers import Status
from harness.config import GatePolicy
from harness.golden import Kind

Lane = Literal["rate", "red_line"]
Role = Literal["candidate", "baseline", "root"]

RECORD_VERSION = 1


class ModelIdentity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which weights answered, in which engine."""

    label: str
    reference: str
    digest: str
    base_digest: str
    adapter_digest: str | None
    engine: str
    dtype: str


class TestResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One test (function or data check) on one case. Scores are shares of passed samples in [0, 1]."""

    __test__ = False  # not a pytest class

    test: str
    lane: Lane
    candidate: float
    baseline: float | None = None
    root: float | None = None
    explanation: str = ""


class CaseResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One case of one set. A case passes a sample when all its tests do; scores are shares of passed samples.

    `answers[role]` are the store keys of the samples' texts, found in the texts file beside the record.
    `same_answer`: the candidate's and the baseline's texts are byte-identical. `cut_off`: the candidate's answers
    that ended at max_tokens.
    """

    case: str
    line: int
    candidate: float
    baseline: float | None = None
    root: float | None = None
    weight: float = 1.0
    tags: tuple[str, ...] = ()
    variant_of: str | None = None
    tests: tuple[TestResult, ...] = ()
    answers: dict[Role, tuple[str, ...]] = {}
    same_answer: bool | None = None
    same_answer_as_root: bool | None = None
    cut_off: int = 0


class Probe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A further measurement on a set's cases, aligned by `cases`.

    `role`: "alarm" raises the gate's alarm when the candidate is significantly worse; "advisory" is only shown.
    Values are per case in `unit`; None where a model could not be measured.
    """

    probe: str
    role: Literal["alarm", "advisory"]
    unit: str
    higher_is_better: bool
    cases: tuple[str, ...]
    candidate: tuple[float, ...]
    baseline: tuple[float, ...] | None = None
    root: tuple[float, ...] | None = None


class SetResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that was seen of one golden set. `cases` is empty for a set of prose, which only has probes.

    `unavailable` says what could not be measured and why ("target_nll: MODEL gives no token scores"): never passed,
    never guessed.
    """

    name: str
    path: str
    digest: str
    kind: Kind
    retention: bool = False
    cases: tuple[CaseResult, ...] = ()
    probes: tuple[Probe, ...] = ()
    unavailable: tuple[str, ...] = ()


class SuiteAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one whole-set or ordinary test of the suites said (`assert scores.better()`)."""

    test: str
    status: Status
    reason: str


class RunRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run, complete or partial. `partial` says why it can carry no verdict; None = complete.

    `errors` are infrastructure's (engine, crashed check): they make the run INVALID. `root` is the base with no
    adapter; None where candidate and base are the same weights. `phases` are seconds.
    """

    run_id: str
    created: str
    harness_version: str
    arguments: tuple[str, ...]
    candidate: ModelIdentity
    baseline: ModelIdentity | None
    root: ModelIdentity | None
    policy: GatePolicy
    policy_digest: str
    collection_digest: str
    sets: tuple[SetResult, ...]
    answers: tuple[SuiteAnswer, ...] = ()
    errors: tuple[SuiteAnswer, ...] = ()
    partial: str | None = None
    samples: int = 1
    phases: dict[str, float] = {}
    versions: dict[str, str] = {}
    texts_digest: str = ""
    version: int = RECORD_VERSION
