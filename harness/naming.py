"""What the names of models and judges mean in a project."""

from __future__ import annotations

from collections.abc import Callable

from harness.config import Project
from harness.judges.refs import JudgeRef, resolve_judge
from harness.models.refs import ModelRef
from harness.models.resolution import Surroundings, resolve
from harness.registry import Registry


def local_models(project: Project, device: str | None, dtype: str | None) -> Callable[[str], ModelRef]:
    """What a model's name means in this project. `device` and `dtype` go before the project's own."""
    registry, config = Registry(project.registry), project.config
    here = Surroundings(
        root=project.root,
        lookup=registry.lookup,
        known=registry.known,
        device=device or config.device,
        dtype=dtype or config.dtype,
        batch_size=config.batch_size,
        endpoints=config.endpoints,
        egress=config.egress,
        vllm=config.vllm,
    )
    return lambda text: resolve(text, here)


def resolve_project_judge(
    project: Project, judge: str | None, device: str | None, dtype: str | None
) -> JudgeRef | None:
    """Who compares answers in this run: the one that was typed, else the project's; None where there is neither."""
    name = judge or project.config.judge
    if name is None:
        return None
    return resolve_judge(name, project.config, local_models(project, device, dtype), project.root)
