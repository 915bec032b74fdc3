"""`harness doctor`: what is installed, what this machine can do, and what will be slow."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.status import FAILED, PASSED

if TYPE_CHECKING:
    from harness.environment import Environment, Reading

_WIDTH = 118


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def doctor(as_json: bool) -> int:
    """Say what is installed, what this machine can do, and what will be slow here and why.

    Looks at versions, processor, memory, GPU, disk and settings. Makes no network call and changes nothing.

    Exit status: 0, or 1 where the project cannot work here.
    """
    from harness.config import load_project
    from harness.environment import look, read

    environment = look(load_project(Path.cwd()))
    reading = read(environment)
    if as_json:
        import msgspec

        whole = {"environment": environment, "reading": reading}
        click.echo(msgspec.json.format(msgspec.json.encode(whole), indent=2).decode())
    else:
        for line in _lines(environment, reading):
            click.echo(line)
    return FAILED if reading.blocked else PASSED


def _lines(environment: Environment, reading: Reading) -> Iterator[str]:
    from harness.report.visible import visible

    yield visible(f"Finetune Harness {environment.harness or '(not installed)'}, project {environment.project}")
    yield "\nMachine"
    for name, said in _machine(environment):
        yield visible(f"  {name:<9}{said}")
    yield "\nLibraries"
    yield from map(visible, _libraries(environment))
    for title, sentences in (
        ("Cannot work", reading.blocked),
        ("To mend", reading.mend),
        ("Slow here, and why", reading.slow),
    ):
        if sentences:
            yield f"\n{title}"
            for sentence in sentences:
                yield from _wrapped(visible(sentence), first="  * ", rest="    ")
    if not reading.blocked and not reading.mend:
        yield "\nNothing to mend."


def _machine(environment: Environment) -> Iterator[tuple[str, str]]:
    from harness.environment.reading import gigabytes

    machine, devices = environment.machine, environment.devices
    yield "python", f"{'.'.join(map(str, environment.python))}, {machine.system}"
    bfloat16 = {True: "with", False: "without", None: "not known whether with"}[machine.bfloat16]
    limit = "" if machine.limit is None else f", limited to {machine.limit:g}"
    yield "cores", f"{machine.cores}{limit}, {bfloat16} bfloat16 instructions"
    if machine.memory is None:
        yield "memory", "the system does not tell"
    else:
        free = "" if machine.free_memory is None else f", {gigabytes(machine.free_memory)} free"
        yield "memory", f"{gigabytes(machine.memory)}{free}"
    if devices is None:
        yield "GPU", "not looked for: torch is not installed"
    elif not devices.gpus:
        build = "a CPU build" if devices.cuda is None else f"built for CUDA {devices.cuda}"
        yield "GPU", f"none that torch can use (torch is {build})" if devices.problem is None else devices.problem
    else:
        for gpu in devices.gpus:
            yield "GPU", f"{gpu.name}, {gigabytes(gpu.memory)}, {gigabytes(gpu.free)} free, CUDA {devices.cuda}"
    for disk in environment.disks:
        kind = "" if disk.filesystem is None else f" ({disk.filesystem})"
        yield disk.role, f"{disk.folder}: {gigabytes(disk.free)} free{kind}"
    yield (
        "smollm2",
        {
            "unpacked": "unpacked, ready",
            "packed": "installed; unpacked on the first run",
            "missing": "not installed",
        }[environment.embedded],
    )
    settings = ", ".join(f"{name}={value}" for name, value in environment.hub.items())
    yield "hub", f"{settings or 'no settings: a model that is named by its hub id is fetched'}; no call was made"


def _libraries(environment: Environment) -> Iterator[str]:
    required = [one for one in environment.libraries if one.required]
    there = [f"{one.name} {one.version}" for one in required if one.version is not None]
    yield from _wrapped(", ".join(there), first="  required     ", rest=" " * 15)
    for one in environment.libraries:
        if one.version is not None and not one.required:
            yield f"  {one.name:<13}{one.version}"
    for one in environment.libraries:
        if one.version is None:
            yield from _wrapped(f"not found: {one.cost}", first=f"  {one.name:<13}", rest=" " * 15)
            yield f"{'':<15}{one.install}"


def _wrapped(text: str, *, first: str, rest: str) -> Sequence[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
