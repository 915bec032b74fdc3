"""The page in a real browser, on the record of a real blocked run: what a reader does with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from browsing import Reader, rows, total, until
from example_records import golden, many, run, texts_of
from hostile import HOSTILE

from harness.record import write_record
from harness.report.html import write_report

pytestmark = pytest.mark.browser


def test_a_blocked_run_opens_on_what_got_worse(reader: Reader, english: str) -> None:
    page = reader.open(english)
    assert page.locator(".word").inner_text() == "FAIL"
    assert "must not ship" in page.locator("h1").inner_text()
    assert page.locator("#groups [aria-pressed=true]").inner_text().startswith("got worse")
    assert total(page) > 100
    assert page.locator("article.first").count() == 5


def test_five_questions_are_answered_within_two_clicks(reader: Reader, english: str) -> None:
    """The places that docs/reports.md names, in its order."""
    page = reader.open(english)
    why = page.locator("#why").inner_text()
    assert "retention/refusals 75.0% → 51.0%, retention/general 65.9% → 11.1%" in why.replace("\u00a0", " ")
    assert "retention/general got worse than the baseline: −54.8 points" in why, "why was it blocked? no click"
    page.click("nav >> text=Worst cases")
    page.locator("#first a[href='#cases?show=regressed']").click()
    until(page, "document.querySelector('#groups [aria-pressed=true]').value === 'regressed'")
    assert total(page) == 244, "which cases got worse? two clicks"
    page.click("nav >> text=Judge")
    assert "No judge took part" in page.locator("#judge").inner_text(), "was the judge fair? one click"
    page.click("nav >> text=What changed")
    page.locator("#changes summary").first.click()
    assert "80 added" in " ".join(page.locator("#changes .tally").inner_text().split())
    assert page.locator("#changes .datarows li").first.is_visible(), "what changed in the data? two clicks"
    assert "Try replay" in why
    assert "harness train RECIPE" in why, "what do I do next? no click"


def test_groups_sets_tags_and_text_narrow_the_list(reader: Reader, english: str) -> None:
    page = reader.open(english)
    page.click("#groups button[value=all]")
    everything = total(page)
    page.click("#groups button[value=improved]")
    improved = total(page)
    page.click("#groups button[value=flipped]")
    assert improved < total(page) < everything
    page.click("#groups button[value=all]")
    page.select_option("#f-set", "retention/general")
    assert total(page) == 252
    page.select_option("#f-tag", "capitals")
    assert 5 < total(page) < 30
    page.fill("#f-q", "japan")
    until(page, "document.querySelectorAll('#list li').length === 1")
    assert rows(page) == ["capital-of-japan"]
    page.click("#clear")
    assert total(page) == everything
    page.fill("#f-q", "no such words anywhere")
    page.wait_for_selector("#nothing:not([hidden])")


def test_the_search_finds_words_of_answers_that_no_line_shows(reader: Reader, english: str) -> None:
    page = reader.open(english)
    page.click("#groups button[value=all]")
    page.fill("#f-q", "the capital city of japan is tokyo")
    until(
        page,
        "document.querySelectorAll('#list li').length === 1 && !/%/.test(document.querySelector('#count').textContent)",
    )
    assert rows(page) == ["capital-of-japan"]


def test_the_order_can_be_chosen(reader: Reader, english: str) -> None:
    page = reader.open(english)
    worst = rows(page)
    page.select_option("#f-sort", "id")
    assert rows(page) == sorted(rows(page), key=str.lower)
    page.select_option("#f-sort", "worst")
    assert rows(page) == worst


def test_a_case_opens_with_both_answers_and_their_checks(reader: Reader, english: str) -> None:
    page = reader.open(english)
    page.fill("#f-q", "capital-of-japan")
    page.locator("#list .row").first.click()
    body = page.locator("#list .body")
    body.wait_for()
    text = body.inner_text()
    assert "Name the capital city of Japan." in text
    assert "The capital city of Japan is Tokyo." in text
    assert "tokens read" in text
    assert body.locator(".checks tbody tr").count() >= 1
    page.locator("#list .row").first.click()
    assert page.locator("#list .body").count() == 0


def test_an_address_leads_back_to_the_filter_and_the_case(reader: Reader, english: str) -> None:
    page = reader.open(english)
    page.select_option("#f-set", "retention/general")
    page.locator("#list .row").nth(2).click()
    page.wait_for_selector("#list .body")
    address, seen, case = page.url, total(page), rows(page)[2]
    again = reader.open(address)
    again.wait_for_selector("#list .open .body")
    assert total(again) == seen
    assert again.locator("#list .open .id > bdi").inner_text() == case
    assert again.locator("#f-set").input_value() == "retention/general"


def test_a_link_of_the_page_opens_its_case_even_where_a_filter_hid_it(reader: Reader, english: str) -> None:
    page = reader.open(english)
    page.click("#groups button[value=improved]")
    name = page.locator("article.first a").first.inner_text()
    page.locator("article.first a").first.click()
    page.wait_for_selector("#list .open .body")
    assert page.locator("#list .open .id > bdi").inner_text() == name
    page.locator("#slices a").first.click()
    until(page, "document.querySelector('#f-tag').value !== ''")
    assert total(page) >= 5


def test_keys_walk_through_the_cases(reader: Reader, english: str) -> None:
    page = reader.open(english)
    names = rows(page)

    def opened() -> str:
        return str(page.locator("#list .open .id > bdi").inner_text())

    page.keyboard.press("j")
    page.wait_for_selector("#list .open .body")
    assert opened() == names[0]
    page.keyboard.press("j")
    assert opened() == names[1]
    page.keyboard.press("k")
    assert opened() == names[0]
    page.keyboard.press("Escape")
    assert page.locator("#list .open").count() == 0
    page.keyboard.press("i")
    assert page.locator("#groups [aria-pressed=true]").get_attribute("value") == "improved"
    page.keyboard.press("/")
    page.keyboard.type("jaj")
    assert page.locator("#f-q").input_value() == "jaj", "letters in a field are letters"
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#help").is_visible()


def test_keys_go_on_past_what_is_drawn(reader: Reader, english: str) -> None:
    page = reader.open(english)
    page.evaluate("location.hash = '#cases?show=all&sort=id'")
    until(page, "document.querySelector('#groups [aria-pressed=true]').value === 'all'")
    drawn = page.locator("#list li").count()
    assert drawn < total(page)
    page.locator("#list .row").nth(drawn - 1).click()
    page.keyboard.press("j")
    page.wait_for_selector("#list .open .body")
    assert page.locator("#list li").count() > drawn


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_themes_have_contrast_and_can_be_changed(reader: Reader, english: str, scheme: str) -> None:
    page = reader.open(english, color_scheme=scheme)

    def brightness(what: str) -> float:
        colour = page.evaluate(f"getComputedStyle(document.body).{what}")
        return sum(float(part) for part in colour.split("(")[1].rstrip(")").split(",")[:3]) / 3

    assert (brightness("backgroundColor") > 128) == (scheme == "light")
    assert abs(brightness("backgroundColor") - brightness("color")) > 150
    page.keyboard.press("t")
    assert (brightness("backgroundColor") > 128) == (scheme == "dark")


def test_the_interface_is_chinese_where_the_project_says_so(reader: Reader, chinese: str) -> None:
    page = reader.open(chinese)
    assert "不能发布" in page.locator("h1").inner_text()
    assert page.locator("#groups [aria-pressed=true]").inner_text().startswith("变差")
    page.keyboard.press("j")
    page.wait_for_selector("#list .open .body")
    assert "提问" in page.locator("#list .body").inner_text()
    assert page.locator("html").get_attribute("lang") == "zh-CN"


@pytest.mark.parametrize("language", ["english", "chinese"])
def test_a_phone_shows_everything_without_scrolling_sideways(
    reader: Reader, language: str, request: pytest.FixtureRequest
) -> None:
    page = reader.open(request.getfixturevalue(language), viewport={"width": 360, "height": 740})
    page.evaluate("location.hash = '#cases?case=retention/general/capital-of-japan'")
    page.wait_for_selector("#list .open .body")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    left, right = (page.locator(f"#list .body .{role}").first.bounding_box() for role in ("baseline", "candidate"))
    assert left["y"] + left["height"] <= right["y"], "one above the other"


def test_print_leaves_out_what_paper_cannot_do(reader: Reader, english: str) -> None:
    page = reader.open(english, color_scheme="dark")
    page.emulate_media(media="print")
    for what in ("nav", "#filters", ".tools"):
        assert not page.locator(what).is_visible()
    assert page.locator("h1").is_visible()


def test_differing_words_are_marked_and_chinese_by_its_characters(reader: Reader, tmp_path: Path) -> None:
    told = [
        ("english", 1.0, 0.0, "You have 30 days to return it.", "You have 14 days to return it."),
        ("chinese", 1.0, 0.0, "您可以在三十天内退货。", "您可以在十四天内退货。"),
        ("unlike", 1.0, 0.0, "Paris", '{"category": "x"}'),
        *many("x", 40),
    ]
    write_record(tmp_path, run(golden("refunds", told)), texts_of({"refunds": told}))
    page = reader.open(write_report(tmp_path).as_uri())

    def marks(case: str, role: str) -> list[str]:
        page.evaluate(f"location.hash = '#cases?case=refunds/{case}'")
        until(
            page,
            f"document.querySelector('#list .open .id bdi')?.textContent === '{case}' && "
            "document.querySelector('#list .open .body')",
        )
        return list(page.locator(f"#list .{role} mark").all_inner_texts())

    assert (marks("english", "baseline"), marks("english", "candidate")) == (["30"], ["14"])
    assert "".join(marks("chinese", "baseline")) + "".join(marks("chinese", "candidate")) in ("三十十四", "三四")
    assert marks("unlike", "candidate") == []


def test_hostile_texts_are_read_and_never_obeyed(reader: Reader, tmp_path: Path) -> None:
    told = [(text, 1.0, 0.0, text, f"{text}!") for text in HOSTILE]
    of = golden("hostile", [*told, *many("x", 20)])
    cases = tuple(
        type(case)(**{name: getattr(case, name) for name in case.__struct_fields__} | {"tags": (case.case,)})
        for case in of.cases
    )
    record = run(type(of)(**{name: getattr(of, name) for name in of.__struct_fields__} | {"cases": cases}))
    write_record(tmp_path, record, texts_of({"hostile": told}))
    page = reader.open(write_report(tmp_path).as_uri())
    before = page.evaluate("document.querySelectorAll('script, style, link, meta, iframe, img, base, form').length")
    for _ in HOSTILE:
        page.keyboard.press("j")
        page.wait_for_selector("#list .open .body")
    assert page.locator("#list li").count() == len(HOSTILE)
    found = page.evaluate("document.querySelectorAll('script, style, link, meta, iframe, img, base, form').length")
    assert found == before
    assert page.evaluate("document.querySelectorAll('a[href^=\"javascript:\"], [onerror], [onload]').length") == 0
    page.fill("#f-q", "<script>alert(1)</script>")
    until(page, "!/%/.test(document.querySelector('#count').textContent)")
    assert total(page) >= 5


def test_a_hundred_kilobytes_of_answer_open_and_are_shown_on_demand(reader: Reader, tmp_path: Path) -> None:
    long = "forty-two words " * 6400
    told = [("long", 1.0, 0.0, "short", long), *many("x", 20)]
    write_record(tmp_path, run(golden("general", told)), texts_of({"general": told}))
    page = reader.open(write_report(tmp_path).as_uri() + "#cases?case=general/long")
    more = page.locator("#list .candidate .said button")
    more.wait_for()
    assert "102,400" in more.inner_text()
    more.click()
    assert len(page.locator("#list .candidate .said").inner_text()) > 100_000
