"""Three reviewers at their pages in a real browser, from the export to the gate's answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from reviewed import RUN, project, run, texts_of

from harness.cli.main import run as harness
from harness.record import read_record, write_record
from harness.review.form import Form, Page
from harness.review.kept import read_review
from harness.review.page import render
from harness.review.seal import Mode, read_key

pytestmark = pytest.mark.browser

READY = "body[data-ready]"


class Desk:
    """One reviewer's browser: opens the form, and remembers what it complains about and asks for."""

    def __init__(self, browser: Any, form: Path, *, begin: bool = True, **settings: Any) -> None:
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
        if begin:
            self.page.click("#begin")

    @property
    def shown(self) -> tuple[str, str, str]:
        """Request, left and right as a reviewer reads them."""
        prompt, left, right = (self.page.locator(f"#{name}").inner_text() for name in ("prompt", "left", "right"))
        return prompt, left, right

    @property
    def told(self) -> str:
        """The notice, if there is one that a person can see without scrolling."""
        notice = self.page.locator("#told-text")
        return str(notice.inner_text()) if notice.is_visible() and self.in_sight("#told") else ""

    @property
    def done(self) -> str:
        return str(self.page.locator("#count").inner_text())

    def in_sight(self, selector: str) -> bool:
        """Does all of it stand in the window, and nothing over it?"""
        seen = """box => { const {top, bottom, left, right} = box.getBoundingClientRect();
            const over = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
            return top >= 0 && bottom <= innerHeight && (box.contains(over) || over.contains(box)); }"""
        return bool(self.page.locator(selector).evaluate(seen))

    def answer(self, key: str, pages: int) -> None:
        """Gives one answer to the pages from here on."""
        for _ in range(pages):
            before = self.place
            self.page.keyboard.press(key)
            self.until_page_changes(before)

    def load(self, file: Path) -> None:
        """Loads a file, as the instructions offer it."""
        if not self.page.locator("#load").is_visible():
            self.page.click("#instructions")
        self.page.evaluate("document.getElementById('told').hidden = true")
        self.page.set_input_files("#load", file)
        self.page.wait_for_selector("#told:not([hidden])")

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
    first.answer("1", 3)
    first.page.keyboard.press("s")
    first.page.click("#reasons button[value=expert]")
    first.until_page_changes("Page 4 of 8")
    half = first.save(tmp_path)
    # Nobody is told to send a half.
    assert first.told == (
        f"Saved as {half.name} in your browser's downloads folder. Still open: 4. You can go on here; send the file "
        "when all are done."
    )
    first.close()
    second = Desk(browser, form, begin=False)
    second.load(half)
    assert (second.told, second.done) == ("Answers loaded: 4.", "4 of 8 done")
    second.page.click("#begin")
    assert second.place == "Page 5 of 8"
    assert second.told == ""
    second.answer("2", 3)
    second.page.keyboard.press("2")
    assert second.told == "All pages are answered. Save the file and send it back."
    second.close()
    stranger = Desk(browser, other, begin=False)
    stranger.load(half)
    assert "another form" in stranger.told
    assert stranger.done == "0 of 8 done"
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


def given(desk: Desk, folder: Path) -> list[str | None]:
    """The choices that the form would send now, page by page."""
    return [one["choice"] for one in json.loads(desk.save(folder).read_text(encoding="utf-8"))["answers"]]


def test_an_older_file_wipes_nothing_out(browser: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """What the file adds is added; where it differs the page's own answers stand, until somebody says otherwise."""
    monkeypatch.chdir(tmp_path)
    folder = project(tmp_path, run(8))
    harness(["review", "export", RUN, "--reviewers", "ana", "--cases", "8", "--repeats", "0"])
    form = folder / "review" / "forms" / "review-ana.html"
    desk = Desk(browser, form)
    desk.answer("1", 3)
    older = desk.save(tmp_path).rename(tmp_path / "older.json")
    desk.page.keyboard.press("ArrowLeft")
    desk.page.keyboard.press("2")
    desk.until_page_changes("Page 3 of 8")
    desk.answer("2", 2)
    now = ["1", "1", "2", "2", "2", None, None, None]
    assert given(desk, tmp_path) == now
    desk.load(older)
    assert desk.told == "Answers here that differ from the file, and were kept: 1."
    assert given(desk, tmp_path) == now
    desk.load(older)
    desk.page.click("#told-do")
    assert desk.told == "Answers replaced by the file's: 1."
    assert desk.done == "5 of 8 done"
    desk.page.click("#told-do")
    assert desk.told == "All answers are as they were before."
    assert given(desk, tmp_path) == now
    newer = desk.save(tmp_path).rename(tmp_path / "newer.json")
    desk.close()
    # The other way round: one answer differs, two are new.
    other = Desk(browser, form)
    other.answer("1", 3)
    other.load(newer)
    assert other.told == ("Answers loaded: 2. Answers here that differ from the file, and were kept: 1.")
    assert given(other, tmp_path) == ["1", "1", "1", "2", "2", None, None, None]
    other.load(newer)
    other.page.click("#told-do")
    other.load(newer)
    assert other.told == "The file has nothing that is not here already."
    assert given(other, tmp_path) == now
    for text in ("[1", "{}", '{"format": "harness-review/1", "answers": [null]}'):
        (tmp_path / "junk.json").write_text(text)
        other.load(tmp_path / "junk.json")
        assert "Nothing was changed." in other.told
    other.close()


def long_pair(folder: Path) -> None:
    """Makes every answer fill more than a phone's window."""
    record = read_record(folder)
    texts = texts_of(record)
    for key in [key for key in texts if key[:2] in ("c:", "b:")]:
        ending = "length" if key.startswith("c:") else "stop"
        text = f"{texts[key].text} " + "It has to be said at some length. " * 40
        texts[key] = type(texts[key])(text=text + "I am Qwen2.5." * (ending == "stop"), finish_reason=ending)
    write_record(folder, record, texts)


@pytest.mark.parametrize("width", [360, 390, 1280])
def test_answers_are_read_before_they_are_chosen_and_notices_are_in_sight(
    browser: Any, tmp_path: Path, monkeypatch: Any, width: int
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = project(tmp_path, run(6))
    long_pair(folder)
    harness(["review", "export", RUN, "--reviewers", "ana", "--repeats", "0"])
    phone = {"has_touch": True, "is_mobile": True} if width < 1000 else {}
    window = {"width": width, "height": 800}
    desk = Desk(browser, folder / "review" / "forms" / "review-ana.html", viewport=window, **phone)
    top = desk.page.locator("#left").bounding_box()
    assert top is not None
    assert top["y"] < 400
    assert not desk.in_sight("#choices")
    # Choices come after both answers, and all of the page can be scrolled clear of the bars.
    below = "([one, two]) => one.getBoundingClientRect().bottom <= two.getBoundingClientRect().top"
    pairs = [["#left-box", "#choices"], ["#right-box", "#choices"], ["#right-box", "#details"]]
    for pair in pairs:
        handles = [desk.page.locator(one).element_handle() for one in pair]
        assert desk.page.evaluate(below, handles), pair
    for one in ("#left-title", "#left .none, #left-cut, #left-hidden", "#right-box h2", "#choices", "#skip"):
        shown = desk.page.locator(one).locator("visible=true").first
        shown.evaluate("box => box.scrollIntoView({block: 'center'})")
        box = shown.bounding_box()
        assert box is not None
        assert box["y"] > 60
        assert box["y"] + box["height"] < 740
    # One of the two was cut off by its model, in the other a name was hidden: each says so, and nothing else does.
    assert sorted(desk.page.locator(".aside").locator("visible=true").all_inner_texts()) == [
        "The model stopped here, at its limit of length. It wrote no more than this: judge what stands here.",
        "▇▇▇ stands where we hid a name.",
    ]
    desk.page.click("#details summary")
    desk.page.locator("#comment").scroll_into_view_if_needed()
    desk.save(tmp_path)
    assert desk.told.startswith("Saved as review-ana-")
    desk.page.click("#next")
    assert desk.told == ""
    desk.close()


def test_a_training_row_is_not_said_to_be_cut_or_hidden_whatever_it_holds(browser: Any, tmp_path: Path) -> None:
    row = Page(id="bcdf", prompt="Quote it.", left="▇▇▇ and more […]", right=None)
    modes: dict[Mode, int] = {"rows": 0, "single": 2}
    for mode, notes in modes.items():
        form = Form(code="bcdfghjkmnpq", seal="x" * 64, reviewer="ana", mode=mode, pages=(row,))
        (tmp_path / f"{mode}.html").write_text(render(form), encoding="utf-8")
        desk = Desk(browser, tmp_path / f"{mode}.html")
        assert desk.page.locator(".aside").locator("visible=true").count() == notes
        desk.close()


def test_a_choice_leads_on_but_for_whoever_is_at_marks_and_comment(
    browser: Any, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = project(tmp_path, run(6))
    harness(["review", "export", RUN, "--reviewers", "ana", "--repeats", "0"])
    desk = Desk(browser, folder / "review" / "forms" / "review-ana.html", begin=False)
    # Nothing is answered over the instructions.
    desk.page.keyboard.press("1")
    assert desk.done == "0 of 6 done"
    desk.page.click("#begin")
    desk.page.click("#details summary")
    mark = desk.page.locator("#dimensions button[name=safety][value='2']")
    mark.click()
    assert mark.get_attribute("aria-pressed") == "true"
    mark.click()
    assert mark.get_attribute("aria-pressed") == "false"
    desk.page.keyboard.press("0")
    desk.page.wait_for_timeout(400)
    assert desk.place == "Page 1 of 6"
    assert desk.page.locator(".answer.picked").count() == 2
    desk.page.click("#open")
    desk.answer("1", 2)
    # A changed mind leads on as the first one does.
    desk.page.keyboard.press("ArrowLeft")
    desk.page.keyboard.press("2")
    desk.until_page_changes("Page 3 of 6")
    assert desk.place == "Page 4 of 6"
    # The box of reasons closes, has keys, and takes no reason that is not said.
    desk.page.keyboard.press("s")
    desk.page.keyboard.press("Escape")
    assert desk.page.locator("#why").is_hidden()
    desk.page.keyboard.press("s")
    desk.page.keyboard.press("t")
    assert desk.told == "Write the reason into the comment. The page counts as answered then."
    assert desk.done == "3 of 6 done"
    saved = json.loads(desk.save(tmp_path).read_text(encoding="utf-8"))
    assert saved["answers"][3]["skip"] is None
    desk.page.focus("#comment")
    desk.page.keyboard.type("Both are noise.")
    assert desk.done == "4 of 6 done"
    desk.page.click("#open")
    desk.page.keyboard.press("s")
    desk.page.keyboard.press("e")
    desk.until_page_changes("Page 5 of 6")
    file = desk.save(tmp_path)
    assert [one["skip"] for one in json.loads(file.read_text(encoding="utf-8"))["answers"]] == [
        *[None] * 3, "other", "language", None,
    ]  # fmt: skip
    desk.close()
    capsys.readouterr()
    harness(["review", "import", str(file)])
    assert "ana: 5 of 6 pages, 2 skipped" in capsys.readouterr().out


def test_what_is_pressed_while_a_page_turns_is_of_the_next_one(browser: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    folder = project(tmp_path, run(6))
    harness(["review", "export", RUN, "--reviewers", "ana", "--repeats", "0"])
    desk = Desk(browser, folder / "review" / "forms" / "review-ana.html")
    for key in "1s":
        desk.page.keyboard.press(key)
    assert desk.place == "Page 2 of 6"
    assert desk.page.locator("#why").is_visible()
    desk.page.keyboard.press("Escape")
    for key in "2c":
        desk.page.keyboard.press(key)
    assert desk.place == "Page 3 of 6"
    desk.page.keyboard.type("Of the third.")
    saved = json.loads(desk.save(tmp_path).read_text(encoding="utf-8"))
    assert [(one["choice"], one["skip"], one["comment"]) for one in saved["answers"][:3]] == [
        ("1", None, ""),
        ("2", None, ""),
        (None, None, "Of the third."),
    ]
    desk.close()
