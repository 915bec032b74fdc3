"""The runs that lie beside a run: what became of earlier candidates against the same baseline."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

from harness.errors import RecordError
from harness.report.summary import RunSummary

SUMMARY_FILE = "summary.json"
#: Runs shown; older ones stay on disk.
MOST = 30
#: Folders looked through for them.
LOOKED_THROUGH = 200


def read_history(folder: Path, current: RunSummary) -> tuple[RunSummary, ...]:
    """The run in `folder` and complete earlier ones beside it against the same baseline, oldest first.

    A summary that cannot be read is passed over: history is an extra, and the record is what counts.
    """
    found = [current]
    beside = [p.name for p in folder.parent.iterdir() if p.is_dir()] if folder.parent.is_dir() else []
    for name in sorted(beside, reverse=True)[:LOOKED_THROUGH]:
        if name == folder.name:
            continue
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            one = msgspec.json.decode((folder.parent / name / SUMMARY_FILE).read_bytes(), type=RunSummary)
            # A folder that was renamed would make a link to nowhere.
            alike = one.baseline_digest == current.baseline_digest and one.run_id == name
            if alike and one.word != "PARTIAL" and one.created <= current.created:
                found.append(one)
    return tuple(sorted(found, key=lambda one: (one.created, one.run_id))[-MOST:])


def write_summary(folder: Path, summary: RunSummary) -> None:
    """Write summary.json beside the record, whole or not at all. Raises RecordError where the disk refuses."""
    file = folder / SUMMARY_FILE
    unfinished = folder / f".{SUMMARY_FILE}.{os.getpid()}.tmp"
    try:
        unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n")
        unfinished.replace(file)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise RecordError(f"{file}: the summary cannot be written ({error.strerror}). Make room.") from error
