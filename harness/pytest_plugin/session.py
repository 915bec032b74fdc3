"""One run's models, plan and answers: what the fixtures read, computed once and shared by all workers."""

from __future__ import annotations

import contextlib
import datetime
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import filelock
import msgspec
import pytest

from harness.comparisons import Comparisons
from harness.config import Project
from harness.errors import ConfigError, GenerationError, HarnessError
from harness.foresight import Foresight, PlannedSet, foresee
from harness.generation import Answers, GenerationPlan, GenerationStats, Progress, case_requests, run
from harness.golden import GoldenCase, GoldenSet
from harness.judges.judgement import JudgedSet
from harness.judges.refs import JudgeRef
from harness.measures.classes import Classification
from harness.models import Response, Sampling
from harness.models.refs import ModelRef
from harness.parity import measure_parity, plan_parity
from harness.pytest_plugin.collect import LANE, CaseParam, lane_of
from harness.pytest_plugin.judging import JudgedSets
from harness.pytest_plugin.roles import ModelRefs
from harness.record import AdapterParity, Role, SetResult, newest_record
from harness.retention import Retention, measure, plan_retention
from harness.retention.measurement import can_score
from harness.scores import Scores, score_set
from harness.store import Store
from harness.waivers import find_waiver, in_force

#: A break of a red line under sampling is confirmed by this many samples; more than one passing = unstable.
RED_LINE_SAMPLES = 5


class HarnessSession:
    """What a worker, or a run without workers, knows: the plan of the selected items and, once asked, the answers.

    `run_key` names the whole run over all of its workers; `worker`: this process is one of them.
    """

    def __init__(
        self,
        project: Project,
        refs: ModelRefs,
        *,
        samples: int,
        store_only: bool,
        strict: bool,
        run_key: str,
        worker: bool,
        judge: JudgeRef | None = None,
        max_cost: float | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.project = project
        self.refs = refs
        self.samples = samples
        self.store_only = store_only
        self.max_cost = max_cost
        self.strict = strict or refs.baseline is None
        self.run_key = run_key
        self.worker = worker
        self.on_progress = on_progress
        #: The day on which waivers must hold, as in the record's time of creation.
        self.today = datetime.datetime.now(datetime.UTC).date().isoformat()
        self._waivers = in_force(project.config.gate, self.today)
        self._plan = GenerationPlan()
        self._keys: dict[tuple[str, str], dict[Role, tuple[str, ...]]] = {}
        self._answers: Answers | None = None
        self._failure: HarnessError | None = None
        self._worker_stats: list[GenerationStats] = []
        self._sampling: dict[str, Sampling] = {}
        self._scores: dict[str, Scores] = {}
        self._retention: dict[str, Retention] = {}
        self.judge = judge
        self.pairs = JudgedSets(
            project,
            refs.roles(),
            judge,
            sampling=self.sampling,
            run_key=run_key,
            worker=worker,
            store_only=store_only,
            max_cost=max_cost,
            on_progress=on_progress,
        )

    def plan(self, items: Iterable[pytest.Item]) -> None:
        """Read off the selected items' fixtures which model must answer which case."""
        for item in items:
            param = case_param(item)
            if param is not None:
                lane = item.stash[LANE] = lane_of(item, param.case)
                self._plan_case(param, red_line=lane == "red_line")
                if self.judge is not None and "judgement" in getattr(item, "fixturenames", ()):
                    self.pairs.want(param.set, param.case.id)
                continue
            callspec = getattr(item, "callspec", None)
            if callspec is None:
                continue
            if "scores" in callspec.params:
                for case in callspec.params["scores"].cases:
                    self._plan_case(CaseParam(callspec.params["scores"], case), red_line=False)
            if "comparisons" in callspec.params and self.judge is not None:
                compared: GoldenSet = callspec.params["comparisons"]
                for case in compared.cases:
                    self._plan_case(CaseParam(compared, case), red_line=False)
                self.pairs.want(compared)
            if "retention" in callspec.params:
                for golden_set in callspec.params["retention"]:
                    for ref in self.refs.roles().values():
                        plan_retention(golden_set, ref, self._plan, sampling=self.sampling(golden_set))
        if len(self._plan):
            plan_parity(self.refs.roles().values(), self._plan)

    def foresight(self, items: Iterable[pytest.Item]) -> Foresight | None:
        """What the selected items can show of the candidate; None where there is nobody to compare it with."""
        if self.refs.baseline is None or self.refs.baseline.digest == self.refs.candidate.digest:
            return None
        rated: dict[str, set[str]] = {}
        digests: dict[str, str] = {}
        for item in items:
            for golden_set, case in _rated(item, self.refs.candidate):
                digests[golden_set.name] = golden_set.digest
                rated.setdefault(golden_set.name, set()).add(case.id)
        sets = [PlannedSet(name=name, n=len(rated[name]), digest=digests[name]) for name in sorted(rated)]
        record = newest_record(self.project.reports) if sets else None
        return foresee(sets, self.project.config.gate, record=record)

    @property
    def answers(self) -> Answers:
        """All answers of the plan; the first call generates what the store lacks. Raises the one error of the
        batch again at each call, so that every item that needs it ends as an error of its setup."""
        if self._failure is not None:
            raise type(self._failure)(str(self._failure))
        if self._answers is None:
            try:
                self._answers = self._run()
            except HarnessError as error:
                self._failure = error
                raise
            except OSError as error:
                where = self.project.store.parent
                self._failure = GenerationError(f"{where}: cannot be written ({error}). Make room or mend its rights.")
                raise self._failure from error
        return self._answers

    @property
    def asked(self) -> bool:
        """Was the batch run, well or not?"""
        return self._answers is not None or self._failure is not None

    def ask_quietly(self) -> None:
        """Run the batch now and keep its error for whoever reads `answers`."""
        with contextlib.suppress(HarnessError):
            _ = self.answers

    def judge_quietly(self) -> None:
        """Judge all pairs now, where the answers are there, and keep an error for whoever reads `comparisons`."""
        if self._answers is not None:
            self.pairs.ask(self._answers)

    def comparisons(self, golden_set: GoldenSet) -> Comparisons:
        """The set's answers, compared in pairs."""
        return self.pairs.comparisons(golden_set, self.answers)

    def judged_sets(self, sets: Sequence[GoldenSet], cases: Mapping[str, set[str]]) -> Iterator[JudgedSet]:
        """What the record keeps of these cases' pairs. Where workers asked the judge, read from the store."""
        answers = self._answers
        if answers is None and self.pairs.incomparable is None:
            plan = GenerationPlan()
            for golden_set in sets:
                for case in golden_set.cases:
                    if case.id in cases[golden_set.name]:
                        self.pairs.want(golden_set, case.id)
                        request = case_requests(case, self.sampling(golden_set), 1)[0]
                        for ref in self.refs.roles().values():
                            plan.ask(ref, request)
            with Store(self.project.store) as store:
                answers = run(plan, store, store_only=True)
            self.pairs.ask(answers, store_only=True)
        for golden_set in sets:
            if answers is not None:
                yield self.pairs.comparisons(golden_set, answers).judged

    def responses(self, param: CaseParam, role: Role, *, limit: int | None = None) -> tuple[Response, ...]:
        """The samples of one case's answer by one role; the run's `samples` of them unless `limit` asks for more."""
        by_key = self.answers.by_key
        return tuple([by_key(key) for key in self.keys(param, role)[: limit or self.samples]])

    def keys(self, param: CaseParam, role: Role) -> tuple[str, ...]:
        """Store keys of the planned samples; empty for a role that is not filled."""
        return self._keys[(param.set.name, param.case.id)].get(role, ())

    def samples_of(self, red_line: bool) -> int:
        """Samples to ask for: the run's, and enough to confirm a break where a red line is sampled."""
        if red_line and self.project.config.sampling.temperature > 0:
            return max(self.samples, RED_LINE_SAMPLES)
        return self.samples

    def waives_red_line(self, param: CaseParam) -> bool:
        """Does somebody answer, today, for a break of this case's red line?"""
        return find_waiver(self._waivers, "red line", param.set.name, param.case.id) is not None

    def scores(self, golden_set: GoldenSet) -> Scores:
        """The set's own checks over all its cases."""
        if golden_set.name not in self._scores:
            self._scores[golden_set.name] = score_set(
                golden_set,
                self.answers,
                self.refs.roles(),
                sampling=self.sampling(golden_set),
                samples=self.samples,
                policy=self.project.config.gate,
            )
        return self._scores[golden_set.name]

    def classifications(self, golden_set: GoldenSet) -> tuple[Classification, ...]:
        """The set's confusion matrices for the record; none before `scores` was asked for it."""
        scores = self._scores.get(golden_set.name)
        try:
            return () if scores is None else scores.classifications()
        except HarnessError:
            # Classes that contradict each other: whoever asks for them is told.
            return ()

    def retention(self, sets: tuple[GoldenSet, ...]) -> Retention:
        """The forgetting probes over these sets."""
        key = "+".join(s.name for s in sets)
        if key not in self._retention:
            answers = self.answers
            measured = tuple(measure(s, answers, self.refs.roles(), sampling=self.sampling(s)) for s in sets)
            self._retention[key] = Retention(
                measured, self.project.config.gate, refs=self.refs.roles(), today=self.today
            )
        return self._retention[key]

    def measure(self, golden_set: GoldenSet) -> SetResult:
        """One set's forgetting probes, for the record. Where workers asked the models, read from the store."""
        answers = self._answers
        if answers is None:
            plan = GenerationPlan()
            for ref in self.refs.roles().values():
                plan_retention(golden_set, ref, plan, sampling=self.sampling(golden_set))
            with Store(self.project.store) as store:
                answers = run(plan, store, store_only=True, thinking=self.project.config.thinking)
        return measure(golden_set, answers, self.refs.roles(), sampling=self.sampling(golden_set))

    def parity(self) -> tuple[AdapterParity, ...]:
        """Do engines apply the adapters of this run as trained? Where workers asked the models, read from the store;
        nothing where none was asked."""
        answers = self._answers
        if answers is None:
            if self.stats is None:
                return ()
            plan = GenerationPlan()
            plan_parity(self.refs.roles().values(), plan)
            if not len(plan):
                return ()
            with Store(self.project.store) as store:
                answers = run(plan, store, store_only=True)
        return measure_parity(self.refs.roles().values(), answers)

    def texts(self, keys: Iterable[str]) -> dict[str, Response]:
        """Stored answers by key, as the models gave them."""
        if self._answers is not None:
            return {key: self._answers.whole(key) for key in keys}
        with Store(self.project.store) as store:
            return store.responses(keys)

    @property
    def stats(self) -> GenerationStats | None:
        """What asking the models cost, here or in the workers; None where nothing was asked."""
        if self._answers is not None:
            return self._answers.stats
        # Every worker reads the whole plan; the one that asked the models is the one that generated most.
        return max(self._worker_stats, key=lambda s: s.generated + s.scored, default=None)

    def add_stats(self, stats: GenerationStats) -> None:
        """Take in what a worker tells as it ends."""
        self._worker_stats.append(stats)

    def sampling(self, golden_set: GoldenSet) -> Sampling:
        """How this set's answers are sampled."""
        name = golden_set.name
        if name not in self._sampling:
            own = self.project.config.sampling
            schema = self.project.schema(name)
            self._sampling[name] = Sampling(
                max_tokens=self.project.config.max_tokens(name),
                temperature=own.temperature,
                top_p=own.top_p,
                stop=own.stop,
                seed=own.seed,
                schema=msgspec.UNSET if schema is None else schema,
            )
        return self._sampling[name]

    def _plan_case(self, param: CaseParam, *, red_line: bool) -> None:
        key = (param.set.name, param.case.id)
        wanted = self.samples_of(red_line)
        known = self._keys.get(key)
        if known is not None and len(known["candidate"]) >= wanted:
            return
        requests = case_requests(param.case, self.sampling(param.set), wanted)
        self._keys[key] = {
            role: tuple(self._plan.ask(ref, request) for request in requests)
            for role, ref in self.refs.roles().items()
            if role != "root"
        }

    def _run(self) -> Answers:
        state = self.project.store.parent
        state.mkdir(parents=True, exist_ok=True)
        # All workers hold the same plan: the first one here asks the models, the others then read the store.
        failed = state / f"run-{self.run_key}.failed"
        with filelock.FileLock(state / "generation.lock"):
            if failed.exists():
                raise GenerationError(failed.read_text(encoding="utf-8"))
            try:
                # Between items pytest catches no warnings; those of libraries that load now are not the user's.
                with Store(self.project.store) as store, warnings.catch_warnings():
                    warnings.simplefilter("ignore", DeprecationWarning)
                    return run(
                        self._plan,
                        store,
                        store_only=self.store_only,
                        max_cost=self.max_cost,
                        thinking=self.project.config.thinking,
                        on_progress=self.on_progress,
                    )
            except HarnessError as error:
                if self.worker:
                    failed.write_text(str(error), encoding="utf-8")
                raise


def _rated(item: pytest.Item, candidate: ModelRef) -> Iterator[tuple[GoldenSet, GoldenCase]]:
    """The cases that an item rates: its own, or those of a whole retention set; red lines have no rate."""
    param = case_param(item)
    if param is not None:
        if lane_of(item, param.case) == "rate":
            yield param.set, param.case
        return
    callspec = getattr(item, "callspec", None)
    for golden_set in callspec.params.get("retention", ()) if callspec is not None else ():
        for case in golden_set.cases:
            chosen = case.kind == "choice" and can_score(candidate, golden_set.kind)
            if not case.red_line and (chosen or (case.kind == "ask" and case.checks)):
                yield golden_set, case


def case_param(item: pytest.Item) -> CaseParam | None:
    """The golden case of a per-case item, written in Python or collected from a file; None for other items."""
    param = getattr(item, "param", None)
    if isinstance(param, CaseParam):
        return param
    callspec = getattr(item, "callspec", None)
    param = callspec.params.get("case") if callspec is not None else None
    return param if isinstance(param, CaseParam) else None


def in_worker(config: pytest.Config) -> bool:
    """Is this process one of pytest-xdist's workers?"""
    return hasattr(config, "workerinput")


def check_samples(samples: int, project: Project) -> None:
    """K samples of a greedy model would be one answer K times."""
    if samples < 1:
        raise ConfigError(f"--samples {samples}: at least one sample is needed")
    if samples > 1 and project.config.sampling.temperature <= 0:
        raise ConfigError(
            f"--samples {samples} with temperature 0 would repeat one answer {samples} times: "
            "set [tool.harness.sampling] temperature, or drop --samples"
        )


def report_folder(config: pytest.Config, project: Project) -> Path:
    """Where this run's record and report go."""
    chosen = config.getoption("harness_report_dir", None)
    return Path(config.invocation_params.dir, chosen) if chosen else project.reports


SESSION = pytest.StashKey[HarnessSession]()
