"""Trackers are told the gate's numbers, and none of them can change a verdict."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import msgspec
import pytest

from harness.ci.trackers import numbers, step_of, track
from harness.gate import decide

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "report"))

from example_records import golden, identity, many, run


def example(label: str = "triage@3", fell: int = 40, **fields):
    record = run(golden("general", many("general", 100, fell=fell, rose=10)), **fields)
    record = msgspec.structs.replace(record, candidate=identity(label, "c"))
    return record, decide(record, record.policy)


def test_the_numbers_are_those_of_the_verdict():
    record, verdict = example()
    told = numbers(record, verdict)
    assert told["gate/pass"] == 0
    assert (told["gate/worse"], told["gate/better"]) == (40, 10)
    assert told["gate/general/candidate"] == pytest.approx(0.6)
    assert told["gate/general/baseline"] == pytest.approx(0.9)
    assert told["gate/general/change"] == pytest.approx(-0.3)
    assert told["gate/general/change_low"] < -0.3 < told["gate/general/change_high"]


@pytest.mark.parametrize(("label", "step"), [("triage@3", 3), ("triage", 0), ("openai:x@http://h:1", 0), ("a@b", 0)])
def test_a_version_is_a_point_at_its_number(label, step):
    assert step_of(label) == step


def test_tensorboard_reads_the_numbers_and_the_verdict_back(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for label, fell in (("triage@3", 40), ("triage@4", 0)):
        (line,) = track(["tensorboard"], *example(label, fell), tmp_path)
        assert line == f"tensorboard: tensorboard --logdir {tmp_path / 'tensorboard'}"
    read = EventAccumulator(str(tmp_path / "tensorboard" / "triage"))
    read.Reload()
    assert [(e.step, round(e.value, 4)) for e in read.Scalars("gate/general/candidate")] == [(3, 0.6), (4, 1.0)]
    assert [(e.step, e.value) for e in read.Scalars("gate/worse")] == [(3, 40.0), (4, 0.0)]
    told = read.Tensors("gate/verdict")[0].tensor_proto.string_val[0].decode()
    assert "verdict: FAIL\n" in told
    assert f"candidate_digest: {'c' * 64}" in told


@pytest.mark.parametrize("label", ["../../x@1", "openai:a/b", ".."])
def test_a_models_name_leads_to_no_other_folder(label, tmp_path):
    pytest.importorskip("tensorboard")
    list(track(["tensorboard"], *example(label), tmp_path / "state"))
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    assert len(list((tmp_path / "state" / "tensorboard").iterdir())) == 1


class Wandb(ModuleType):
    """As much of W&B as is used; keeps what it is told."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.told: dict[str, object] = {}
        self.summary: dict[str, str] = {}

    def init(self, **given):
        self.told["init"] = given
        return SimpleNamespace(
            log=lambda values, step: self.told.update(values=values, step=step),
            summary=self.summary,
            finish=lambda: self.told.update(finished=True),
            url="https://wandb.example/run",
        )


def test_wandb_is_told_the_same_with_labels_and_digests_and_no_texts(tmp_path, monkeypatch):
    wandb = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    record, verdict = example()
    assert list(track(["wandb"], record, verdict, tmp_path)) == ["wandb: https://wandb.example/run"]
    assert wandb.told["values"] == numbers(record, verdict)
    assert (wandb.told["step"], wandb.summary, wandb.told["finished"]) == (3, {"verdict": "FAIL"}, True)
    config = wandb.told["init"]["config"]
    assert set(config) == {
        *("verdict", "run", "candidate", "candidate_digest", "policy_digest", "baseline", "baseline_digest"),
    }


def test_a_tracker_that_is_missing_or_fails_is_told_in_a_line(tmp_path, monkeypatch):
    record, verdict = example()
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert list(track(["wandb"], record, verdict, tmp_path)) == [
        "note: wandb is a tracker of this project and is not installed: pip install wandb"
    ]
    broken = Wandb()
    broken.init = lambda **_: (_ for _ in ()).throw(RuntimeError("no\nkey"))
    monkeypatch.setitem(sys.modules, "wandb", broken)
    assert list(track(["wandb"], record, verdict, tmp_path)) == ["note: wandb was not told (RuntimeError: no key)"]


def test_a_partial_run_is_not_tracked(tmp_path):
    assert list(track(["tensorboard", "wandb"], *example(partial="-k was given"), tmp_path)) == []
    assert list(tmp_path.iterdir()) == []
