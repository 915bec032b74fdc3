"""The explanation says what the gate decided, from sums of its own."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from test_gate import flips, record, red_lines

from harness.cli.gate import gate
from harness.cli.main import run as command_line
from harness.explain import explain
from harness.explain.comparisons import asked, plain_fates
from harness.gate import decide
from harness.pairs import pair_sets, watches
from harness.policy import CaseGroup, GatePolicy, Waiver
from harness.record import Probe, RunRecord, read_record
from harness.stats.guards import alarms
from harness.verdict import points, up

ROOT = Path(__file__).resolve().parent.parent
BLOCKED = ROOT / "tests" / "records" / "triage-no-replay"


@pytest.fixture(scope="module")
def blocked() -> RunRecord:
    return read_record(BLOCKED)


def text(record: RunRecord, policy: GatePolicy | None = None) -> str:
    sections = explain(record, policy or record.policy)
    return "\n".join([line for one in sections for line in (one.title, *one.paragraphs)])


def flat(words: str) -> str:
    return re.sub(r"\s+", " ", words)


def test_the_alarms_chances_are_the_gates_to_the_last_digits(blocked):
    sets = pair_sets(blocked, blocked.policy)
    found = alarms([watch.sample for watch in watches(sets)], blocked.policy.alpha)
    told = asked(sets, blocked.policy)
    assert len(told) == 5
    for mine, gates in zip(told, found, strict=True):
        assert mine.chance == pytest.approx(gates.p_value, rel=1e-9)
        assert mine.counts == pytest.approx(gates.adjusted, rel=1e-9)
        assert (mine.fates.lost, mine.fates.gained) == (gates.discordant.only_baseline, gates.discordant.only_candidate)
        assert mine.fates.change == pytest.approx(gates.difference)


def test_every_set_is_told_with_the_verdicts_numbers(blocked):
    said, verdict = text(blocked), decide(blocked, blocked.policy)
    for one in verdict.sets:
        compared = one.against_baseline
        if compared is None:
            assert f"{one.name} (measured only)\nNothing here is right or wrong" in said
            continue
        flips = compared.discordant
        assert f"{flips.only_baseline} lost, {flips.only_candidate} gained: {one.n} pairs" in said
        assert f"/ {one.n} = {points(compared.difference, sign=True)} points" in said
        if not one.target:
            assert f"{one.name}: {points(up(one.sees))} points = " in said
        else:
            assert f"between {points(compared.interval.low, sign=True)} and " in said


def test_the_worst_and_best_case_of_the_pool_are_the_gates(blocked):
    (pool,) = [c for c in decide(blocked, blocked.policy).criteria if c.name == "not worse"]
    least = re.search(r"at least ([\d.]+) points are lost", pool.reason)
    assert least is not None
    assert f"best case -{least[1]} points" in text(blocked)
    assert "1.645 standard steps" in text(blocked)
    easy = msgspec.structs.replace(blocked.policy, margin=0.5, alpha=1e-40)
    (pool,) = [c for c in decide(blocked, easy).criteria if c.name == "not worse"]
    worst = re.search(r"drops over ([\d.]+) points are ruled out", pool.reason)
    assert worst is not None
    assert f"worst case -{worst[1]} points" in text(blocked, easy)
    assert "Even the worst case is better than -50 points" in text(blocked, easy)


def test_the_status_and_every_criterion_are_named(blocked):
    verdict = decide(blocked, blocked.policy)
    said = text(blocked)
    assert "FAIL: triage-no-replay@1 must not ship, compared with smollm2." in said
    assert all(f"{c.name}: {c.summary}" in said for c in verdict.criteria if c.name != "suite")
    assert "  FAIL         suite: suites/test_retention.py::test_nothing_was_forgotten[retention/*]\n" in said
    assert all(c.reason in said for c in verdict.criteria if c.status != "PASS")


def test_it_begins_with_what_was_right_before_and_is_now(blocked):
    said = text(blocked)
    short = said[said.index("In short:") : said.index("The policy asks several things")].splitlines()[1:]
    # Targets, then the guard that lost most, each with its alarms, then all guards together.
    assert [line.split(":")[0].split(" (")[0].strip() for line in short] == [
        "triage",
        "triage_reworded",
        "retention/general",
        "retention/general, bleed",
        "retention/choices",
        "retention/refusals",
        "retention/refusals, bleed",
        "All 3 guard sets",
    ]
    assert sum(line.endswith("too bad for luck.") for line in short) == 5
    calm = text(blocked, GatePolicy(margin=0.9, alpha=1e-40, improve=("triage*",)))
    assert "76 lost, 18 gained: luck could do that." in calm
    assert "nobody asked" not in calm[: calm.index("Pairs and flips")]


def test_numbers_come_from_the_cases_and_not_from_the_old_text(blocked):
    """Turn one lost case into a kept one: the explanation follows."""
    general = blocked.sets[1]
    i = next(i for i, case in enumerate(general.cases) if case.candidate < case.baseline)
    cases = list(general.cases)
    cases[i] = msgspec.structs.replace(cases[i], candidate=1.0)
    sets = (blocked.sets[0], msgspec.structs.replace(general, cases=tuple(cases)), *blocked.sets[2:])
    assert "26 both right, 83 both wrong, 140 lost, 3 gained" in text(msgspec.structs.replace(blocked, sets=sets))


def test_another_policy_is_explained_with_its_own_groups_waivers_and_bars(blocked):
    policy = GatePolicy(
        margin=0.1,
        margins={"retention/choices": 0.05},
        floors={"triage": 0.8},
        improve=("triage*",),
        groups={"words": CaseGroup(tags=("words",), margin=0.05, floor=0.5)},
        waivers=(
            Waiver(
                set="retention/general",
                criterion="alarm",
                owner="Ana",
                reason="trivia",
                expires=datetime.date(2027, 6, 1),
            ),
        ),
    )
    said = text(blocked, policy)
    assert "Group words" in said
    assert "Allowed: 5 points = 2.1 of your 41 cases." in said
    assert "a bar of its own: 5 points = 10.2 of your 205 cases" in said
    assert "The floor is 80%, 56 of 70; 64 of 70 (91.4%) pass." in said
    assert "waived: alarm of retention/general (Ana, until 2027-06-01: trivia)." in said


def test_weights_partial_scores_and_rewordings_are_told_without_coins():
    one = flips(both=31, lost=9)
    cases = tuple(msgspec.structs.replace(c, weight=1 + (i % 3)) for i, c in enumerate(one.cases))
    weighted = record(msgspec.structs.replace(one, cases=cases), policy=GatePolicy(margin=0.2))
    said, verdict = text(weighted), decide(weighted, weighted.policy)
    assert plain_fates(pair_sets(weighted, weighted.policy)[0].sample("baseline")) is None
    assert "coins:" not in said
    (alarm,) = [c for c in verdict.criteria if c.name == "alarm"]
    assert alarm.status == "FAIL"
    assert "9 of 40 cases got worse and 0 better" in said
    assert f"Change: {points(verdict.sets[0].against_baseline.difference, sign=True)} points" in said


def bled(n: int, most: int) -> Probe:
    return Probe(
        probe="bleed",
        role="alarm",
        unit="share of answers",
        higher_is_better=False,
        cases=tuple(f"c{i}" for i in range(n)),
        candidate=(1.0,) * most + (0.0,) * (n - most),
        baseline=(0.0,) * n,
    )


@pytest.mark.parametrize(
    "seen",
    [
        record(flips(both=1, same_answer=True)),
        record(flips(both=4), baseline=None),
        record(flips(both=4), partial="-k late"),
        record(
            msgspec.structs.replace(flips(), cases=(msgspec.structs.replace(flips(both=1).cases[0], baseline=None),))
        ),
        record(flips(lost=30)),
        record(flips(both=30), red_lines(held=3, broken=1)),
        record(red_lines(held=9)),
        record(msgspec.structs.replace(flips(both=30, lost=2), probes=(bled(30, 9),))),
        record(flips("q", both=20, lost=2), flips("v", both=20, lost=2, variant_of="q-0")),
        record(),
    ],
    ids=[
        "one case",
        "no baseline",
        "partial",
        "missing pair",
        "all lost",
        "red line",
        "only red lines",
        "probe",
        "rewordings",
        "empty",
    ],
)
def test_any_record_that_can_be_decided_can_be_explained(seen):
    said = text(seen)
    assert said.startswith(f"The verdict\n{decide(seen, seen.policy).status}: ")
    assert not re.search(r"\bnan\b|\binf\b", said)


def test_the_command_prints_it_and_refuses_what_is_no_record(capsys, tmp_path, monkeypatch):
    assert command_line(["gate", "explain", str(BLOCKED)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("The verdict\n-----------\nFAIL: triage-no-replay@1 must not ship")
    assert max(len(line) for line in out.splitlines()) <= 96
    assert command_line(["gate", "explain", str(tmp_path)]) == 4
    assert "no run record there" in capsys.readouterr().err
    policy = tmp_path / "p.toml"
    policy.write_text("margin = 0.9\nalpha = 1e-40\n")
    assert command_line(["gate", "explain", str(BLOCKED), "--policy", str(policy)]) == 0
    out = capsys.readouterr().out
    assert "Even the worst case is better than -90 points" in out
    assert "ALARM" not in out


def test_a_models_words_reach_the_gate_and_not_the_command(monkeypatch):
    seen = []
    monkeypatch.setattr("harness.cli.gate.run_gate", lambda project, *named, **_: seen.append(named[:2]))
    for words in (["triage@3", "--baseline", "x"], ["--baseline", "x", "triage@3"], [], ["./explain"]):
        CliRunner().invoke(gate, words, catch_exceptions=False)
    assert seen == [("triage@3", "x"), ("triage@3", "x"), ("candidate", None), ("./explain", None)]


def test_every_quote_and_number_of_the_page_is_in_the_output(blocked, capsys):
    assert command_line(["gate", "explain", str(BLOCKED)]) == 0
    out = flat(capsys.readouterr().out)
    page = (ROOT / "docs" / "explain.md").read_text(encoding="utf-8")
    quotes = re.findall(r"^> (.*)$", page, re.MULTILINE)
    assert len(quotes) >= 10
    for quote in quotes:
        assert flat(quote) in out, f"docs/explain.md quotes what is not printed: {quote}"
    assert len(re.findall(r"^## \d\. .*\?$", page, re.MULTILINE)) == 5
    prose = "\n".join(line for line in page.splitlines() if not line.startswith(("> ", "#")))
    for number in re.findall(r"-?\d+(?:\.\d+)?%?", re.sub(r"\(.*?\)|`.*?`", "", prose)):
        assert re.search(rf"(?<![\d.]){re.escape(number)}(?![\d]|\.\d)", out), f"docs/explain.md says {number}"


def test_a_part_of_a_run_is_explained_as_one_without_a_verdict(blocked):
    said = flat(text(msgspec.structs.replace(blocked, partial="cases were selected by -k")))
    assert said.startswith("The verdict INVALID: ")
    assert "A part of a run has no verdict, whatever they are:" in said
    assert "worst of the answers" not in said
