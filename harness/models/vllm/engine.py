"""Starting vLLM in this process, once for all models on one base."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from harness.errors import HarnessError, ModelError, first_line
from harness.models.devices import keep_threads
from harness.models.hf.prompts import Prompts
from harness.models.refs import ModelRef
from harness.models.vllm.asking import VllmModel
from harness.models.vllm.preflight import engine_arguments, engine_variables, require_vllm

#: Read by vLLM when it is imported or started; what the user has set stays.
PROCESS = {
    # One process: killing the run leaves no engine behind, and its errors are ours to tell.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    # Threads that are bound to cores stay so when the engine is gone, and slow down whatever runs next.
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_LOGGING_LEVEL": "ERROR",
}


class LoadedEngine:
    """vLLM with one base in memory, and room for the adapters of all models that are asked on it.

    Raises ModelError before loading where something cannot work (see preflight), and where loading fails.
    """

    def __init__(self, refs: Sequence[ModelRef]) -> None:
        self._label = refs[0].label
        require_vllm(self._label)
        arguments = engine_arguments(refs)
        self._numbers = {folder: i for i, folder in enumerate(dict.fromkeys(r.adapter for r in refs if r.adapter), 1)}
        self._prompts: dict[ModelRef, Prompts] = {}
        targets = arguments.get("lora_target_modules", ())
        self._adapts_head = targets is None or "lm_head" in targets
        self._llm: Any = _start(self._label, arguments, PROCESS | engine_variables(refs[0].device))

    def model(self, ref: ModelRef) -> VllmModel:
        """The model with the ref's adapter, or the base; all of them can be asked until the engine is closed."""
        from harness.models.hf.reading import read_prompts

        if ref not in self._prompts:
            self._prompts[ref] = read_prompts(ref, limit=int(self._llm.model_config.max_model_len))
        return VllmModel(
            self._llm,
            self._prompts[ref],
            label=ref.label,
            lora=self._lora(ref),
            scores_together=not self._adapts_head,
        )

    def close(self) -> None:
        """Stop the engine and give its memory back."""
        if self._llm is None:
            return
        with warnings.catch_warnings(), _told_elsewhere(), keep_threads():
            warnings.simplefilter("ignore")
            from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

            self._llm.llm_engine.engine_core.shutdown()
            self._llm = None
            gc.collect()
            cleanup_dist_env_and_memory()

    def _lora(self, ref: ModelRef) -> Any:
        if ref.adapter is None:
            return None
        from vllm.lora.request import LoRARequest

        number = self._numbers[ref.adapter]
        return LoRARequest(f"adapter{number}", number, ref.adapter)


def _start(label: str, arguments: dict[str, Any], variables: dict[str, str]) -> Any:
    for name, value in variables.items():
        os.environ.setdefault(name, value)
    said: list[str] = []
    try:
        with warnings.catch_warnings(), _told_elsewhere(said), keep_threads():
            warnings.simplefilter("ignore")
            from vllm import LLM

            return LLM(**arguments)
    except HarnessError:
        raise
    except ImportError as error:
        raise ModelError(
            f"{label}: vLLM is installed, and cannot be imported ({first_line(error, named=True)}). Its build must fit "
            "torch and this machine; install it again as docs/vllm.md says."
        ) from error
    except Exception as error:
        last = f" Its last line: {said[-1]}" if said else ""
        raise ModelError(
            f"{label}: vLLM cannot load it ({first_line(error, named=True)}). Check [tool.harness.vllm] and the "
            f"model's folder; hf: instead of vllm: asks it through transformers.{last}"
        ) from error


@contextlib.contextmanager
def _told_elsewhere(said: list[str] | None = None) -> Iterator[None]:
    """Keep what is written to the terminal out of it, by libraries in C too; where it fails, `said` has the lines."""
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as file:
        kept = [os.dup(1), os.dup(2)]
        try:
            for number in (1, 2):
                os.dup2(file.fileno(), number)
            yield
        except Exception:
            if said is not None:
                file.seek(0)
                said += [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
            raise
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, copy in zip((1, 2), kept, strict=True):
                os.dup2(copy, number)
                os.close(copy)
