"""Where a base lies: in a folder, in the cache of the hub, or in the package; and its digest."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec

from harness.errors import ModelError
from harness.models import digests
from harness.models.smollm2 import FOLDER, SMOLLM2, ensure

#: What a hub id looks like, without its revision.
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


class FoundBase(msgspec.Struct, frozen=True, kw_only=True):
    """Where a base lies, as `ModelRef.base` names it (a folder, or a hub id pinned to a commit), and its digest."""

    place: str
    digest: str


def find_base(base: str, root: Path, *, wanted_by: str) -> FoundBase:
    """The base that is meant: the word `smollm2`, a folder, or a hub id.

    Raises ModelError, which names the reference that wanted it, where there is none.
    """
    path = None if base == SMOLLM2 else find_path(base, root)
    if base == SMOLLM2 or (path is None and Path(base).name == FOLDER):
        # The second: an adapter that was trained on another machine names that machine's cache folder.
        folder = ensure()
        return FoundBase(place=str(folder), digest=digests.base_digest(folder))
    if path is not None and path.is_dir():
        if not (path / "config.json").is_file():
            raise ModelError(f"{wanted_by}: the base {path} has no config.json, so it is not a model folder.")
        return FoundBase(place=str(path), digest=digests.base_digest(path))
    if HUB_ID.fullmatch(base.partition("@")[0]):
        name, _, revision = base.partition("@")
        commit = _hub_commit(name, revision or "main", wanted_by)
        return FoundBase(place=f"{name}@{commit}", digest=commit)
    raise ModelError(
        f"{wanted_by}: its base {base!r} is not a folder here and not a hub id (org/name). "
        "Name the base yourself: hf:BASE+ADAPTER_FOLDER"
    )


def pinned(base: str) -> tuple[str, str | None]:
    """The (folder or hub id, revision or None) that `from_pretrained` takes, from `ModelRef.base`.

    >>> pinned("org/name@0123abc")
    ('org/name', '0123abc')
    """
    if os.path.isdir(base):
        return base, None
    name, _, revision = base.partition("@")
    return name, revision or None


def _hub_commit(name: str, revision: str, wanted_by: str) -> str:
    """The commit that a hub id stands for: from the local cache when offline, else from the hub."""
    try:
        import huggingface_hub
        from huggingface_hub import constants
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise ModelError(f"{wanted_by}: hub models need the extra: pip install 'finetune-harness[hf]'") from error
    if re.fullmatch(r"[0-9a-f]{40}", revision):
        return revision
    reference = Path(constants.HF_HUB_CACHE) / ("models--" + name.replace("/", "--")) / "refs" / revision
    if not constants.HF_HUB_OFFLINE:
        try:
            commit = huggingface_hub.HfApi().model_info(name, revision=revision, timeout=10).sha
            if commit:
                return commit
        except HfHubHTTPError as error:
            if error.response is not None and error.response.status_code in (401, 403, 404):
                raise ModelError(
                    f"{wanted_by}: the hub has no model {name!r} at {revision!r} that you may read. "
                    "Check the spelling, or log in with `hf auth login`."
                ) from error
        except Exception:
            pass  # no network: the cache decides below
    if reference.is_file():
        return reference.read_text(encoding="utf-8").strip()
    raise ModelError(
        f"{wanted_by}: {name!r} is neither a folder nor in the local hub cache, and the hub cannot "
        f"be reached. Download it once with a network: hf download {name}"
    )


def find_path(name: str, root: Path) -> Path | None:
    """The path that `name` means: from the current folder, else from `root`; None where neither has it."""
    path = Path(name).expanduser()
    for candidate in (path, Path(root) / path):
        if candidate.exists():
            return candidate.resolve()
    return None
