from __future__ import annotations

import datetime

import msgspec
import pytest
from example_records import bleed, golden, identity, many, run, texts_of

from harness.gate import decide
from harness.models import Response
from harness.policy import GatePolicy, Waiver
from harness.record import RunRecord, SetResult, SuiteAnswer
from harness.report.cases import Case, worst
from harness.report.forest import Scale
from harness.report.numbers import change, duration
from harness.report.pages import Page, build_page
from harness.report.visible import LONGEST, one_line, shown, visible


def page_of(record: RunRecord, texts: dict[str, Response] | None = None) -> Page:
    return build_page(record, decide(record, record.policy), texts or {})


def forgetful() -> tuple[RunRecord, dict[str, Response]]:
    triage, general = many("triage", 60, rose=50), many("general", 240, fell=120, rose=3, missed=40)
    record = run(
        golden("triage", triage, red=frozenset({"triage-00059"})),
        golden("retention/general", general, retention=True, probes=(bleed(general, 118),)),
    )
    return record, texts_of({"triage": triage, "retention/general": general})


def test_the_verdict_comes_first_with_reasons_and_the_next_command() -> None:
    page = page_of(*forgetful())
    assert page.word == "FAIL"
    assert page.headline == "triage@2 must not ship"
    assert all(reason.status == "FAIL" for reason in page.reasons)
    assert any("retention/general" in reason.reason for reason in page.reasons)
    assert page.next_steps[0][1] == "harness train RECIPE"


def test_a_pass_rests_on_its_criteria_and_says_how_to_promote() -> None:
    page = page_of(run(golden("general", many("general", 400, fell=2, rose=2))))
    assert page.word == "PASS"
    assert {reason.status for reason in page.reasons} == {"PASS"}
    assert page.next_steps[0][1] == "harness models promote triage@2"


def test_an_unregistered_candidate_is_registered_first() -> None:
    page = page_of(run(golden("general", many("general", 400)), candidate=identity("adapters/mine", "c")))
    assert page.next_steps[0][1].startswith("harness models add")


def of_fate(page: Page, fate: str) -> list[Case]:
    return [case for case in page.cases if case.line.fate == fate]


def test_newly_missed_cases_carry_question_target_and_both_answers() -> None:
    page = page_of(*forgetful())
    case = of_fate(page, "regressed")[0]
    assert case.detail.prompt == "What about general-00000?"
    assert case.detail.target == "The right answer to general-00000."
    assert case.detail.answers["baseline"][0].text == "the right answer"
    assert case.detail.answers["candidate"][0].text == "wrong 0"
    (check,) = case.detail.checks
    assert (check.test, check.explanation) == ("includes:right", "'right' is not in 'wrong 0'")
    assert case.line.where == "golden_sets/retention/general.jsonl:1"
    assert (case.line.candidate, case.line.baseline) == (0.0, 1.0)


def test_every_case_is_on_the_page_once_with_one_fate() -> None:
    record, texts = forgetful()
    page = page_of(record, texts)
    names = [(case.line.set, case.line.case) for case in page.cases]
    assert sorted(names) == sorted((of.name, case.case) for of in record.sets for case in of.cases)
    counts = {fate: n for fate, n in page.counts.items() if n}
    assert counts == {"regressed": 120, "missed": 40, "improved": 53, "held": 1, "passed": 86}


def test_broken_red_lines_come_first_then_regressions_worst_first() -> None:
    told = [("half", 1.0, 0.5, "yes", "no"), *many("general", 40, fell=2), ("must", 1.0, 0.0, "yes", "no")]
    page = page_of(run(golden("general", told, red=frozenset({"must"}))))
    assert [case.line.case for case in page.cases[:4]] == ["must", "general-00000", "general-00001", "half"]
    assert page.cases[0].line.fate == "broken"
    assert page.clean_sheet == ""


def test_held_red_lines_say_what_a_clean_sheet_proves() -> None:
    told = many("general", 20)
    page = page_of(run(golden("general", told, red=frozenset(case for case, *_ in told))))
    assert (page.red_lines, page.clean_sheet) == (20, "13.9%")
    assert page.sentence == "20 cases: 0 worse than the baseline, 0 better, 0 of 20 red lines broken."


def test_red_lines_that_improved_are_counted_among_the_red_lines() -> None:
    of = golden("general", [("must", 0.0, 1.0, "no", "yes"), *many("general", 40)])
    both = (*of.cases[0].tests, msgspec.structs.replace(of.cases[0].tests[0], test="never", lane="red_line"))
    page = page_of(
        run(msgspec.structs.replace(of, cases=(msgspec.structs.replace(of.cases[0], tests=both), *of.cases[1:])))
    )
    assert page.counts["improved"] == 1
    assert page.red_lines == 1


def test_the_cases_to_read_first_take_the_sets_in_turn() -> None:
    big, small = many("big", 60, fell=30), many("small", 60, fell=2)
    record = run(golden("big", big, red=frozenset({"big-00005"})), golden("small", small))
    page = page_of(record, texts_of({"big": big, "small": small}))
    assert [case.line.case for case in worst(page.cases, record, decide(record, record.policy), 5)] == [
        "big-00005", "big-00000", "small-00000", "big-00001", "small-00001",
    ]  # fmt: skip
    assert page.first[0].fate == "broken"
    assert page.first[1].link == "#cases?case=big/big-00000"
    assert (page.first[1].baseline, page.first[1].candidate) == ("the right answer", "wrong 0")


def test_sets_without_answers_to_read_come_after_those_with_some() -> None:
    chosen, said = many("chosen", 60, fell=40), many("said", 60, fell=1)
    silent = golden("chosen", chosen)
    silent = msgspec.structs.replace(
        silent, cases=tuple(msgspec.structs.replace(case, answers={}) for case in silent.cases)
    )
    record = run(silent, golden("said", said))
    page = page_of(record, texts_of({"said": said}))
    assert [case.line.set for case in worst(page.cases, record, decide(record, record.policy), 3)] == [
        "said",
        "chosen",
        "chosen",
    ]


def test_sets_show_rates_the_paired_change_and_where_it_is_drawn() -> None:
    page = page_of(*forgetful())
    triage, general = page.sets
    assert triage.duty == "target: must improve"
    assert triage.margin is None, "a target has no margin"
    assert (general.candidate, general.baseline, general.root) == ("33.3%", "82.1%", "82.1%")
    assert (general.change, general.worse, general.better) == ("−48.8", 120, 3)
    assert general.span is not None
    assert general.span.side == "below"
    assert general.span.low < general.span.point < general.span.high < 50
    assert general.margin is not None
    assert general.margin < 50


def test_probes_tell_alarms_from_advice() -> None:
    (row,) = page_of(*forgetful()).probes
    assert (row.probe, row.alarm, row.candidate, row.baseline, row.tone) == ("bleed", True, "49.2%", "0.0%", "worse")


def test_what_could_not_be_measured_is_noted() -> None:
    prose = SetResult(
        name="retention/texts", path="t", digest="d", kind="text", retention=True, unavailable=("prose_nll: no scores",)
    )
    page = page_of(run(golden("general", many("general", 50)), prose))
    assert any("prose_nll: no scores" in note for note in page.warnings)
    assert page.sets[1].note == "nothing measured"


def test_a_partial_run_has_no_verdict() -> None:
    record, texts = forgetful()
    page = page_of(msgspec.structs.replace(record, partial="cases were selected by -k 'late'"), texts)
    assert page.word == "PARTIAL"
    assert "no verdict" in page.headline
    assert page.reasons[0].reason == "Cases were selected by -k 'late'."
    assert page.next_steps[0][1] == "harness gate triage@2"


def test_without_a_baseline_nothing_is_compared_and_rates_remain() -> None:
    told = [(case, None, after, "", new) for case, _, after, _, new in many("general", 30, fell=6)]
    page = page_of(run(golden("general", told), baseline=None, root=None))
    assert page.word == "INVALID"
    assert [model.role for model in page.models] == ["candidate"]
    assert page.sets[0].span is None
    assert page.sets[0].candidate == "80.0%"
    assert (page.counts["missed"], page.counts["regressed"]) == (6, 0)
    assert list(of_fate(page, "missed")[0].detail.answers) == ["candidate"]
    assert page.changes is None


def test_errors_and_suite_answers_are_kept() -> None:
    error = SuiteAnswer(test="suites/test_a.py::test_x[q]", status="INVALID", reason="engine died")
    page = page_of(run(golden("general", many("general", 30)), errors=(error,), answers=(error,)))
    assert page.word == "INVALID"
    assert page.errors[0].reason == "engine died"
    assert page.answers[0].name == "suites/test_a.py::test_x[q]"


def test_one_cause_that_ended_many_tests_is_one_entry_of_the_page() -> None:
    errors = tuple(SuiteAnswer(test=f"test_{x}", status="INVALID", reason="engine died") for x in "abc")
    other = SuiteAnswer(test="test_d", status="INVALID", reason="no rows")
    page = page_of(run(golden("general", many("general", 30)), errors=(*errors, other)))
    assert [(e.name, e.reason) for e in page.errors] == [("test_a and 2 more", "engine died"), ("test_d", "no rows")]


def test_cut_off_answers_and_absent_texts_are_told() -> None:
    told = [("cut", 1.0, 0.0, "whole", "hal"), ("lost", 1.0, 0.0, "whole", "gone")]
    texts = texts_of({"general": told})
    texts["c:general:cut"] = Response(text="hal", finish_reason="length")
    del texts["c:general:lost"]
    cut, lost = page_of(run(golden("general", told)), texts).cases
    assert cut.detail.answers["candidate"][0].cut_off
    assert lost.detail.answers["candidate"][0].text is None


def test_several_samples_are_all_kept_with_their_tokens() -> None:
    of = golden("general", [("a", 1.0, 0.4, "x", "y")])
    keys = tuple(f"k{i}" for i in range(5))
    case = msgspec.structs.replace(of.cases[0], answers={"candidate": keys, "baseline": keys})
    texts = {key: Response(text=key, prompt_tokens=7, completion_tokens=i) for i, key in enumerate(keys)}
    (found,) = page_of(run(msgspec.structs.replace(of, cases=(case,)), samples=5), texts).cases
    assert found.line.samples == 5
    assert [(a.text, a.read, a.written) for a in found.detail.answers["candidate"]] == [
        (f"k{i}", 7, i) for i in range(5)
    ]


def test_the_same_record_gives_the_same_page() -> None:
    record, texts = forgetful()
    before = dict(texts)
    assert page_of(record, texts) == page_of(record, texts)
    assert texts == before


def test_a_verdict_under_another_policy_names_both() -> None:
    record = run(golden("general", many("general", 30)))
    page = build_page(record, decide(record, GatePolicy(margin=0.2)), {})
    assert dict(page.facts)["policy digest, as the run wrote it"] == record.policy_digest


# Numbers and texts


def test_scales_hold_what_they_show() -> None:
    assert Scale.holding([0.03, -0.04]).reach == 0.05
    assert Scale.holding([-0.51]).reach == 0.6
    assert Scale.holding([]).reach == 0.05
    scale = Scale.holding([0.1])
    assert scale.at(0.0) == 50
    assert scale.at(5.0) == scale.at(0.1), "what lies beyond is put at the end"
    assert [tick.label for tick in scale.ticks] == ["−10", "−5", "0", "+5", "+10"]


def test_numbers_have_real_signs_and_no_negative_zero() -> None:
    assert change(-0.0001) == "+0.0"
    assert change(-0.484) == "−48.4"
    assert (duration(59.97), duration(3599.6)) == ("1 min 0 s", "1 h 0 min")


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("pay\u202e005", "pay⟨U+202E⟩005"),
        ("a\x00b\x1b[31m", "a⟨U+0000⟩b⟨U+001B⟩[31m"),
        ("a\u200bb", "a⟨U+200B⟩b"),
        ("line\r\nnext\tcell", "line\nnext\tcell"),
        ("退款：30天内\n第二行", "退款：30天内\n第二行"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("\ud800", "⟨U+D800⟩"),
    ],
    ids=["bidi", "control", "zero width", "tab and line end", "chinese", "persian", "surrogate"],
)
def test_hidden_characters_are_spelled_out(text: str, seen: str) -> None:
    assert visible(text) == seen


def test_long_texts_are_cut_and_say_so() -> None:
    assert shown("x" * (LONGEST + 1234)).endswith("… 1,234 more characters")
    assert shown("x" * LONGEST) == "x" * LONGEST
    assert one_line("a\n" * 1000, 10) == "a a a a a…"


def test_every_waiver_is_on_the_page_with_its_owner_and_day():
    waiver = Waiver(set="facts", case="a", owner="Ana", reason="the source is wrong", expires=datetime.date(2026, 6, 1))
    record = run(
        golden("facts", [("a", 1.0, 0.0, "x", "y"), *many("f", 90)], red=frozenset({"a"})),
        policy=GatePolicy(margin=0.1, waivers=(waiver,)),
    )
    page = build_page(record, decide(record, record.policy), {})
    assert page.word == "PASS"
    assert page.warnings[0] == "waived: case facts/a (Ana, until 2026-06-01: the source is wrong)"


def test_an_unstable_red_line_is_not_shown_as_broken():
    record = run(golden("facts", [("a", 1.0, 1.0, "x", "x"), *many("f", 90)], red=frozenset({"a"})))
    one = record.sets[0]
    shaky = msgspec.structs.replace(one.cases[0].tests[0], candidate=0.6, unstable=True)
    cases = (msgspec.structs.replace(one.cases[0], tests=(shaky,)), *one.cases[1:])
    record = msgspec.structs.replace(record, sets=(msgspec.structs.replace(one, cases=cases),))
    page = build_page(record, decide(record, record.policy), {})
    assert (page.counts["broken"], page.counts["held"]) == (0, 1)
    assert any("1 of them unstable (facts/a)" in found.reason for found in page.criteria)
