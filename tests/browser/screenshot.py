"""Takes the picture of the page for the README: `python tests/browser/screenshot.py URL docs/page.png`.

Starts nothing itself: run `tasteline demo --no-browser` beside it. Takes the address and the file, gives a PNG of
1440 x 960 with a person's shop on the left and an answer of the assistant on the right.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
QUESTION = "a warm jacket under $200, not wool"


def compose(page: Page, url: str, person: str) -> None:
    page.goto(f"{url.rstrip('/')}/#person={person}")
    page.wait_for_selector("#view .card:not(.skeleton)")
    page.wait_for_selector("#interests svg")
    page.get_by_label("Your message").fill(QUESTION)
    page.keyboard.press("Enter")
    page.wait_for_selector(".said-by-shop .engine")
    page.evaluate("document.activeElement.blur()")
    page.wait_for_timeout(1500)  # bars and cards come to rest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="where the demo shop runs")
    parser.add_argument("file", type=Path, help="the PNG to write")
    parser.add_argument("--person", default="tunde")
    parser.add_argument("--dark", action="store_true")
    chosen = parser.parse_args()
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        parser.error("Chromium is not installed: `apt-get install chromium`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(
            viewport={"width": 1440, "height": 960}, color_scheme="dark" if chosen.dark else "light", locale="en-US"
        )
        compose(page, chosen.url, chosen.person)
        page.screenshot(path=str(chosen.file))
        browser.close()


if __name__ == "__main__":
    main()
