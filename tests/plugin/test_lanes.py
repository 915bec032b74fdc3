"""A miss is counted, the set answers; a red line fails; a crash is an error."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

XDIST = [("-n2",), ("-n0",), ("-p", "no:xdist")]


@pytest.fixture(params=XDIST, ids=["xdist-on", "xdist-idle", "xdist-absent"])
def workers(request):
    return request.param


def test_a_miss_that_the_baseline_shares_is_counted_and_does_not_fail_the_run(project, workers):
    project.facts(60)
    wrong = project.ids(1)
    candidate, baseline = project.model("cand", wrong), project.model("base", wrong)
    result = project.run("suites", f"--model={candidate}", f"--baseline={baseline}", *workers)
    # 59 cases and the set-level item.
    result.assert_outcomes(passed=60)
    result.stdout.fnmatch_lines(["*60 passed, 1 missed*"])
    assert result.ret == 0


def test_a_set_that_lost_many_cases_fails_through_its_set_level_item(project, workers):
    project.facts(60)
    candidate, baseline = project.model("cand", project.ids(20)), project.model("base")
    result = project.run("suites", f"--model={candidate}", f"--baseline={baseline}", *workers)
    result.stdout.fnmatch_lines(["FAILED golden_sets/facts.jsonl::facts*", "*1 failed, 40 passed, 20 missed*"])
    assert result.ret == 1


def test_the_record_is_the_same_with_and_without_workers(project):
    project.facts(40)
    candidate, baseline = project.model("cand", project.ids(3)), project.model("base", project.ids(1))
    records = []
    for options in XDIST:
        project.run("suites", f"--model={candidate}", f"--baseline={baseline}", *options)
        records.append(project.record())
    first, *others = records
    assert len(first.sets[0].cases) == 40
    for other in others:
        assert other.sets == first.sets
        assert other.collection_digest == first.collection_digest
        assert other.texts_digest == first.texts_digest


def test_too_few_cases_are_inconclusive_with_a_word_and_a_status_of_their_own(project, workers):
    candidate, baseline = project.model("cand", project.ids(1)), project.model("base")
    result = project.run("suites", f"--model={candidate}", f"--baseline={baseline}", *workers)
    result.stdout.fnmatch_lines(["*5 passed, 1 missed, 1 inconclusive*"])
    assert result.ret == 10


def test_policy_may_let_an_inconclusive_run_through(project):
    candidate, baseline = project.model("cand", project.ids(1)), project.model("base")
    project.write("pyproject.toml", '[tool.harness.gate]\nsuites = ["suites/"]\non_inconclusive = "warn"\n')
    assert project.run("suites", f"--model={candidate}", f"--baseline={baseline}").ret == 0


def test_a_broken_red_line_fails_the_run_even_if_the_baseline_breaks_it_too(project, workers):
    project.facts(6, red_line=True)
    wrong = project.ids(1)
    candidate, baseline = project.model("cand", wrong), project.model("base", wrong)
    result = project.run("suites", f"--model={candidate}", f"--baseline={baseline}", *workers)
    result.stdout.fnmatch_lines([f"FAILED suites/test_facts.py::test_names_the_answer*{wrong[0]}*"])
    assert result.ret == 1


WAIVER = """
[[tool.harness.gate.waivers]]
set = "facts"
case = "fact-aa"
owner = "Ana"
reason = "the source itself is wrong"
expires = {expires}
"""


@pytest.mark.parametrize(("expires", "status"), [("2999-12-31", 0), ("2020-01-01", 1)])
def test_a_waiver_excuses_a_broken_red_line_until_its_day(project, workers, expires, status):
    project.facts(60)
    project.golden("facts", [{**case, "red_line": case["id"] == "fact-aa"} for case in project.cases])
    config = project.path / "pyproject.toml"
    config.write_text(config.read_text() + WAIVER.format(expires=expires))
    candidate, baseline = project.model("cand", ["fact-aa"]), project.model("base")
    result = project.run("suites", f"--model={candidate}", f"--baseline={baseline}", *workers)
    assert result.ret == status
    if status == 0:
        result.stdout.fnmatch_lines(["*1 missed*"])
        result.stdout.fnmatch_lines(["*waived: case facts/fact-aa (Ana, until 2999-12-31*"])
    else:
        result.stdout.fnmatch_lines(["*expired waiver, not applied: case facts/fact-aa (Ana*"])


def test_the_markers_lane_overrides_the_cases_red_line(project):
    project.facts(60, red_line=True)
    suite = project.path / "suites" / "test_facts.py"
    suite.write_text(suite.read_text().replace('golden("facts")', 'golden("facts", lane="rate")'))
    wrong = project.ids(1)
    candidate, baseline = project.model("cand", wrong), project.model("base", wrong)
    result = project.run("suites", f"--model={candidate}", f"--baseline={baseline}")
    result.stdout.fnmatch_lines(["*1 missed*"])
    assert result.ret == 0


def test_without_a_baseline_every_missed_case_is_failed(project, workers):
    candidate = project.model("cand", project.ids(2))
    result = project.run("suites", f"--model={candidate}", *workers)
    result.assert_outcomes(passed=4, failed=2)
    assert result.ret == 1


def test_without_a_baseline_a_run_that_misses_nothing_is_clean(project):
    result = project.run("suites", f"--model={project.model('cand')}")
    result.assert_outcomes(passed=6)
    assert result.ret == 0


def test_strict_cases_fails_every_miss(project):
    candidate, baseline = project.model("cand", project.ids(2)), project.model("base", project.ids(2))
    result = project.run("suites", f"--model={candidate}", f"--baseline={baseline}", "--strict-cases")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*2 failed*"])


def test_a_test_that_crashes_on_an_answer_is_an_error_and_never_a_miss(project, workers):
    project.write(
        "suites/test_facts.py",
        "import pytest\n@pytest.mark.golden('facts')\n"
        "def test_parses(case, response):\n    assert int(response.text)\n",
    )
    candidate, baseline = project.model("cand"), project.model("base")
    result = project.run("suites", f"--model={candidate}", f"--baseline={baseline}", *workers)
    result.stdout.fnmatch_lines(["*6 errors*"])
    result.stdout.no_fnmatch_line("*missed*")
    assert result.ret == 11


def test_a_dead_engine_is_an_error_of_the_setup_tried_once(project, workers):
    candidate = project.model("cand")
    baseline = project.model("base")
    lines = (project.path / "cand.jsonl").read_text().splitlines()
    project.write("cand.jsonl", "\n".join(lines[1:]) + "\n")
    result = project.run("suites", f"--model={candidate}", f"--baseline={baseline}", *workers)
    result.assert_outcomes(errors=6)
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.fnmatch_lines(["*cand.jsonl: no answer for case 'fact-aa'*"])
    assert result.ret == 11


def test_junit_lists_a_miss_as_skipped_with_its_message_and_the_set_as_a_case(project, workers):
    project.facts(60)
    candidate, baseline = project.model("cand", project.ids(1)), project.model("base", project.ids(1))
    project.run("suites", f"--model={candidate}", f"--baseline={baseline}", "--junitxml=junit.xml", *workers)
    cases = list(ElementTree.parse(project.path / "junit.xml").iter("testcase"))
    skipped = [c.find("skipped") for c in cases if c.find("skipped") is not None]
    assert len(cases) == 61
    assert len(skipped) == 1
    assert "no idea about" in str(skipped[0].get("message"))


def test_the_same_weights_on_both_sides_are_invalid(project):
    candidate = project.model("cand")
    result = project.run("suites", f"--model={candidate}", f"--baseline={candidate}")
    assert result.ret == 11


def test_an_ordinary_failing_test_in_a_suite_blocks_as_well(project):
    project.facts(60)
    project.write("suites/test_other.py", "def test_other():\n    assert 1 == 2\n")
    candidate, baseline = project.model("cand"), project.model("base")
    result = project.run("suites", f"--model={candidate}", f"--baseline={baseline}")
    assert result.ret == 1
    assert any(a.status == "FAIL" for a in project.record().answers)


def test_answers_cut_off_at_max_tokens_are_counted_and_shown(project):
    project.facts(60)
    candidate, baseline = project.model("cand"), project.model("base")
    text = (project.path / "cand.jsonl").read_text().splitlines()
    text[0] = text[0][:-1] + ', "finish_reason": "length"}'
    project.write("cand.jsonl", "\n".join(text) + "\n")
    result = project.run("suites", f"--model={candidate}", f"--baseline={baseline}")
    result.stdout.fnmatch_lines(["*1 case* cut off at max_tokens"])
    assert project.record().sets[0].cases[0].cut_off == 1


def test_samples_are_averaged_before_cases_are_compared(project):
    project.write(
        "pyproject.toml",
        '[tool.harness.gate]\nsuites=["suites/"]\n[tool.harness.sampling]\ntemperature = 0.7\n',
    )
    candidate, baseline = project.model("cand"), project.model("base")
    project.write(
        "cand.jsonl",
        (project.path / "cand.jsonl")
        .read_text()
        .replace('{"id": "fact-aa", "output": "It is answer fact-aa, cand."}',
                 '{"id": "fact-aa", "outputs": ["answer fact-aa", "dunno", "answer fact-aa", "dunno"]}'),
    )  # fmt: skip
    result = project.run("suites", f"--model={candidate}", f"--baseline={baseline}", "--samples=4")
    result.stdout.fnmatch_lines(["*note: pass^4 of facts: 83.3% of 6 cases pass all 4, baseline 100%"])
    record = project.record()
    assert record.samples == 4
    assert [case.samples for case in record.sets[0].cases] == [4] * 6
    assert [case.candidate for case in record.sets[0].cases] == [0.5, 1, 1, 1, 1, 1]


def test_a_red_line_under_sampling_needs_four_of_five_breaks(project):
    project.facts(2, red_line=True)
    project.write(
        "pyproject.toml",
        '[tool.harness.gate]\nsuites=["suites/"]\n[tool.harness.sampling]\ntemperature = 0.7\n',
    )
    project.model("cand")
    ok, bad = "answer fact-aa", "dunno"
    once = [ok, bad, ok, ok, ok]
    project.write(
        "cand.jsonl",
        f'{{"id": "fact-aa", "outputs": {str(once).replace(chr(39), chr(34))}}}\n'
        '{"id": "fact-ab", "output": "answer fact-ab"}\n',
    )
    result = project.run("suites", "--model=scripted:cand.jsonl", f"--baseline={project.model('base')}")
    result.stdout.fnmatch_lines(["*1 unstable*"])
    assert result.ret != 1
    (shaky,) = (test for case in project.record().sets[0].cases for test in case.tests if test.unstable)
    assert shaky.candidate == 0.8, "the record keeps what was seen, not a clean sheet"
    often = [bad, bad, ok, bad, bad]
    project.write(
        "cand.jsonl",
        f'{{"id": "fact-aa", "outputs": {str(often).replace(chr(39), chr(34))}}}\n'
        '{"id": "fact-ab", "output": "answer fact-ab"}\n',
    )
    assert project.run("suites", "--model=scripted:cand.jsonl", "--baseline=scripted:base.jsonl").ret == 1
