"""Judged pairs in a real browser: filters, links, keys, and reasons that try to be more than text."""

from __future__ import annotations

from pathlib import Path

import pytest
from browsing import Reader, rows, total, until
from example_judged import TOLD, judged_run, judgement
from hostile import HOSTILE

from harness.judges.judgement import Judgement, OrderJudgement
from harness.models import Response
from harness.record import write_record
from harness.report.html import write_report

pytestmark = pytest.mark.browser


@pytest.fixture
def address(tmp_path: Path) -> str:
    record, texts = judged_run()
    write_record(tmp_path, record, texts)
    return write_report(tmp_path).as_uri()


def test_the_list_opens_on_the_pairs_that_were_lost(reader: Reader, address: str) -> None:
    page = reader.open(address)
    assert page.locator("#groups [aria-pressed=true]").inner_text().startswith("got worse")
    assert rows(page) == [f"refund-{i:02}" for i in range(12)]
    assert not page.locator("#sets").count()


def test_a_pair_shows_both_orders_with_their_reasons(reader: Reader, address: str) -> None:
    page = reader.open(f"{address}#cases?case=answers/退货-03")
    page.wait_for_selector("#list .open .opinion")
    told = page.locator("#list .opinion .orders tr").all_inner_texts()
    assert "candidate shown first" in told[0]
    assert "prefers the candidate" in told[0]
    assert "<b>Bold</b> is no tag" in told[0]
    assert "prefers the baseline" in told[1]
    assert page.locator("#list .opinion b").count() == 0
    assert page.locator("#list .opinion h4 .mark").inner_text() == "flipped under swap"
    assert "".join(page.locator("#list .candidate mark").all_inner_texts()) in ("十四", "四")


def test_the_judges_menu_and_keys_find_flips_under_swap(reader: Reader, address: str) -> None:
    page = reader.open(address)
    page.click("#groups button[value=all]")
    page.select_option("#f-judge", "candidate")
    assert total(page) == 6
    page.select_option("#f-judge", "unread")
    assert rows(page) == ["cut-off"]
    page.keyboard.press("Escape")
    page.keyboard.press("s")
    assert total(page) == 8
    again = reader.open(page.url)
    assert total(again) == 8
    assert again.locator("#f-judge").input_value() == "swapped"


def test_a_reason_that_recurs_leads_to_its_pairs(reader: Reader, address: str) -> None:
    page = reader.open(address)
    page.locator(".phrases a").first.click()
    until(
        page, "!/%/.test(document.querySelector('#count').textContent) && document.querySelector('#f-q').value !== ''"
    )
    until(page, "document.querySelectorAll('#list li').length === 12")
    assert page.locator("#f-judge").input_value() == "baseline"


def test_an_address_with_a_search_in_the_reasons_keeps_its_case_open(reader: Reader, address: str) -> None:
    page = reader.open(f"{address}#cases?q=the+policy+says+30&case=answers/refund-04")
    until(page, "document.querySelectorAll('#list li').length > 1")
    page.wait_for_selector("#list .open .opinion")
    assert page.locator("#list .open .id > bdi").inner_text() == "refund-04"


def test_the_longest_answer_first_and_the_shortest(reader: Reader, address: str) -> None:
    page = reader.open(address)
    page.click("#groups button[value=all]")
    page.select_option("#f-sort", "longer")
    assert rows(page)[0].startswith("refund")
    page.select_option("#f-sort", "shorter")
    assert rows(page)[0] == "cut-off"


@pytest.mark.parametrize("width", [360, 1280])
def test_judged_pairs_fit_the_screen(reader: Reader, address: str, width: int) -> None:
    page = reader.open(f"{address}#cases?case=answers/refund-00", viewport={"width": width, "height": 800})
    page.wait_for_selector("#list .open .opinion")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_hostile_reasons_tags_and_answers_are_text(reader: Reader, tmp_path: Path) -> None:
    judgements = [judgement(*told) for told in TOLD]
    for i, text in enumerate(HOSTILE):
        order = OrderJudgement(score=0.0, reason=text)
        judgements.append(
            Judgement(
                case=f"c{i}", judge="9" * 64, score=0.0, first=order, second=order, lengths=(9, 8),
                answers=(f"c:c{i}", f"b:c{i}"), tags=(text, "many"),
            )
        )  # fmt: skip
    record, texts = judged_run(judgements=tuple(judgements), flags=HOSTILE, unfit=HOSTILE, total=len(judgements))
    for i, text in enumerate(HOSTILE):
        texts |= {f"c:c{i}": Response(text=text), f"b:c{i}": Response(text=f"{text} or so")}
    write_record(tmp_path, record, texts)
    page = reader.open(write_report(tmp_path).as_uri())
    inside = "document.querySelectorAll('script, style, link, meta, iframe, img, base, form, object, embed').length"
    before = page.evaluate(inside)
    page.click("#groups button[value=all]")
    page.fill("#f-q", "alert(1)")
    page.keyboard.press("Escape")
    for _ in range(8):
        page.keyboard.press("j")
        page.wait_for_selector("#list .open .opinion")
    assert page.evaluate(inside) == before
    assert page.evaluate("document.querySelectorAll('a[href^=\"javascript:\"], [onerror], [onload]').length") == 0
