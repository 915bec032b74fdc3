"""From page values to one self-contained file: no network, one script bound by its digest, everything escaped."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import jinja2
from markupsafe import Markup

from harness.errors import RecordError
from harness.gate import decide
from harness.models import Response
from harness.record import RunRecord, read_record, read_texts
from harness.report.cases import cases_of
from harness.report.chinese import CHINESE
from harness.report.history import read_history, write_summary
from harness.report.packing import pack, pack_details
from harness.report.pages import Page, build_page
from harness.report.plots import draw_plots
from harness.report.summary import summarise
from harness.report.words import Language, Words
from harness.review.kept import review_for
from harness.review.opinions import Review
from harness.verdict import Verdict

REPORT_FILE = "index.html"
_TEMPLATES = Path(__file__).parent / "templates"
#: The page's script, in the order in which it is read.
SCRIPTS = ("page.js", "packed.js", "diff.js", "judge.js", "detail.js", "list.js", "keys.js")


def render(page: Page) -> str:
    """The page as HTML."""
    script, style = _script(), _template("report.css") + _template("cases.css")
    places, blocks = pack_details(page.cases)
    index = {
        "cases": [case.line for case in page.cases],
        "places": places,
        "models": {model.role: model.label for model in page.models},
        "words": CHINESE if page.words.language == "zh" else {},
    }
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            page=page,
            _=page.words,
            language="zh-CN" if page.words.language == "zh" else "en",
            # Both are ours and part of no answer.
            script=Markup(script),
            style=Markup(style),
            script_digest=_digest(script),
            style_digest=_digest(style),
            plots={name: Markup(getattr(page.plots, name)) for name in ("retention", "training", "history")},
            index=pack(index),
            blocks=blocks,
        )
    )


def write_report(folder: Path, language: Language = "en") -> Path:
    """Write index.html beside a run's record, decided under the record's own policy; returns its path.

    Raises RecordError where the record cannot be read or the disk refuses.
    """
    record = read_record(folder)
    review = review_for(folder, record)
    verdict = decide(record, record.policy, review=review)
    return write_page(folder, record, verdict, read_texts(folder, record), language, review)


def write_page(
    folder: Path,
    record: RunRecord,
    verdict: Verdict,
    texts: Mapping[str, Response],
    language: Language = "en",
    review: Review | None = None,
) -> Path:
    """Write index.html and summary.json into `folder`, each whole or not at all; returns the page's path."""
    cases = cases_of(record, verdict, texts)
    summary = summarise(record, verdict, cases)
    history = read_history(folder, summary)
    training = record.lineage.candidate if record.lineage is not None else None
    plots = draw_plots(summary, training, history, Words(language))
    page = build_page(
        record, verdict, texts, language=language, history=history, plots=plots, cases=cases, review=review
    )
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
    write_summary(folder, summary)
    return file


def _script() -> str:
    return '(() => {\n"use strict";\n' + "\n".join(_template(name) for name in SCRIPTS) + "})();\n"


def _template(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


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
