"""Which accelerators the installed torch can use."""

from __future__ import annotations

import contextlib
import importlib.util
import warnings
from collections.abc import Iterator

import msgspec

from harness.errors import first_line


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """One CUDA device; memory in bytes. `bfloat16` says whether it computes in that format itself."""

    name: str
    memory: int
    free: int
    bfloat16: bool


class Devices(msgspec.Struct, frozen=True, kw_only=True):
    """What torch sees. `cuda` is the CUDA version it was built for, None for a CPU build; `problem` is why it, or
    its CUDA, cannot be used although it is there."""

    cuda: str | None = None
    gpus: tuple[Gpu, ...] = ()
    apple: bool = False
    problem: str | None = None


def see_devices() -> Devices | None:
    """What there is to compute on; None where torch is not installed. Imports torch only where it is."""
    if importlib.util.find_spec("torch") is None:
        return None
    try:
        # A driver that is too old is told by a warning.
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            import torch

            usable = torch.cuda.is_available()
            gpus = tuple(_gpu(i) for i in range(torch.cuda.device_count())) if usable else ()
    except Exception as error:  # a broken installation fails in many ways: missing libraries, a wrong build
        return Devices(problem=first_line(error))
    cuda = torch.version.cuda
    why = next((first_line(one.message) for one in told if "CUDA" in str(one.message)), None)
    return Devices(
        cuda=cuda,
        gpus=gpus,
        apple=torch.backends.mps.is_available(),
        problem=None if usable or cuda is None else why or "torch is a CUDA build, but finds no usable card",
    )


@contextlib.contextmanager
def keep_threads() -> Iterator[None]:
    """Afterwards torch computes with as many threads as before, whatever a library did to it meanwhile.

    vLLM leaves it at one thread on a CPU, and puts a function that does nothing in place of `torch.set_num_threads`.
    """
    import torch

    change, count = torch.set_num_threads, torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads = change
        torch.set_num_threads(count)


def _gpu(index: int) -> Gpu:
    import torch

    free, total = torch.cuda.mem_get_info(index)
    return Gpu(
        name=torch.cuda.get_device_name(index),
        memory=total,
        free=free,
        # torch also says yes where it would emulate it.
        bfloat16=torch.cuda.get_device_capability(index) >= (8, 0),
    )
