"""What the facts mean: what cannot work, what should be mended, what will be slow and why. Pure.

Speeds are told in words: how fast a model is here, only a run on this machine says.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from harness.environment.facts import Environment

OLDEST_PYTHON = (3, 11)

#: Below this, not even records and answers find room.
LEAST_DISK = 100_000_000

#: What unpacking the embedded model takes.
EMBEDDED_DISK = 600_000_000

#: Type names of filesystems that another machine serves.
REMOTE = ("nfs", "cifs", "smb", "9p", "fuse.sshfs", "lustre", "ceph", "glusterfs", "beegfs", "drvfs")

#: The share of free memory that weights may take; the rest is for activations, the cache of keys, and everything else.
_FOR_WEIGHTS = 0.75


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """Sentences, most important first. With anything in `blocked`, the project cannot work here."""

    blocked: tuple[str, ...]
    mend: tuple[str, ...]
    slow: tuple[str, ...]


def read(environment: Environment) -> Reading:
    """What follows from the facts."""
    return Reading(blocked=tuple(_blocked(environment)), mend=tuple(_mend(environment)), slow=tuple(_slow(environment)))


def gigabytes(size: int) -> str:
    """As disks and cards are sold: 10^9 bytes."""
    return f"{size / 1e9:.1f} GB"


def _blocked(environment: Environment) -> Iterator[str]:
    if environment.python[:2] < OLDEST_PYTHON:
        version = ".".join(map(str, environment.python))
        yield f"Python {version} is too old: install 3.11 or newer."
    for library in environment.libraries:
        if library.required and library.version is None:
            yield f"{library.name} is not installed: {library.install}"
    for disk in environment.disks:
        if disk.role != "state":
            continue
        if not disk.writable:
            yield (
                f"{disk.folder} cannot be written to: answers and versions have no place. "
                "Change its permissions, or set [tool.harness] state to another folder."
            )
        elif disk.free < LEAST_DISK:
            yield (
                f"{disk.folder}: {gigabytes(disk.free)} free, at least {gigabytes(LEAST_DISK)} are needed. Make room, "
                "or set [tool.harness] state to another folder."
            )


def _mend(environment: Environment) -> Iterator[str]:
    for clash in environment.clashes:
        remedy = (
            f"run with: pytest -p no:{clash.plugin}"
            if clash.plugin is not None
            else "give the option in conftest.py another name"
        )
        yield f"{clash.owner} defines {clash.option} too, and pytest takes an option from one plugin only: {remedy}"
    for library in environment.libraries:
        if library.fits is False:
            yield (
                f"{library.name} {library.version} is outside of {library.wanted}, the versions this was made for: "
                f'pip install "{library.name}{library.wanted}"'
            )
    devices = environment.devices
    if devices is not None and devices.problem is not None:
        yield f'torch: {devices.problem}. Install a build that fits the driver, or set [tool.harness] device = "cpu".'
    if environment.driver and devices is not None and devices.cuda is None and devices.problem is None:
        yield "An NVIDIA driver is here, but torch is a CPU build: install torch's CUDA build to use the card."
    if environment.device.startswith("cuda") and (devices is None or not devices.gpus):
        yield f'[tool.harness] device = "{environment.device}", but torch sees no card: set it to "auto".'
    for disk in environment.disks:
        unpacks = disk.role == "cache" and environment.embedded == "packed"
        if unpacks and (not disk.writable or disk.free < EMBEDDED_DISK):
            yield (
                f"{disk.folder}: {gigabytes(disk.free)} free; the embedded model is unpacked there and needs "
                f"{gigabytes(EMBEDDED_DISK)}. Make room, or set HARNESS_CACHE to another folder."
            )
        if disk.role == "state" and _is_remote(disk.filesystem):
            yield (
                f"{disk.folder} lies on a network filesystem ({disk.filesystem}), where SQLite's locks cannot be "
                "relied on: set [tool.harness] state to a local folder."
            )


def _slow(environment: Environment) -> Iterator[str]:
    yield from _slow_devices(environment)
    machine = environment.machine
    if machine.limit is not None and machine.limit < machine.cores:
        yield (
            f"This container may use {machine.limit:g} of the {machine.cores} cores: more threads than that only wait "
            f"for each other. OMP_NUM_THREADS={max(1, int(machine.limit))} avoids it."
        )
    if environment.embedded == "packed":
        yield "The first run with smollm2: the model is unpacked once, and kept."
    for disk in environment.disks:
        if _is_remote(disk.filesystem):
            what = "Answers and versions" if disk.role == "state" else "The unpacked model"
            yield f"{what} in {disk.folder}: read and written over a network filesystem ({disk.filesystem})."


def _slow_devices(environment: Environment) -> Iterator[str]:
    devices, machine = environment.devices, environment.machine
    if devices is None:
        return
    on_card = bool(devices.gpus) and not environment.device.startswith("cpu")
    if on_card:
        for gpu in devices.gpus:
            if not gpu.bfloat16 and environment.dtype in ("auto", "bf16", "bfloat16"):
                yield (
                    f"{gpu.name} has no bfloat16 of its own: it is emulated. "
                    'Set [tool.harness] dtype = "float16", and dtype: float32 in recipes.'
                )
            yield (
                f"Bases over {_parameters(gpu.free)} parameters: more than fits into the {gigabytes(gpu.free)} free on "
                f"{gpu.name} in bfloat16 (arithmetic: two bytes each, a quarter kept free). For training, "
                "`method: qlora` takes a quarter of that."
            )
        return
    why = (
        "the project asks for the CPU"
        if devices.gpus
        else "Apple's GPU is not used, only CUDA"
        if devices.apple
        else "torch sees no GPU"
    )
    cores = "1 core" if machine.cores == 1 else f"{machine.cores} cores"
    yield (
        f"Everything with a model: {why}, so {cores} do all the work. Each step of a batch reads the whole model from "
        "memory. The embedded 135M model is small enough for that; ten times the parameters are ten times as much to "
        "read."
    )
    yield "Answers one at a time (batch_size = 1, one case by -k): each step reads the whole model for a single token."
    yield "QLoRA: without a GPU the four-bit weights are unpacked again in every pass. Use it only for lack of memory."
    if machine.bfloat16 is False and environment.dtype in ("auto", "bf16", "bfloat16"):
        yield (
            "bfloat16: this processor has no instructions for it, so it is emulated. Try [tool.harness] "
            'dtype = "float32", and dtype: float32 in recipes; it takes twice the memory.'
        )
    if machine.free_memory is not None:
        yield (
            f"Bases over {_parameters(machine.free_memory)} parameters: more than fits into the "
            f"{gigabytes(machine.free_memory)} of free memory in bfloat16 (arithmetic: two bytes each, a quarter kept "
            "free); the machine would begin to swap."
        )


def _parameters(free: int) -> str:
    count = free * _FOR_WEIGHTS / 2
    return f"{count / 1e9:.1f} billion" if count >= 1e9 else f"{count / 1e6:.0f} million"


def _is_remote(filesystem: str | None) -> bool:
    return filesystem is not None and filesystem.startswith(REMOTE)
