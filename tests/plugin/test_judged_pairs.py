"""The pairwise suite: by whose word it stands, and what becomes of the gate without a judge or with an unfit one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("aiohttp")

sys.path.append(str(Path(__file__).parent.parent / "judges"))

import known
from served import Server, completion, refusal

from harness.cli.main import run as command_line
from harness.config import load_project
from harness.judges.calibration import calibrate
from harness.judges.cards import read_card, write_card
from harness.naming import resolve_project_judge
from harness.pytest_plugin.results import INVALID
from harness.store import Store

CONFIG = """
[tool.harness.gate]
margin = 0.10
suites = ["suites/"]
[tool.pytest.ini_options]
disable_test_id_escaping_and_forfeit_all_rights_to_community_support = true
"""

PAIRWISE = """
import pytest

@pytest.mark.golden("facts")
def test_preferred(comparisons):
    assert comparisons.not_worse()
"""


def right_wins(question, a, b, times):
    """Of the facts set, right answers beat others; of the card's pairs, what a perfect judge says."""
    if question.startswith("What is fact"):
        return known.better("answer fact" in a, "answer fact" in b)
    return known.perfect(question, a, b, times)


@pytest.fixture
def serve():
    servers = []

    def start(judging):
        def behave(prompt, times, seen):
            if "<<<answer A" not in prompt:
                return completion("It is not known.")
            return completion(f"Compared.\nVERDICT: {judging(*known.parts(prompt), times)}")

        servers.append(Server(behave))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def configure(project, url, *, extra="", gate=""):
    text = CONFIG.replace('suites = ["suites/"]', f'suites = ["suites/"]\n{gate}')
    endpoint = (
        f'[tool.harness.endpoints.tiny]\nurl = "{url}"\nmodel = "tiny"\n[tool.harness.judges.known]\nmodel = "tiny"\n'
    )
    project.write("pyproject.toml", text + endpoint + extra)
    project.write("suites/test_pairwise.py", PAIRWISE)


def give_card(project):
    settings = load_project(project.path)
    judge = resolve_project_judge(settings, "known", None, None)
    with Store(settings.store) as store:
        write_card(settings.judges, calibrate(judge, store))


def models(project):
    project.facts(12)
    return (
        f"--model={project.model('new', wrong=project.ids(2))}",
        f"--baseline={project.model('old', wrong=project.ids(8))}",
    )


def test_without_a_judge_the_suite_says_how_to_set_one_and_the_rest_of_the_gate_stands(project):
    project.write("suites/test_pairwise.py", PAIRWISE)
    result = project.run("suites", *models(project), "-rs")
    result.stdout.fnmatch_lines(["*add --judge=NAME*"])
    record = project.record()
    assert (record.partial, record.errors, record.judged) == (None, (), ())
    assert any("not judged: suites/test_pairwise.py::test_preferred" in note for note in record.notes)
    assert "INVALID" not in result.stdout.str()


def test_a_judge_with_a_good_card_decides(project, serve):
    server = serve(right_wins)
    configure(project, server.url)
    give_card(project)
    asked = len(server.seen)
    result = project.run("suites", *models(project), "--judge=known")
    result.stdout.fnmatch_lines(["*judge*fit*"])
    record = project.record()
    judged = record.judged[0]
    assert (judged.set, judged.unfit, judged.asserted) == ("facts", (), True)
    assert judged.card.fit
    # Two cases have the same answer, which ties without a call.
    assert len(server.seen) - asked == 2 * 10
    assert [a.status for a in record.answers if "pairwise" in a.test] == ["PASS"]
    assert record.usage["judge_calls"] == 20
    again = project.run("suites", *models(project), "--judge=known")
    assert len(server.seen) - asked == 2 * 10
    assert "PASS" in again.stdout.str()


@pytest.mark.parametrize("carded", [False, True], ids=["without a card", "with a failed card"])
def test_an_unfit_judge_makes_the_gate_invalid_unless_the_policy_only_warns(project, serve, carded):
    server = serve(lambda *_: "A")
    configure(project, server.url)
    if carded:
        give_card(project)
        judge = resolve_project_judge(load_project(project.path), "known", None, None)
        assert "position-biased" in read_card(load_project(project.path).judges, judge.digest).faults
    why = "failed its card" if carded else "has no card"
    result = project.run("suites", *models(project), "--judge=known")
    assert result.ret == INVALID
    result.stdout.fnmatch_lines([f"*INVALID*judge*{why}*"])

    configure(project, server.url, gate='on_unfit_judge = "warn"')
    result = project.run("suites", *models(project), "--judge=known")
    assert result.ret != INVALID
    result.stdout.fnmatch_lines([f"*warning: *{why}*"])


def test_a_dead_judge_is_an_error_of_its_own_tests_only(project, serve):
    server = serve(right_wins)
    configure(project, server.url)
    server.stop()
    result = project.run("suites", *models(project), "--judge=known")
    assert result.ret == INVALID
    outcomes = result.parseoutcomes()
    assert outcomes["errors"] == 1
    assert outcomes["passed"] >= 10
    record = project.record()
    assert len(record.sets[0].cases) == 12
    assert [e.test for e in record.errors] == ["suites/test_pairwise.py::test_preferred[facts]"]


def test_workers_share_one_batch_of_judgements(project, serve):
    pytest.importorskip("xdist")
    server = serve(right_wins)
    configure(project, server.url)
    give_card(project)
    asked = len(server.seen)
    result = project.run("suites", *models(project), "--judge=known", "-n2")
    assert len(server.seen) - asked == 20, result.stdout.str()
    record = project.record()
    assert len(record.judged[0].judgements) == 12
    assert record.usage["judge_calls"] == 20


def test_the_stand_in_is_advisory_and_no_criterion(project):
    project.write("suites/test_pairwise.py", PAIRWISE)
    result = project.run("suites", *models(project), "--judge=reference")
    assert result.parseoutcomes()["advisory"] == 1
    record = project.record()
    assert record.judged[0].judge.kind == "reference"
    assert not record.judged[0].asserted
    assert not any("pairwise" in a.test for a in record.answers)
    assert any("advisory" in note for note in record.notes)
    result.stdout.fnmatch_lines(["*reference*advisory*"])


def test_the_gate_takes_the_judge_that_the_suites_take(project, capfd):
    project.write("suites/test_pairwise.py", PAIRWISE)
    candidate, baseline = (option.partition("=")[2] for option in models(project))
    command_line(["gate", candidate, "--baseline", baseline, "--judge", "reference"])
    assert project.record().judged[0].judge.kind == "reference", capfd.readouterr().out
    (folder,) = (project.path / "reports").iterdir()
    assert command_line(["gate", "--record", str(folder), "--judge", "reference"]) == 4
    assert "--judge names who is asked, and --record asks nothing" in capfd.readouterr().err


def test_a_model_is_not_judged_by_itself(project, serve):
    server = serve(right_wins)
    configure(project, server.url)
    give_card(project)
    project.facts(12)
    baseline = f"--baseline={project.model('old', wrong=project.ids(12))}"
    result = project.run("suites", "--model=tiny", baseline, "--judge=known")
    assert result.ret == INVALID
    result.stdout.fnmatch_lines(["*INVALID*judge*is one of the models*"])


def test_without_a_baseline_there_is_nothing_to_compare_and_no_call(project, serve):
    server = serve(right_wins)
    configure(project, server.url)
    result = project.run("suites", models(project)[0], "--judge=known")
    assert result.ret in (1, INVALID)
    assert len(server.seen) == 0
    (answer,) = [a for a in project.record().answers if "pairwise" in a.test]
    assert answer.status == "INVALID"
    assert "no baseline to compare with" in answer.reason


def test_the_judgement_of_one_case_can_be_asserted(project, serve):
    server = serve(right_wins)
    configure(project, server.url)
    project.write(
        "suites/test_pairwise.py",
        """
import pytest

@pytest.mark.golden("facts")
def test_no_answer_got_worse(case, judgement):
    assert judgement.preferred != "baseline", judgement.reason
""",
    )
    chosen = project.ids(12)[4]
    result = project.run("suites/test_pairwise.py", *models(project), "--judge=known", "-k", chosen)
    result.assert_outcomes(passed=1, deselected=11)
    assert len(server.seen) == 2
    assert [j.case for j in project.record().judged[0].judgements] == [chosen]


def test_tags_and_disagreements(project, serve):
    server = serve(
        lambda question, a, b, times: "A" if "fact-ai" in question else known.better("answer" in a, "answer" in b)
    )
    configure(project, server.url)
    project.write(
        "suites/test_pairwise.py",
        """
import pytest
from harness import HarnessError

@pytest.mark.golden("facts")
def test_tags(comparisons):
    assert len(comparisons.by("first").judgements) == 1
    with pytest.raises(HarnessError, match="unknown tag 'frist': did you mean 'first'"):
        comparisons.by("frist")
    assert [j.case for j in comparisons.disagreements()] == ["fact-ai"]
    assert comparisons.win_rate().estimate == pytest.approx((6 + 6 * 0.5) / 12)
    assert comparisons.better().status == "INVALID"
""",
    )
    arguments = models(project)
    project.cases[8]["tags"] = ["first"]
    project.golden("facts", project.cases)
    result = project.run("suites/test_pairwise.py", *arguments, "--judge=known")
    result.assert_outcomes(passed=1)


def test_an_unknown_judge_is_a_usage_error_with_the_nearest_name(project, serve):
    configure(project, "http://127.0.0.1:1/v1")
    result = project.run("suites", *models(project), "--judge=konwn")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*unknown judge 'konwn': did you mean 'known'*"])


def test_a_server_that_refuses_every_call_is_an_error_in_words(project):
    server = Server(lambda *_: refusal(401, "no"))
    try:
        configure(project, server.url)
        result = project.run("suites/test_pairwise.py", *models(project), "--judge=known")
    finally:
        server.stop()
    assert result.ret == INVALID
    result.stdout.fnmatch_lines(["*refuses the key*"])
