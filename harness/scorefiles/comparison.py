"""From paired scores to the run record, the one artefact from which verdict and report follow."""

from __future__ import annotations

import hashlib

from harness.models import Response
from harness.policy import GatePolicy
from harness.record import CaseResult, ModelIdentity, Role, RunRecord, SetResult, TestResult
from harness.scorefiles.pairing import PairedScores, Pairing
from harness.scorefiles.text import digest_of
from harness.scorefiles.values import ScoredCase, ScoreFile


def comparison_record(
    candidate: ScoreFile,
    baseline: ScoreFile,
    pairing: Pairing,
    policy: GatePolicy,
    *,
    run_id: str,
    created: str,
    harness_version: str,
    arguments: tuple[str, ...],
) -> tuple[RunRecord, dict[str, Response]]:
    """The record and the texts that it refers to. Its models are known by what they scored: their digests are the
    files', so no version in a registry can be promoted on it."""
    texts: dict[str, Response] = {}
    sets = tuple(_set_result(one, texts) for one in pairing.sets)
    asked = sorted(f"{one.name}\0{case.case}" for one in sets for case in one.cases)
    record = RunRecord(
        run_id=run_id,
        created=created,
        harness_version=harness_version,
        arguments=arguments,
        candidate=_identity(candidate, baseline),
        baseline=_identity(baseline, candidate),
        root=None,
        policy=policy,
        policy_digest=policy.digest,
        collection_digest=hashlib.sha256("\n".join(asked).encode()).hexdigest(),
        sets=sets,
        samples=max(one.candidate.samples for one in pairing.sets),
        source="scores",
        notes=pairing.notes,
    )
    return record, texts


def _identity(of: ScoreFile, other: ScoreFile) -> ModelIdentity:
    return ModelIdentity(
        label=of.label if of.label != other.label else of.path,
        reference=of.path,
        digest=of.digest,
        base_digest="",
        adapter_digest=None,
        engine=of.tool,
        dtype="",
    )


def _set_result(of: PairedScores, texts: dict[str, Response]) -> SetResult:
    return SetResult(
        name=of.name,
        path=of.candidate.path,
        digest=digest_of([(case.id, case.document) for case, _ in of.pairs]),
        kind="ask",
        cases=tuple(_case_result(of, ours, theirs, texts) for ours, theirs in of.pairs),
    )


def _case_result(of: PairedScores, ours: ScoredCase, theirs: ScoredCase, texts: dict[str, Response]) -> CaseResult:
    answers: dict[Role, tuple[str, ...]] = {
        "candidate": _keep(f"candidate:{of.name}:{ours.id}", ours, texts),
        "baseline": _keep(f"baseline:{of.name}:{ours.id}", theirs, texts),
    }
    for what, text in (("prompt", ours.prompt or theirs.prompt), ("target", ours.target or theirs.target)):
        if text is not None:
            texts[f"{what}:{of.name}:{ours.id}"] = Response(text=_writable(text))
    known = None not in ours.answers and None not in theirs.answers
    cluster = ours.cluster or theirs.cluster
    return CaseResult(
        case=ours.id,
        line=ours.line,
        candidate=ours.share,
        baseline=theirs.share,
        variant_of=None if cluster is None else f"cluster {cluster}",
        tests=(
            TestResult(
                test=of.candidate.metric,
                lane="rate",
                candidate=ours.share,
                baseline=theirs.share,
                explanation="" if ours.share >= 1 else f"{_told(ours)}; the baseline's: {_told(theirs)}",
            ),
        ),
        answers={role: keys for role, keys in answers.items() if keys},
        same_answer=ours.answers == theirs.answers if known else None,
    )


def _keep(key: str, case: ScoredCase, texts: dict[str, Response]) -> tuple[str, ...]:
    """Store keys of the answers that the file holds."""
    keys = []
    for i, answer in enumerate(case.answers):
        if answer is not None:
            texts[f"{key}:{i}"] = Response(text=_writable(answer))
            keys.append(f"{key}:{i}")
    return tuple(keys)


def _writable(text: str) -> str:
    """Half a surrogate pair, which JSON can escape and UTF-8 cannot hold, becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _told(case: ScoredCase) -> str:
    """The scores as their tool gave them."""
    return ", ".join(f"{score:g}" for score in case.scores)
