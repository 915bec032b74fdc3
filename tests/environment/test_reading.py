"""What follows from the facts: each sentence is shown the fault that brings it, and is silent without."""

from __future__ import annotations

import msgspec
import pytest

from harness.environment import read
from harness.environment.clashes import Clash
from harness.environment.facts import Disk, Environment, Machine
from harness.environment.libraries import Library
from harness.models.devices import Devices, Gpu

CARD = Gpu(name="A card", memory=80 * 10**9, free=79 * 10**9, bfloat16=True)
GOOD = Environment(
    harness="0.1.0",
    python=(3, 12, 1),
    project="/p",
    device="auto",
    dtype="auto",
    machine=Machine(system="Linux", cores=16, limit=None, bfloat16=True, memory=64 * 10**9, free_memory=60 * 10**9),
    disks=(
        Disk(role="state", folder="/p/.harness", free=10**11, filesystem="ext4", writable=True),
        Disk(role="cache", folder="/c", free=10**11, filesystem="ext4", writable=True),
    ),
    devices=Devices(cuda="12.8", gpus=(CARD,)),
    driver=True,
    embedded="unpacked",
    hub={},
    libraries=(),
    clashes=(),
)


def changed(what, **values):
    return msgspec.structs.replace(what, **values)


def on(**values):
    return read(changed(GOOD, **values))


def cpu(machine=GOOD.machine, **values):
    return on(devices=Devices(), driver=False, machine=machine, **values)


def disks(role, **values):
    return tuple(changed(disk, **values) if disk.role == role else disk for disk in GOOD.disks)


def library(**values):
    facts = {
        "name": "numpy",
        "version": "2",
        "wanted": ">=1",
        "fits": True,
        "required": True,
        "cost": "",
        "install": "pip",
    }
    return (Library(**{**facts, **values}),)


def test_a_good_machine_has_nothing_to_mend():
    reading = read(GOOD)
    assert reading.blocked == ()
    assert reading.mend == ()
    assert len(reading.slow) == 1
    assert "over 29.6 billion parameters" in reading.slow[0]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"python": (3, 10, 9)}, "Python 3.10.9 is too old"),
        ({"disks": disks("state", writable=False)}, "/p/.harness cannot be written to"),
        ({"disks": disks("state", free=99_999_999)}, "0.1 GB free, at least"),
        ({"libraries": library(version=None, fits=None)}, "numpy is not installed: pip"),
    ],
)
def test_what_cannot_work_is_blocked(values, said):
    (sentence,) = on(**values).blocked
    assert said in sentence


@pytest.mark.parametrize(
    "values",
    [
        {"python": (3, 11, 0)},
        {"disks": disks("cache", writable=False, free=0)},
        {"disks": disks("state", free=100_000_000)},
        {"libraries": library(version=None, fits=None, required=False)},
        {"libraries": library(fits=False)},
        {"devices": None},
    ],
)
def test_what_only_costs_something_does_not_block(values):
    assert on(**values).blocked == ()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"clashes": (Clash(option="--model", owner="pytest-cars", plugin="cars"),)},
            "pytest-cars defines --model too, and pytest takes an option from one plugin only: run with: pytest -p no:",
        ),
        (
            {"clashes": (Clash(option="--model", owner="/p/conftest.py", plugin=None),)},
            "give the option in conftest.py another name",
        ),
        ({"libraries": library(version="0.9", fits=False)}, 'pip install "numpy>=1"'),
        ({"devices": Devices(problem="libcudart is missing")}, "torch: libcudart is missing"),
        ({"devices": Devices()}, "torch is a CPU build: install torch's CUDA build"),
        ({"devices": Devices(), "driver": False, "device": "cuda:1"}, 'device = "cuda:1", but torch sees no card'),
        ({"embedded": "packed", "disks": disks("cache", free=5 * 10**8)}, "needs 0.6 GB"),
        ({"disks": disks("state", filesystem="nfs4")}, "network filesystem (nfs4), where SQLite's locks"),
    ],
)
def test_what_can_be_mended_comes_with_the_remedy(values, said):
    (sentence,) = on(**values).mend
    assert said in sentence


def test_without_a_card_it_says_why_the_cores_do_all_the_work():
    assert "torch sees no GPU, so 16 cores do all the work" in cpu().slow[0]
    assert "the project asks for the CPU, so" in on(device="cpu").slow[0]
    assert "Apple's GPU is not used" in on(devices=Devices(apple=True), driver=False).slow[0]
    assert any("QLoRA" in sentence for sentence in cpu().slow)
    assert not any("QLoRA:" in sentence for sentence in read(GOOD).slow)


def test_emulated_bfloat16_is_told_unless_another_format_is_set():
    old = changed(GOOD.machine, bfloat16=False)
    assert any("bfloat16: this processor" in sentence for sentence in cpu(old).slow)
    assert not any("bfloat16: this" in sentence for sentence in cpu(old, dtype="float32").slow)
    assert not any("bfloat16: this" in sentence for sentence in cpu(changed(old, bfloat16=None)).slow)
    turing = Devices(cuda="12.8", gpus=(changed(CARD, bfloat16=False),))
    assert any('dtype = "float16"' in sentence for sentence in on(devices=turing).slow)
    assert not any('dtype = "float16"' in sentence for sentence in on(devices=turing, dtype="float16").slow)


def test_a_containers_share_of_the_cores_is_told():
    assert any("OMP_NUM_THREADS=2" in s for s in cpu(changed(GOOD.machine, limit=2.5)).slow)
    assert not any("OMP_NUM_THREADS" in s for s in cpu(changed(GOOD.machine, limit=16.0)).slow)


def test_the_base_that_fits_into_memory_is_arithmetic():
    assert any("over 1.5 billion parameters" in s for s in cpu(changed(GOOD.machine, free_memory=4 * 10**9)).slow)
    assert not any("parameters: more" in s for s in cpu(changed(GOOD.machine, free_memory=None)).slow)


def test_the_first_unpacking_and_remote_disks_are_slow():
    assert any("unpacked once" in sentence for sentence in on(embedded="packed").slow)
    assert any("The unpacked model in /c" in s for s in on(disks=disks("cache", filesystem="cifs")).slow)


def test_without_torch_nothing_is_said_of_speed():
    assert on(devices=None).slow == ()
