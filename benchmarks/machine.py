"""What every result file says of where it came from, and where it is kept."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def versions(*packages: str) -> dict[str, object]:
    """Machine and package versions for a result file; no host names."""
    found = {name: importlib.metadata.version(name) for name in packages}
    return {
        "machine": {"cpus": os.cpu_count(), "arch": platform.machine(), "python": platform.python_version()},
        "versions": found,
    }


def save(name: str, result: dict[str, object]) -> Path:
    """Write `results/NAME.json`."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(result, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return path
