"""Which versions of a model there are, and which of them ships.

    <registry>/<name>/<n>/manifest.json    what the version is: digests, base, when; never changed afterwards
    <registry>/<name>/<n>/adapter/         PEFT files
    <registry>/<name>/<n>/training.json    how it was made, where that is known
    <registry>/<name>/<n>/rows.jsonl.gz    the rows it was trained on, shortened, where it was trained here

A version is written to a temporary folder and renamed, so a half-written one never has a number. One writer
at a time holds `<registry>/.lock`. Aliases and their log are in aliases.py.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from importlib.metadata import version as distribution_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from filelock import FileLock

from harness.aliases import ALIASES, LABEL, NAME, Alias, Aliases, Move, now
from harness.data.learned import ROWS_FILE
from harness.errors import RegistryError, unknown_name
from harness.models.refs import ModelRef
from harness.models.resolution import Surroundings, resolve
from harness.promotion import refuse_without_proof

if TYPE_CHECKING:
    from harness.gate import Verdict
    from harness.record import RunRecord

#: Words that mean something else where a model is named.
RESERVED = (*ALIASES, "aliases", "smollm2", "hf", "scripted", "vllm", "openai")


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a version is. `parent` is the baseline at the time the version was made; `created` is UTC."""

    name: str
    version: int
    created: str
    base: str
    base_digest: str
    adapter_digest: str
    parent: str | None = None
    harness_version: str = ""
    format: int = 1


class ModelVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One immutable version on disk."""

    manifest: Manifest
    folder: Path

    @property
    def label(self) -> str:
        """How it is written everywhere: `triage@3`."""
        return f"{self.manifest.name}@{self.manifest.version}"

    @property
    def adapter(self) -> Path:
        """The PEFT folder."""
        return self.folder / "adapter"

    @property
    def digest(self) -> str:
        """Identity of the weights, as runs record it."""
        return ModelRef(
            text=self.label,
            label=self.label,
            engine="hf",
            base=self.manifest.base,
            base_digest=self.manifest.base_digest,
            adapter=str(self.adapter),
            adapter_digest=self.manifest.adapter_digest,
        ).digest

    @property
    def training(self) -> dict[str, Any] | None:
        """training.json, or None where the adapter was added from outside."""
        file = self.folder / "training.json"
        if not file.is_file():
            return None
        try:
            return msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise RegistryError(f"{file}: not valid JSON ({error}). Restore it from a backup.") from error


class Registry:
    """The versions below `folder`. `root` is where relative paths of base models start (default: here)."""

    def __init__(self, folder: Path, root: Path | None = None) -> None:
        self.folder = folder
        self.aliases = Aliases(folder)
        self._here = Surroundings(root=root or Path.cwd(), lookup=self.lookup, known=self.known)

    # ---- reading -------------------------------------------------------------------------------------------

    def lookup(self, text: str) -> Path | None:
        """The folder of what an alias, `triage@3`, or `triage` (its newest) means; None for other words."""
        label = self.aliases.get(text) if text in ALIASES else text
        if label is None:
            return None
        found = LABEL.fullmatch(label)
        if found is None:
            numbers = self._numbers(label) if NAME.fullmatch(label) and label not in RESERVED else []
            return self.folder / label / str(numbers[-1]) if numbers else None
        folder = self.folder / found[1] / found[2]
        if not folder.is_dir() and text in ALIASES:
            raise RegistryError(
                f"{self.aliases.file(text)}: points at {label}, which is gone. "
                f"Restore {folder} from a backup, or run `harness models rollback`."
            )
        return folder if folder.is_dir() else None

    def alias(self, name: Alias) -> str | None:
        """The label that an alias points at, or None."""
        return self.aliases.get(name)

    def log(self) -> list[Move]:
        """Every move of an alias, oldest first."""
        return self.aliases.log()

    def known(self) -> list[str]:
        """Everything that `lookup` finds: the aliases that are set, then every version."""
        return [alias for alias in ALIASES if self.aliases.get(alias) is not None] + self.labels()

    def labels(self) -> list[str]:
        """Every version, by name and then number, without reading its files."""
        if not self.folder.is_dir():
            return []
        names = sorted(p.name for p in self.folder.iterdir() if p.is_dir() and p.name not in RESERVED)
        return [f"{name}@{number}" for name in names for number in self._numbers(name)]

    def version(self, text: str) -> ModelVersion:
        """The version meant by an alias, `triage@3` or `triage`.

        Raises RegistryError for an unknown one, and for a version whose manifest is missing or unreadable.
        """
        folder = self.lookup(text)
        if folder is None:
            if text in ALIASES:
                raise RegistryError(
                    f"no version is the {text} yet. Make one with `harness train RECIPE`, "
                    "or register an adapter with `harness models add PATH`."
                )
            raise RegistryError(unknown_name("model version", text, self.known()))
        return ModelVersion(manifest=_read_manifest(folder), folder=folder)

    # ---- writing -------------------------------------------------------------------------------------------

    def add(self, name: str, adapter_folder: Path, training: dict[str, Any] | None = None) -> ModelVersion:
        """Copy a PEFT folder in as the next version of `name`; weights that have a version already keep it.

        Without `training`, a training.json inside the folder is taken. Raises RegistryError for a bad name,
        a folder that is no adapter, or a disk that refuses; ModelError where its weights are damaged, or its base
        cannot be found.
        """
        refuse_name(name)
        for file in ("adapter_config.json", "adapter_model.safetensors"):
            if not (adapter_folder / file).is_file():
                raise RegistryError(
                    f"{adapter_folder}: no {file}, so this is no PEFT adapter. Give the folder that "
                    "`model.save_pretrained` wrote."
                )
        # Now, so that what is wrong is told of the folder that was named, not of its copy.
        resolve(str(adapter_folder.resolve()), self._here)
        with self._locked():
            home = self.folder / name
            home.mkdir(parents=True, exist_ok=True)
            unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=home))
            try:
                return self._write(name, adapter_folder, unfinished, training)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
                with contextlib.suppress(OSError):  # not empty: the usual case
                    home.rmdir()

    def _write(self, name: str, source: Path, folder: Path, training: dict[str, Any] | None) -> ModelVersion:
        adapter = folder / "adapter"
        adapter.mkdir()
        for file in sorted(p for p in source.iterdir() if p.is_file()):
            shutil.copyfile(file, (folder if file.name in ("training.json", ROWS_FILE) else adapter) / file.name)
        if training is not None:
            _write_new(folder / "training.json", msgspec.json.format(msgspec.json.encode(training), indent=2))
        ref = resolve(str(adapter), self._here)
        for number in self._numbers(name):
            with contextlib.suppress(RegistryError):  # a damaged version is no reason to refuse a new one
                old = self.version(f"{name}@{number}")
                if old.digest == ref.digest:
                    return old
        assert ref.adapter_digest is not None
        manifest = Manifest(
            name=name,
            version=self._next_number(name),
            created=now(),
            base=ref.base,
            base_digest=ref.base_digest,
            adapter_digest=ref.adapter_digest,
            parent=self.aliases.get("baseline"),
            harness_version=distribution_version("finetune-harness"),
        )
        _write_new(folder / "manifest.json", msgspec.json.format(msgspec.json.encode(manifest), indent=2))
        folder.chmod(0o755)  # mkdtemp's 0700 would hide the version from the team
        final = folder.parent / str(manifest.version)
        folder.rename(final)
        return ModelVersion(manifest=manifest, folder=final)

    def move_alias(self, alias: Alias, version: str, *, reason: str, owner: str | None = None) -> Move:
        """Point an alias at a version, whatever the gate says. For `candidate`; the baseline is promoted."""
        target = self.version(version).label
        with self._locked():
            return self.aliases.move(alias, target, kind="move", reason=reason, owner=owner)

    def promote(
        self,
        version: str,
        verdict: Verdict | None,
        record: RunRecord | None,
        accept: str | None = None,
        owner: str | None = None,
    ) -> Move:
        """Make a version the baseline, on the strength of a complete PASS for exactly its weights.

        `accept` is the reason with which `owner` answers for an INCONCLUSIVE verdict; it excuses nothing
        else. Raises PromotionRefused saying what is missing and which command supplies it.
        """
        target = self.version(version)
        with self._locked():
            baseline = None if (label := self.aliases.get("baseline")) is None else self.version(label)
            if baseline is not None and baseline.label == target.label:
                raise RegistryError(f"{target.label} is the baseline already: nothing to do.")
            self._refuse_changed_files(target)
            proof = refuse_without_proof(
                version=target.label,
                digest=target.digest,
                baseline="its own base" if baseline is None else baseline.label,
                baseline_digest=self.baseline_digest_for(target),
                verdict=verdict,
                record=record,
                accept=accept,
            )
            assert record is not None  # without a record there was no proof
            accepted = proof.status == "INCONCLUSIVE"
            told = f"{proof.status} in run {record.run_id}"
            for use in proof.waivers:
                told += f"; {use.told}" if use.state == "used" else ""
            return self.aliases.move(
                "baseline",
                target.label,
                kind="promote",
                reason=accept if accept and accepted else told,
                owner=owner,
                run_id=record.run_id,
                accepted=accepted,
            )

    def rollback(self, *, reason: str = "", owner: str | None = None) -> Move:
        """Undo the last promotion that still stands; again, the one before it.

        Raises RegistryError where none stands.
        """
        with self._locked():
            past = self.aliases.standing("baseline")
            if len(past) < 2:
                raise RegistryError(
                    "nothing to roll back: no promotion stands. `harness models list` shows what there is."
                )
            target = past[-2]
            if target is not None:
                target = self.version(target).label
            return self.aliases.move("baseline", target, kind="rollback", reason=reason or "rolled back", owner=owner)

    def baseline_digest_for(self, version: ModelVersion) -> str:
        """The weights that `version` must be compared with today: the baseline's, else its own base's."""
        label = self.aliases.get("baseline")
        return version.manifest.base_digest if label is None else self.version(label).digest

    # ---- inside --------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time. A move that was logged but not made is made first."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / ".lock"):
                self.aliases.finish_interrupted()
                yield
        except OSError as error:
            raise RegistryError(
                f"{error.filename or self.folder}: {error.strerror or error}. Nothing was half-written: "
                "free space or fix the permissions, then run the same command again."
            ) from error

    def _refuse_changed_files(self, version: ModelVersion) -> None:
        ref = resolve(str(version.adapter), self._here)
        if ref.digest != version.digest:
            raise RegistryError(
                f"{version.folder}: the files are not those that were registered "
                f"(digest {ref.digest[:12]}, manifest {version.digest[:12]}). "
                "Versions are immutable: register the changed adapter with `harness models add`."
            )

    def _next_number(self, name: str) -> int:
        """A number that no version has, nor had as an alias before it was deleted."""
        seen = [found for move in self.aliases.log() if (found := LABEL.fullmatch(move.after or ""))]
        return max([0, *self._numbers(name), *(int(found[2]) for found in seen if found[1] == name)]) + 1

    def _numbers(self, name: str) -> list[int]:
        home = self.folder / name
        return sorted(int(p.name) for p in home.iterdir() if p.name.isdecimal()) if home.is_dir() else []


def refuse_name(name: str) -> None:
    """Raise RegistryError for a name that no model can have."""
    if not NAME.fullmatch(name) or name in RESERVED:
        raise RegistryError(
            f"{name!r} cannot name a model: use letters, digits, '.', '_' and '-', and none of {', '.join(RESERVED)}."
        )


def _read_manifest(folder: Path) -> Manifest:
    file = folder / "manifest.json"
    advice = "The version is damaged: restore the folder from a backup, or delete it and register the adapter again."
    try:
        return msgspec.json.decode(file.read_bytes(), type=Manifest)
    except OSError as error:
        raise RegistryError(f"{file}: cannot be read ({error.strerror}). {advice}") from error
    except msgspec.DecodeError as error:
        raise RegistryError(f"{file}: {error}. {advice}") from error


def _write_new(file: Path, content: bytes) -> None:
    file.write_bytes(content + b"\n")
