"""What a run was, at the foot of its page: its models, its phases, its settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.record import ModelIdentity, Role, RunRecord
from harness.report.numbers import duration, percent
from harness.report.visible import visible
from harness.report.words import Words
from harness.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Model:
    """One of the run's models. `digest` is shortened; `details` are (name, whole value)."""

    role: Role
    label: str
    digest: str
    details: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the run, and its share of the longest in percent."""

    name: str
    seconds: str
    width: float


def models_of(record: RunRecord, words: Words) -> tuple[Model, ...]:
    """Candidate, baseline, and the root base where it is another than the baseline."""
    found: dict[Role, ModelIdentity] = {"candidate": record.candidate}
    if record.baseline is not None:
        found["baseline"] = record.baseline
    if record.root is not None and root_apart(record):
        found["root"] = record.root
    return tuple(_model(role, identity, record.source, words) for role, identity in found.items())


def root_apart(record: RunRecord) -> bool:
    """Was the root base asked, and is it another model than the baseline?"""
    return record.root is not None and (record.baseline is None or record.root.digest != record.baseline.digest)


def _model(role: Role, identity: ModelIdentity, source: str, words: Words) -> Model:
    scores = {"scores": identity.reference, "digest": identity.digest, "scored by": identity.engine}
    weights = {
        "reference": identity.reference,
        "weights": identity.digest,
        "base": identity.base_digest,
        "adapter": identity.adapter_digest or "none",
        **({} if identity.prompting_digest is None else {"asked through a YAML": identity.prompting_digest}),
        "engine": identity.engine,
        "dtype": identity.dtype,
    }
    return Model(
        role=role,
        label=visible(identity.label),
        digest=visible(identity.digest[:12]),
        details=tuple(
            (words(name), visible(value)) for name, value in (scores if source == "scores" else weights).items()
        ),
    )


def phases_of(seconds: Mapping[str, float], words: Words) -> tuple[Phase, ...]:
    """The parts of the run and how long each took, from seconds by name."""
    longest = max(seconds.values(), default=0.0)
    return tuple(
        Phase(
            name=visible(words(name)), seconds=duration(took), width=round(100 * took / longest, 1) if longest else 0.0
        )
        for name, took in seconds.items()
    )


def facts_of(record: RunRecord, verdict: Verdict, words: Words) -> tuple[tuple[str, str], ...]:
    """(name, value) of the settings, digests and versions that made the run and its verdict; none without a value."""
    policy = record.policy
    usage = record.usage.items()
    facts = {
        words("samples per case"): f"{record.samples}",
        words("thinking text"): words("stripped before checks") if record.thinking == "strip" else "",
        words("margin"): words(
            "{points} points; alarms at {alpha}", points=f"{100 * policy.margin:g}", alpha=f"{policy.alpha:g}"
        ),
        **({words("targets"): ", ".join(policy.improve)} if policy.improve else {}),
        words("policy digest"): verdict.policy_digest,
        words("policy digest, as the run wrote it"): record.policy_digest
        if verdict.policy_digest != record.policy_digest
        else "",
        words("collection digest"): record.collection_digest,
        words("texts digest"): record.texts_digest,
        **{words(name): f"{amount:,.6g}" if name == "cost" else f"{amount:,.0f}" for name, amount in usage},
        "finetune-harness": record.harness_version,
        **record.versions,
    }
    for name, bar in policy.margins.items():
        facts[words("margin of {set}", set=name)] = words("{points} points", points=f"{100 * bar:g}")
    for name, least in policy.floors.items():
        facts[words("floor of {set}", set=name)] = percent(least)
    return tuple((visible(name), visible(value)) for name, value in facts.items() if value)
