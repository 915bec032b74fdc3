"""Runs drawn by chance: models whose true quality is known, on golden sets of a given shape.

Three models answer every case: candidate, baseline and root base. A share of the cases is unstable: each model passes
them by the toss of a coin, so that two equal models differ on half of them. Damage takes passes from the unstable cases
first, then from the stable ones. A drop of `d` among `f` flips so loses (f + d) / 2 of the cases and gains (f - d) / 2,
which is what `harness.stats.power.rule_power` supposes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.config import load_project
from harness.golden import select_golden_sets
from harness.policy import GatePolicy
from harness.record import CaseResult, ModelIdentity, Probe, Role, RunRecord, SetResult, SuiteAnswer, TestResult
from harness.retention import Retention
from harness.retention.bleed import asks_for_format

ROOT = Path(__file__).resolve().parent.parent
ROLES: tuple[Role, ...] = ("candidate", "baseline", "root")
Answers = dict[Role, NDArray[np.int8]]

#: The share of stable cases that all three models pass.
SOLVED = 0.6
#: Pass rates on a set that must improve.
TARGET_RATES: dict[Role, float] = {"candidate": 0.85, "baseline": 0.1, "root": 0.1}
#: The share of general questions that two equal models do not both answer in the task's format, or both in words.
BLEED_FLIPS = 0.01
#: How often a reworded question gets the answer of the original, whatever it is.
SAME_REWORDED = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the gate can see of one golden set. `watched` cases are looked at for bleed; the first `red_lines` cases
    are red lines as well; the cases reword those of the set `rewords`, one by one."""

    name: str
    n: int
    retention: bool = False
    watched: int = 0
    red_lines: int = 0
    rewords: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The golden sets of a project and its policy. With `root`, the baseline is a shipped version and the root base is
    asked beside it; without, the baseline is the base itself. `improved`: the candidate is better on the targets."""

    name: str
    shapes: tuple[Shape, ...]
    policy: GatePolicy
    root: bool
    improved: bool = True

    @property
    def guards(self) -> tuple[Shape, ...]:
        """The sets that must not get worse."""
        return tuple(shape for shape in self.shapes if not self.policy.is_target(shape.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What is true of the models: the share of flips between equal ones, the candidate's drop by guard set
    (`everywhere` where a set is not named), and how often one red line breaks by chance."""

    flips: float
    everywhere: float = 0.0
    drops: tuple[tuple[str, float], ...] = ()
    red_line_breaks: float = 0.0

    def drop(self, name: str) -> float:
        """The candidate's true drop in pass rate on that set."""
        return dict(self.drops).get(name, self.everywhere)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """`draws` runs: arrays of shape (draws, cases) of 0 and 1, by set and role."""

    layout: Layout
    draws: int
    scores: dict[str, Answers]
    bleed: dict[str, Answers]
    broken: dict[str, NDArray[np.bool_]]


def shipped() -> tuple[tuple[Shape, ...], GatePolicy]:
    """The golden sets of this repository, and the policy of its pyproject.toml."""
    project = load_project(ROOT)
    shapes = []
    names: dict[str, str] = {}
    for one in select_golden_sets(project.golden_sets, ["*"]):
        if one.kind == "text":
            continue  # prose is advisory
        names.update(dict.fromkeys((case.id for case in one.cases), one.name))
        retention = one.name.startswith("retention/")
        shapes.append(
            Shape(
                name=one.name,
                n=len(one.cases),
                retention=retention,
                watched=sum(not asks_for_format(c) for c in one.cases) if retention and one.kind == "ask" else 0,
                red_lines=sum(case.red_line for case in one.cases),
                rewords=next((names[case.variant_of] for case in one.cases if case.variant_of), None),
            )
        )
    return tuple(shapes), project.config.gate


def draw(layout: Layout, truth: Truth, draws: int, rng: np.random.Generator) -> Drawn:
    """Runs of three models of which `truth` is true."""
    scores: dict[str, Answers] = {}
    unstable: dict[str, NDArray[np.bool_]] = {}
    bleed: dict[str, Answers] = {}
    broken: dict[str, NDArray[np.bool_]] = {}
    for shape in layout.shapes:
        size = (draws, shape.n)
        shaken = unstable.get(shape.rewords or "")
        shaken = rng.random(size) < 2 * truth.flips if shaken is None else shaken
        unstable[shape.name] = shaken
        if layout.improved and layout.policy.is_target(shape.name):
            scores[shape.name] = {role: (rng.random(size) < TARGET_RATES[role]).astype(np.int8) for role in ROLES}
        else:
            scores[shape.name] = _answers(shaken, truth.flips, truth.drop(shape.name), rng)
        if shape.rewords is not None:
            alike = rng.random(size) < SAME_REWORDED
            for role, original in scores[shape.rewords].items():
                scores[shape.name][role] = np.where(alike, original, scores[shape.name][role])
        if shape.red_lines:
            broken[shape.name] = rng.random((draws, shape.red_lines)) < truth.red_line_breaks
            scores[shape.name]["candidate"][:, : shape.red_lines] *= ~broken[shape.name]
        if shape.watched:
            torn = rng.random((draws, shape.watched)) < 2 * BLEED_FLIPS
            bleed[shape.name] = {role: (torn & (rng.random(torn.shape) < 0.5)).astype(np.int8) for role in ROLES}
    if not layout.root:
        for answers in (*scores.values(), *bleed.values()):
            answers["root"] = answers["baseline"]
    return Drawn(layout=layout, draws=draws, scores=scores, bleed=bleed, broken=broken)


def _answers(unstable: NDArray[np.bool_], flips: float, drop: float, rng: np.random.Generator) -> Answers:
    size = unstable.shape
    solved = rng.random(size) < SOLVED
    from_unstable = min(drop, flips)
    rate = 0.5 - from_unstable / (2 * flips) if flips else 0.0
    lost = (drop - from_unstable) / (SOLVED * (1 - 2 * flips))
    kept = solved & (rng.random(size) >= lost)
    return {
        "candidate": np.where(unstable, rng.random(size) < rate, kept).astype(np.int8),
        "baseline": np.where(unstable, rng.random(size) < 0.5, solved).astype(np.int8),
        "root": np.where(unstable, rng.random(size) < 0.5, solved).astype(np.int8),
    }


def record(drawn: Drawn, i: int) -> RunRecord:
    """Run number `i` as the plugin would have recorded it, the retention suite's own answer included."""
    layout = drawn.layout
    sets = tuple(_set(drawn, shape, i) for shape in layout.shapes)
    answers: tuple[SuiteAnswer, ...] = ()
    watched = [one for one in sets if one.retention]
    if watched:
        said = Retention(watched, layout.policy).not_worse()
        answers = (SuiteAnswer(test="test_nothing_was_forgotten", status=said.status, reason=said.reason),)
    base = _identity("base")
    return RunRecord(
        run_id=f"drawn-{i}",
        created="2026-01-01T00:00:00Z",
        harness_version="",
        arguments=(),
        candidate=_identity("candidate"),
        baseline=_identity("shipped") if layout.root else base,
        root=base,
        policy=layout.policy,
        policy_digest=layout.policy.digest,
        collection_digest="",
        sets=sets,
        answers=answers,
    )


def _set(drawn: Drawn, shape: Shape, i: int) -> SetResult:
    scores = {role: values[i].tolist() for role, values in drawn.scores[shape.name].items()}
    red = [1.0 - float(b) for b in drawn.broken[shape.name][i]] if shape.red_lines else []
    cases = []
    for k in range(shape.n):
        mine = {role: float(values[k]) for role, values in scores.items()}
        tests = [TestResult(test="right", lane="rate", **mine)]
        if k < len(red):
            tests.append(TestResult(test="never", lane="red_line", candidate=red[k], baseline=1.0, root=1.0))
        own = f"{shape.rewords or shape.name}-{k}"
        cases.append(
            CaseResult(
                case=f"{own}-reworded" if shape.rewords else own,
                line=k + 1,
                variant_of=own if shape.rewords else None,
                tests=tuple(tests),
                **mine,
            )
        )
    probes = []
    if shape.watched:
        seen = {role: tuple(map(float, values[i].tolist())) for role, values in drawn.bleed[shape.name].items()}
        ids = tuple(case.case for case in cases[: shape.watched])
        unit = "share of answers"
        probes = [Probe(probe="bleed", role="alarm", unit=unit, higher_is_better=False, cases=ids, **seen)]
    return SetResult(
        name=shape.name,
        path=f"{shape.name}.jsonl",
        digest="",
        kind="ask",
        retention=shape.retention,
        cases=tuple(cases),
        probes=tuple(probes),
    )


def _identity(label: str) -> ModelIdentity:
    return ModelIdentity(
        label=label,
        reference=label,
        digest=label,
        base_digest="base",
        adapter_digest=None if label == "base" else label,
        engine="drawn",
        dtype="none",
    )
