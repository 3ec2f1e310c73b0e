"""The merchandiser's page in a real browser: read at a glance, by keyboard, in both colour schemes, on a phone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from playwright.sync_api import Browser, Page, expect

from .test_page_access import FAINT, HEADINGS, SMALL, UNNAMED

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

VIEW = "/v1/insights"
"""503 while it is computed, and parts of it that a shop may do without (404): the browser notes both on its console."""
Open = Callable[..., Page]


@pytest.fixture
def opened(browser: Browser, shop_url: str) -> Iterator[Open]:
    contexts, complaints = [], []

    def open_(width: int = 1440, scheme: str = "light") -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
            reduced_motion="reduce",
            locale="en-US",
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda said: (
                complaints.append(said.text) if said.type == "error" and VIEW not in said.location["url"] else None
            ),
        )
        page.goto(f"{shop_url}/insights")
        page.wait_for_selector("#view section", timeout=120_000)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


def test_what_rises_among_whom_and_what_to_do(opened: Open) -> None:
    page = opened()
    expect(page.get_by_role("heading", name="What your shoppers are turning to")).to_be_visible()
    expect(page.locator(".action")).not_to_have_count(0)
    expect(page.locator(".turn-rising")).not_to_have_count(0)
    first = page.locator(".turn-rising").first
    spoken = first.get_by_role("img").get_attribute("aria-label") or ""
    assert spoken.startswith("Share of shoppers")
    expect(page.locator(".segment")).not_to_have_count(0)
    expect(page.get_by_role("region", name="Bought together").locator(".link")).not_to_have_count(0)
    expect(page.locator(".part-leaving .link, .part-offers .link, .colophon")).not_to_have_count(0)


def test_a_line_opens_by_keyboard_and_says_who_is_behind_it(opened: Open) -> None:
    page = opened()
    line = page.locator(".turn-rising").first
    line.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(line.locator(".turn-more")).to_be_visible()
    expect(line.get_by_text("Most wanted in it")).to_be_visible()
    help_ = line.get_by_role("button", name="What is “Chance”?")
    help_.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".help-text:popover-open")).to_contain_text("although nothing has changed")


def test_another_window_and_a_category(opened: Open) -> None:
    page = opened()
    page.get_by_role("radio", name="half year").focus()
    page.keyboard.press("Space")
    expect(page.locator("#about")).to_contain_text("in the 182 days", timeout=60_000)
    page.get_by_label("Only").select_option(index=1)
    expect(page.locator("#view")).to_have_attribute("aria-busy", "false", timeout=60_000)


def test_one_is_no_plural(opened: Open) -> None:
    said = """async () => {
        const { counted } = await import("/static/js/money.js");
        const { leavingSection, offersSection } = await import("/static/js/insights-people.js");
        const people = [{ user_id: "u", last_visit_days: 1, usual_gap_days: 1, visits: 1 }];
        const leaving = leavingSection({ people });
        const offers = offersSection({ offers: [{ what: "tents", people: 1 }] });
        return [counted(2, "person", "people"), leaving.textContent, offers.textContent];
    }"""
    two, leaving, offers = opened().evaluate(said)
    assert two == "2 people"
    assert "last here 1 day ago; usually every day; 1 visit" in leaving
    assert "1 person" in offers


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (1440, "dark"), (390, "light")])
def test_everybody_can_use_it(opened: Open, width: int, scheme: str) -> None:
    page = opened(width, scheme)
    page.locator(".turn-rising summary").first.click()
    page.wait_for_timeout(100)
    unnamed = [each for each in page.evaluate(UNNAMED) if each != "no landmark aside"]
    assert unnamed == []
    assert page.evaluate(FAINT) == []
    assert page.evaluate(SMALL) == []
    levels = page.evaluate(HEADINGS, "body")
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels)), levels
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
