"""The hooks of a run with `--model`: plan, ask, tell apart, record. Each one delegates."""

from __future__ import annotations

import gc
import os
import uuid
from collections.abc import Generator
from typing import Any

import msgspec
import pytest

from harness.ci.github import on_github
from harness.config import HarnessConfig, Project
from harness.errors import Advisory, HarnessError, Inconclusive, Invalid
from harness.generation import GenerationStats
from harness.judges.refs import JudgeRef
from harness.naming import resolve_project_judge
from harness.pytest_plugin import collect
from harness.pytest_plugin.jobs import GithubHooks
from harness.pytest_plugin.junit import case_properties
from harness.pytest_plugin.lanes import OUTCOME, TOLD, UNJUDGED, asks_model, hand_over, run_item
from harness.pytest_plugin.results import RunResults
from harness.pytest_plugin.roles import ModelRefs, against_itself, resolve_refs
from harness.pytest_plugin.session import (
    SESSION,
    HarnessSession,
    case_param,
    check_samples,
    in_worker,
    report_folder,
)
from harness.pytest_plugin.terminal import ProgressLine, each_error_once, write_foresight, write_summary

WHOLE_SET = frozenset({"scores", "comparisons", "retention"})

#: Fixtures that a judge's word is needed for.
JUDGED = frozenset({"comparisons", "judgement"})

#: Our word, letter and colour for each outcome that pytest does not know.
WORDS: dict[str, tuple[str, str, tuple[str, dict[str, bool]]]] = {
    "missed": ("missed", "m", ("MISSED", {"yellow": True})),
    "unstable": ("unstable", "u", ("UNSTABLE", {"yellow": True})),
    "inconclusive": ("inconclusive", "?", ("INCONCLUSIVE", {"yellow": True})),
    "advisory": ("advisory", "a", ("ADVISORY", {"yellow": True})),
    "invalid": ("invalid", "V", ("INVALID", {"red": True})),
    "error": ("error", "E", ("ERROR", {"red": True})),
}


def activate(config: pytest.Config) -> None:
    """Called once `--model` is seen: resolve the models (in the controller) and register the hooks."""
    try:
        project, refs, judge, run_key = _travelled(config) if in_worker(config) else _resolved(config)
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from error
    session = HarnessSession(
        project,
        refs,
        judge=judge,
        samples=config.getoption("harness_samples", 1),
        store_only=bool(config.getoption("harness_store_only", False)),
        max_cost=config.getoption("harness_max_cost", None),
        strict=bool(config.getoption("harness_strict_cases", False)),
        run_key=run_key,
        worker=in_worker(config),
        on_progress=None if in_worker(config) else ProgressLine(config),
    )
    config.stash[SESSION] = session
    config.stash[collect.PROJECT] = project
    config.pluginmanager.register(LaneHooks(session), "harness-lanes")
    if not in_worker(config):
        results = RunResults(config, session, report_folder(config, project))
        if on_github(os.environ):
            # Before the controller: what is registered last comes first, and its text is to be muted too.
            config.pluginmanager.register(GithubHooks(results), "harness-github")
        config.pluginmanager.register(ControllerHooks(results, run_key), "harness-controller")


def _resolved(config: pytest.Config) -> tuple[Project, ModelRefs, JudgeRef | None, str]:
    project = collect.project(config)
    collect.refuse_unknown_sets(project)
    check_samples(config.getoption("harness_samples", 1), project)
    refs = resolve_refs(
        project,
        config.getoption("harness_model"),
        config.getoption("harness_baseline", None),
        config.getoption("harness_device", None),
        config.getoption("harness_dtype", None),
        store_only=bool(config.getoption("harness_store_only", False)),
    )
    variant = config.getoption("harness_aa", None)
    if variant is not None:
        refs = against_itself(refs, variant)
    judge = resolve_project_judge(
        project,
        config.getoption("harness_judge", None),
        config.getoption("harness_device", None),
        config.getoption("harness_dtype", None),
    )
    return project, refs, judge, uuid.uuid4().hex[:12]


def _travelled(config: Any) -> tuple[Project, ModelRefs, JudgeRef | None, str]:
    sent = config.workerinput["harness"]
    project = Project(root=config.rootpath, config=msgspec.json.decode(sent["config"], type=HarnessConfig))
    judge = msgspec.json.decode(sent["judge"], type=JudgeRef | None)
    return project, msgspec.json.decode(sent["refs"], type=ModelRefs), judge, sent["run_key"]


class LaneHooks:
    """Hooks of every process that runs tests."""

    def __init__(self, session: HarnessSession) -> None:
        self.session = session

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if not session.config.option.collectonly:
            try:
                self.session.plan(session.items)
            except HarnessError as error:
                raise pytest.UsageError(str(error)) from error
            # What was imported and collected lives until the run ends, and walking it again and again would take the
            # garbage collector a fifth of the time of 10,000 scripted cases.
            gc.freeze()
            session.config.add_cleanup(gc.unfreeze)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        # The batch runs outside of any item's own time, so --durations and timeouts stay true. Its error is raised
        # again where a fixture asks for an answer.
        if not self.session.asked and (asks_model(item) or not (WHOLE_SET | JUDGED).isdisjoint(_fixtures(item))):
            self.session.ask_quietly()
        if not JUDGED.isdisjoint(_fixtures(item)):
            self.session.judge_quietly()
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        hand_over(item, self.session)

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        if not asks_model(pyfuncitem):
            return None
        run_item(pyfuncitem)
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.when == "teardown":
            return report
        outcome = item.stash.get(OUTCOME, None) if call.when == "call" else None
        status = _status_of(item, report, call)
        if status is not None:
            _retell(report, call, status)
        if call.when == "call" or report.outcome != "passed":
            told: dict[str, Any] = {"status": status}
            if item.stash.get(UNJUDGED, False):
                told["unjudged"] = True
            if outcome is not None:
                # Only builtins travel from a worker.
                told["case"] = msgspec.to_builtins(outcome) if self.session.worker else outcome
                properties = case_properties(outcome)
                report.user_properties += properties
                # JUnit's file is written from the report of the teardown, which has those of the item.
                item.user_properties += properties
            callspec = getattr(item, "callspec", None)
            if callspec is not None and not WHOLE_SET.isdisjoint(callspec.params):
                told["whole"] = True
                told["sets"] = [s.name for s in callspec.params.get("retention", ())]
                if "scores" in callspec.params:
                    tables = self.session.classifications(callspec.params["scores"])
                    told["classifications"] = msgspec.to_builtins(tables)
            compared = _compared(item) if self.session.judge is not None else None
            if compared is not None:
                told["compared"] = compared
            setattr(report, TOLD, told)
        return report

    def pytest_report_teststatus(self, report: pytest.TestReport) -> Any:
        told = getattr(report, TOLD, None)
        if told is None or told["status"] is None:
            return None
        return WORDS.get(told["status"])

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
        if output is not None and self.session.stats is not None:
            output["harness"] = msgspec.to_builtins(self.session.stats)
        if output is not None and self.session.pairs.judged is not None:
            output["harness_judge"] = self.session.pairs.spent()


class ControllerHooks:
    """Hooks of the one process that sees every result."""

    def __init__(self, results: RunResults, run_key: str) -> None:
        self.results = results
        self.run_key = run_key

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        session = self.results.session
        node.workerinput["harness"] = {
            "refs": msgspec.json.encode(session.refs).decode(),
            "judge": msgspec.json.encode(session.judge).decode(),
            "config": msgspec.json.encode(session.project.config).decode(),
            "run_key": self.run_key,
        }

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        self.results.collected(ids)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        self.results.session.pairs.add_spent(getattr(node, "workeroutput", {}).get("harness_judge", {}))
        stats = getattr(node, "workeroutput", {}).get("harness")
        if stats is not None:
            self.results.session.add_stats(msgspec.convert(stats, GenerationStats))

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.results.collected([item.nodeid for item in session.items])
        write_foresight(self.results, session)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.results.not_collected(report)

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self.results.deselected += len(items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.results.add(report)

    @pytest.hookimpl(trylast=True, wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        # Before sessionfinish, so that JUnit and the terminal see the set-level answers as items like any other.
        outcome = yield
        self.results.conclude(session)
        return outcome

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        session.exitstatus = self.results.exit_status(int(exitstatus))

    @pytest.hookimpl(tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        write_summary(terminalreporter, self.results)

    @pytest.hookimpl(wrapper=True, tryfirst=True, specname="pytest_terminal_summary")
    def pytest_tell_each_error_once(self, terminalreporter: Any) -> Generator[None, None, None]:
        # pytest lists errors before and after this; in its last line it counts them all.
        stats = terminalreporter.stats
        errors = stats.get("error", [])
        told = each_error_once(errors)
        if len(told) < len(errors):
            stats["error"] = told
            terminalreporter.ensure_newline()
            terminalreporter.write_line(f"{len(errors) - len(told)} more tests ended by an error that is told below")
        try:
            yield
        finally:
            if len(told) < len(errors):
                stats["error"] = [*errors, *stats["error"][len(told) :]]


def _compared(item: pytest.Item) -> list[Any] | None:
    """The set and the cases whose pairs this item reads, and whether the whole set is asserted; None for others."""
    if JUDGED.isdisjoint(_fixtures(item)):
        return None
    callspec = getattr(item, "callspec", None)
    params = callspec.params if callspec is not None else {}
    if "comparisons" in params:
        return [params["comparisons"].name, [case.id for case in params["comparisons"].cases], True]
    param = case_param(item)
    return None if param is None else [param.set.name, [param.case.id], True]


def _fixtures(item: pytest.Item) -> tuple[str, ...]:
    return tuple(getattr(item, "fixturenames", ()))


def _status_of(item: pytest.Item, report: pytest.TestReport, call: pytest.CallInfo[None]) -> str | None:
    """Our word for what happened; None where pytest's own says it."""
    if call.excinfo is None:
        return None
    error = call.excinfo.value
    if isinstance(error, Inconclusive):
        return "inconclusive"
    if isinstance(error, Invalid):
        return "invalid"
    if isinstance(error, Advisory):
        return "advisory"
    if isinstance(error, HarnessError):
        return "error"
    if call.when != "call" or not asks_model(item):
        return None
    outcome = item.stash.get(OUTCOME, None)
    if outcome is None:
        # A test of an answer that crashes has measured nothing: trouble of the suite, not a fault of the model.
        return "error" if report.outcome == "failed" else None
    return str(outcome.status) if outcome.status in ("missed", "unstable") else None


def _retell(report: pytest.TestReport, call: pytest.CallInfo[None], status: str) -> None:
    """Give the report the shape that pytest's reporters and JUnit expect of such an outcome."""
    assert call.excinfo is not None, "only an exception has a status of ours"
    message = str(call.excinfo.value)
    path, line, _ = report.location
    if status in ("inconclusive", "advisory"):
        report.outcome = "skipped"
        report.longrepr = (path, (line or 0) + 1, message)
    elif status in ("invalid", "error"):
        report.outcome = "failed"
        if isinstance(call.excinfo.value, HarnessError):
            # The sentence, not the harness' own frames.
            report.longrepr = message
