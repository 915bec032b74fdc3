"""Two files of answers, or a file of recorded judgements, as a run record like any other."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from harness.errors import JudgeError
from harness.judges.answers import AnswerFile, pair_answers
from harness.judges.asking import judge_pairs
from harness.judges.cards import unfit_because
from harness.judges.early import FEWEST, judge_until_decided
from harness.judges.judgement import JudgeCard, JudgedSet, Judgement
from harness.judges.prompts import Pair
from harness.judges.refs import JudgeRef
from harness.judges.replay import read_recorded
from harness.judges.summary import summarise
from harness.models import Response
from harness.policy import GatePolicy
from harness.record import ModelIdentity, RunRecord
from harness.store import Store


class JudgedFiles(msgspec.Struct, frozen=True, kw_only=True):
    """What was judged, of whom, and the pairs' texts."""

    judged: JudgedSet
    candidate: ModelIdentity
    baseline: ModelIdentity
    pairs: tuple[Pair, ...] = ()
    asked: tuple[str, ...] = ()
    usage: dict[str, float] = {}


def judge_files(
    judge: JudgeRef,
    card: JudgeCard | None,
    candidate: AnswerFile,
    baseline: AnswerFile,
    store: Store,
    *,
    margin: float | None = None,
    everything: bool = False,
    seed: int = 0,
    max_cost: float | None = None,
) -> JudgedFiles:
    """Judge the pairs of two files: which is preferred, or with a `margin` whether the candidate is not worse.

    From 300 pairs on judging stops once a preference is proven, unless a `margin` is asked for or `everything`.
    """
    pairs = pair_answers(candidate, baseline)
    one = _judged_set(judge, card, candidate, baseline, margin)
    if margin is None and not everything and len(pairs) >= FEWEST and judge.kind != "reference":
        early = judge_until_decided(judge, pairs, store, seed=seed, max_cost=max_cost)
        one = msgspec.structs.replace(
            one,
            sequence=early.sequence,
            seed=seed,
            calls_saved=early.saved,
            cost_saved=early.cost_saved,
        )
        judgements, calls, cost, seconds, asked = (
            early.judgements, early.calls, early.cost, early.seconds, early.asked,
        )  # fmt: skip
    else:
        all_ = judge_pairs(judge, pairs, store, max_cost=max_cost)
        judgements, calls, cost, seconds, asked = all_.judgements, all_.calls, all_.cost, all_.seconds, all_.asked
    usage = {"judge_calls": float(calls), "judge_seconds": seconds} if calls else {}
    return JudgedFiles(
        judged=msgspec.structs.replace(
            one,
            judgements=judgements,
            unfit=unfit_because(judge, card, summarise(judgements)),
            total=len(pairs),
            calls=calls,
            cost=cost,
        ),
        candidate=_identity(candidate.label if candidate.label != baseline.label else candidate.path, candidate),
        baseline=_identity(baseline.label if candidate.label != baseline.label else baseline.path, baseline),
        pairs=tuple(pairs),
        asked=asked,
        usage=usage if cost is None else {**usage, "judge_cost": cost},
    )


def judge_recorded(judge: JudgeRef, card: JudgeCard | None, *, margin: float | None = None) -> JudgedFiles:
    """The judgements of a replayed file by themselves, without the answers. Raises JudgeError for any other judge."""
    if judge.kind != "replay":
        raise JudgeError(f"{judge.name} must see the answers: name both files, the candidate's and the baseline's.")
    recorded = read_recorded(judge.file, judge.digest)
    judgements: tuple[Judgement, ...] = tuple(recorded.judgements.values())
    names = (recorded.candidate or "candidate", recorded.baseline or "baseline")
    candidate, baseline = (
        ModelIdentity(
            label=name,
            reference=judge.name,
            digest=hashlib.sha256(f"{judge.file_digest} {role}".encode()).hexdigest(),
            base_digest="",
            adapter_digest=None,
            engine="file",
            dtype="",
        )
        for role, name in zip(("candidate", "baseline"), names, strict=True)
    )
    judged = JudgedSet(
        set="recorded",
        path=Path(judge.file).name,
        digest=judge.file_digest,
        judge=judge.identity,
        judgements=judgements,
        card=card,
        unfit=unfit_because(judge, card, summarise(judgements)),
        criterion="better" if margin is None else "not worse",
        margin=0.05 if margin is None else margin,
        total=len(judgements),
    )
    return JudgedFiles(judged=judged, candidate=candidate, baseline=baseline)


def judged_record(
    files: JudgedFiles,
    policy: GatePolicy,
    *,
    run_id: str,
    created: str,
    harness_version: str,
    arguments: tuple[str, ...],
) -> tuple[RunRecord, dict[str, Response]]:
    """The record of such a run, and the texts it refers to. The project's sets and suites play no part in it."""
    policy = msgspec.structs.replace(policy, suites=(), improve=(), margins={}, floors={}, groups={}, waivers=())
    judged = files.judged
    texts: dict[str, Response] = {}
    seen = {j.case for j in judged.judgements}
    for pair in files.pairs:
        if pair.case in seen and pair.answers is not None:
            texts[f"prompt:{judged.set}:{pair.case}"] = Response(text=_writable(pair.question))
            texts[pair.answers[0]] = Response(text=_writable(pair.candidate))
            texts[pair.answers[1]] = Response(text=_writable(pair.baseline))
            if pair.reference:
                texts[f"target:{judged.set}:{pair.case}"] = Response(text=_writable(pair.reference))
    record = RunRecord(
        run_id=run_id,
        created=created,
        harness_version=harness_version,
        arguments=arguments,
        candidate=files.candidate,
        baseline=files.baseline,
        root=None,
        policy=policy,
        policy_digest=policy.digest,
        collection_digest=judged.digest,
        sets=(),
        judged=(judged,),
        usage=files.usage,
        source="judged",
        asked=files.asked,
    )
    return record, texts


def _judged_set(
    judge: JudgeRef, card: JudgeCard | None, candidate: AnswerFile, baseline: AnswerFile, margin: float | None
) -> JudgedSet:
    return JudgedSet(
        set="answers",
        path=candidate.path,
        digest=hashlib.sha256(f"{candidate.digest} {baseline.digest}".encode()).hexdigest(),
        judge=judge.identity,
        judgements=(),
        card=card,
        criterion="better" if margin is None else "not worse",
        margin=0.05 if margin is None else margin,
    )


def _identity(label: str, of: AnswerFile) -> ModelIdentity:
    return ModelIdentity(
        label=label,
        reference=of.path,
        digest=of.digest,
        base_digest="",
        adapter_digest=None,
        engine="file",
        dtype="",
    )


def _writable(text: str) -> str:
    """Half a surrogate pair, which JSON can escape and UTF-8 cannot hold, becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")
