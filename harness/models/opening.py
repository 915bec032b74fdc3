"""Loading models, one at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

from harness.errors import ModelError
from harness.models import Model
from harness.models.refs import ModelRef


def loading_order(refs: Sequence[ModelRef]) -> list[ModelRef]:
    """The order of `open_models`: as given, but refs that can share a loaded base follow each other."""
    return [ref for group in _groups(refs) for ref in group]


def open_models(refs: Sequence[ModelRef]) -> Generator[tuple[ModelRef, Model]]:
    """Each ref with its model, loaded; the one before is freed first, so only one is ever in memory.

    Refs on one base (and device and dtype) share the loaded base: adapters are switched, and a ref without an
    adapter is the base with adapters off. A ref with a model YAML is asked through it. Close the generator to free the
    last one early.
    """
    for group in _groups(refs):
        with contextlib.closing(_OPEN[group[0].engine](group)) as opened:
            for ref, model in opened:
                yield ref, _through_yaml(ref, model) if ref.prompting else model


def _through_yaml(ref: ModelRef, model: Model) -> Model:
    from harness.models.prompting import prompted

    return prompted(ref, model)


def _groups(refs: Sequence[ModelRef]) -> list[list[ModelRef]]:
    groups: dict[tuple[str, ...], list[ModelRef]] = {}
    for ref in refs:
        groups.setdefault((ref.engine, ref.base, ref.base_digest, ref.dtype, ref.device), []).append(ref)
    return list(groups.values())


def _open_scripted(refs: Sequence[ModelRef]) -> Generator[tuple[ModelRef, Model]]:
    from harness.models.scripted import ScriptedModel

    for ref in refs:
        yield ref, ScriptedModel.from_file(Path(ref.base))


def _open_endpoint(refs: Sequence[ModelRef]) -> Generator[tuple[ModelRef, Model]]:
    try:
        from harness.models.openai import EndpointModel
    except ImportError as error:
        raise ModelError(
            f"{refs[0].label}: asking a server needs the package aiohttp ({error}). "
            "Install it: pip install 'finetune-harness[openai]'"
        ) from error
    for ref in refs:
        yield ref, EndpointModel.of(ref)


def _open_hf(refs: Sequence[ModelRef]) -> Generator[tuple[ModelRef, Model]]:
    try:
        from harness.models.hf import LoadedBase
    except ImportError as error:
        raise ModelError(
            f"{refs[0].label}: a local model needs torch and transformers ({error}). "
            "Install them: pip install 'finetune-harness[hf]'"
        ) from error
    base = LoadedBase(refs[0])
    try:
        for ref in refs:
            yield ref, base.model(ref)
    finally:
        base.close()


def _open_vllm(refs: Sequence[ModelRef]) -> Generator[tuple[ModelRef, Model]]:
    from harness.models.vllm.preflight import require_vllm

    require_vllm(refs[0].label)
    from harness.models.vllm.engine import LoadedEngine

    engine = LoadedEngine(refs)
    try:
        for ref in refs:
            yield ref, engine.model(ref)
    finally:
        engine.close()


_OPEN: dict[str, Callable[[Sequence[ModelRef]], Generator[tuple[ModelRef, Model]]]] = {
    "scripted": _open_scripted,
    "openai": _open_endpoint,
    "hf": _open_hf,
    "vllm": _open_vllm,
}
