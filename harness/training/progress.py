"""What a person sees while a model trains: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from harness.generation import Progress as Generating
from harness.training.checkpoints import EpochRecord, StepRecord

#: Seconds between lines where there is no terminal.
LINE_EVERY = 10.0


class Listener(Protocol):
    """Who is told about a run as it goes. Called on the main process only."""

    def note(self, sentence: str) -> None:
        """Something that happened once."""

    def start(self, *, done: int, total: int) -> None:
        """Training begins after update `done` of `total`."""

    def step(self, record: StepRecord, rate: float) -> None:
        """An update was made; `rate` is tokens a second since the start."""

    def epoch(self, record: EpochRecord) -> None:
        """An epoch was validated."""


class Silent:
    """Tells nobody."""

    def note(self, sentence: str) -> None: ...
    def start(self, *, done: int, total: int) -> None: ...
    def step(self, record: StepRecord, rate: float) -> None: ...
    def epoch(self, record: EpochRecord) -> None: ...


class Display:
    """Shows a run on a stream. Use as a context manager, so that the terminal is given back."""

    def __init__(self, stream: TextIO, *, quiet: bool = False) -> None:
        self._console = Console(file=stream, highlight=False, soft_wrap=True, quiet=quiet)
        self._bar: Progress | None = None
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("training"),
                BarColumn(bar_width=24),
                TextColumn("{task.completed}/{task.total} {task.description}"),
                TimeRemainingColumn(compact=True),
                console=self._console,
            )
        self._total = 0
        self._first = 0
        self._last_line = float("-inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def note(self, sentence: str) -> None:
        """Printed above the bar."""
        self._console.print(sentence, markup=False)

    def answering(self, progress: Generating) -> None:
        """The base is answering replay prompts."""
        if progress.phase != "generate" or not progress.total:
            return
        now = time.monotonic()
        if now - self._last_line >= LINE_EVERY or progress.done == progress.total:
            self._last_line = now
            self.note(f"replay: {progress.done}/{progress.total} prompts answered by {progress.label}")

    def start(self, *, done: int, total: int) -> None:
        """Opens the bar."""
        self._total, self._first = total, done
        if self._bar is not None:
            self._bar.add_task("", total=total, completed=done)
            self._bar.start()

    def step(self, record: StepRecord, rate: float) -> None:
        """Loss in nats a token, rate, gradient norm, tokens a second, time left."""
        facts = f"loss {record.loss:.3f}  rate {record.rate:.1e}  norm {record.norm:.2f}  {rate:.0f} tok/s"
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=record.step, description=facts)
            return
        now = time.monotonic()
        if now - self._last_line >= LINE_EVERY or record.step == self._total:
            self._last_line = now
            left = record.seconds / record.step * (self._total - record.step)
            self._console.print(f"step {record.step}/{self._total}  {facts}  {left:.0f} s left", markup=False)

    def epoch(self, record: EpochRecord) -> None:
        """One line an epoch."""
        self.note(f"epoch {record.epoch + 1}: validation loss {record.validation_loss:.3f}")
