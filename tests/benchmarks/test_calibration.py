"""The calibration decides as the gate does, draws what it says, and its committed page is its committed result."""

from __future__ import annotations

import json

import calibration
import numpy as np
import pytest
import rules
from drawn import Layout, Shape, Truth, draw, record, shipped
from machine import RESULTS
from sections import PAGE, section

from harness.answers import SEVERITY
from harness.gate import decide
from harness.policy import GatePolicy
from harness.stats.power import rule_power

SMALL = (
    Shape(name="retention/a", n=40, retention=True, watched=30),
    Shape(name="retention/b", n=30, retention=True),
    Shape(name="tickets", n=30, red_lines=3),
    Shape(name="tickets_reworded", n=30, rewords="tickets"),
)


def layout(*, root: bool, margin: float = 0.1, improve: tuple[str, ...] = (), improved: bool = True) -> Layout:
    policy = GatePolicy(margin=margin, improve=improve)
    return Layout(name="small", shapes=SMALL, policy=policy, root=root, improved=improved)


@pytest.mark.parametrize(
    ("of", "truth"),
    [
        (layout(root=False), Truth(flips=0.15)),
        (layout(root=True), Truth(flips=0.1, everywhere=0.05)),
        (layout(root=True, margin=0.05), Truth(flips=0.2, red_line_breaks=0.05)),
        (layout(root=True), Truth(flips=0.1, drops=(("tickets", 0.3), ("tickets_reworded", 0.3)))),
        (layout(root=False, improve=("tickets*",)), Truth(flips=0.1)),
        (layout(root=True, improve=("tickets*",), improved=False), Truth(flips=0.2)),
    ],
)
def test_the_fast_rule_decides_every_run_as_the_gate_does(of, truth):
    drawn = draw(of, truth, 30, np.random.default_rng(7))
    expected = [SEVERITY[decide(record(drawn, i), of.policy).status] for i in range(30)]
    assert rules.ours(drawn).tolist() == expected


def test_a_fast_rule_that_strays_from_the_gate_ends_the_calibration(monkeypatch):
    drawn = draw(layout(root=False), Truth(flips=0.05), 5, np.random.default_rng(0))
    monkeypatch.setattr(rules, "ours", lambda drawn: np.full(drawn.draws, rules.FAIL))
    with pytest.raises(SystemExit, match="decide says"):
        calibration._hold_against_the_gate(drawn, 5)


@pytest.mark.parametrize("flips", [0.05, 0.2])
def test_without_root_rewordings_and_red_lines_the_shares_are_those_of_the_closed_form(flips):
    sizes, drops = (60, 40, 120, 150), (0.0, 0.0, 0.1, 0.0)
    plain = tuple(Shape(name=f"s{n}", n=n) for n in sizes)
    of = Layout(name="plain", shapes=plain, policy=GatePolicy(), root=False)
    truth = Truth(flips=flips, drops=(("s120", 0.1),))
    found = rules.ours(draw(of, truth, 4000, np.random.default_rng(3)))
    exact = rule_power(sizes, [max(flips, drop) for drop in drops], drops, margin=of.policy.margin)
    for status, share in ((rules.PASS, exact.passes), (rules.FAIL, exact.fails)):
        error = (share * (1 - share) / found.size) ** 0.5
        assert float((found == status).mean()) == pytest.approx(share, abs=4 * error + 1e-3)


@pytest.mark.parametrize("drop", [0.0, 0.05, 0.15])
def test_models_differ_as_the_truth_says(drop):
    drawn = draw(layout(root=True), Truth(flips=0.1, everywhere=drop), 2000, np.random.default_rng(5))
    for shape in SMALL:
        scores = drawn.scores[shape.name]
        for rival in ("baseline", "root"):
            difference = scores["candidate"].astype(float) - scores[rival]
            assert -difference.mean() == pytest.approx(drop, abs=0.006)
        # Twice the share of flips is unstable, and two models agree on half of that.
        assert (scores["baseline"] != scores["root"]).mean() == pytest.approx(0.1, abs=0.006)


def test_without_a_root_the_baseline_is_the_base_itself():
    drawn = draw(layout(root=False), Truth(flips=0.2), 5, np.random.default_rng(1))
    run = record(drawn, 0)
    assert run.baseline == run.root
    assert all(case.baseline == case.root for one in run.sets for case in one.cases)


def test_the_shipped_sets_are_read_from_the_repository():
    shapes, policy = shipped()
    by_name = {shape.name: shape for shape in shapes}
    assert by_name["triage"].red_lines == 12
    assert by_name["triage_reworded"].rewords == "triage"
    assert by_name["retention/general"].watched > 200
    assert "retention/texts" not in by_name
    assert policy.is_target("triage")


def test_the_committed_result_meets_what_is_asked_and_is_what_the_page_shows():
    result = json.loads((RESULTS / "calibration.json").read_text(encoding="utf-8"))
    assert [one["what"] for one in result["requirements"] if not one["met"]] == []
    shown = section("calibration", PAGE.read_text(encoding="utf-8"))
    assert shown == "\n".join(calibration.page(result)).strip()


def test_the_committed_result_is_of_todays_sets_and_policy():
    result = json.loads((RESULTS / "calibration.json").read_text(encoding="utf-8"))
    assert result["layouts"] == {name: calibration.about(one) for name, one in calibration.layouts().items()}
