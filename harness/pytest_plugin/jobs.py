"""A run as a job of GitHub Actions: annotations, the page of the step, and no command from a model's mouth."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest

from harness.ci.console import no_verdict
from harness.ci.github import Mute, tell
from harness.pytest_plugin.results import RunResults


class GithubHooks:
    """Nothing that pytest or the harness print of failures, which quote answers, is taken for a command.

    What other plugins print into the summary stays as loud as it was. Registered before the controller's hooks, so that
    their summary, which comes first of all, falls into the quiet.
    """

    def __init__(self, results: RunResults) -> None:
        self._results = results
        self._mute = Mute()

    @pytest.hookimpl(wrapper=True, tryfirst=True, specname="pytest_terminal_summary")
    def pytest_around_pytests_own(self, terminalreporter: Any) -> Generator[None, None, None]:
        _say(terminalreporter, self._mute.quiet)
        try:
            yield
        finally:
            _say(terminalreporter, self._mute.loud)

    @pytest.hookimpl(tryfirst=True, specname="pytest_terminal_summary")
    def pytest_before_others(self, terminalreporter: Any) -> None:
        _say(terminalreporter, self._mute.loud)
        results = self._results
        if results.record is None or results.verdict is None or no_verdict(results.record) is not None:
            return
        root = results.session.project.root
        for line in tell(
            results.record, results.verdict, results.worst, results.comment, environ=os.environ, root=root
        ):
            _say(terminalreporter, line)

    @pytest.hookimpl(trylast=True, specname="pytest_terminal_summary")
    def pytest_after_others(self, terminalreporter: Any) -> None:
        _say(terminalreporter, self._mute.quiet)


def _say(reporter: Any, line: str) -> None:
    reporter.ensure_newline()
    reporter.write_line(line)
