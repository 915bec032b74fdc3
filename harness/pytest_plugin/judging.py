"""The pairs of a run: which sets a judge compares, in one batch after the answers, and what came of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

import filelock

from harness.comparisons import Comparisons, judged_set, pairs_of
from harness.config import Project
from harness.errors import GenerationError, HarnessError, JudgeError
from harness.generation import Answers, Progress
from harness.golden import GoldenSet
from harness.judges.asking import Judged, judge_pairs
from harness.judges.cards import read_card
from harness.judges.judgement import JudgedSet, Judgement
from harness.judges.refs import JudgeRef
from harness.models import Response, Sampling
from harness.models.refs import ModelRef
from harness.models.tools import conversation_text, tool_names
from harness.record import Role
from harness.store import Store


class JudgedSets:
    """What is to be judged in this run and, once asked, what was said. `wanted` maps a set's name to its cases.

    A dead judge is an error of the tests that need it, and of no other.
    """

    def __init__(
        self,
        project: Project,
        refs: Mapping[Role, ModelRef],
        judge: JudgeRef | None,
        *,
        sampling: Callable[[GoldenSet], Sampling],
        run_key: str,
        worker: bool,
        store_only: bool,
        max_cost: float | None,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self.project = project
        self.refs = refs
        self.judge = judge
        self.wanted: dict[str, set[str]] = {}
        self.judged: Judged | None = None
        self._sets: dict[str, GoldenSet] = {}
        self._sampling = sampling
        self._run_key = run_key
        self._worker = worker
        self._store_only = store_only
        self._max_cost = max_cost
        self._on_progress = on_progress
        self._judgements: dict[str, tuple[Judgement, ...]] = {}
        self._failure: HarnessError | None = None
        self._spent: dict[str, float] = {}

    def want(self, golden_set: GoldenSet, case: str | None = None) -> None:
        """Plan one case of a set, or all of them."""
        self._sets[golden_set.name] = golden_set
        cases = self.wanted.setdefault(golden_set.name, set())
        cases.update([case] if case is not None else [one.id for one in golden_set.cases])

    @property
    def incomparable(self) -> str | None:
        """Why nothing can be compared, whoever judges; None where something can."""
        baseline = self.refs.get("baseline")
        if baseline is None:
            return "no baseline to compare with: name one with --baseline, or promote a version"
        if baseline.digest == self.refs["candidate"].digest:
            return (
                f"candidate {self.refs['candidate'].label} and baseline {baseline.label} are the same weights: name "
                "another baseline with --baseline"
            )
        return None

    def comparisons(self, golden_set: GoldenSet, answers: Answers) -> Comparisons:
        """One set's comparisons; the first call judges all sets of the run. Raises the batch's one error again at each
        call."""
        if self.judge is None:
            raise JudgeError("no judge is set. Add --judge=NAME, see docs/judges.md.")
        self.ask(answers)
        if self._failure is not None:
            raise type(self._failure)(str(self._failure))
        policy, root, file = self.project.config.gate, self.project.root, golden_set.path
        path = (file.relative_to(root) if file.is_relative_to(root) else file).as_posix()
        judgements = self._judgements.get(golden_set.name, ())
        card = read_card(self.project.judges, self.judge.digest)
        return Comparisons(
            judged=judged_set(golden_set, self.judge, judgements, card, self.refs, policy, path=path),
            policy=policy,
            incomparable=self.incomparable,
        )

    def ask(self, answers: Answers, *, store_only: bool = False) -> None:
        """Judge everything that is wanted, once; an error is kept for whoever reads it."""
        if self.judged is not None or self._failure is not None or self.judge is None:
            return
        if self.incomparable is not None:
            self.judged = Judged(judgements=())
            return
        try:
            self.judged = self._judge(self.judge, answers, store_only or self._store_only)
        except HarnessError as error:
            self._failure = error
        except OSError as error:
            self._failure = GenerationError(f"{self.project.store.parent}: cannot be written ({error}). Make room.")

    def spent(self) -> dict[str, float]:
        """New calls of the judge, their seconds and, where a price was told, their cost; also those of workers."""
        judged = self.judged
        if judged is None or not judged.calls:
            return dict(self._spent)
        own = {"judge_calls": float(judged.calls), "judge_seconds": judged.seconds}
        return own if judged.cost is None else {**own, "judge_cost": judged.cost}

    def add_spent(self, spent: Mapping[str, float]) -> None:
        """Take in what a worker tells as it ends; one of them asked, the others read the store."""
        if spent.get("judge_calls", 0.0) > self._spent.get("judge_calls", 0.0):
            self._spent = dict(spent)

    def _judge(self, judge: JudgeRef, answers: Answers, store_only: bool) -> Judged:
        pairs = {
            name: pairs_of(self._sets[name], answers, self.refs, sampling=self._sampling(self._sets[name]), only=cases)
            for name, cases in self.wanted.items()
        }
        spent = 0.0 if answers.stats.cost is None else answers.stats.cost
        state = self.project.store.parent
        failed = state / f"run-{self._run_key}.judge-failed"
        with filelock.FileLock(state / "generation.lock"):
            if failed.exists():
                raise GenerationError(failed.read_text(encoding="utf-8"))
            try:
                with Store(self.project.store) as store, warnings.catch_warnings():
                    warnings.simplefilter("ignore", DeprecationWarning)
                    judged = judge_pairs(
                        judge,
                        [pair for of_set in pairs.values() for pair in of_set],
                        store,
                        store_only=store_only,
                        max_cost=None if self._max_cost is None else max(0.0, self._max_cost - spent),
                        on_progress=self._on_progress,
                    )
            except HarnessError as error:
                if self._worker:
                    failed.write_text(str(error), encoding="utf-8")
                raise
        start = 0
        for name, of_set in pairs.items():
            self._judgements[name] = judged.judgements[start : start + len(of_set)]
            start += len(of_set)
        return judged


def texts_of(
    golden_set: GoldenSet, judged: JudgedSet, find: Callable[[set[str]], Mapping[str, Response]]
) -> dict[str, Response]:
    """The texts that a judged set refers to, by the keys of the record's texts file."""
    texts = dict(find({key for j in judged.judgements for key in j.answers or ()}))
    shown = {j.case for j in judged.judgements}
    for case in golden_set.cases:
        if case.id in shown:
            prompt = conversation_text(case.conversation, tool_names(case.tools))
            texts[f"prompt:{golden_set.name}:{case.id}"] = Response(text=prompt)
            if case.target is not None:
                texts[f"target:{golden_set.name}:{case.id}"] = Response(text=case.target)
    return texts
