"""From the reports of a run to its record, verdict and exit status; lives in the one process that sees them all."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.answers import Answer, Status
from harness.ci.trackers import track
from harness.controls import CODE, control
from harness.errors import HarnessError, RecordError
from harness.gate import Verdict, decide
from harness.golden import GoldenSet
from harness.judges.judgement import JudgedSet
from harness.measures.classes import Classification
from harness.models import Response
from harness.noise import NOT_A_VERDICT, applied, measured_on_another, read_floor
from harness.pytest_plugin.cases import beyond, case_result
from harness.pytest_plugin.collect import golden_sets
from harness.pytest_plugin.completeness import partial_because
from harness.pytest_plugin.instruments import identity_of, lineage_of, two_instruments, unverifiable, versions
from harness.pytest_plugin.judging import texts_of
from harness.pytest_plugin.junit import add_suite_properties
from harness.pytest_plugin.kept import amount_probes, kept_texts, told_of_thinking
from harness.pytest_plugin.lanes import TOLD, CaseOutcome
from harness.pytest_plugin.session import HarnessSession
from harness.record import (
    AdapterParity,
    RunRecord,
    SetNoise,
    SetResult,
    SuiteAnswer,
    write_record,
)
from harness.review.kept import review_for
from harness.review.opinions import Review
from harness.worst import WorstCase, worst_cases

#: At most this many cases of each set are controlled in every run; `harness suites check` controls them all.
CONTROLLED = 200

#: Cases that are kept at hand to be told, worst first; the report has all.
WORST = 10

#: Exit statuses beyond pytest's own.
INCONCLUSIVE, INVALID = 10, 11


class RunResults:
    """Collects reports; `conclude` turns them into record, verdict and set-level answers."""

    def __init__(self, config: pytest.Config, session: HarnessSession, reports: Path) -> None:
        self.config = config
        self.session = session
        self.reports = reports
        self.started = time.time()
        self.deselected = 0
        self.record: RunRecord | None = None
        self.verdict: Verdict | None = None
        self.folder: Path | None = None
        self.comment = ""
        self.tracked: tuple[str, ...] = ()
        self.worst: tuple[WorstCase, ...] = ()
        self._review: Review | None = None
        self.trouble: str | None = None
        self._expected: set[str] = set()
        self._ended: set[str] = set()
        self._outcomes: dict[tuple[str, str], dict[str, CaseOutcome]] = {}
        self._retention: dict[str, None] = {}
        self._compared: dict[str, set[str]] = {}
        self._notes: dict[str, None] = {}
        self._answers: list[SuiteAnswer] = []
        self._classifications: dict[tuple[str, str], Classification] = {}
        self._errors: list[SuiteAnswer] = []
        self._uncollected: list[str] = []
        self.failed = 0
        self.inconclusive = 0

    def collected(self, ids: Iterable[str]) -> None:
        """The selected items; every worker tells the same ones."""
        self._expected.update(ids)

    def not_collected(self, report: pytest.CollectReport) -> None:
        """A file that pytest could not collect: its tests are missing, whoever tolerates that."""
        if report.failed:
            self._uncollected.append(report.nodeid)

    def add(self, report: pytest.TestReport) -> None:
        """Take in one report of one phase of one item."""
        told: dict[str, Any] | None = getattr(report, TOLD, None)
        if report.when == "call" or report.outcome != "passed":
            self._ended.add(report.nodeid)
        if told is None:
            # Teardown, or an item of another process' making.
            if report.failed:
                self._errors.append(_answer(report, "INVALID"))
            return
        if told.get("unjudged"):
            self._notes[f"not judged: {report.nodeid.partition('[')[0]}: {_skip_reason(report)}"] = None
            return
        if "compared" in told:
            name, cases, _ = told["compared"]
            self._compared.setdefault(name, set()).update(cases)
        if "sets" in told and not (told["status"] == "error" and report.when == "setup"):
            # Where the models gave no answers, nothing can be measured, and the errors are all there is to record.
            self._retention.update(dict.fromkeys(told["sets"]))
        for table in msgspec.convert(told.pop("classifications", ()), tuple[Classification, ...]):
            self._classifications[(table.golden_set, table.source)] = table
        # Taken out: pytest keeps the reports, and others may want to write them as JSON.
        outcome = told.pop("case", None)
        if outcome is not None:
            outcome = msgspec.convert(outcome, CaseOutcome)
            self._outcomes.setdefault((outcome.set, outcome.case), {})[outcome.test] = outcome
            self.failed += outcome.status == "failed"
            return
        status = told["status"]
        if status == "inconclusive":
            self.inconclusive += 1
            self._answers.append(_answer(report, "INCONCLUSIVE"))
        elif status == "advisory":
            self._notes[_answer(report, "PASS").reason] = None
        elif status == "invalid":
            self._answers.append(_answer(report, "INVALID"))
        elif status == "error" or (report.failed and report.when != "call"):
            self._errors.append(_answer(report, "INVALID"))
        elif report.failed:
            self.failed += 1
            self._answers.append(_answer(report, "FAIL"))
        elif report.skipped and "golden" in report.keywords:
            # A case that was not asked is a missing one, whoever skipped it; only a waiver excuses.
            self._errors.append(_answer(report, "INVALID"))
        elif told.get("whole"):
            self._answers.append(SuiteAnswer(test=report.nodeid, status="PASS", reason="as asserted"))

    def partial(self, *, unended: int = 0) -> str | None:
        """Why the run can carry no verdict, as far as is known by now; None where it is complete."""
        if self.config.getoption("harness_aa", None) is not None:
            return NOT_A_VERDICT
        return partial_because(
            self.config,
            self.session.project,
            deselected=self.deselected,
            uncollected=self._uncollected,
            unended=unended,
            expected=len(self._expected),
        )

    def conclude(self, session: pytest.Session) -> None:
        """Write the record, decide, and report one item per golden set."""
        seen = self._outcomes or self._retention or self._compared or self._answers or self._errors
        if self.config.option.collectonly or not seen:
            return
        texts: dict[str, Response] = {}
        try:
            self._write(texts)
        except (HarnessError, OSError) as error:
            self.trouble = f"the record could not be written: {error}"
            return
        assert self.record is not None, "written just now"
        self._review = self._reviewed_before()
        self.verdict = decide(self.record, self.session.project.config.gate, review=self._review)
        self.worst = worst_cases(self.record, self.verdict, texts, WORST)
        if self.record.partial is None and self.session.refs.baseline is not None:
            self._report_sets(session)
        add_suite_properties(self.config, self.record, self.verdict)
        self._write_report(texts)
        project = self.session.project
        trackers, state = project.config.trackers, project.root / project.config.state
        self.tracked = tuple(track(trackers, self.record, self.verdict, state))

    def _reviewed_before(self) -> Review | None:
        """What people said of another run with exactly these answers; they need not read them again."""
        assert self.folder is not None, "the record is there"
        assert self.record is not None, "the record is there"
        try:
            return review_for(self.folder, self.record)
        except HarnessError as error:
            self.trouble = str(error)
            return None

    def exit_status(self, pytest_status: int) -> int:
        """1 if anything failed; else 11 if anything is invalid; else 10 if inconclusive and policy blocks."""
        if pytest_status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            return pytest_status
        complete = self.record is not None and self.record.partial is None
        if self.failed or (complete and self.verdict is not None and self.verdict.status == "FAIL"):
            return int(pytest.ExitCode.TESTS_FAILED)
        invalid = complete and self.verdict is not None and self.verdict.status == "INVALID"
        unjudged = self.session.refs.baseline is None and not self._answers
        if self._errors or self.trouble or any(a.status == "INVALID" for a in self._answers):
            return INVALID
        if invalid and not unjudged:
            return INVALID
        if pytest_status == pytest.ExitCode.TESTS_FAILED:
            return pytest_status
        if self.inconclusive and self.session.project.config.gate.on_inconclusive == "block":
            return INCONCLUSIVE
        return pytest_status

    def _write(self, texts: dict[str, Response]) -> None:
        run_id = self._run_id()
        self.folder = self.reports / run_id
        refs = self.session.refs
        policy = self.session.project.config.gate
        sets = tuple(self._set_results(texts))
        noise, notes = self._noise(sets)
        parity = self._parity()
        judged = self._judged(texts)
        record = RunRecord(
            run_id=run_id,
            created=datetime.datetime.fromtimestamp(self.started, datetime.UTC).isoformat(timespec="seconds"),
            harness_version=importlib.metadata.version("finetune-harness"),
            arguments=tuple(self.config.invocation_params.args),
            candidate=identity_of(refs.candidate),
            baseline=None if refs.baseline is None else identity_of(refs.baseline),
            root=None if refs.root is None else identity_of(refs.root),
            policy=policy,
            policy_digest=policy.digest,
            collection_digest=hashlib.sha256("\n".join(sorted(self._expected)).encode()).hexdigest(),
            sets=sets,
            answers=tuple(sorted(self._answers, key=lambda a: a.test)),
            errors=tuple(sorted(self._errors, key=lambda a: a.test)),
            classifications=tuple(self._classifications[key] for key in sorted(self._classifications)),
            judged=judged,
            partial=self.partial(unended=len(self._expected - self._ended)),
            samples=self.session.samples,
            noise=noise,
            parity=parity,
            notes=(*notes, *unverifiable(refs.roles().values()), *two_instruments(refs), *self._notes),
            thinking=self.session.project.config.thinking,
            phases=self._phases(),
            usage=self._usage(),
            lineage=lineage_of(refs),
            versions=versions(),
        )
        asked = () if self.session.stats is None else self.session.stats.asked
        if self.session.pairs.judged is not None:
            asked = (*asked, *self.session.pairs.judged.asked)
        own = record.answer_keys()
        record = msgspec.structs.replace(
            record,
            notes=(*record.notes, *told_of_thinking(record.thinking, texts, own)),
            asked=tuple(key for key in asked if key not in own),
        )
        self.record = write_record(self.folder, record, texts)

    def _noise(self, sets: Sequence[SetResult]) -> tuple[tuple[SetNoise, ...], tuple[str, ...]]:
        """The baseline's noise floor on these sets, and what a reader must know of one that is not its own."""
        baseline = self.session.refs.baseline
        if baseline is None or self.config.getoption("harness_aa", None) is not None:
            return (), ()
        folder = self.session.project.noise
        try:
            floor = read_floor(folder, baseline.digest)
        except RecordError as error:
            return (), (str(error),)
        if floor is not None:
            return applied(floor, identity_of(baseline), sets), ()
        other = measured_on_another(folder)
        return (), () if other is None else (f"noise floor is stale (measured on {other}): harness gate --aa",)

    def _parity(self) -> tuple[AdapterParity, ...]:
        """Whether engines apply this run's adapters as trained; where that cannot be told, the run is INVALID."""
        try:
            return self.session.parity()
        except HarnessError as error:
            self._errors.append(SuiteAnswer(test="T14 adapter parity", status="INVALID", reason=str(error)))
            return ()

    def _write_report(self, texts: dict[str, Response]) -> None:
        from harness.ci.comment import comment
        from harness.ci.files import write_comment
        from harness.report.html import write_page

        assert self.folder is not None, "the record is there"
        assert self.record is not None, "the record is there"
        assert self.verdict is not None, "the record is there"
        try:
            # The same page as from the record on disk, which would be read and decided once more.
            language = self.session.project.config.language
            write_page(self.folder, self.record, self.verdict, texts, language, self._review)
            self.comment = comment(self.record, self.verdict, texts)
            write_comment(self.folder, self.comment)
        except (HarnessError, OSError) as error:
            self.trouble = f"the report could not be written: {error}"

    def _set_results(self, texts: dict[str, Response]) -> Iterable[SetResult]:
        """Per-case outcomes and retention measurements, joined where one set has both."""
        by_set: dict[str, dict[str, dict[str, CaseOutcome]]] = {}
        for (name, case), tests in self._outcomes.items():
            by_set.setdefault(name, {})[case] = tests
        names = sorted({*by_set, *self._retention})
        for golden in golden_sets(self.config, tuple(names)) if names else ():
            path = _relative(golden.path, self.session.project.root)
            self._control(golden, path)
            measured = None
            if golden.name in self._retention:
                measured = msgspec.structs.replace(self.session.measure(golden), path=path)
                yield self._kept(golden, measured, texts)
            seen = beyond(by_set.get(golden.name, {}), measured)
            if not seen:
                continue
            result = SetResult(
                # Suites that test a retention set as well are judged beside it: the root base was not asked them.
                name=golden.name if measured is None else f"{golden.name} (suites)",
                path=path,
                digest=golden.digest,
                kind=golden.kind,
                cases=tuple(
                    case_result(golden, i, seen[case.id]) for i, case in enumerate(golden.cases) if case.id in seen
                ),
            )
            yield self._kept(golden, result, texts)

    def _kept(self, golden: GoldenSet, result: SetResult, texts: dict[str, Response]) -> SetResult:
        """Keep the set's texts; gives the set with what its answers took."""
        texts.update(kept_texts(self.session, golden, result))
        return msgspec.structs.replace(result, probes=(*result.probes, *amount_probes(result, texts)))

    def _judged(self, texts: dict[str, Response]) -> tuple[JudgedSet, ...]:
        """The pairs that a judge compared; none where the judge failed, which its tests have told."""
        names = tuple(sorted(self._compared))
        sets = golden_sets(self.config, names) if names else ()
        try:
            found = tuple(self.session.judged_sets(sets, self._compared))
        except HarnessError:
            return ()
        for golden, judged in zip(sets, found, strict=False):
            texts.update(texts_of(golden, judged, self.session.texts))
        return tuple(msgspec.structs.replace(one, asserted=one.judge.kind != "reference") for one in found)

    def _control(self, golden: GoldenSet, path: str) -> None:
        """A set that cannot tell right from wrong makes the run INVALID, whatever the models answered."""
        faults = control(golden, file=path, at_most=CONTROLLED).faults
        if faults:
            reason = f"{faults[0].where}: {faults[0].message} All of its faults: harness suites check {golden.name}"
            self._errors.append(SuiteAnswer(test=f"control {CODE} of {golden.name}", status="INVALID", reason=reason))

    def _report_sets(self, session: pytest.Session) -> None:
        """Emit the set-level items, as if they had been collected: in the counts, in JUnit, in the exit status."""
        assert self.verdict is not None, "decided just now"
        paths = {} if self.record is None else {s.name: s.path for s in self.record.sets}
        session.testscollected += len(self.verdict.sets)
        for judged in self.verdict.sets:
            for when in ("setup", "call", "teardown"):
                answer = judged.answer if when == "call" else Answer(status="PASS", reason="")
                report = _set_report(judged.name, paths[judged.name], when, answer, judged.answer)
                self.config.hook.pytest_runtest_logreport(report=report)

    def _phases(self) -> dict[str, float]:
        stats = self.session.stats
        seconds: dict[str, float] = {} if stats is None else {k: round(v, 3) for k, v in stats.seconds.items()}
        seconds["run"] = round(time.time() - self.started, 3)
        return seconds

    def _usage(self) -> dict[str, float]:
        stats, judged = self.session.stats, self.session.pairs.spent()
        if stats is None or not stats.generated:
            return judged
        usage = {"prompt_tokens": float(stats.prompt_tokens), "completion_tokens": float(stats.completion_tokens)}
        usage |= judged
        return usage if stats.cost is None else {**usage, "cost": stats.cost}

    def _run_id(self) -> str:
        stamp = datetime.datetime.fromtimestamp(self.started, datetime.UTC).strftime("%Y%m%d-%H%M%S")
        label = "".join(c if c.isalnum() or c in "-." else "-" for c in self.session.refs.candidate.label)
        run_id = f"{stamp}-{label[:40].strip('-')}"
        number = 2
        unique = run_id
        while (self.reports / unique).exists():
            unique = f"{run_id}-{number}"
            number += 1
        return unique


def _relative(path: Path, root: Path) -> str:
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()


def _answer(report: pytest.TestReport, status: Status) -> SuiteAnswer:
    crash = getattr(report.longrepr, "reprcrash", None)
    if isinstance(report.longrepr, tuple):
        reason = report.longrepr[2]
    else:
        reason = str(report.longrepr or "") if crash is None else crash.message
    # `assert x.not_worse()`: the answer's own sentence, without pytest's account of how it was asked for.
    head, _, rest = reason.strip().partition("\n")
    if rest.lstrip().startswith("+  where"):
        reason = head.removeprefix("AssertionError: ").removeprefix("assert ").removeprefix("FAIL: ")
    return SuiteAnswer(test=report.nodeid, status=status, reason=reason.strip()[:2000])


def _skip_reason(report: pytest.TestReport) -> str:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr or "")
    return reason.removeprefix("Skipped: ")


def _set_report(name: str, path: str, when: Any, answer: Answer, judged: Answer) -> pytest.TestReport:
    outcome: Any = {"PASS": "passed", "INCONCLUSIVE": "skipped"}.get(answer.status, "failed")
    longrepr: Any = None if answer.status == "PASS" else answer.reason
    if answer.status == "INCONCLUSIVE":
        longrepr = (path, 1, answer.reason)
    nodeid = f"{path}::{name}"
    told = {"INCONCLUSIVE": "inconclusive", "INVALID": "invalid"}.get(answer.status)
    report = pytest.TestReport(
        nodeid=nodeid,
        location=(path, 0, name),
        keywords={},
        outcome=outcome,
        longrepr=longrepr,
        when=when,
        user_properties=[("harness.set", name), ("harness.verdict", judged.status)],
    )
    setattr(report, TOLD, {"status": told})
    return report
