"""Take the pictures of docs/reports.md and of the README, from the report of the kept record of a real blocked run.

    python tests/report/screenshots.py

Needs Chromium (.ci/chromium) and Pillow, which comes with matplotlib.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from pathlib import Path
from typing import Any

from browsing import NAMES, READY, copied

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
#: (file, address within the page, what is pictured or nothing for the screen, width, height, theme)
PICTURES = (
    ("report.png", "", "", 1180, 900, "light"),
    ("report-why.png", "", "#why", 1000, 900, "light"),
    ("report-worse.png", "#cases?show=regressed&case=retention/refusals/use-stolen-card", "#list li.open", 1000, 900,
     "light"),
    ("report-judge.png", "#judge", "#judge", 1000, 900, "light"),
    ("report-data.png", "#changes", "#changes", 1000, 900, "light"),
    ("report-phone.png", "", "", 390, 780, "dark"),
)  # fmt: skip


def small(picture: bytes) -> bytes:
    """The same in 256 colours: a page of text needs no more."""
    from PIL import Image

    kept = io.BytesIO()
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT).save(
        kept, "PNG", optimize=True
    )
    return kept.getvalue()


def take(browser: Any, address: str, place: str, what: str, width: int, height: int, theme: str) -> bytes:
    """One picture."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
    page = context.new_page()
    page.goto(f"{address}{place}")
    page.wait_for_selector(READY)
    if "case=" in place:
        page.wait_for_selector("#list li.open .body")
    if what:
        # What stays in view would lie over the picture, and a focused row has a frame that the picture cuts.
        page.evaluate("for (const one of document.querySelectorAll('nav, #top')) one.hidden = true")
        page.evaluate("document.activeElement.blur()")
    picture = page.locator(what).screenshot() if what else page.screenshot()
    context.close()
    return bytes(picture)


def main() -> None:
    """All pictures."""
    from playwright.sync_api import sync_playwright

    found = next(path for path in map(shutil.which, NAMES) if path)
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        address = copied(Path(folder)).as_uri()
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        for file, *how in PICTURES:
            picture = small(take(browser, address, *how))
            (IMAGES / file).write_bytes(picture)
            print(f"{file}: {len(picture):,} bytes")
        browser.close()


if __name__ == "__main__":
    main()
