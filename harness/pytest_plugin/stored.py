"""`--store-only` where the weights are not: a name is looked up among the models whose answers are in the store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.errors import ModelError, RegistryError
from harness.models.refs import ModelRef
from harness.models.resolution import dtype_name
from harness.models.smollm2 import SMOLLM2
from harness.store import Store
from harness.store.identities import KnownModel, KnownRun


class StoredNames:
    """The models that a store knows: those of imported runs, the last import first, then all others.

    `dtype` is what the user asks for; auto is whatever the answers were given in.
    """

    def __init__(self, path: Path, dtype: str) -> None:
        self.runs: list[KnownRun] = []
        self.models: list[KnownModel] = []
        self._absent: set[ModelRef] = set()
        self._dtype = None if dtype == "auto" else dtype_name(dtype)
        if path.is_file():
            with Store(path) as store:
                self.runs = store.runs()
                self.models = [*(model for run in self.runs for model in run.models()), *store.models()]

    def resolve(self, text: str, local: Callable[[str], ModelRef]) -> ModelRef:
        """The model that `text` means here, by `local`; where its files are not here, the store's of that name.

        Of a hub id, and of the embedded model, the store is asked first: to find out more would need the network, or
        minutes.
        """
        stored = self.find(text)
        if stored is not None and _is_remote(text):
            self._absent.add(stored)
            return stored
        try:
            return local(text)
        except (ModelError, RegistryError) as error:
            if stored is not None:
                self._absent.add(stored)
                return stored
            known = ", ".join(sorted({model.label for model in self.models})) or "nobody's"
            raise ModelError(
                f"{error} The store has no answers of that name either (it has {known}): "
                "where the model is, `harness store export`; here, `harness store import`."
            ) from error

    def find(self, text: str) -> ModelRef | None:
        """The newest model that was asked as `text`, or is labelled so."""
        for model in self.models:
            if text in (model.reference, model.label) and (self._dtype in (None, model.dtype) or model.dtype == "none"):
                return model.ref(text)
        return None

    def baseline_of(self, candidate: ModelRef) -> ModelRef | None:
        """Whom this candidate was compared with in the run that was imported last.

        None where no run was imported, and for a candidate that is here: it is compared as always.
        """
        for run in self.runs if candidate in self._absent else ():
            if run.candidate.digest == candidate.digest and run.candidate.dtype == candidate.dtype:
                return None if run.baseline is None else run.baseline.ref(run.baseline.reference)
        return None


def _is_remote(text: str) -> bool:
    scheme, _, rest = text.partition(":")
    return text == SMOLLM2 or (scheme == "hf" and not Path(rest.partition("+")[0]).expanduser().exists())
