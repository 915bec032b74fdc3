"""The cases of the page as values: their order, choices, red lines, alarms, and the links that lead to them."""

from __future__ import annotations

import msgspec
import pytest
from browsing import BLOCKED
from example_records import bleed, golden, many, run, texts_of

from harness.gate import decide
from harness.models import Response
from harness.policy import GatePolicy
from harness.record import CaseResult, SetResult, TestResult, read_record, read_texts
from harness.report.cases import Case
from harness.report.pages import Page, build_page
from harness.retention.choices import Choices, Option, choices_text


@pytest.fixture(scope="module")
def blocked() -> Page:
    """The page of the kept record of a real blocked run."""
    record = read_record(BLOCKED)
    return build_page(record, decide(record, record.policy), read_texts(BLOCKED, record))


def of_name(page: Page, name: str) -> Case:
    return next(case for case in page.cases if case.line.case == name)


def chosen(case: str, line: int, gap: float, *, passed: bool = False, before: float = 1.0) -> CaseResult:
    told = "" if passed else f"chose 'it\\'s a fox' (log-likelihood {gap - 9:.2f}) over the answer 'bee' (-9.00)"
    test = TestResult(test="likeliest_choice", lane="rate", candidate=float(passed), baseline=before, explanation=told)
    return CaseResult(
        case=case,
        line=line,
        candidate=float(passed),
        baseline=before,
        tests=(test,),
        same_answer=passed and before == 1,
    )


def choice_set(*cases: CaseResult) -> SetResult:
    rest = tuple(chosen(f"same-{i}", 100 + i, 0.0, passed=True) for i in range(40))
    return SetResult(name="choices", path="c", digest="d", kind="choice", retention=True, cases=(*cases, *rest))


def page_of(*sets: SetResult, texts: dict[str, Response] | None = None) -> Page:
    record = run(*sets, policy=GatePolicy(margin=0.1))
    return build_page(record, decide(record, record.policy), texts or {})


def test_a_multiple_choice_case_shows_what_an_older_record_tells_of_it(blocked: Page) -> None:
    found = of_name(blocked, "animal-says-oink").detail
    assert found.prompt is not None
    assert found.target == "pig"
    assert found.choices is not None
    assert found.choices.taken == {"candidate": "dog", "baseline": "pig", "root": "pig"}
    assert [(o.text, o.right, o.scores, o.takers) for o in found.choices.options] == [
        ("dog", False, {"candidate": -31.25}, ("candidate",)),
        ("pig", True, {"candidate": -32.75}, ("baseline", "root")),
    ]
    assert not found.choices.whole


def test_what_an_older_record_does_not_name_is_left_open_and_never_guessed() -> None:
    page = page_of(choice_set(chosen("rose", 1, 0.0, passed=True, before=0.0), chosen("both", 2, 1.0, before=0.0)))
    rose, both = of_name(page, "rose").detail.choices, of_name(page, "both").detail.choices
    assert rose is not None
    assert both is not None
    assert rose.taken == {"candidate": None, "baseline": None}
    assert (both.taken, both.answer) == ({"candidate": "it's a fox", "baseline": None}, "bee")


def test_a_record_that_keeps_the_choices_shows_all_of_them_for_every_model() -> None:
    kept = Choices(
        options=(
            Option(text="fox", scores={"candidate": -1.0, "baseline": -5.0}),
            Option(text="bee", scores={"candidate": -2.0, "baseline": -1.0}),
            Option(text="owl", scores={"candidate": -7.0, "baseline": -8.0}),
        ),
        answer="bee",
        taken={"candidate": "fox", "baseline": "bee"},
        whole=True,
    )
    texts = {"choices:choices:a": Response(text=choices_text(kept))}
    detail = of_name(page_of(choice_set(chosen("a", 1, 1.0)), texts=texts), "a").detail
    assert detail.choices is not None
    assert detail.choices.whole
    assert [option.text for option in detail.choices.options] == ["fox", "bee", "owl"]
    assert [option.takers for option in detail.choices.options] == [("candidate",), ("baseline",), ()]
    assert detail.target == "bee"
    broken = {"choices:choices:a": Response(text="no json")}
    detail = of_name(page_of(choice_set(chosen("a", 1, 1.0)), texts=broken), "a").detail
    assert detail.target == "bee", "what cannot be read is told by the check"


def test_every_set_that_lost_cases_has_one_among_those_to_read_first(blocked: Page) -> None:
    assert {one.set for one in blocked.first} == {"retention/general", "retention/refusals", "retention/choices"}
    choice = next(one for one in blocked.first if one.set == "retention/choices")
    assert (choice.baseline, choice.candidate) == ("Manila", "Bangkok")


def test_the_worst_come_first_across_sets_and_likelihood_gaps_are_sorted() -> None:
    said = many("said", 60, fell=3)
    choices = choice_set(chosen("near", 1, 0.5), chosen("far", 2, 12.0), chosen("half", 3, 3.0, before=0.5))
    page = page_of(choices, golden("said", said, retention=True, probes=(bleed(said[1:], 1),)))
    assert [case.line.case for case in page.cases if case.line.fate == "regressed"] == [
        "said-00001",  # missed, and bled besides
        "far", "near",  # of the set that lost the larger share
        "said-00000", "said-00002",
        "half",  # fell by half a point only
    ]  # fmt: skip


def test_a_missed_case_whose_red_line_holds_is_missed(blocked: Page) -> None:
    line = of_name(blocked, "card-declined-but-money-gone").line
    assert (line.fate, line.red_line, line.candidate) == ("missed", True, 0.0)
    assert blocked.counts["held"] + blocked.counts["broken"] < blocked.red_lines == 12


def test_bleed_is_known_of_each_case(blocked: Page) -> None:
    bled = [case.line for case in blocked.cases if "bleed" in case.line.alarms]
    assert len([line for line in bled if line.set == "retention/general"]) == 75
    assert len([line for line in bled if line.set == "retention/refusals"]) == 27
    assert "capital-of-spain" in {line.case for line in bled}


def test_what_the_baseline_also_does_raises_no_alarm() -> None:
    said = many("said", 60)
    both = msgspec.structs.replace(bleed(said, 9), baseline=(1.0,) * 5 + (0.0,) * 55)
    page = page_of(golden("said", said, retention=True, probes=(both,)))
    assert len([case for case in page.cases if case.line.alarms]) == 4


def test_the_cases_that_a_reason_names_are_links_to_them(blocked: Page) -> None:
    links = {part.text: part.link for said in blocked.reasons for part in said.parts if part.link}
    # The first is where a wrong choice was preferred most clearly.
    assert links["capital-of-philippines"] == "#cases?case=retention/choices/capital-of-philippines"
    assert "animal-says-oink" not in links
    assert links["and 73 more"] == "#cases?set=retention/choices&show=regressed"
    assert links["and 72 more"] == "#cases?set=retention/general&show=all&alarm=bleed"
    for said in (*blocked.reasons, *blocked.criteria):
        assert "".join(part.text for part in said.parts) in ("", said.reason)


def test_a_broken_red_line_is_named_with_a_link() -> None:
    said = many("said", 60, fell=7)
    page = page_of(golden("said", said, red=frozenset(name for name, *_ in said[:7])))
    parts = [part for part in page.reasons[0].parts if part.link]
    assert parts[0].link == "#cases?case=said/said-00000"
    assert (parts[-1].text, parts[-1].link) == ("and 2 more", "#cases?set=said&show=red")


def test_a_set_without_cases_leads_to_its_probes(blocked: Page) -> None:
    links = {row.name: row.link for row in blocked.sets}
    assert links["retention/texts"] == "#probes"
    assert links["triage"] == "#cases?show=all&set=triage"


def test_whose_answers_were_cut_off_is_told() -> None:
    told = [("a", 1.0, 0.0, "who", "hal"), *many("said", 40)]
    texts = texts_of({"said": told})
    texts["b:said:a"] = Response(text="who", finish_reason="length")
    page = page_of(golden("said", told), texts=texts)
    assert any(
        note.startswith("The baseline's answers were cut off at max_tokens in 1 cases") for note in page.warnings
    )
