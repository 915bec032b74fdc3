"""A project in which trainings and answers are kept from one run of a benchmark to the next.

`demo_seeds.py` begins every demo with an empty registry, as the demo must; what it trained and asked is copied here
afterwards, and `retrains.py`, which needs the same trainings, finds them by their plan digest.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from harness.cli.story import MARK, PARTS, own_settings
from harness.config import Project, load_project
from harness.registry import Registry
from harness.store import Store
from harness.store.travel import export_rows, import_rows

ROOT = Path(__file__).resolve().parent.parent
#: Where both scripts work.
FOLDER = Path("demo") / "seeds"
#: The kept project's place below it.
KEPT = "retrains"


def kept_project(folder: Path) -> Project:
    """The project in `folder`, made if it is not there: today's suites, sets, recipes and data; registry, answers and
    reports stay."""
    source = load_project(ROOT)
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).is_file():
        raise SystemExit(f"{folder}: not empty, and not made by this script. Name another folder with --folder.")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()
    for part in PARTS:
        shutil.rmtree(folder / part, ignore_errors=True)
        shutil.copytree(source.root / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    settings = (source.root / "pyproject.toml").read_text(encoding="utf-8")
    (folder / "pyproject.toml").write_text(own_settings(settings), encoding="utf-8")
    return load_project(folder)


def inputs_digest(project: Project) -> str:
    """sha256 over everything that decides a training or a verdict: suites, sets, recipes, data and policy."""
    digest = hashlib.sha256()
    for part in (*PARTS, "pyproject.toml"):
        place = project.root / part
        for file in sorted(f for f in (place, *place.rglob("*")) if f.is_file() and "__pycache__" not in f.parts):
            digest.update(f"{file.relative_to(project.root).as_posix()}\n".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def keep(source: Project, target: Project) -> list[str]:
    """Copy the trained versions and stored answers of `source` into `target`; the labels that they have there."""
    there = Registry(target.registry, root=target.root)
    made = []
    here = Registry(source.registry, root=source.root)
    for label in here.labels():
        version = here.version(label)
        if version.training is not None:
            made.append(there.add(version.manifest.name, version.adapter, version.training).label)
    if source.store.is_file():
        travelling = target.root / "kept-answers.gz"
        with Store(source.store) as from_there, Store(target.store) as to:
            export_rows(from_there, travelling)
            import_rows(to, travelling)
        travelling.unlink()
    return made
