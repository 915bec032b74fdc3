"""summary.md beside a run's report: ready to be posted."""

from __future__ import annotations

import os
from pathlib import Path

from harness.errors import RecordError

SUMMARY_FILE = "summary.md"


def write_comment(folder: Path, page: str) -> Path:
    """Write summary.md into the run's folder, whole or not at all; returns its path."""
    file = folder / SUMMARY_FILE
    unfinished = folder / f".{SUMMARY_FILE}.{os.getpid()}.tmp"
    try:
        unfinished.write_text(page, encoding="utf-8")
        unfinished.replace(file)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise RecordError(
            f"{file}: cannot be written ({error.strerror}). Make room; the record is safe, and "
            f"`harness report {folder}` writes report and summary again."
        ) from error
    return file
