"""GitHub Actions: annotations at the golden file's line, and the page of the step.

A line of a job's log that begins with `::name` is a command, and so is `##[name]` anywhere in it. No text of a model
may become one: what is said here is escaped, and `Mute` keeps the runner from obeying what others print.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from harness.ci.comment import title
from harness.ci.console import plain
from harness.record import RunRecord
from harness.verdict import Verdict
from harness.worst import WorstCase, count_worst

#: GitHub shows ten errors and ten warnings of a step.
MOST = 10

Level = Literal["error", "warning", "notice"]


def on_github(environ: Mapping[str, str]) -> bool:
    """Is this a job of GitHub Actions?"""
    return environ.get("GITHUB_ACTIONS") == "true"


def tell(
    record: RunRecord,
    verdict: Verdict,
    worst: Sequence[WorstCase],
    page: str,
    *,
    environ: Mapping[str, str],
    root: Path,
) -> Iterator[str]:
    """In a job of GitHub Actions: add the page to the step's summary, and give the lines to be printed into its log."""
    if not on_github(environ):
        return
    trouble = _append(environ.get("GITHUB_STEP_SUMMARY"), page)
    if trouble is not None:
        yield trouble
    yield from annotate(record, verdict, worst, root=root, workspace=environ.get("GITHUB_WORKSPACE"))


def annotate(
    record: RunRecord, verdict: Verdict, worst: Sequence[WorstCase], *, root: Path, workspace: str | None
) -> Iterator[str]:
    """One command for the verdict, then one for each of the worst cases, ten in all; none for a partial run.

    `root` is the project's folder, to which the record's paths are relative; `workspace` the checkout's, to which
    GitHub's are.
    """
    if record.partial is not None:
        return
    level: Level = "error" if verdict.status == "FAIL" else "warning"
    if verdict.status != "PASS":
        reasons = "\n".join(plain(reason, 500) for reason in verdict.reasons()[:3])
        yield command(level, title(record, verdict), title="finetune harness", rest=reasons)
    shown = worst[: MOST - 1]
    total = count_worst(record, verdict)
    for i, case in enumerate(shown):
        kind = "red line broken" if case.broken else "judged worse" if case.judged else "newly missed"
        rest = f"baseline: {plain(case.baseline)}\n" if case.baseline is not None else ""
        rest += f"candidate: {plain(case.candidate)}" if case.candidate is not None else ""
        more = (
            f" (and {total - len(shown):,} more, see the report)" if i == len(shown) - 1 and total > len(shown) else ""
        )
        yield command(
            level,
            f"{plain(case.why)}{more}",
            file=_in_workspace(root / case.file, workspace) if case.file else None,
            line=case.line if case.file else None,
            title=f"{kind}: {plain(case.set)}: {plain(case.case)}",
            rest=rest,
        )


def command(
    level: Level, message: str, *, title: str, file: str | None = None, line: int | None = None, rest: str = ""
) -> str:
    """One workflow command, on one line. `rest` are further lines of the message.

    >>> command("error", "wrong: 100%", file="a,b.jsonl", line=3, title="x")
    '::error file=a%2Cb.jsonl,line=3,title=x::wrong: 100%25'
    """
    properties = {"file": file, "line": None if line is None else str(line), "title": title}
    told = ",".join(f"{name}={_property(value)}" for name, value in properties.items() if value is not None)
    return f"::{level} {told}::{_data(message if not rest else f'{message}{chr(10)}{rest}')}"


def _append(file: str | None, page: str) -> str | None:
    """What went wrong, where the summary cannot be written: it changes no verdict."""
    if not file:
        return None
    try:
        with Path(file).open("a", encoding="utf-8") as opened:
            opened.write(page + "\n")
    except OSError as error:
        return f"note: {file}: the step's summary cannot be written ({error.strerror or error})"
    return None


class Mute:
    """While it is `quiet`, the runner takes nothing in the log for a command, whoever printed it."""

    def __init__(self) -> None:
        # Whoever could guess it could end the quiet.
        self._token = f"finetune-harness-{secrets.token_hex(16)}"

    @property
    def quiet(self) -> str:
        """The line after which no command is obeyed."""
        return f"::stop-commands::{self._token}"

    @property
    def loud(self) -> str:
        """The line after which they are again."""
        return f"::{self._token}::"


def _in_workspace(file: Path, workspace: str | None) -> str:
    home = Path(workspace).resolve() if workspace else None
    resolved = file.resolve()
    return (resolved.relative_to(home) if home is not None and resolved.is_relative_to(home) else file).as_posix()


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
