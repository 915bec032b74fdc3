"""pytest on a project's suites, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import ConfigError

if TYPE_CHECKING:
    from harness.config import Project


def suite_command(project: Project, model: str, baseline: str | None) -> list[str]:
    """pytest on all of the policy's suites. Raises ConfigError for a suite that is not there."""
    suites = project.config.gate.suites
    for suite in suites:
        if not (project.root / suite).exists():
            raise ConfigError(
                f"{project.root / 'pyproject.toml'}: [tool.harness.gate] suites: {suite!r} does not exist. "
                "Write a suite there, or name the folder that has them."
            )
    # A project's addopts may select tests; a gate judges them all.
    command = [sys.executable, "-m", "pytest", *suites, "-m", "", "-k", "", f"--model={from_anywhere(model)}"]
    return command if baseline is None else [*command, f"--baseline={from_anywhere(baseline)}"]


def from_anywhere(model: str) -> str:
    """The suites run in the project's root: a folder or YAML named from below it keeps its meaning."""
    from harness.models.refs import MODEL_FILES

    here = ("/" in model and Path(model).is_dir()) or (model.endswith(MODEL_FILES) and Path(model).is_file())
    return str(Path(model).resolve()) if here else model


def wait_for(child: subprocess.Popen[bytes]) -> int:
    """The child's exit status. Ctrl-C reaches the child too: it gets the time to keep what it has."""
    try:
        return child.wait()
    except KeyboardInterrupt:
        child.wait()
        raise
