"""The machine and the installation that a project runs on, and what follows from them."""

from __future__ import annotations

from harness.environment.facts import Environment, look
from harness.environment.reading import Reading, read

__all__ = ["Environment", "Reading", "look", "read"]
