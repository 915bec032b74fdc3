"""Loading models, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol

from harness.errors import ModelError
from harness.models import Model
from harness.models.refs import ModelRef


class Loaded(Protocol):
    """What models on one base share while they are in memory."""

    def model(self, ref: ModelRef) -> Model:
        """The model of a ref that it was loaded for; good until the next is asked for."""

    def close(self) -> None:
        """Free the memory."""


class OpenModels:
    """Models for one run after another. The base that was loaded last stays in memory for the next run, until another
    is needed or this is closed: a judge that is asked in several batches is loaded once."""

    def __init__(self) -> None:
        self._loaded: Loaded | None = None
        self._refs: list[ModelRef] = []
        self._elsewhere: dict[str, Loaded] = {}

    def order(self, refs: Sequence[ModelRef]) -> list[ModelRef]:
        """The order in which `open` gives models: as given, but refs that can share a base follow each other, and those
        of the base in memory come first."""
        groups = sorted(_groups(refs), key=lambda group: not _serves(self._refs, group))
        return [ref for group in groups for ref in group]

    def open(self, refs: Sequence[ModelRef]) -> Generator[tuple[ModelRef, Model]]:
        """Each ref with its model, in that order; the one before is good no more, and only one base is ever in
        memory.

        Refs on one base (and device and dtype) share it: adapters are switched, and a ref without an adapter is the
        base with adapters off. A ref with a model YAML is asked through it.
        """
        for group in _groups(self.order(refs)):
            loaded = self._load(group)
            for ref in group:
                model = loaded.model(ref)
                yield ref, _through_yaml(ref, model) if ref.prompting else model
                # Whoever holds it still must not keep the weights in memory when the next are loaded.
                model.close()

    def close(self) -> None:
        """Free what is in memory."""
        loaded, self._loaded, self._refs = self._loaded, None, []
        if loaded is not None:
            loaded.close()

    def __enter__(self) -> OpenModels:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _load(self, group: list[ModelRef]) -> Loaded:
        engine = group[0].engine
        if engine in _ELSEWHERE:
            if engine not in self._elsewhere:
                self._elsewhere[engine] = _LOAD[engine](group)
            return self._elsewhere[engine]
        if self._loaded is None or not _serves(self._refs, group):
            self.close()
            self._loaded = _LOAD[engine](group)
            self._refs = group
        return self._loaded


def open_models(refs: Sequence[ModelRef]) -> Generator[tuple[ModelRef, Model]]:
    """The models of one run, as `OpenModels.open` gives them. Close the generator to free the last one early."""
    with OpenModels() as models:
        yield from models.open(refs)


def _through_yaml(ref: ModelRef, model: Model) -> Model:
    from harness.models.prompting import prompted

    return prompted(ref, model)


def _groups(refs: Sequence[ModelRef]) -> list[list[ModelRef]]:
    groups: dict[tuple[str, ...], list[ModelRef]] = {}
    for ref in refs:
        groups.setdefault(_base(ref), []).append(ref)
    return list(groups.values())


def _base(ref: ModelRef) -> tuple[str, ...]:
    return (ref.engine, ref.base, ref.base_digest, ref.dtype, ref.device)


def _serves(loaded: Sequence[ModelRef], wanted: Sequence[ModelRef]) -> bool:
    """Was the base loaded for all that these refs need? An engine must know its adapters when it starts."""
    there = {(_base(ref), ref.adapter, ref.options) for ref in loaded}
    return all((_base(ref), ref.adapter, ref.options) in there for ref in wanted)


class _Separate:
    """Models that share nothing."""

    def __init__(self, make: Callable[[ModelRef], Model]) -> None:
        self._make = make

    def model(self, ref: ModelRef) -> Model:
        return self._make(ref)

    def close(self) -> None: ...


def _scripted(refs: Sequence[ModelRef]) -> Loaded:
    from harness.models.scripted import ScriptedModel

    return _Separate(lambda ref: ScriptedModel.from_file(Path(ref.base)))


def _endpoint(refs: Sequence[ModelRef]) -> Loaded:
    try:
        from harness.models.openai import EndpointModel
    except ImportError as error:
        raise ModelError(
            f"{refs[0].label}: asking a server needs the package aiohttp ({error}). "
            "Install it: pip install 'finetune-harness[openai]'"
        ) from error
    return _Separate(EndpointModel.of)


def _hf(refs: Sequence[ModelRef]) -> Loaded:
    try:
        from harness.models.hf import LoadedBase
    except ImportError as error:
        raise ModelError(
            f"{refs[0].label}: a local model needs torch and transformers ({error}). "
            "Install them: pip install 'finetune-harness[hf]'"
        ) from error
    return LoadedBase(refs[0])


def _vllm(refs: Sequence[ModelRef]) -> Loaded:
    from harness.models.vllm.preflight import require_vllm

    require_vllm(refs[0].label)
    from harness.models.vllm.engine import LoadedEngine

    return LoadedEngine(refs)


#: Engines that need no memory here: nothing must go for them.
_ELSEWHERE = ("scripted", "openai")

_LOAD: dict[str, Callable[[Sequence[ModelRef]], Loaded]] = {
    "scripted": _scripted,
    "openai": _endpoint,
    "hf": _hf,
    "vllm": _vllm,
}
