"""How often is the gate wrong? Its answers to models whose truth is known.

For every layout of golden sets and every truth, thousands of runs are drawn and decided by three rules: ours, a plain
threshold of 5 points, and "every set must prove it". A sample of our answers is held against `harness.gate.decide` on
full run records; one that differs ends the script. Writes results/calibration.json and the tables of
docs/calibration.md; exit status 1 where a requirement is missed.

    python benchmarks/calibration.py [--draws 10000] [--decided 6]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import rules
from drawn import Drawn, Layout, Shape, Truth, draw, record, shipped
from machine import RESULTS, save
from sections import table, write_section

from harness.answers import SEVERITY
from harness.gate import decide
from harness.policy import GatePolicy

SEED = 20260101
FLIPS = (0.05, 0.10, 0.20)
#: Runs that are held in memory at once.
BATCH = 2_000
RULES: dict[str, Callable[[Drawn], rules.Statuses]] = {
    "gate": rules.ours,
    "threshold": rules.threshold,
    "every set": rules.every_set,
}
#: Four sets without root base, rewordings or red lines: the rule by itself.
PLAIN = {"refunds": 60, "orders": 40, "returns": 120, "search": 150}
#: A set that a project may add to ours: ordinary questions, which no root base could answer.
SUPPORT = Shape(name="support", n=120)
ANSWERS = ("PASS", "INCONCLUSIVE", "FAIL")

Cell = dict[str, Any]


def layouts() -> dict[str, Layout]:
    """The projects that are simulated, by name."""
    shapes, policy = shipped()
    retrain = msgspec.structs.replace(policy, improve=())
    default = GatePolicy().margin

    def layout(name: str, of: Sequence[Shape], under: GatePolicy, **fields: bool) -> Layout:
        return Layout(name=name, shapes=tuple(of), policy=under, **{"root": True, **fields})

    def at(margin: float, under: GatePolicy) -> GatePolicy:
        return msgspec.structs.replace(under, margin=margin)

    plain = [Shape(name=name, n=n) for name, n in PLAIN.items()]
    found = [layout("four plain sets", plain, GatePolicy(), root=False)]
    for margin in (policy.margin, default):
        found += [
            layout(f"first release, margin {margin:.2f}", shapes, at(margin, policy), root=False),
            layout(f"retrain, margin {margin:.2f}", shapes, at(margin, retrain)),
            layout(f"retrain and a set of 120, margin {margin:.2f}", [*shapes, SUPPORT], at(margin, retrain)),
        ]
    found.append(layout(f"retrain that must improve, margin {policy.margin:.2f}", shapes, policy, improved=False))
    return {one.name: one for one in found}


def truths(layout: Layout, flips: float) -> Iterator[tuple[str, Truth]]:
    """What may be true of the candidate, in words and numbers."""
    yield "equal", Truth(flips=flips)
    if not layout.improved:
        return
    if any(shape.red_lines for shape in layout.shapes):
        yield "equal, each red line breaks in 1%", Truth(flips=flips, red_line_breaks=0.01)
    for points in (2, 3, 5, 10):
        yield f"{points} points worse everywhere", Truth(flips=flips, everywhere=points / 100)
    for points in (10, 15):
        for shape in layout.guards:
            if shape.n >= 100:
                yield f"{points} points worse in {shape.name}", Truth(flips=flips, drops=((shape.name, points / 100),))


def measure(layout: Layout, what: str, truth: Truth, draws: int, decided: int, seed: Sequence[int]) -> Cell:
    """One cell: shares of PASS, INCONCLUSIVE and FAIL by rule. SystemExit where the gate itself decides otherwise."""
    rng = np.random.default_rng(seed)
    counts = {name: np.zeros(len(ANSWERS), dtype=np.int64) for name in RULES}
    for start in range(0, draws, BATCH):
        drawn = draw(layout, truth, min(BATCH, draws - start), rng)
        for name, rule in RULES.items():
            found = rule(drawn)
            counts[name] += [int((found == SEVERITY[answer]).sum()) for answer in ANSWERS]  # type: ignore[index]
        if start == 0:
            _hold_against_the_gate(drawn, decided)
    return {
        "layout": layout.name,
        "truth": what,
        "flips": truth.flips,
        "draws": draws,
        **{name: dict(zip(ANSWERS, (many / draws).round(5).tolist(), strict=True)) for name, many in counts.items()},
    }


def _hold_against_the_gate(drawn: Drawn, decided: int) -> None:
    """The first runs, and those on which the rule gave its rarer answers, decided from full records."""
    found = rules.ours(drawn)
    rare = [int(i) for answer in np.unique(found) for i in np.flatnonzero(found == answer)[:2]]
    for i in [*range(decided), *rare]:
        verdict = decide(record(drawn, i), drawn.layout.policy)
        if SEVERITY[verdict.status] != found[i]:
            told = "; ".join(verdict.reasons()) or "PASS"
            raise SystemExit(f"{drawn.layout.name}, run {i}: decide says {told}, the fast rule {found[i]}")


def requirements(cells: Sequence[Cell], policies: dict[str, float]) -> list[dict[str, Any]]:
    """What was promised, what was found, and whether it holds."""

    def rates(answer: str, of: Callable[[Cell], bool], layout: str = "") -> list[float]:
        return [c["gate"][answer] for c in cells if of(c) and layout in c["layout"] and "improve" not in c["layout"]]

    def blocked(layout: str, name: str) -> list[float]:
        return [1 - p for p in rates("PASS", lambda c: c["truth"] == f"15 points worse in {name}", layout)]

    def at_margin(cell: Cell) -> bool:
        return bool(cell["truth"] == f"{100 * policies[cell['layout']]:g} points worse everywhere")

    def equal(cell: Cell) -> bool:
        return bool(cell["truth"] == "equal")

    false_pass, false_fail = rates("PASS", at_margin), rates("FAIL", equal)
    usual = rates("PASS", lambda c: equal(c) and c["flips"] == 0.10 and c["layout"] != "four plain sets")
    beside = blocked("set of 120", "support")
    asked = [
        ("false PASS, a margin worse everywhere, on average", np.mean(false_pass), "<=", 0.05),
        ("false PASS, a margin worse everywhere, worst cell", max(false_pass), "<=", 0.06),
        ("false FAIL, equal models, worst cell", max(false_fail), "<=", 0.05),
        ("PASS, equal models at 10% flips on the shipped sets, worst cell", min(usual), ">=", 0.85),
        ("blocked, 15 points worse in 120 of 370 cases, worst cell", min(blocked("plain", "returns")), ">=", 0.95),
        ("blocked, 15 points worse in 120 cases beside the shipped sets, on average", np.mean(beside), ">=", 0.95),
    ]
    return [
        {
            "what": what,
            "found": round(float(found), 5),
            "asked": f"{sign} {limit:g}",
            "met": bool(found <= limit if sign == "<=" else found >= limit),
        }
        for what, found, sign, limit in asked
    ]


def page(result: dict[str, Any]) -> list[str]:
    """The tables of docs/calibration.md."""
    error = 100 * math.sqrt(0.25 / result["draws"])
    lines = [
        f"{result['draws']:,} runs a cell, seed {result['seed']}; a share is off by {error:.1f} points at most "
        "(standard error). Numbers are PASS / INCONCLUSIVE / FAIL in percent.",
        "",
        *table(
            ["asked of the gate", "", "found", "met"],
            [[r["what"], r["asked"], f"{r['found']:.1%}", "yes" if r["met"] else "NO"] for r in result["requirements"]],
        ),
    ]
    for name in dict.fromkeys(cell["layout"] for cell in result["cells"]):
        rows = [c for c in result["cells"] if c["layout"] == name]
        lines += ["", f"### {name[0].upper()}{name[1:]}", "", result["layouts"][name], ""]
        columns = [("gate", flips) for flips in FLIPS] + [(rule, 0.10) for rule in RULES if rule != "gate"]
        head = ["truth", *(f"{rule}, {flips:.0%} flips" for rule, flips in columns)]
        body = []
        for what in dict.fromkeys(c["truth"] for c in rows):
            mine = {c["flips"]: c for c in rows if c["truth"] == what}
            body.append([what, *(_shares(mine[flips][rule]) for rule, flips in columns)])
        lines += table(head, body)
    return lines


def _shares(of: dict[str, float]) -> str:
    return " / ".join(f"{100 * of[answer]:.1f}".removesuffix(".0") for answer in ANSWERS)


def about(layout: Layout) -> str:
    """A layout in one sentence."""
    guards = ", ".join(f"{s.name} {s.n}" for s in layout.guards)
    targets = ", ".join(f"{s.name} {s.n}" for s in layout.shapes if s not in layout.guards)
    lines = sum(s.red_lines for s in layout.shapes)
    rivals = "the baseline and the root base" if layout.root else "the baseline"
    said = f"Guards: {guards}; compared with {rivals}; margin {100 * layout.policy.margin:g} points."
    if targets:
        better = "the candidate does" if layout.improved else "the candidate is no better there"
        said += f" Must improve: {targets} ({better})."
    return said + (f" {lines} red lines." if lines else "")


def main() -> int:
    """Measure, keep, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--decided", type=int, default=6, help="runs a cell that are decided from full records too")
    parser.add_argument("--page", action="store_true", help="only write the page again from the kept result")
    options = parser.parse_args()
    if options.page:
        result = json.loads((RESULTS / "calibration.json").read_text(encoding="utf-8"))
    else:
        cells, known = [], layouts()
        for i, layout in enumerate(known.values()):
            for j, flips in enumerate(FLIPS):
                for k, (what, truth) in enumerate(truths(layout, flips)):
                    cell = measure(layout, what, truth, options.draws, options.decided, (SEED, i, j, k))
                    cells.append(cell)
                    print(f"{layout.name}, {flips:.0%} flips, {what}: {_shares(cell['gate'])}", flush=True)
        margins = {name: layout.policy.margin for name, layout in known.items()}
        result = {
            "seed": SEED,
            "draws": options.draws,
            "layouts": {name: about(layout) for name, layout in known.items()},
            "cells": cells,
            "requirements": requirements(cells, margins),
        }
        save("calibration", result)
    write_section("calibration", page(result))
    for asked in result["requirements"]:
        print(f"{'met   ' if asked['met'] else 'MISSED'} {asked['found']:.3f} {asked['asked']:<8} {asked['what']}")
    return int(not all(asked["met"] for asked in result["requirements"]))


if __name__ == "__main__":
    sys.exit(main())
