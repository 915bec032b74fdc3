"""Who plays which part in a run: candidate, baseline and root base, resolved once in the controller."""

from __future__ import annotations

import msgspec

from harness.config import Project
from harness.errors import ConfigError
from harness.models.refs import VLLM, ModelRef
from harness.naming import local_models
from harness.noise import Variant, once_more
from harness.pytest_plugin.stored import StoredNames
from harness.record import Role
from harness.registry import Registry


class ModelRefs(msgspec.Struct, frozen=True, kw_only=True):
    """The roles of a run, resolved once in the controller. `root` is the candidate's base with no adapter."""

    candidate: ModelRef
    baseline: ModelRef | None
    root: ModelRef | None

    def roles(self) -> dict[Role, ModelRef]:
        """The roles that are filled."""
        roles: dict[Role, ModelRef] = {"candidate": self.candidate}
        if self.baseline is not None:
            roles["baseline"] = self.baseline
        if self.root is not None:
            roles["root"] = self.root
        return roles


def resolve_refs(
    project: Project,
    model: str,
    baseline: str | None,
    device: str | None,
    dtype: str | None,
    *,
    store_only: bool = False,
) -> ModelRefs:
    """Who is judged against whom. The baseline defaults to the alias `baseline`, else to the candidate's base.

    With `store_only`, models whose weights are not here are those of the store; one of an imported run is compared
    with whom that run compared it with.
    """
    registry = Registry(project.registry)
    stored = StoredNames(project.store, dtype or project.config.dtype) if store_only else None
    local = local_models(project, device, dtype)

    def one(text: str) -> ModelRef:
        return local(text) if stored is None else stored.resolve(text, local)

    candidate = one(model)
    root = None if candidate.is_root else candidate.root
    if baseline is not None:
        return ModelRefs(candidate=candidate, baseline=one(baseline), root=root)
    travelled = stored.baseline_of(candidate) if stored is not None else None
    if travelled is not None:
        return ModelRefs(candidate=candidate, baseline=travelled, root=root)
    if registry.alias("baseline") is not None:
        # By the same engine: another one is another instrument.
        name = f"{VLLM}:baseline" if candidate.engine == VLLM else "baseline"
        return ModelRefs(candidate=candidate, baseline=one(name), root=root)
    return ModelRefs(candidate=candidate, baseline=root, root=root)


def against_itself(refs: ModelRefs, variant: Variant) -> ModelRefs:
    """The baseline in both roles, the second time asked once more."""
    if refs.baseline is None:
        raise ConfigError(f"--aa={variant}: there is no baseline to ask again. Name one with --baseline.")
    return ModelRefs(candidate=once_more(refs.baseline, variant), baseline=refs.baseline, root=None)
