"""The noise floor: how much the baseline differs from itself when it is asked twice (A/A).

again    asked once more; under sampling, drawn anew
batch    in batches of another size
dtype    in another number format

A margin that lies below the floor asks for more than the engine can answer. The floor belongs to the weights and the
files it was measured with: `.harness/noise/<digest>.json`.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from harness.errors import ConfigError, RecordError
from harness.models.refs import ModelRef
from harness.policy import GatePolicy
from harness.record import ModelIdentity, NoiseVariant, RunRecord, SetNoise, SetResult
from harness.verdict import in_cases, listed, plural, points

Variant = Literal["again", "batch", "dtype"]
VARIANTS: tuple[Variant, ...] = ("again", "batch", "dtype")

#: Engines that run here, so that batch size and number format are ours to change.
LOCAL = frozenset({"hf"})

#: Beside a record of the baseline against itself, which never carries a verdict.
NOT_A_VERDICT = "the baseline was asked against itself (A/A)"


class NoiseFloor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was measured of one baseline, set by set."""

    baseline: ModelIdentity
    created: str
    sets: tuple[SetNoise, ...]
    version: int = 1


def once_more(ref: ModelRef, variant: Variant) -> ModelRef:
    """The same weights, to be asked again in this way; answers are kept apart from those of `ref`.

    Raises ConfigError where the engine leaves no choice.
    """
    if variant == "again":
        return msgspec.structs.replace(ref, replica=1, label=f"{ref.label} (asked again)")
    if ref.engine not in LOCAL:
        raise ConfigError(
            f"--aa={variant}: the {ref.engine} engine of {ref.label} has no such setting. Use --aa=again."
        )
    if variant == "batch":
        size = max(1, ref.batch_size // 4) if ref.batch_size > 1 else 8
        label = f"{ref.label} (batch size {size}, not {ref.batch_size})"
        return msgspec.structs.replace(ref, replica=2, batch_size=size, label=label)
    dtype = "bfloat16" if ref.dtype == "float32" else "float32"
    return msgspec.structs.replace(ref, dtype=dtype, label=f"{ref.label} ({dtype}, not {ref.dtype})")


def noise_of(records: Sequence[RunRecord]) -> tuple[SetNoise, ...]:
    """The floor of every set, from A/A records of one baseline, one a variant.

    A case flips where its score differs at all between the two askings; red lines are cases like any other.
    """
    names = dict.fromkeys(one.name for record in records for one in record.sets if one.cases)
    return tuple(_set_noise(name, records) for name in names)


def _set_noise(name: str, records: Sequence[RunRecord]) -> SetNoise:
    variants = []
    found: SetResult | None = None
    n = 0
    for record in records:
        for one in record.sets:
            paired = [case for case in one.cases if case.baseline is not None]
            if one.name != name or not paired:
                continue
            found, n = one, len(paired)
            variants.append(
                NoiseVariant(
                    how=record.candidate.label,
                    flipped=tuple(case.case for case in paired if case.candidate != case.baseline),
                    changed=sum(case.same_answer is False for case in paired),
                )
            )
    return SetNoise(name=name, digest="" if found is None else found.digest, n=n, variants=tuple(variants))


def unstable(noise: SetNoise) -> list[tuple[str, int]]:
    """The cases that flipped, and in how many of the variants; the least stable first."""
    counts = Counter(case for variant in noise.variants for case in variant.flipped)
    return counts.most_common()


def applied(floor: NoiseFloor, baseline: ModelIdentity, sets: Sequence[SetResult]) -> tuple[SetNoise, ...]:
    """The floor of the sets of a run; a set that changed since, or another engine, makes it stale."""
    engine = (floor.baseline.engine, floor.baseline.dtype)
    found = []
    digests = {one.name: one.digest for one in sets if one.cases}
    for one in floor.sets:
        if one.name not in digests:
            continue
        stale = None
        if engine != (baseline.engine, baseline.dtype):
            stale = f"measured with {' '.join(engine)}"
        elif one.digest != digests[one.name]:
            stale = "the set changed since"
        found.append(msgspec.structs.replace(one, stale=stale))
    return tuple(found)


def notes(noise: Sequence[SetNoise], policy: GatePolicy) -> Iterator[str]:
    """The floor beside each margin it bears on: the pool's, and those of sets with a bar of their own."""
    fresh = [one for one in noise if one.stale is None]
    guards = [one for one in fresh if not policy.is_target(one.name)]
    n, flips = sum(one.n for one in guards), sum(one.flips for one in guards)
    if n:
        yield _beside("guards", flips, n, policy.margin)
    for one in fresh:
        own = policy.own_margin(one.name)
        if own is not None and one.n:
            yield _beside(one.name, one.flips, one.n, own)
    for one in noise:
        if one.stale is not None:
            yield f"noise floor of {one.name} is stale ({one.stale}): harness gate --aa"


def _beside(what: str, flips: int, n: int, margin: float) -> str:
    within = ": the margin lies within the noise" if flips / n >= margin else ""
    return f"noise floor, {what}: {flips} of {n} flip ({points(flips / n)} points); margin {points(margin)}{within}"


def told(floor: NoiseFloor, policy: GatePolicy) -> Iterator[str]:
    """The whole floor for a terminal: every variant, every set beside its margin, the unstable cases by id."""
    yield f"{floor.baseline.label} against itself ({floor.created[:10]}):"
    hows = dict.fromkeys(variant.how for one in floor.sets for variant in one.variants)
    for how in hows:
        mine = [(one, v) for one in floor.sets for v in one.variants if v.how == how]
        flips, n = sum(len(v.flipped) for _, v in mine), sum(one.n for one, _ in mine)
        texts = sum(v.changed for _, v in mine)
        yield f"  {how}: {flips} of {plural(n, 'case')} flip, {plural(texts, 'text')} differ"
    for one in floor.sets:
        own = policy.own_margin(one.name)
        margin = policy.margin if own is None else own
        share = points(one.flips / one.n) if one.n else "0"
        yield f"  {one.name}: {one.flips} of {plural(one.n, 'case')} ({share} points); margin {in_cases(margin, one.n)}"
        cases = tuple(f"{case} ({count} of {len(one.variants)})" for case, count in unstable(one))
        if cases:
            yield f"    unstable: {listed(cases, 20)}"
    yield from notes(floor.sets, policy)


def floor_file(folder: Path, digest: str) -> Path:
    """Where the floor of these weights is kept; `folder` is the project's `noise` folder."""
    return folder / f"{hashlib.sha256(digest.encode()).hexdigest()[:24]}.json"


def write_floor(folder: Path, floor: NoiseFloor) -> Path:
    """Keep the floor, whole or not at all. Raises RecordError where the disk refuses."""
    file = floor_file(folder, floor.baseline.digest)
    unfinished = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(floor), indent=1))
        unfinished.replace(file)
    except OSError as error:
        raise RecordError(f"{file}: the noise floor cannot be kept ({error.strerror}). Make room.") from error
    return file


def read_floor(folder: Path, digest: str) -> NoiseFloor | None:
    """The floor of these weights, or None where it was never measured. Raises RecordError for a damaged file."""
    file = floor_file(folder, digest)
    try:
        floor = msgspec.json.decode(file.read_bytes(), type=NoiseFloor)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RecordError(f"{file}: not a noise floor ({error}). Measure it again: harness gate --aa") from error
    return floor if floor.baseline.digest == digest else None


def measured_on_another(folder: Path) -> str | None:
    """Whose floor was measured last, where this baseline's never was; None where nobody's was."""
    files = sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime) if folder.is_dir() else []
    for file in reversed(files):
        try:
            return msgspec.json.decode(file.read_bytes(), type=NoiseFloor).baseline.label
        except (OSError, msgspec.MsgspecError):
            continue
    return None
