"""Is the gate right on real models? Twelve equal trainings and four damaged ones.

The demo's recipe is trained with twelve seeds, and each is gated against the next: equal by construction, so the gate
should let them pass. Four damaged trainings are gated against the first seed and must be blocked, each by a criterion
that names the damage. A retrained model is not meant to be better than the one it replaces, so every set is a guard:
the shipped policy without `improve`; what the policy as shipped says is kept beside it.

Everything happens in one project folder with one registry and one store: a killed run goes on where it was, every
candidate is trained and asked once, and what `demo_seeds.py` trained is not trained again. Writes
results/retrains.json after every step, and the section of docs/calibration.md at the end.

    python benchmarks/retrains.py [--plan] [--seeds 12] [--folder demo/seeds/retrains]
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from machine import save, versions
from sections import table, write_section
from trainings import FOLDER, KEPT, inputs_digest, kept_project

from harness.answers import worst
from harness.config import Project
from harness.gate import Verdict, decide
from harness.record import RunRecord, read_record
from harness.registry import Registry
from harness.stats.intervals import wilson

GOAL_EQUAL = 0.8
STATE = "retrains.json"
SHUFFLED = "data/triage/shuffled.jsonl"
TRUNCATED = "data/triage/truncated.jsonl"
DECIDED = {0, 1, 10, 11}


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """A training that must be blocked, and by what: one of `criteria` has to fail on one of `sets` (patterns)."""

    name: str
    what: str
    recipe: str
    overrides: tuple[str, ...] = ()
    criteria: tuple[str, ...]
    sets: tuple[str, ...]


DAMAGES = (
    Damage(
        name="no replay",
        what="trained on tickets only",
        recipe="recipes/triage-no-replay.yaml",
        criteria=("alarm", "not worse"),
        sets=("retention/*",),
    ),
    Damage(
        name="rate x10",
        what="ten times the learning rate",
        recipe="recipes/triage.yaml",
        overrides=("name=triage-rate", "optim.lr=9.0e-3"),
        criteria=("alarm", "not worse", "red lines"),
        sets=("*",),
    ),
    Damage(
        name="shuffled labels",
        what="categories and priorities dealt to other tickets",
        recipe="recipes/triage.yaml",
        overrides=("name=triage-shuffled", f"data.train={SHUFFLED}"),
        criteria=("alarm",),
        sets=("triage*",),
    ),
    Damage(
        name="truncated rows",
        what="every second answer cut in half",
        recipe="recipes/triage.yaml",
        overrides=("name=triage-truncated", f"data.train={TRUNCATED}"),
        criteria=("alarm", "red lines"),
        sets=("triage*",),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Harness:
    """What the script asks for: a training gives a version's label, a gate the folder of its record."""

    train: Callable[[str, Sequence[str]], str]
    gate: Callable[[str, str], Path]


class Retrains:
    """The steps in `project`, what is done of them, and what came out."""

    def __init__(
        self, project: Project, harness: Harness, seeds: int, *, on_step: Callable[[dict[str, Any]], None] | None = None
    ) -> None:
        self.project = project
        self.harness = harness
        self.seeds = seeds
        self._on_step = on_step
        self._file = project.root / STATE
        self._inputs = inputs_digest(project)
        self.trained: dict[str, str] = {}
        self.gated: dict[str, dict[str, Any]] = {}
        if self._file.is_file():
            state = json.loads(self._file.read_text(encoding="utf-8"))
            if state["inputs"] == self._inputs:
                self.trained, self.gated = state["trained"], state["gated"]

    def trainings(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Recipe and overrides of every candidate, by name."""
        found = {f"seed {i}": ("recipes/triage.yaml", (f"seed={i}",)) for i in range(self.seeds)}
        return found | {damage.name: (damage.recipe, ("seed=0", *damage.overrides)) for damage in DAMAGES}

    def pairs(self) -> dict[str, tuple[str, str]]:
        """Candidate and baseline of every gate, by name."""
        equal = {
            f"seed {i} against seed {(i + 1) % self.seeds}": (f"seed {i}", f"seed {(i + 1) % self.seeds}")
            for i in range(self.seeds)
        }
        return equal | {damage.name: (damage.name, "seed 0") for damage in DAMAGES}

    def plan(self) -> list[str]:
        """Every step and whether it is done."""
        steps = [f"{'done' if name in self.trained else 'to do':<6} train {name}" for name in self.trainings()]
        return steps + [f"{'done' if name in self.gated else 'to do':<6} gate  {name}" for name in self.pairs()]

    def run(self) -> None:
        """All that is not done yet; the state is kept after every step."""
        for name, (recipe, overrides) in self.trainings().items():
            if name not in self.trained:
                self.trained[name] = self.harness.train(recipe, overrides)
                self._keep()
        for name, (candidate, baseline) in self.pairs().items():
            if name not in self.gated:
                folder = self.harness.gate(self.trained[candidate], self.trained[baseline])
                self.gated[name] = self._outcome(folder)
                self._keep()
                print(f"{self.gated[name]['status']:<13} {name}", flush=True)

    def result(self) -> dict[str, Any]:
        """What came out so far."""
        equal = {name: one for name, one in self.gated.items() if name not in {d.name for d in DAMAGES}}
        passed = sum(one["status"] == "PASS" for one in equal.values())
        damages = {d.name: self.gated[d.name] | _judged(d, self.gated[d.name]) for d in DAMAGES if d.name in self.gated}
        met = len(self.gated) == len(self.pairs())
        met = met and passed >= GOAL_EQUAL * self.seeds and all(one["right"] for one in damages.values())
        return {
            "seeds": self.seeds,
            "pairs_done": len(equal),
            "equal_passed": passed,
            "equal_passed_but_for_red_lines": sum(one["but_for_red_lines"] == "PASS" for one in equal.values()),
            "equal": equal,
            "damages": damages,
            "damages_blocked": sum(one["right"] for one in damages.values()),
            "met": met,
            "trained": dict(self.trained),
        }

    def _outcome(self, folder: Path) -> dict[str, Any]:
        record = read_record(folder)
        shipped = self.project.config.gate
        return outcome(record, decide(record, msgspec.structs.replace(shipped, improve=()))) | {
            "record": folder.relative_to(self.project.root).as_posix(),
            "as_shipped": decide(record, shipped).status,
        }

    def _keep(self) -> None:
        state = {"inputs": self._inputs, "trained": self.trained, "gated": self.gated}
        unfinished = self._file.with_suffix(".tmp")
        unfinished.write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
        unfinished.replace(self._file)
        if self._on_step is not None:
            self._on_step(self.result())


def outcome(record: RunRecord, verdict: Verdict) -> dict[str, Any]:
    """What one gate said: status, what did not pass, rates (candidate, baseline, root) and flips by set."""
    sets = [one for one in verdict.sets if one.against_baseline is not None]
    return {
        "candidate": record.candidate.label,
        "baseline": verdict.baseline,
        "status": verdict.status,
        "but_for_red_lines": worst([c.status for c in verdict.criteria if c.name != "red lines"]),
        "not_passed": [
            {"criterion": c.name, "set": c.set, "against": c.against, "status": c.status, "summary": c.summary}
            for c in verdict.criteria
            if c.status != "PASS"
        ],
        "rates": {
            one.name: [None if side is None else round(side.estimate, 4) for side in _sides(one)] for one in sets
        },
        "flips": {one.name: round(one.against_baseline.discordant.total / one.n, 4) for one in sets},  # type: ignore[union-attr]
    }


def _sides(one: Any) -> tuple[Any, Any, Any]:
    return one.candidate, one.baseline, one.root


def _judged(damage: Damage, found: dict[str, Any]) -> dict[str, Any]:
    """Was it blocked, and by a criterion that names the damage?"""
    by = [
        f"{one['criterion']}: {one['summary']}"
        for one in found["not_passed"]
        if one["status"] == "FAIL"
        and one["criterion"] in damage.criteria
        and (one["set"] is None or any(fnmatch.fnmatchcase(one["set"], pattern) for pattern in damage.sets))
    ]
    return {"what": damage.what, "right": bool(by), "by": by}


def damaged_data(project: Project) -> None:
    """Write the training files with shuffled labels and with cut answers."""
    rows = [json.loads(line) for line in (project.root / "data/triage/train.jsonl").read_text("utf-8").splitlines()]
    labels = [json.loads(row["messages"][-1]["content"]) for row in rows]
    dealt = random.Random(0).sample(labels, len(labels))
    shuffled = [
        json.dumps({**other, "reference": own["reference"]}, ensure_ascii=False)
        for own, other in zip(labels, dealt, strict=True)
    ]
    answers = [row["messages"][-1]["content"] for row in rows]
    cut = [text[: len(text) // 2] if i % 2 else text for i, text in enumerate(answers)]
    for file, texts in ((SHUFFLED, shuffled), (TRUNCATED, cut)):
        lines = [
            json.dumps(
                {"messages": [*row["messages"][:-1], {"role": "assistant", "content": text}]}, ensure_ascii=False
            )
            for row, text in zip(rows, texts, strict=True)
        ]
        (project.root / file).write_text("\n".join(lines) + "\n", encoding="utf-8")


def real(project: Project) -> Harness:
    """`harness train` and `harness gate`, as a user would type them in the project's folder."""

    def run(*words: str) -> int:
        print(f"$ harness {' '.join(words)}", flush=True)
        env = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
        return subprocess.run([sys.executable, "-m", "harness", *words], cwd=project.root, env=env).returncode

    def train(recipe: str, overrides: Sequence[str]) -> str:
        ended = run("train", recipe, *(word for one in overrides for word in ("--set", one)), "--no-gate")
        label = Registry(project.registry, root=project.root).alias("candidate")
        if ended != 0 or label is None:
            raise SystemExit(
                f"the training ended with {ended}; its own message is above. Run the script again to go on."
            )
        return label

    def gate(candidate: str, baseline: str) -> Path:
        before = {file.parent for file in project.reports.glob("*/record.json")}
        ended = run("gate", candidate, "--baseline", baseline)
        new = sorted({file.parent for file in project.reports.glob("*/record.json")} - before)
        if ended not in DECIDED or not new:
            raise SystemExit(f"the gate ended with {ended} and left no verdict. Run the script again to go on.")
        return new[-1]

    return Harness(train=train, gate=gate)


def page(result: dict[str, Any]) -> list[str]:
    """The section of docs/calibration.md."""
    done, passed = result["pairs_done"], result["equal_passed"]
    if not done:
        return ["Not measured yet: `python benchmarks/retrains.py`."]
    interval = wilson(passed, done)
    flips: dict[str, list[float]] = {}
    for one in result["equal"].values():
        for name, share in one["flips"].items():
            flips.setdefault(name, []).append(share)
    shares = ", ".join(f"{name} {sum(f) / len(f):.0%}" for name, f in flips.items())
    rows = [[name, one["status"], one["as_shipped"], _why(one)] for name, one in result["equal"].items()]
    damaged = [
        [
            f"{name} ({one['what']})",
            one["status"],
            "yes" if one["right"] else "NO",
            "; ".join(one["by"][:2]) or _why(one),
        ]
        for name, one in result["damages"].items()
    ]
    return [
        f"{passed} of {done} equal pairs PASS ({passed / done:.0%}, 95% interval {interval.low:.0%} to "
        f"{interval.high:.0%}; at least {GOAL_EQUAL:.0%} are asked for); "
        f"{result['equal_passed_but_for_red_lines']} but for red lines. "
        f"{result['damages_blocked']} of {len(DAMAGES)} damages are blocked for the right reason.",
        "",
        f"Flips between two seeds: {shares}.",
        "",
        *table(["equal pair", "every set a guard", "policy as shipped", "what did not pass"], rows),
        "",
        *table(["damage, against seed 0", "verdict", "right reason", "blocked by"], damaged),
    ]


def _why(one: dict[str, Any]) -> str:
    return "; ".join(f"{c['criterion']}: {c['summary']}" for c in one["not_passed"][:2])


def _save(result: dict[str, Any]) -> None:
    save("retrains", {**result, **versions("torch", "transformers", "peft", "finetune-harness")})


def main() -> int:
    """Show the plan, or do what is left of it; exit status 1 where the gate was wrong too often."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--folder", type=Path, default=FOLDER / KEPT)
    parser.add_argument("--plan", action="store_true", help="show the steps and what is done; train and ask nothing")
    options = parser.parse_args()
    project = kept_project(options.folder.resolve())
    damaged_data(project)
    steps = Retrains(project, real(project), options.seeds, on_step=_save)
    if options.plan:
        print("\n".join(steps.plan()))
        return 0
    steps.run()
    result = steps.result()
    _save(result)
    write_section("retrains", page(result))
    print(
        f"{result['equal_passed']} of {result['pairs_done']} equal pairs pass, "
        f"{result['damages_blocked']} of {len(DAMAGES)} damages are blocked for the right reason"
    )
    return int(not result["met"])


if __name__ == "__main__":
    sys.exit(main())
