"""Adapter parity with engines that do and do not apply the adapter; transformers stands in for them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from harness.generation import GenerationPlan, run
from harness.models import opening
from harness.models.hf import HfModel, LoadedBase
from harness.models.refs import ModelRef
from harness.parity import measure_parity, plan_parity
from harness.record import AdapterParity
from harness.store import Store

Refer = Callable[..., ModelRef]
Change = Callable[[ModelRef], ModelRef]


@pytest.fixture
def parity_of(
    base: Path, adapter: Path, refer: Refer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Change], AdapterParity]:
    """Parity of an engine that asks for `change(ref)` where `ref` was wanted."""

    def measured(change: Change) -> AdapterParity:
        class StandIn(LoadedBase):
            def __init__(self, refs: Sequence[ModelRef]) -> None:
                super().__init__(refs[0])

            def model(self, ref: ModelRef) -> HfModel:
                return super().model(change(ref))

        monkeypatch.setitem(opening._LOAD, "vllm", StandIn)
        ref = refer(f"vllm:{base}+{adapter}")
        plan = GenerationPlan()
        plan_parity([ref], plan)
        with Store(tmp_path / "store.sqlite") as store:
            first = run(plan, store)
            (parity,) = measure_parity([ref], first)
            again = run(plan, store, store_only=True)
        assert again.stats.loaded == ()
        assert measure_parity([ref], again) == (parity,)
        return parity

    return measured


def test_an_engine_that_applies_the_adapter_is_fine(parity_of: Callable[[Change], AdapterParity]) -> None:
    parity = parity_of(lambda ref: ref)
    assert parity.fault is None
    assert parity.effect > 0.1
    assert parity.moved == pytest.approx(parity.effect)


def test_an_engine_that_drops_the_adapter_is_found(parity_of: Callable[[Change], AdapterParity]) -> None:
    parity = parity_of(lambda ref: ref.root)
    assert parity.moved == 0
    assert parity.fault is not None
    assert "the adapter is ignored" in parity.fault


def test_an_engine_that_applies_it_at_half_strength_is_found(
    parity_of: Callable[[Change], AdapterParity], adapter: Path, tmp_path: Path
) -> None:
    weak = tmp_path / "weak"
    shutil.copytree(adapter, weak)
    file = weak / "adapter_config.json"
    file.write_text(file.read_text().replace('"lora_alpha": 8', '"lora_alpha": 4'))

    def weaken(ref: ModelRef) -> ModelRef:
        return ref if ref.adapter is None else msgspec.structs.replace(ref, adapter=str(weak))

    parity = parity_of(weaken)
    assert parity.moved > 0
    assert parity.fault is not None
    assert "does not apply the adapter as it was trained" in parity.fault
