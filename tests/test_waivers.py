"""Waivers excuse what somebody answers for, until the day they name, and nothing else."""

from __future__ import annotations

import datetime
from pathlib import Path

import msgspec
import pytest
from test_gate import flips, only, record, red_lines

from harness.cli.main import run as command_line
from harness.config import load_project
from harness.errors import ConfigError
from harness.gate import decide
from harness.policy import GatePolicy, Waiver
from harness.record import write_record
from harness.verdict import Verdict

LATER = datetime.date(2026, 12, 31)


def waiver(set_name: str, **fields: object) -> Waiver:
    settings = {"owner": "Ana", "reason": "fixed in the next data set", "expires": LATER} | fields
    return Waiver(set=set_name, **settings)


def policy(*waivers: Waiver, **fields: object) -> GatePolicy:
    return GatePolicy(waivers=waivers, **fields)


def states(verdict: Verdict) -> list[str]:
    return [use.state for use in verdict.waivers]


def test_a_waived_red_line_does_not_fail_and_is_listed_with_its_owner():
    run = record(flips(both=300), red_lines(held=11, broken=1))
    verdict = decide(run, policy(waiver("rules", case="rules-0")))
    assert decide(run, GatePolicy()).status == "FAIL"
    assert verdict.status == "PASS"
    assert states(verdict) == ["used"]
    assert only(verdict, "red lines").reason == (
        "rules: red line rules-0 is broken; Ana answers for it until 2026-12-31: fixed in the next data set."
    )
    assert verdict.sets[1].waived == ("rules-0",)
    assert any(line.startswith("  waived: case rules/rules-0 (Ana, until 2026-12-31") for line in verdict.lines())


def test_a_waiver_excuses_its_own_case_only():
    run = record(flips(both=300), red_lines(held=10, broken=2))
    verdict = decide(run, policy(waiver("rules", case="rules-0")))
    failed = [c for c in verdict.criteria if c.status == "FAIL"]
    assert verdict.status == "FAIL"
    assert [c.cases for c in failed] == [("rules-1",)]


def test_a_clean_sheet_is_not_claimed_over_a_waived_break():
    verdict = decide(record(flips(both=300), red_lines(held=11, broken=1)), policy(waiver("rules", case="rules-0")))
    assert "ruled out" not in only(verdict, "red lines").summary


def test_a_waived_alarm_of_a_set_leaves_the_pool_to_decide():
    run = record(flips("big", both=900), flips("small", both=50, lost=8))
    verdict = decide(run, policy(waiver("small", criterion="alarm")))
    alarm = only(verdict, "alarm")
    assert decide(run, GatePolicy()).status == "FAIL"
    assert (verdict.status, alarm.status) == ("PASS", "PASS")
    assert alarm.summary.endswith("(-8 +0 of 58), waived by Ana")
    assert "Ana answers for it until 2026-12-31" in alarm.reason
    worse = record(flips("big", both=100), flips("small", both=50, lost=40))
    assert decide(worse, policy(waiver("small", criterion="alarm"))).status == "FAIL"


def test_a_waived_ratchet_case_counts_as_unchanged_and_is_still_shown():
    run = record(flips("big", both=900), flips("small", both=53, lost=5))
    assert decide(run, GatePolicy()).status == "FAIL"
    excused = [waiver("small", case=f"small-{i}", criterion="ratchet") for i in (53, 54)]
    verdict = decide(run, policy(*excused))
    assert verdict.status == "PASS"
    assert states(verdict) == ["used", "used"]
    small = verdict.sets[1]
    assert small.against_baseline.discordant.only_baseline == 3
    assert small.against_baseline.n == 58
    assert len(small.ratchet) == 5
    assert small.waived == ("small-53", "small-54")
    assert small.candidate.estimate == pytest.approx(53 / 58), "what the model did is shown as it is"


def test_an_expired_waiver_is_not_applied_and_is_named():
    run = record(flips(both=300), red_lines(held=11, broken=1))
    old = waiver("rules", case="rules-0", expires=datetime.date(2025, 12, 31))
    verdict = decide(run, policy(old))
    assert verdict.status == "FAIL"
    assert states(verdict) == ["expired"]
    assert any("expired waiver, not applied: case rules/rules-0" in line for line in verdict.lines())


def test_the_day_is_the_runs_own_unless_another_is_given():
    run = record(flips(both=300), red_lines(held=11, broken=1))
    last_day = policy(waiver("rules", case="rules-0", expires=datetime.date(2026, 1, 1)))
    assert decide(run, last_day).status == "PASS"
    assert decide(run, last_day, today="2026-01-01").status == "PASS"
    assert decide(run, last_day, today="2026-01-02").status == "FAIL"


def test_a_waiver_never_excuses_what_cannot_be_trusted():
    partial = record(flips(both=300), red_lines(held=11, broken=1), partial="-k late")
    verdict = decide(partial, policy(waiver("rules", case="rules-0"), waiver("refunds", criterion="alarm")))
    assert verdict.status == "INVALID"


def test_a_waiver_helps_no_target_to_improve_and_no_floor():
    run = record(flips("triage", gained=8, lost=8, both=10), flips(both=300))
    many = [waiver("triage", case=f"triage-{i}") for i in range(26)]
    verdict = decide(run, policy(*many, improve=("triage",), floors={"triage": 0.9}))
    assert only(verdict, "target").status == "INCONCLUSIVE"
    assert only(verdict, "floor").status == "FAIL"
    assert set(states(verdict)) == {"not needed"}


def test_a_waiver_of_something_that_was_not_run_says_so():
    verdict = decide(
        record(flips(both=300)), policy(waiver("refunds", case="nobody"), waiver("refunds", criterion="alarm"))
    )
    assert states(verdict) == ["unknown", "not needed"]
    assert any("waiver of something that was not run: case refunds/nobody" in line for line in verdict.lines())


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('set = "a"\ncase = "b"\nowner = "x"\nreason = "y"', "missing required field `expires`"),
        ('set = "a"\nowner = "x"\nreason = "y"\nexpires = 2026-12-31', "names a case, or the whole set's criterion"),
        ('set = "a"\ncase = "b"\nowner = " "\nreason = "y"\nexpires = 2026-12-31', "says its owner"),
        (
            'set = "a"\ncase = "b"\ncriterion = "alarm"\nowner = "x"\nreason = "y"\nexpires = 2026-12-31',
            "an alarm is a set's",
        ),
        ('set = "a"\ncase = "b"\nowner = "x"\nreason = "y"\nexpires = "soon"', "expires"),
        ('set = "a"\ncase = "b"\nonwer = "x"\nreason = "y"\nexpires = 2026-12-31', "did you mean 'owner'?"),
    ],
)
def test_a_waiver_that_says_too_little_is_refused(tmp_path: Path, toml: str, words: str):
    (tmp_path / "pyproject.toml").write_text(f"[[tool.harness.gate.waivers]]\n{toml}\n")
    with pytest.raises(ConfigError, match=r"pyproject\.toml") as refused:
        load_project(tmp_path)
    assert words in str(refused.value)


def test_a_waiver_is_read_from_the_policy_and_survives_json(tmp_path: Path):
    (tmp_path / "pyproject.toml").write_text(
        '[[tool.harness.gate.waivers]]\nset = "a"\ncase = "b"\nowner = "x"\nreason = "y"\nexpires = 2026-12-31\n'
    )
    read = load_project(tmp_path).config.gate
    assert read.waivers[0].expires == LATER
    assert msgspec.json.decode(msgspec.json.encode(read), type=GatePolicy) == read


def test_a_policy_without_the_later_keys_keeps_its_digest():
    assert GatePolicy().digest == "94875e8fc028f981f9078144410badd6f2d5e5bd6dd1b4475bac86090b868e8a"
    assert policy(waiver("a", case="b")).digest != GatePolicy().digest


def test_deciding_an_old_record_again_asks_whether_the_waiver_still_holds(tmp_path: Path, capsys):
    run = record(flips(both=300), red_lines(held=11, broken=1), created="2026-01-01T12:00:00+00:00")
    write_record(tmp_path / "run", run, {})
    for expires, status in (("2026-01-02", 1), ("2999-01-01", 0)):
        rule = f'set = "rules"\ncase = "rules-0"\nowner = "Ana"\nreason = "known"\nexpires = {expires}\n'
        (tmp_path / "p.toml").write_text(f"[[waivers]]\n{rule}")
        again = ["gate", "--record", str(tmp_path / "run"), "--policy", str(tmp_path / "p.toml")]
        assert command_line(again) == status
        said = capsys.readouterr().out
        assert ("expired waiver, not applied" if status else "waived: case rules/rules-0 (Ana") in said
