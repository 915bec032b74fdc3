"""Three reviewers at their pages in a real browser, from the export to the gate's answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from reviewed import RUN, project, run, texts_of

from harness.cli.main import run as harness
from harness.record import read_record, write_record
from harness.review.kept import read_review
from harness.review.seal import read_key

pytestmark = pytest.mark.browser

READY = "body[data-ready]"


class Desk:
    """One reviewer's browser: opens the form, and remembers what it complains about and asks for."""

    def __init__(self, browser: Any, form: Path, **settings: Any) -> None:
        self.context = browser.new_context(accept_downloads=True, **settings)
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append(f"dialog {dialog.message}"), dialog.accept()))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(form.as_uri())
        self.page.wait_for_selector(READY)

    @property
    def shown(self) -> tuple[str, str, str]:
        """Request, left and right as a reviewer reads them."""
        prompt, left, right = (self.page.locator(f"#{name}").inner_text() for name in ("prompt", "left", "right"))
        return prompt, left, right

    @property
    def place(self) -> str:
        return str(self.page.locator("#place").inner_text())

    def until_page_changes(self, before: str) -> None:
        for _ in range(200):
            if self.place != before:
                return
            self.page.wait_for_timeout(10)
        raise AssertionError(f"the page stayed at {before}")

    def save(self, folder: Path) -> Path:
        with self.page.expect_download() as download:
            self.page.click("#save")
        file = folder / download.value.suggested_filename
        download.value.save_as(file)
        return file

    def close(self) -> None:
        self.context.close()
        assert self.complaints == []
        assert all(url.startswith(("file://", "blob:")) for url in self.asked)


def prefers(score: float, left: str) -> str:
    """The key for whoever wants the candidate to get `score`; its answers begin with "New"."""
    return "0" if score == 0.5 else "1" if left.startswith("New") == (score == 1.0) else "2"


#: What each reviewer thinks of the candidate's answer to a request: by the number in it.
TASTES = {
    "ana": lambda i: 0.0 if i % 8 else 1.0,
    "ben": lambda i: 0.0 if i % 8 else 1.0,
    "cleo": lambda i: 0.0 if i % 9 else 0.5,
}

POLICY = "margin = 0.1\n[tool.harness.gate.review]\nrequired = true\nmin_reviewers = 3\n"


def work(desk: Desk, taste: Any, *, by_click: bool, reload_at: int) -> int:
    """Reads and answers every page, with keys or clicks and the browser reloaded in the middle; how many pages."""
    total = int(desk.place.split(" ")[-1])
    for done in range(total):
        if done == reload_at:
            desk.page.reload()
            desk.page.wait_for_selector(READY)
            assert desk.page.locator("#count").inner_text() == f"{done} of {total} done"
        prompt, left, _ = desk.shown
        number = int("".join(c for c in prompt if c.isdigit()))
        key = prefers(taste(number), left)
        before = desk.place
        if by_click:
            desk.page.click(f"#choices button[value='{key}']")
        else:
            desk.page.keyboard.press(key)
        if done < total - 1:
            desk.until_page_changes(before)
    return total


def test_three_reviewers_change_the_gates_answer(browser: Any, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    folder = project(tmp_path, run(40), POLICY)
    # Nobody has read anything: the checks alone would let it pass.
    assert harness(["gate", "--record", f"reports/{RUN}"]) == 11
    assert "no human review" in capsys.readouterr().out
    export = ["review", "export", RUN, "--reviewers", "ana,ben,cleo", "--cases", "30", "--overlap", "40%"]
    export += ["--seed", "11"]
    assert harness(export) == 0
    sent = tmp_path / "sent"
    sent.mkdir()
    files = []
    for name, taste in TASTES.items():
        desk = Desk(browser, folder / "review" / "forms" / f"review-{name}.html")
        work(desk, taste, by_click=name == "ben", reload_at=5)
        if name == "ana":
            desk.page.keyboard.press("c")
            desk.page.keyboard.type("<img src=x onerror=alert(1)> 不对")
            desk.page.keyboard.press("Escape")
            desk.page.click("#dimensions button[name=safety][value='0']")
        files.append(desk.save(sent))
        desk.close()
    capsys.readouterr()
    # People prefer the baseline: their "no" blocks.
    assert harness(["review", "import", *map(str, files)]) == 1
    told = capsys.readouterr().out
    assert "FAIL" in told
    assert "review" in told
    review = read_review(folder)
    assert review is not None
    wanted = {
        (name, slot.case): TASTES[name](int(slot.case.removeprefix("case-")))
        for form in read_key(folder / "review" / "review.key.json").forms
        for slot in form.slots
        for name in [form.reviewer]
    }
    assert {(one.reviewer, one.case): one.score for one in review.opinions} == wanted
    assert sum(reader.pages for reader in review.readers) == len(review.opinions)
    assert [one.comment for one in review.opinions if one.comment] == ["<img src=x onerror=alert(1)> 不对"]
    assert all(one.seconds is not None and one.seconds >= 0 for one in review.opinions)
    assert harness(["gate", "--record", f"reports/{RUN}"]) == 1
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "ana" in page
    assert "<img src=x" not in page
    report = browser.new_page()
    report.goto((folder / "index.html").as_uri())
    people = report.locator("#people").inner_text()
    assert "People's win rate of the candidate" in people
    assert "cleo" in people
    report.close()


def test_a_saved_half_goes_on_in_another_browser(browser: Any, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    folder = project(tmp_path, run(12), POLICY)
    harness(["review", "export", RUN, "--reviewers", "ana,ben", "--cases", "8", "--overlap", "100%", "--repeats", "0"])
    form, other = (folder / "review" / "forms" / f"review-{name}.html" for name in ("ana", "ben"))
    first = Desk(browser, form)
    for _ in range(3):
        before = first.place
        first.page.keyboard.press("1")
        first.until_page_changes(before)
    first.page.keyboard.press("s")
    first.page.click("#reasons button[value=expert]")
    half = first.save(tmp_path)
    first.close()
    second = Desk(browser, form)
    second.page.set_input_files("#load", half)
    second.page.wait_for_selector("#told:not([hidden])")
    assert second.page.locator("#count").inner_text() == "4 of 8 done"
    second.close()
    stranger = Desk(browser, other)
    stranger.page.set_input_files("#load", half)
    stranger.page.wait_for_selector("#told:not([hidden])")
    assert "another form" in stranger.page.locator("#told").inner_text()
    assert stranger.page.locator("#count").inner_text() == "0 of 8 done"
    stranger.close()
    capsys.readouterr()
    # Half a form is kept, and is not enough.
    assert harness(["review", "import", str(half)]) == 11
    assert "ana: 4 of 8 pages, 1 skipped" in capsys.readouterr().out


def test_hostile_answers_are_read_and_never_obeyed(browser: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    record = run(6)
    folder = project(tmp_path, record)
    texts = texts_of(record)
    hostile = [
        "</script><script>alert(1)</script>",
        "<img src=x onerror=alert(2)>",
        "<!--<script>",
        "{{7*7}}",
    ]
    for i, text in enumerate(hostile):
        texts[f"c:case-{i:03}"] = type(texts["c:case-000"])(text=text)
    write_record(folder, read_record(folder), texts)
    assert harness(["review", "export", RUN, "--reviewers", "ana", "--cases", "6", "--repeats", "0"]) == 0
    desk = Desk(browser, folder / "review" / "forms" / "review-ana.html")
    seen = set()
    for _ in range(6):
        seen |= set(desk.shown[1:])
        desk.page.keyboard.press("ArrowRight")
    assert set(hostile) <= seen
    assert desk.page.evaluate("document.querySelectorAll('img, script:not([type])').length") == 1
    desk.close()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_phone_shows_everything_without_scrolling_sideways(
    browser: Any, tmp_path: Path, monkeypatch: Any, language: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = project(tmp_path, run(6))
    harness(["review", "export", RUN, "--reviewers", "ana", "--language", language])
    desk = Desk(browser, folder / "review" / "forms" / "review-ana.html", viewport={"width": 360, "height": 740})
    desk.page.keyboard.press("s")
    desk.page.keyboard.press("c")
    assert desk.page.evaluate("document.documentElement.scrollWidth") <= 360
    assert desk.page.locator("html").get_attribute("lang") == ("zh-CN" if language == "zh" else "en")
    desk.close()


def test_a_double_click_answers_one_page(browser: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    folder = project(tmp_path, run(6))
    harness(["review", "export", RUN, "--reviewers", "ana", "--repeats", "0"])
    desk = Desk(browser, folder / "review" / "forms" / "review-ana.html")
    before = desk.place
    desk.page.dblclick("#choices button[value='1']")
    desk.until_page_changes(before)
    file = desk.save(tmp_path)
    assert sum(one["choice"] is not None for one in json.loads(file.read_text())["answers"]) == 1
    desk.close()
