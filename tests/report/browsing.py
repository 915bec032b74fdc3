"""A reader at a browser, for the tests of the page."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from harness.report.html import write_report
from harness.report.words import Language

BLOCKED = Path(__file__).resolve().parents[1] / "records" / "triage-no-replay"
NAMES = ("chromium", "chromium-browser", "google-chrome")
READY = "#cases[data-ready]"


def copied(folder: Path, language: Language = "en") -> Path:
    for name in ("record.json", "texts.json.gz"):
        shutil.copy(BLOCKED / name, folder / name)
    return write_report(folder, language)


class Reader:
    """Opens pages, and remembers what they complain about and what they ask for."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self._contexts: list[Any] = []
        self.complaints: list[str] = []
        self.asked: list[str] = []

    def open(self, address: str, **context: Any) -> Any:
        settings = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"} | context
        self._contexts.append(self._browser.new_context(**settings))
        page = self._contexts[-1].new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: (self.complaints.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: self.asked.append(request.url))
        page.goto(address)
        page.wait_for_selector(READY)
        return page

    def close(self) -> None:
        for context in self._contexts:
            context.close()


def until(page: Any, expression: str) -> None:
    """Wait until the page says so. Playwright's own waiting evaluates strings in the page, which its policy forbids."""
    for _ in range(400):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(25)
    raise AssertionError(f"never came true: {expression}")


def rows(page: Any) -> list[str]:
    return [text.strip() for text in page.locator("#list .id > bdi").all_inner_texts()]


def total(page: Any) -> int:
    return int(page.locator("#count").inner_text().split(" ")[0].replace(",", ""))
