"""What the models of a run were made from, and what differs between candidate and baseline."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from harness.data.learned import LearnedRow, read_rows
from harness.errors import HarnessError, RegistryError

TRAINING = "training.json"

#: Updates kept of a loss curve; a longer one is thinned evenly.
POINTS = 400
#: Rows shown of each kind of change.
EXAMPLES = 20


_Kind = TypeVar("_Kind")


class Update(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """One point of a training: loss in nats per learned token, rate, and the gradient's norm before clipping."""

    step: int
    loss: float
    rate: float
    norm: float


class Training(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one model was made. `recipe` has dotted keys; `findings` are the diagnosis of the curve; `validation` are
    (update, loss). `recipe_file` is empty where nobody told."""

    label: str
    recipe: dict[str, str]
    rows: dict[str, int]
    data_digest: str
    template_digest: str
    versions: dict[str, str]
    updates: tuple[Update, ...] = ()
    validation: tuple[tuple[int, float], ...] = ()
    findings: tuple[str, ...] = ()
    seconds: float = 0.0
    device: str = ""
    recipe_file: str = ""


class RowChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """One row that is in one training and not, or not so, in the other. `before` is the answer that it had."""

    change: Literal["added", "removed", "altered"]
    kind: str
    where: str
    prompt: str
    before: str | None
    after: str | None


class DataChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows of the candidate's training against the baseline's, by prompt: counted, with the first of each kind.

    `kept` rows are in both with the same answer. A baseline that was never trained has no rows: all are added.
    """

    added: int
    removed: int
    altered: int
    kept: int
    examples: tuple[RowChange, ...]


class Lineage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of how the run's models were made. `untold` says why something is not known."""

    candidate: Training | None = None
    baseline: Training | None = None
    data: DataChange | None = None
    untold: tuple[str, ...] = ()


def training_of(label: str, table: Mapping[str, Any]) -> Training:
    """A version's training.json as a record keeps it. What a foreign or older file lacks is left empty."""
    steps = [one for one in _listed(table.get("loss")) if isinstance(one, Mapping)]
    thin = max(1, -(-len(steps) // POINTS))
    kept = [step for i, step in enumerate(steps) if i % thin == 0 or i == len(steps) - 1]
    validation = [(one.get("step"), one.get("validation_loss")) for one in _tables(table.get("validation"))]
    return Training(
        label=label,
        recipe=dict(_flat(_table(table.get("recipe")))),
        rows={str(k): v for k, v in _table(table.get("rows")).items() if isinstance(v, int)},
        data_digest=str(table.get("data_digest", "")),
        template_digest=str(table.get("template_digest", "")),
        versions={str(k): str(v) for k, v in _table(table.get("versions")).items()},
        updates=tuple(_valid(kept, Update)),
        validation=tuple(_valid(validation, tuple[int, float])),
        findings=tuple(str(one) for one in _listed(table.get("findings"))),
        seconds=_number(table.get("seconds")),
        device=str(table.get("device", "")),
        recipe_file=str(table.get("recipe_file", "")),
    )


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _listed(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _tables(value: object) -> Iterable[Mapping[str, Any]]:
    return (one for one in _listed(value) if isinstance(one, Mapping))


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0


def _valid(given: Iterable[Any], kind: type[_Kind]) -> Iterable[_Kind]:
    """Those of `given` that a record can hold. A loss that was not finite is null in the file, and is left out."""
    fields = set(Update.__struct_fields__)
    for one in given:
        known = {k: v for k, v in one.items() if k in fields} if isinstance(one, Mapping) else one
        with contextlib.suppress(msgspec.ValidationError):
            yield msgspec.convert(known, kind)


def compare_rows(before: Sequence[LearnedRow], after: Sequence[LearnedRow]) -> DataChange:
    """Rows added, removed and altered (the same prompt, another answer); duplicates are paired one to one."""
    old: dict[tuple[str, str], list[LearnedRow]] = {}
    for row in before:
        old.setdefault((row.kind, row.prompt_digest), []).append(row)
    kept, fresh = 0, list[LearnedRow]()
    for row in after:
        twins = old.get((row.kind, row.prompt_digest), [])
        same = next((i for i, twin in enumerate(twins) if twin.answer_digest == row.answer_digest), None)
        if same is None:
            fresh.append(row)
        else:
            kept += 1
            twins.pop(same)
    found: dict[str, list[RowChange]] = {"added": [], "removed": [], "altered": []}
    for row in fresh:
        twins = old.get((row.kind, row.prompt_digest), [])
        found["altered" if twins else "added"].append(_change(row, twins.pop(0) if twins else None))
    for twins in old.values():
        found["removed"] += [
            RowChange(change="removed", kind=t.kind, where=t.where, prompt=t.prompt, before=t.answer, after=None)
            for t in twins
        ]
    return DataChange(
        added=len(found["added"]),
        removed=len(found["removed"]),
        altered=len(found["altered"]),
        kept=kept,
        examples=tuple(row for rows in found.values() for row in rows[:EXAMPLES]),
    )


def read_lineage(candidate: tuple[str, Path | None], baseline: tuple[str, Path | None] | None) -> Lineage:
    """What lies beside the adapters or among their files; each model is (label, its adapter's folder or None).

    Nothing here can fail a run: what cannot be read is told in `untold`.
    """
    untold: list[str] = []
    trainings = {role: _training(*given, untold) for role, given in _roles(candidate, baseline)}
    rows = {role: _rows(*given, untold) for role, given in _roles(candidate, baseline)}
    new, old = rows.get("candidate"), rows.get("baseline")
    if baseline is not None and baseline[1] is None:
        old = ()
    return Lineage(
        candidate=trainings.get("candidate"),
        baseline=trainings.get("baseline"),
        data=compare_rows(old, new) if new is not None and old is not None else None,
        untold=tuple(untold),
    )


def _roles(
    candidate: tuple[str, Path | None], baseline: tuple[str, Path | None] | None
) -> Iterable[tuple[str, tuple[str, Path]]]:
    for role, given in (("candidate", candidate), ("baseline", baseline)):
        if given is not None and given[1] is not None:
            yield role, (given[0], given[1])


def _training(label: str, folder: Path, untold: list[str]) -> Training | None:
    file = next((f for f in (folder / TRAINING, folder.parent / TRAINING) if f.is_file()), None)
    if file is None:
        untold.append(f"{label}: how it was trained is not known (no training.json beside it)")
        return None
    try:
        return training_of(label, msgspec.json.decode(file.read_bytes(), type=dict[str, Any]))
    except (msgspec.MsgspecError, OSError, KeyError, TypeError, ValueError) as error:
        untold.append(f"{label}: {RegistryError(f'training.json cannot be read ({error})')}")
        return None


def _rows(label: str, folder: Path, untold: list[str]) -> tuple[LearnedRow, ...] | None:
    try:
        rows = read_rows(folder) or read_rows(folder.parent)
    except HarnessError as error:
        untold.append(str(error))
        return None
    if rows is None:
        untold.append(f"{label}: its training rows were not kept, so data cannot be compared row by row")
    return rows


def _change(row: LearnedRow, twin: LearnedRow | None) -> RowChange:
    return RowChange(
        change="added" if twin is None else "altered",
        kind=row.kind,
        where=row.where,
        prompt=row.prompt,
        before=None if twin is None else twin.answer,
        after=row.answer,
    )


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield (
                f"{prefix}{key}",
                "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value),
            )
