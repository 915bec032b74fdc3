"""Was everything asked that the policy wants asked? A selection carries no verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.config import Project

#: Options whose use means that only some of the tests were meant, and how they are told.
SELECTORS = {
    "keyword": "-k",
    "markexpr": "-m",
    "lf": "--lf",
    "maxfail": "-x or --maxfail",
    "deselect": "--deselect",
    "stepwise": "--stepwise",
    "ignore": "--ignore",
    "ignore_glob": "--ignore-glob",
    "continue_on_collection_errors": "--continue-on-collection-errors",
}

#: Settings that decide which files, classes and functions are tests.
COLLECTION_INI = ("python_files", "python_classes", "python_functions", "norecursedirs", "collect_imported_tests")


def partial_because(
    config: pytest.Config, project: Project, *, deselected: int, uncollected: Sequence[str], unended: int, expected: int
) -> str | None:
    """Why the run can carry no verdict; None where it is complete.

    `uncollected` are files that could not be collected, `unended` of the `expected` tests came to no end.
    """
    used = [name for option, name in SELECTORS.items() if getattr(config.option, option, None)]
    if any("::" in str(arg) for arg in config.args):
        used.append("a node id")
    settings = [str(setting) for setting in getattr(config.option, "override_ini", None) or ()]
    used += [f"-o {setting}" for setting in settings if setting.partition("=")[0].strip() in COLLECTION_INI]
    if used:
        return f"cases were selected by {' and '.join(used)}"
    if uncollected:
        return f"{', '.join(uncollected[:3])} could not be collected"
    if deselected:
        return f"{deselected} tests were deselected"
    unasked = [suite for suite in project.config.gate.suites if not _covered(config, project, suite)]
    if unasked:
        return f"{', '.join(unasked)} of the policy's suites was not run"
    return f"{unended} of {expected} tests did not end" if unended else None


def _covered(config: pytest.Config, project: Project, suite: str) -> bool:
    wanted = (project.root / suite).resolve()
    given = [Path(config.invocation_params.dir, str(arg)).resolve() for arg in config.args]
    return any(wanted == folder or wanted.is_relative_to(folder) for folder in given)
