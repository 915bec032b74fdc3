"""Groups of cases by tag: their own bar, across sets, beside the pool."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from test_gate import flips, record

from harness.config import load_project
from harness.errors import ConfigError
from harness.gate import decide
from harness.policy import CaseGroup, GatePolicy
from harness.record import SetResult
from harness.verdict import Criterion, GroupVerdict, Verdict


def joined(name: str, *parts: SetResult) -> SetResult:
    return msgspec.structs.replace(flips(name), cases=tuple(case for part in parts for case in part.cases))


def mixed(lost_in_zh: int = 0) -> SetResult:
    """A set of 400 cases of which 60 are Chinese."""
    english = flips("en", both=330, gained=5, lost=5, tags=("en",))
    return joined("refunds", english, flips("zh", both=60 - lost_in_zh, lost=lost_in_zh, tags=("zh", "short")))


def asked(verdict: Verdict, name: str) -> Criterion:
    (found,) = [c for c in verdict.criteria if c.group == name]
    return found


def group(verdict: Verdict, name: str) -> GroupVerdict:
    (found,) = [one for one in verdict.groups if one.name == name]
    return found


def test_a_group_that_lost_more_than_its_margin_fails_though_the_pool_does_not():
    policy = GatePolicy(alpha=0.0001, groups={"chinese": CaseGroup(tags=("zh",), margin=0.05)})
    verdict = decide(record(mixed(lost_in_zh=9)), policy)
    assert [c.status for c in verdict.criteria if c.name == "not worse"] == ["PASS"]
    bar = asked(verdict, "chinese")
    assert (bar.name, bar.status, verdict.status) == ("own bar", "FAIL", "FAIL")
    assert bar.reason.startswith("group chinese (sees drops of ")
    assert "9 worse and 0 better" in bar.reason
    assert bar.reason.endswith("points are lost; 5 points = 3 of your 60 cases are allowed.")
    assert bar.summary.startswith("chinese at least ")


def test_a_group_reports_its_cases_its_power_and_what_fell():
    policy = GatePolicy(groups={"chinese": CaseGroup(tags=("zh",), margin=0.3)})
    verdict = decide(record(mixed(lost_in_zh=2)), policy)
    found = group(verdict, "chinese")
    assert (found.answer.status, found.n, found.sets) == ("PASS", 60, ("refunds",))
    assert found.cases == ("refunds/zh-58", "refunds/zh-59")
    assert found.sees == found.against_baseline.minimum_detectable_effect
    assert found.against_baseline.discordant.only_baseline == 2
    assert "an equal model needs about" in asked(verdict, "chinese").reason


def test_a_group_reaches_across_sets_and_may_be_narrowed_to_some():
    sets = [flips(name, both=50, tags=("zh",)) for name in ("a", "b", "retention/x")]
    policy = GatePolicy(
        groups={
            "all": CaseGroup(tags=("zh",), margin=0.1),
            "kept": CaseGroup(tags=("zh",), sets=("retention/*",), margin=0.1),
            "whole": CaseGroup(sets=("a", "b"), floor=0.9),
        }
    )
    verdict = decide(record(*sets), policy)
    assert [(g.name, g.n, g.sets) for g in verdict.groups] == [
        ("all", 150, ("a", "b", "retention/x")),
        ("kept", 50, ("retention/x",)),
        ("whole", 100, ("a", "b")),
    ]


@pytest.mark.parametrize(("gained", "lost", "status"), [(20, 0, "PASS"), (5, 4, "INCONCLUSIVE"), (0, 20, "FAIL")])
def test_a_group_may_have_to_improve(gained, lost, status):
    one = joined("refunds", flips("en", both=300), flips("zh", gained=gained, lost=lost, both=40, tags=("zh",)))
    policy = GatePolicy(margin=0.5, alpha=1e-9, groups={"chinese": CaseGroup(tags=("zh",), improve=True)})
    verdict = decide(record(one), policy)
    target = asked(verdict, "chinese")
    assert (target.name, target.status) == ("target", status)
    assert target.reason.startswith("group chinese: ")


@pytest.mark.parametrize(("floor", "status"), [(0.8, "PASS"), (0.9, "FAIL")])
def test_a_group_may_have_a_floor(floor, status):
    policy = GatePolicy(margin=0.5, alpha=1e-9, groups={"chinese": CaseGroup(tags=("zh",), floor=floor)})
    found = asked(decide(record(mixed(lost_in_zh=9)), policy), "chinese")
    assert (found.name, found.status) == ("floor", status)
    assert "51 of 60 (85%) pass" in found.reason


def test_a_group_of_the_same_answers_passes():
    one = flips(both=3, neither=1, same_answer=True, tags=("zh",))
    verdict = decide(record(one), GatePolicy(groups={"chinese": CaseGroup(tags=("zh",), margin=0.01)}))
    assert asked(verdict, "chinese").reason == "group chinese: same answers as the baseline, so not worse."


def test_a_group_without_a_case_is_invalid_not_quiet():
    policy = GatePolicy(groups={"french": CaseGroup(tags=("fr",), margin=0.05)})
    verdict = decide(record(mixed()), policy)
    assert verdict.status == "INVALID"
    assert "group french holds no rated case of this run: no case has fr" in verdict.reasons()[0]
    assert group(verdict, "french").answer.status == "INVALID"
    assert decide(record(mixed(), partial="-k x"), policy).groups[0].n == 0


def test_without_a_baseline_a_group_has_nothing_to_compare():
    policy = GatePolicy(groups={"chinese": CaseGroup(tags=("zh",), margin=0.05)})
    verdict = decide(record(mixed(), baseline=None), policy)
    assert group(verdict, "chinese").answer.status == "INVALID"


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("margin = 0.05", "a group names its cases"),
        ('tags = ["zh"]', "a group asks something"),
        ('tags = ["zh"]\nmargin = 5', "margin = 5.0: a margin is a share"),
        ('tags = ["zh"]\nfloor = 90', "floor = 90.0: a floor is a share"),
        ('tag = ["zh"]\nmargin = 0.05', "[tool.harness.gate.groups.chinese] unknown key 'tag': did you mean 'tags'?"),
    ],
)
def test_a_group_that_cannot_be_meant_is_refused(tmp_path: Path, toml: str, words: str):
    (tmp_path / "pyproject.toml").write_text(f"[tool.harness.gate.groups.chinese]\n{toml}\n")
    with pytest.raises(ConfigError) as refused:
        load_project(tmp_path)
    assert words in str(refused.value)
