"""The gate's numbers where the training's curves are: TensorBoard, Weights & Biases.

One point for each complete run: at step N for version N of a model, so that versions make a curve. No text of a golden
set or a model is sent: rates, counts, labels and digests.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.config import Tracker
from harness.record import RunRecord
from harness.verdict import Verdict
from harness.worst import count_worst, only_judged


def track(trackers: Sequence[Tracker], record: RunRecord, verdict: Verdict, state: Path) -> Iterator[str]:
    """Tell every tracker that is on; gives a sentence for each, also where it failed: that changes no verdict.

    `state` is the project's folder of its own files; the event files of TensorBoard go below it.
    """
    if record.partial is not None:
        return
    for tracker in trackers:
        write = _to_tensorboard if tracker == "tensorboard" else _to_wandb
        try:
            yield f"{tracker}: {write(record, verdict, state)}"
        except ImportError:
            yield f"note: {tracker} is a tracker of this project and is not installed: pip install {tracker}"
        except Exception as error:  # a tracker's own errors have no root of their own
            yield f"note: {tracker} was not told ({type(error).__name__}: {' '.join(str(error).split())[:200]})"


def numbers(record: RunRecord, verdict: Verdict) -> dict[str, float]:
    """What is tracked: 1 for a PASS, the cases that changed, and of every set its rates and the change, as shares."""
    won = sum(judgement.preferred == "candidate" for _, judgement in only_judged(record))
    told: dict[str, float] = {
        "gate/pass": float(verdict.status == "PASS"),
        "gate/worse": float(count_worst(record, verdict)),
        "gate/better": float(sum(len(one.gained) for one in verdict.sets) + won),
    }
    for one in verdict.sets:
        versus = one.against_baseline
        values = {
            "candidate": None if one.candidate is None else one.candidate.estimate,
            "baseline": None if one.baseline is None else one.baseline.estimate,
            "change": None if versus is None else versus.difference,
            "change_low": None if versus is None else versus.interval.low,
            "change_high": None if versus is None else versus.interval.high,
        }
        told |= {f"gate/{one.name}/{name}": float(value) for name, value in values.items() if value is not None}
    return told


def step_of(label: str) -> int:
    """The version's number; 0 for a model without one."""
    number = label.rpartition("@")[2]
    return int(number) if "@" in label and number.isascii() and number.isdigit() else 0


def _facts(record: RunRecord, verdict: Verdict) -> dict[str, str]:
    facts = {
        "verdict": verdict.status,
        "run": record.run_id,
        "candidate": record.candidate.label,
        "candidate_digest": record.candidate.digest,
        "policy_digest": verdict.policy_digest,
    }
    if record.baseline is not None:
        facts |= {"baseline": record.baseline.label, "baseline_digest": record.baseline.digest}
    return facts


def _to_tensorboard(record: RunRecord, verdict: Verdict, state: Path) -> str:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    name = record.candidate.label.partition("@")[0]
    plain = "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip(".")
    folder = state / "tensorboard" / (plain or "model")
    values = [Summary.Value(tag=tag, simple_value=value) for tag, value in numbers(record, verdict).items()]
    told = "\n".join(f"{name}: {value}" for name, value in _facts(record, verdict).items())
    values.append(
        Summary.Value(
            tag="gate/verdict",
            metadata=SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text")),
            tensor=TensorProto(
                dtype="DT_STRING",
                string_val=[told.encode()],
                tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)]),
            ),
        )
    )
    writer = EventFileWriter(str(folder))
    writer.add_event(Event(wall_time=time.time(), step=step_of(record.candidate.label), summary=Summary(value=values)))
    writer.close()
    return f"tensorboard --logdir {folder.parent}"


def _to_wandb(record: RunRecord, verdict: Verdict, state: Path) -> str:
    import wandb

    state.mkdir(parents=True, exist_ok=True)
    run = wandb.init(job_type="gate", name=record.run_id, config=_facts(record, verdict), dir=str(state))
    run.log(numbers(record, verdict), step=step_of(record.candidate.label))
    run.summary["verdict"] = verdict.status
    run.finish()
    return str(getattr(run, "url", None) or "told (offline: wandb sync)")
