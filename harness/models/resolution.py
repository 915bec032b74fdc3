"""From what the user typed to a model: files and digests, without loading anything."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from harness.config import EndpointConfig, VllmConfig
from harness.errors import ModelError, looked_in
from harness.models import digests
from harness.models.bases import HUB_ID, find_base, find_path
from harness.models.refs import MODEL_FILES, VLLM, ModelRef
from harness.models.smollm2 import SMOLLM2

_DTYPES = {"bfloat16", "float16", "float32"}
_SHORT_DTYPES = {"auto": "bfloat16", "bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
_KINDS = "hf:FOLDER_OR_HUB_ID[+ADAPTER_FOLDER], vllm:ANY_OF_THESE, openai:MODEL@URL, scripted:FILE.jsonl, a model YAML"


def _no_name(name: str) -> Path | None:
    return None


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What a model's name may mean, and how local models are run where nothing else is said.

    `lookup` gives the folder of a registry name, alias or version, `known` lists them for messages; paths are looked up
    in the current folder and then in `root`. `dtype` auto is bfloat16; `device` auto is CUDA where torch can use it.
    """

    root: Path
    lookup: Callable[[str], Path | None] = _no_name
    known: Callable[[], list[str]] = list
    device: str = "auto"
    dtype: str = "auto"
    batch_size: int = 32
    endpoints: dict[str, EndpointConfig] = {}
    egress: tuple[str, ...] = ()
    vllm: VllmConfig = VllmConfig()

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ModelError(
                f"batch size {self.batch_size}: at least one request must fit. Set batch_size to 1 or more."
            )


def resolve(text: str, here: Surroundings, *, within: tuple[Path, ...] = ()) -> ModelRef:
    """The model that `text` means.

    `text` is a registry name, alias or version (`triage`, `candidate`, `triage@3`), `smollm2`, a PEFT adapter folder, a
    folder with a whole model, `hf:FOLDER_OR_HUB_ID[+ADAPTER_FOLDER]`, `openai:MODEL@URL`, the name of an endpoint,
    `scripted:FILE.jsonl`, or a model YAML, which names one of these. `vllm:` before a local one asks it through that
    engine. `within` are the YAMLs that led here.

    Raises ModelError saying what was tried and what there is.
    """
    if not text.strip():
        raise ModelError(f"no model is named. There is: {', '.join(sorted({*here.known(), SMOLLM2}))}; also {_KINDS}")
    if text.endswith(MODEL_FILES):
        from harness.models.prompting.naming import through_yaml

        def inner(named: str, yamls: tuple[Path, ...]) -> ModelRef:
            return resolve(named, here, within=yamls)

        return through_yaml(text, here.root, within, inner, is_name=lambda name: here.lookup(name) is not None)
    scheme, _, rest = text.partition(":")
    if scheme == "scripted" and rest:
        return _scripted(text, rest, here.root)
    from harness.models import endpoints as served

    found = served.find_endpoint(text, here.endpoints)
    if found is not None:
        if text in here.endpoints and here.lookup(text) is not None:
            raise ModelError(
                f"{text}: both a model in the registry and an endpoint of that name. Write openai:{text} for the "
                "endpoint, NAME@VERSION for the model; better, rename the endpoint."
            )
        return served.endpoint_ref(text, *found, here.egress)
    if scheme == VLLM and rest:
        # What a server has is not here to be loaded.
        local = resolve(_local_text(rest, here), msgspec.structs.replace(here, endpoints={}))
        return _on_vllm(text, rest, local, here.vllm)
    settings = _Settings(dtype=dtype_name(here.dtype), device=_device(here.device), batch_size=here.batch_size)
    if scheme == "hf" and rest:
        base, _, adapter = rest.partition("+")
        return _whole(text, base, here.root, settings, adapter=_folder(adapter, here.root) if adapter else None)
    if text == SMOLLM2:
        return _whole(text, SMOLLM2, here.root, settings)
    version = here.lookup(text)
    if version is not None:
        adapter_folder = version / "adapter"
        if not (adapter_folder / "adapter_config.json").is_file():
            raise ModelError(
                f"{text}: {adapter_folder} holds no adapter_config.json. The version is damaged: "
                "train it again, or move the alias to another version."
            )
        label = f"{version.parent.name}@{version.name}"
        return _adapted(text, label, adapter_folder, here.root, settings)
    path = find_path(text, here.root)
    if path is not None and path.is_dir():
        if (path / "adapter_config.json").is_file():
            return _adapted(text, text, path, here.root, settings)
        if (path / "adapter" / "adapter_config.json").is_file():
            return _adapted(text, text, path / "adapter", here.root, settings)
        if (path / "config.json").is_file():
            return _whole(text, str(path), here.root, settings)
        raise ModelError(
            f"{path}: neither adapter_config.json (a PEFT adapter) nor config.json (a whole model) is there. "
            "Name the folder that holds one of them."
        )
    raise ModelError(_unresolvable(text, path, [*here.known(), *here.endpoints]))


class _Settings(msgspec.Struct, frozen=True, kw_only=True):
    dtype: str
    device: str
    batch_size: int


def _scripted(text: str, name: str, root: Path) -> ModelRef:
    path = find_path(name, root)
    if path is None or not path.is_file():
        raise ModelError(
            f"{text}: there is no file {name} in {looked_in(root)}. "
            'A scripted model is a JSONL file with rows {"input": …, "output": …} or {"id": …, "output": …}.'
        )
    digest = digests.file_digest(path)
    return ModelRef(
        text=text,
        label=text,
        engine="scripted",
        base=str(path),
        base_digest=digest,
        dtype="none",
        device="none",
    )


def _whole(text: str, base: str, root: Path, settings: _Settings, *, adapter: Path | None = None) -> ModelRef:
    """A base, by word, folder or hub id, with or without an adapter that was named beside it."""
    found = find_base(base, root, wanted_by=text)
    ref = ModelRef(
        text=text,
        label=text,
        engine="hf",
        base=found.place,
        base_digest=found.digest,
        base_name=base,
        dtype=settings.dtype,
        device=settings.device,
        batch_size=settings.batch_size,
    )
    return ref if adapter is None else _with_adapter(ref, adapter)


def _local_text(rest: str, here: Surroundings) -> str:
    """What follows `vllm:`, as it would be written alone: a base with an adapter and a hub id take `hf:`."""
    if rest.startswith("hf:") or find_path(rest, here.root) is not None or here.lookup(rest) is not None:
        return rest
    return f"hf:{rest}" if "+" in rest or HUB_ID.fullmatch(rest.partition("@")[0]) else rest


def _on_vllm(text: str, rest: str, local: ModelRef, settings: VllmConfig) -> ModelRef:
    """The same weights, asked through vLLM. A change of engine is a change of instrument: its answers are its own."""
    if local.engine != "hf":
        raise ModelError(f"{text}: {rest} is no local model, and vLLM runs local weights only. Name {rest} itself.")
    further = (f"{key}={value}" for key, value in sorted(settings.engine_args.items()))
    return msgspec.structs.replace(
        local,
        text=text,
        label=f"{VLLM}:{local.label}",
        engine=VLLM,
        dtype=" ".join((local.dtype, *further)),
        options=msgspec.json.encode(settings, order="deterministic").decode(),
    )


def _adapted(text: str, label: str, adapter: Path, root: Path, settings: _Settings) -> ModelRef:
    """An adapter folder; its base is the one its own configuration names."""
    config = _adapter_config(adapter)
    base = config.get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise ModelError(
            f"{adapter}/adapter_config.json: base_model_name_or_path is missing, so the base is unknown. "
            f"Name it: hf:BASE+{adapter}"
        )
    beside = adapter / base
    if not Path(base).is_absolute() and (beside / "config.json").is_file():
        base = str(beside.resolve())
    ref = _whole(text, base, root, settings)
    return _with_adapter(msgspec.structs.replace(ref, label=label), adapter)


def _with_adapter(ref: ModelRef, adapter: Path) -> ModelRef:
    _adapter_config(adapter)
    digest = digests.adapter_digest(adapter)
    digests.refuse_damaged(adapter / "adapter_model.safetensors")
    trained_on = digests.recorded_base_digest(adapter)
    if trained_on is not None and trained_on != ref.base_digest:
        raise ModelError(
            f"{adapter}: this adapter was trained on another base ({trained_on[:12]}…) than {ref.base} "
            f"({ref.base_digest[:12]}…). Name the base it was trained on: hf:BASE+{adapter}"
        )
    return msgspec.structs.replace(ref, adapter=str(adapter), adapter_digest=digest)


def _adapter_config(folder: Path) -> dict[str, Any]:
    file = folder / "adapter_config.json"
    try:
        config = msgspec.json.decode(file.read_bytes())
    except FileNotFoundError as error:
        raise ModelError(f"{folder}: no adapter_config.json, so this is not a PEFT adapter folder.") from error
    except msgspec.DecodeError as error:
        raise ModelError(f"{file}: not valid JSON ({error}). Save the adapter again.") from error
    if not isinstance(config, dict):
        raise ModelError(f"{file}: expected a JSON object, found {type(config).__name__}. Save the adapter again.")
    return config


def _folder(name: str, root: Path) -> Path:
    path = find_path(name, root)
    if path is None or not path.is_dir():
        raise ModelError(f"{name}: no such adapter folder in {looked_in(root)}.")
    return path


def _unresolvable(text: str, path: Path | None, names: list[str]) -> str:
    import difflib

    scheme, colon, _ = text.partition(":")
    if text in ("hf:", "vllm:", "scripted:", "openai:"):
        return f"{text} names nothing behind the colon. Known: {_KINDS}"
    if colon and scheme.isalpha() and len(scheme) > 1:
        return f"{text}: unknown kind of model {scheme!r}. Known: {_KINDS}"
    if path is not None:
        return f"{path}: a file, not a model folder. For a scripted model write scripted:{text}"
    known = sorted({*names, SMOLLM2})
    close = difflib.get_close_matches(text, known, n=1, cutoff=0.6)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    if text == "candidate":
        hint = " Train one first: harness train RECIPE."
    hub = f" For a hub model write hf:{text}." if HUB_ID.fullmatch(text) else ""
    return (
        f"no model {text!r}: it is neither in the registry nor a folder.{hint}{hub} "
        f"There is: {', '.join(known)}; also a PEFT adapter folder, {_KINDS}"
    )


def dtype_name(dtype: str) -> str:
    """The full name of a number format (`bf16`, `auto`). Raises ModelError for an unknown one."""
    name = _SHORT_DTYPES.get(dtype, dtype)
    if name not in _DTYPES:
        raise ModelError(f"dtype {dtype!r} is unknown. Choose auto, {', '.join(sorted(_DTYPES))}.")
    return name


def _device(device: str) -> str:
    """`auto` becomes cuda where the installed torch is a CUDA build and a card is visible; torch is not
    imported.
    """
    if device != "auto":
        return device
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1") or not _has_card():
        return "cpu"
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return "cpu"
    try:
        version = (Path(spec.origin).parent / "version.py").read_text(encoding="utf-8")
    except OSError:
        return "cpu"
    return "cuda" if re.search(r"^cuda\b[^=\n]*=\s*['\"]", version, re.MULTILINE) else "cpu"


def _has_card() -> bool:
    return os.path.exists("/dev/nvidiactl") or os.path.exists("/dev/dxg")
