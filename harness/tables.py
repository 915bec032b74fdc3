"""A run's cases as a file for a spreadsheet or a notebook."""

from __future__ import annotations

import contextlib
import csv
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.cells import neutral
from harness.columns import without_sequences
from harness.errors import RecordError
from harness.models import Response
from harness.record import TABLE_COLUMNS, RunRecord, table_rows
from harness.report.visible import visible


def write_csv(file: Path, record: RunRecord, texts: Mapping[str, Response]) -> int:
    """Write the rows of `table_rows` as CSV; returns how many.

    UTF-8 with the mark by which spreadsheets know it. Text that looks like a formula gets an apostrophe before it, and
    what a terminal would obey is spelled out or left away.
    """
    count = 0

    def write(unfinished: Path) -> None:
        nonlocal count
        with unfinished.open("w", encoding="utf-8-sig", newline="") as opened:
            table = csv.writer(opened)
            table.writerow(TABLE_COLUMNS)
            for count, row in enumerate(table_rows(record, texts), start=1):  # noqa: B007 - the last is asked for
                table.writerow([_cell(value) for value in row.values()])

    _whole(file, write)
    return count


def write_parquet(file: Path, record: RunRecord, texts: Mapping[str, Response]) -> int:
    """Write the rows as Parquet, every text as it is; returns how many.

    Raises RecordError without pandas or pyarrow.
    """
    frame = record.to_frame(texts)
    try:
        _whole(file, lambda unfinished: frame.to_parquet(unfinished, index=False))
    except ImportError as error:
        raise RecordError(
            f"{file}: Parquet needs pyarrow, which is not installed: pip install 'finetune-harness[tables]'. "
            "--csv needs nothing."
        ) from error
    return len(frame)


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    return neutral(visible(without_sequences(value)))


def _whole(file: Path, write: Callable[[Path], None]) -> None:
    """Whole or not at all."""
    unfinished = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        write(unfinished)
        unfinished.replace(file)
    except OSError as error:
        raise RecordError(f"{file}: cannot be written ({error.strerror}). Name another file.") from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
