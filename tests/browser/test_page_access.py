"""Basic accessibility of the page: names, labels, heading order, targets and contrast, in both colour schemes."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

if TYPE_CHECKING:
    from .conftest import Visit

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

UNNAMED = """() => {
  const seen = (node) => node.checkVisibility();
  const wrong = [];
  for (const field of document.querySelectorAll("input, textarea, select"))
    if (!field.labels.length && !field.ariaLabel) wrong.push("no label: " + field.outerHTML);
  for (const button of document.querySelectorAll("button, a[href]"))
    if (seen(button) && !button.ariaLabel && !button.textContent.trim()) wrong.push("no name: " + button.outerHTML);
  for (const image of document.querySelectorAll("img:not([alt]), svg:not([aria-hidden]):not([role])"))
    wrong.push("no alternative: " + image.outerHTML.slice(0, 80));
  for (const dialog of document.querySelectorAll("dialog[open]"))
    if (!document.getElementById(dialog.getAttribute("aria-labelledby"))) wrong.push("no name: " + dialog.id);
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) wrong.push("id used twice: " + id);
  for (const landmark of ["header", "main", "aside", "nav"])
    if (!document.querySelector(landmark)) wrong.push("no landmark " + landmark);
  return wrong;
}"""

HEADINGS = """(root) => [...document.querySelector(root).querySelectorAll("h1, h2, h3, h4, h5, h6")]
  .filter((heading) => heading.checkVisibility()).map((heading) => Number(heading.tagName[1]))"""

SMALL = """() => [...document.querySelectorAll("button:not(.open), a[href]:not(.skip), input, textarea, summary")]
  .filter((target) => target.checkVisibility({visibilityProperty: true}))
  .map((target) => [target, target.getBoundingClientRect()])
  .filter(([, box]) => box.height < 39.5 || box.width < 39.5)
  .map(([target, box]) => `${Math.round(box.width)} x ${Math.round(box.height)}: ${target.outerHTML.slice(0, 90)}`)"""

FAINT = """() => {
  const pen = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const paint = (colours) => {
    pen.clearRect(0, 0, 1, 1);
    for (const colour of colours) { pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); }
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const wrong = new Set();
  for (const node of document.querySelectorAll("body *")) {
    const words = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    const box = node.getBoundingClientRect();
    if (!words || box.width < 4 || node.disabled || !node.checkVisibility({visibilityProperty: true})) continue;
    const behind = [];
    for (let at = node; at; at = at.parentElement) behind.unshift(getComputedStyle(at).backgroundColor);
    const back = light(paint(["#fff", ...behind]));
    const fore = light(paint(["#fff", ...behind, getComputedStyle(node).color]));
    const ratio = (Math.max(back, fore) + 0.05) / (Math.min(back, fore) + 0.05);
    const large = parseFloat(getComputedStyle(node).fontSize) >= 24;
    if (ratio < (large ? 3 : 4.5)) wrong.add(`${ratio.toFixed(2)}: ${node.className} ${node.textContent.slice(0, 40)}`);
  }
  return [...wrong];
}"""


def check(page: Page, root: str = "body") -> None:
    page.wait_for_timeout(100)
    assert page.evaluate(UNNAMED) == []
    assert page.evaluate(FAINT) == []
    assert page.evaluate(SMALL) == []
    levels = page.evaluate(HEADINGS, root)
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels)), levels
    if root == "body":
        assert levels.count(1) == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_home_and_results_and_chat(visit: Visit, person: dict[str, str], scheme: str) -> None:
    page = visit(f"#person={person['user_id']}", scheme=scheme)
    check(page)
    page.get_by_label("Your message").fill("a lamp under $200")
    page.keyboard.press("Enter")
    expect(page.locator(".said-by-shop .engine")).to_be_visible()
    page.get_by_role("searchbox").fill("red backpack under $150")
    page.keyboard.press("Enter")
    page.wait_for_selector(".results .card:not(.skeleton), .results .nothing")
    check(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_product_cart_and_people(visit: Visit, scheme: str) -> None:
    page = visit(scheme=scheme)
    page.locator("#view .card .open").first.click()
    expect(page.locator("#product-dialog .beside .card").first).to_be_visible()
    check(page, "#product-dialog")
    page.keyboard.press("Escape")
    page.locator("#view .card:not(.skeleton) button.add:not(:disabled)").first.click()
    page.locator("#cart-button").click()
    expect(page.locator("#cart-dialog .cart-line")).to_be_visible()
    check(page, "#cart-dialog")
    page.keyboard.press("Escape")
    page.locator("#person-button").click()
    check(page, "#people")


def test_phone(visit: Visit) -> None:
    page = visit(width=390, height=844)
    check(page)
    page.get_by_role("button", name="Ask", exact=True).click()
    page.wait_for_timeout(100)
    assert page.evaluate(SMALL) == []
    assert page.evaluate(FAINT) == []
