"""From page values to one self-contained file: no script, no network, everything from a model escaped."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from pathlib import Path

import jinja2

from harness.errors import RecordError
from harness.gate import decide
from harness.record import read_record, read_texts
from harness.report.pages import Page, build_page

REPORT_FILE = "index.html"
_TEMPLATES = Path(__file__).parent / "templates"


def render(page: Page) -> str:
    """The page as HTML."""
    return _environment().get_template("report.html.j2").render(page=page)


def write_report(folder: Path) -> Path:
    """Write index.html beside a run's record, decided under the record's own policy; returns its path.

    Raises RecordError where the record cannot be read or the disk refuses.
    """
    record = read_record(folder)
    return write_page(folder, build_page(record, decide(record, record.policy), read_texts(folder, record)))


def write_page(folder: Path, page: Page) -> Path:
    """Write the page as index.html into `folder`, whole or not at all; returns its path."""
    file = folder / REPORT_FILE
    unfinished = folder / f".{REPORT_FILE}.{os.getpid()}.tmp"
    try:
        unfinished.write_text(render(page), encoding="utf-8")
        unfinished.replace(file)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise RecordError(
            f"{file}: the report cannot be written ({error.strerror}). Make room; the record is safe, and "
            f"`harness report {folder}` writes the report again."
        ) from error
    return file


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        bytecode_cache=_compiled_templates(),
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        # By file ending it would leave .j2 unescaped.
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _compiled_templates() -> jinja2.BytecodeCache | None:
    """Beside the templates, as Python keeps compiled modules beside theirs; None where it would not."""
    folder = _TEMPLATES / "__pycache__"
    with contextlib.suppress(OSError):
        if not sys.dont_write_bytecode:
            folder.mkdir(exist_ok=True)
    usable = not sys.dont_write_bytecode and os.access(folder, os.W_OK)
    return jinja2.FileSystemBytecodeCache(str(folder)) if usable else None
