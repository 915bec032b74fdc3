"""The list of cases in a real browser: what is found, what a key or a link leads to, what an opened case shows."""

from __future__ import annotations

from typing import Any

import pytest
from browsing import Reader, rows, total, until

pytestmark = pytest.mark.browser


def opened(page: Any) -> str:
    page.wait_for_selector("#list .open .body")
    return str(page.locator("#list .open .id > bdi").inner_text())


def in_view(page: Any, what: str) -> bool:
    box = page.locator(what).bounding_box()
    return bool(0 <= box["y"] < page.viewport_size["height"])


def test_a_multiple_choice_case_opens_with_what_each_model_chose(reader: Reader, english: str) -> None:
    page = reader.open(english + "#cases?case=retention/choices/animal-says-oink")
    assert opened(page) == "animal-says-oink"
    body = page.locator("#list .open .body")
    assert body.locator(".baseline .said").inner_text() == "pig"
    assert body.locator(".candidate .said").inner_text() == "dog"
    assert "−31.25" in body.locator(".choices").inner_text()
    assert "EXPECTED" in body.inner_text().upper()
    page.evaluate("location.hash = '#cases?case=retention/choices/animal-fish-among'")
    until(page, "document.querySelector('#list .open .body')?.textContent.includes('fish')")
    assert "The right choice, which this record does not name." in body.inner_text()


def test_a_missed_case_has_a_cross_and_its_red_line_a_mark_of_its_own(reader: Reader, english: str) -> None:
    page = reader.open(english + "#cases?show=red&case=triage/card-declined-but-money-gone")
    assert opened(page) == "card-declined-but-money-gone"
    row = page.locator("#list .open .row")
    assert row.locator(".fate").inner_text() == "✗"
    assert row.locator(".mark").all_inner_texts() == ["red line held"]
    assert "a red line is one check, not the whole case" in page.locator("#list .open .body").inner_text()


def test_a_search_says_what_the_filter_hides_and_shows_it(reader: Reader, english: str) -> None:
    page = reader.open(english)
    assert page.locator("#outside").is_hidden()
    page.fill("#f-q", "capital-of-spain")
    until(page, "!/%/.test(document.querySelector('#count').textContent)")
    assert total(page) == 0
    assert page.locator("#outside").inner_text() == "With this text outside the filter: 1. Show them"
    page.click("#outside")
    assert rows(page) == ["capital-of-spain"]
    assert page.locator("#outside").is_hidden()


def test_bled_cases_are_a_filter_and_marked(reader: Reader, english: str) -> None:
    page = reader.open(english)
    page.click("#groups button[value=all]")
    page.select_option("#f-alarm", "bleed")
    assert total(page) == 102
    assert "bleed" in page.locator("#count").inner_text()
    page.locator("#list .row").first.click()
    opened(page)
    assert "answers in the task's format though nobody asked for it" in page.locator("#list .open .checks").inner_text()


def test_a_case_that_a_reason_names_opens_and_the_rest_is_a_list(reader: Reader, english: str) -> None:
    page = reader.open(english)
    page.evaluate("for (const more of document.querySelectorAll('#why details')) more.open = true")
    page.locator("#why a", has_text="capital-of-spain").click()
    assert opened(page) == "capital-of-spain"
    page.locator("#why a", has_text="and 72 more").click()
    until(page, "document.querySelector('#f-alarm').value === 'bleed'")
    assert total(page) == 75


def test_the_heading_says_which_filters_are_on(reader: Reader, english: str) -> None:
    page = reader.open(english)
    assert page.locator("#count").inner_text() == "244 of 697 cases · got worse"
    page.select_option("#f-set", "retention/choices")
    assert page.locator("#count").inner_text() == "76 of 697 cases · got worse · retention/choices"


def test_the_list_is_bounded_and_what_follows_it_can_be_reached(reader: Reader, english: str) -> None:
    page = reader.open(english)
    page.locator("#more").scroll_into_view_if_needed()
    page.wait_for_timeout(200)
    assert page.locator("#list li").count() == 50
    page.click("#more")
    assert page.locator("#list li").count() == 100
    assert page.locator("#more").inner_text() == "show 50 more of 144"


def test_there_is_a_way_back_to_the_top(reader: Reader, english: str) -> None:
    page = reader.open(english)
    assert page.locator("#top").is_hidden()
    page.locator("#run").scroll_into_view_if_needed()
    page.locator("#top").wait_for()
    page.click("#top")
    until(page, "scrollY < 10")


def test_keys_go_on_from_the_case_that_was_closed(reader: Reader, english: str) -> None:
    page = reader.open(english)
    names = rows(page)
    page.locator("#list .row").nth(3).click()
    assert opened(page) == names[3]
    page.keyboard.press("Escape")
    page.keyboard.press("k")
    assert opened(page) == names[2]
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    assert opened(page) == names[3]


def test_a_filter_key_brings_the_list_to_view_and_a_judges_needs_a_judge(reader: Reader, english: str) -> None:
    page = reader.open(english)
    for key, group in (("l", "red"), ("p", "passed"), ("a", "all")):
        page.evaluate("scrollTo(0, 0)")
        page.keyboard.press(key)
        assert page.locator("#groups [aria-pressed=true]").get_attribute("value") == group
        assert in_view(page, "#cases h2")
    before = total(page)
    for key in ("s", "d"):
        page.keyboard.press(key)
        assert total(page) == before == 697
    page.keyboard.press("?")
    keys = page.locator("#help kbd").all_inner_texts()
    assert "l" in keys
    assert "s" not in keys


def test_a_set_without_cases_leads_to_its_probes_and_an_unknown_one_hides_nothing(reader: Reader, english: str) -> None:
    page = reader.open(english)
    assert page.locator("#sets a", has_text="retention/texts").get_attribute("href") == "#probes"
    page.evaluate("location.hash = '#cases?show=all&set=no/such'")
    until(page, "document.querySelector('#groups [aria-pressed=true]').value === 'all'")
    assert total(page) == 697
