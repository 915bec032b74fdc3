"""What the run says: progress while models answer, and the verdict at the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.ci.console import SHOWN, no_verdict, roles, worst_lines
from harness.columns import fold
from harness.generation import Progress
from harness.pytest_plugin.lanes import TOLD
from harness.verdict import WIDTH, clip
from harness.worst import count_worst

if TYPE_CHECKING:
    from harness.pytest_plugin.results import RunResults

VERBS = {"load": "loading", "generate": "answering", "score": "scoring"}


class ProgressLine:
    """One line that is rewritten on a terminal; in a log, one line as each model's phase begins."""

    def __init__(self, config: Any) -> None:
        self._config = config
        self._last: tuple[str, str] | None = None

    def __call__(self, progress: Progress) -> None:
        reporter = self._config.pluginmanager.getplugin("terminalreporter")
        if reporter is None or self._config.option.verbose < 0:
            return
        phase = (progress.label, progress.phase)
        line = f"{progress.label}: {VERBS[progress.phase]}"
        if progress.phase != "load":
            line += f" {progress.done}/{progress.total}" if reporter.isatty else f" {progress.total}"
        if not reporter.isatty:
            if phase != self._last:
                reporter.ensure_newline()
                reporter.write_line(line)
        else:
            if self._last is None:
                reporter.ensure_newline()
            if progress.done and progress.seconds > 0:
                left = progress.seconds / progress.done * (progress.total - progress.done)
                line += f", {progress.tokens / progress.seconds:.0f} tokens/s, {_minutes(left)} left"
            reporter.rewrite(line, erase=True)
            if progress.done == progress.total:
                reporter.rewrite("", erase=True)
        self._last = phase


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def write_foresight(results: RunResults, session: Any) -> None:
    """Before anything is asked: what the run can see. Nothing for a part of a run, which carries no verdict."""
    reporter = session.config.pluginmanager.getplugin("terminalreporter")
    quiet = reporter is None or session.config.option.verbose < 0 or session.config.option.collectonly
    if quiet or not session.items or results.partial() is not None:
        return
    foresight = results.session.foresight(session.items)
    for line in () if foresight is None else foresight.lines():
        _write(reporter, clip(line, 2 * WIDTH))


def each_error_once(reports: Sequence[Any]) -> list[Any]:
    """The reports of errors without those that only repeat our sentence of an earlier one.

    What ended the one batch ends every test that waits for an answer, before it begins. A traceback is a test's own and
    stays.
    """
    seen: set[str] = set()
    kept = []
    for report in reports:
        message = report.longrepr
        if report.when == "setup" and isinstance(message, str) and hasattr(report, TOLD):
            if message in seen:
                continue
            seen.add(message)
        kept.append(report)
    return kept


def write_summary(reporter: Any, results: RunResults) -> None:
    """The verdict, its reasons, and where to read more."""
    if results.trouble:
        reporter.section("finetune harness", red=True)
        _write(reporter, results.trouble, red=True)
        return
    if results.record is None or results.verdict is None:
        return
    verdict, record = results.verdict, results.record
    colour = {"PASS": "green", "FAIL": "red", "INVALID": "red"}.get(verdict.status, "yellow")
    columns = reporter._tw.fullwidth
    # Else the row of dots would end below our title.
    reporter.ensure_newline()
    why = no_verdict(record)
    reporter.section("finetune harness", **{"yellow" if why else colour: True})
    if why is None:
        first, *rest = verdict.lines(columns)
        reporter.write_line(first, bold=True, **{colour: True})
        for line in rest:
            reporter.write_line(line)
        for row in worst_lines(results.worst[:SHOWN], count_worst(record, verdict), columns):
            reporter.write_line(row.text, bold=row.head)
    else:
        _write(reporter, roles(record))
        _write(reporter, why, yellow=True)
        cut_off = sum(case.cut_off > 0 for s in record.sets for case in s.cases)
        if cut_off:
            _write(reporter, f"note: {cut_off} cases with answers of the candidate cut off at max_tokens")
    stats = results.session.stats
    if stats is not None:
        loaded = ", ".join(stats.loaded) or "no model was loaded"
        new = stats.generated + stats.scored
        _write(reporter, f"{new} answers generated ({loaded}), {stats.reused} from the store")
        for note in stats.notes:
            _write(reporter, f"note: {note}", yellow=True)
        if stats.cost is not None:
            tokens = f"{stats.prompt_tokens:,} tokens read, {stats.completion_tokens:,} written"
            _write(reporter, f"new answers cost {stats.cost:.4g}: {tokens}")
    for told in results.tracked:
        _write(reporter, told)
    if results.folder is not None:
        reporter.write_line(f"report: {_shown(results.folder)}/index.html")


def _write(reporter: Any, text: str, **markup: bool) -> None:
    """A line, which on a narrow terminal goes on below itself."""
    columns = reporter._tw.fullwidth
    for row in [text] if columns >= WIDTH else fold(text, columns):
        reporter.write_line(row, **markup)


def _shown(folder: Path) -> Path:
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
