"""summary.md beside a run's report: ready to be posted."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from harness.errors import RecordError

SUMMARY_FILE = "summary.md"


def write_comment(folder: Path, page: str) -> Path:
    """Write summary.md into the run's folder, whole or not at all; returns its path."""
    return _write(
        folder / SUMMARY_FILE,
        page,
        f"Make room; the record is safe, and `harness report {folder}` writes report and summary again.",
    )


def write_page(file: Path, page: str) -> Path:
    """Write the page where a caller wants it, whole or not at all; returns its path."""
    return _write(file, page, "Name another file.")


def _write(file: Path, page: str, remedy: str) -> Path:
    unfinished = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_text(page, encoding="utf-8")
        unfinished.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise RecordError(f"{file}: cannot be written ({error.strerror}). {remedy}") from error
    return file
