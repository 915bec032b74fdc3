"""A project to start from: sets, suites, a recipe, data, and a policy whose margin fits the sets."""

from __future__ import annotations

from harness.starter.margins import MarginChoice, choose_margin
from harness.starter.project import (
    LANGUAGES,
    SETTINGS,
    Language,
    StarterFile,
    StarterProject,
    plan_project,
    write_project,
)

__all__ = [
    "LANGUAGES",
    "SETTINGS",
    "Language",
    "MarginChoice",
    "StarterFile",
    "StarterProject",
    "choose_margin",
    "plan_project",
    "write_project",
]
