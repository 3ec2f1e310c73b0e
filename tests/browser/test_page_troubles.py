"""What the page shows when the service fails, refuses or sends hostile text. The failing answers are made up here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, Route, expect

if TYPE_CHECKING:
    from .conftest import Visit, Watch

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def refuse(route: Route, status: int, detail: str) -> None:
    problem = {"type": "urn:tasteline:test", "title": "Refused", "status": status, "detail": detail, "errors": []}
    route.fulfill(status=status, content_type="application/problem+json", body=json.dumps(problem))


def search(page: Page, text: str) -> None:
    page.get_by_role("searchbox").fill(text)
    page.keyboard.press("Enter")


def forgive_failed_loads(watch: Watch) -> None:
    """Chromium itself logs each failed answer; everything else still counts."""
    watch.complaints[:] = [said for said in watch.complaints if "Failed to load resource" not in said]


def test_a_failed_search_says_why_and_can_be_tried_again(visit: Visit, watch: Watch) -> None:
    page = visit()
    page.route("**/v1/search", lambda route: refuse(route, 503, "The index is being built."))
    search(page, "lamp")
    expect(page.get_by_role("alert")).to_contain_text("The index is being built.")
    page.unroute("**/v1/search")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".results .card:not(.skeleton)").first).to_be_visible()
    forgive_failed_loads(watch)


def test_a_failed_answer_can_be_asked_for_again(visit: Visit, watch: Watch) -> None:
    page = visit()
    page.route("**/v1/chat/completions", lambda route: route.abort())
    page.get_by_label("Your message").fill("a lamp")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    page.unroute("**/v1/chat/completions")
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator(".said-by-shop").last.locator(".engine")).to_be_visible()
    forgive_failed_loads(watch)


def test_an_answer_can_be_stopped(visit: Visit) -> None:
    page = visit()
    page.route("**/v1/chat/completions", lambda route: None)  # never answered
    page.get_by_label("Your message").fill("a lamp")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Stop answering").click()
    expect(page.get_by_text("Stopped.")).to_be_visible()
    expect(page.get_by_role("button", name="Send")).to_be_visible()


def test_a_key_is_asked_for_and_sent(visit: Visit, watch: Watch) -> None:
    page = visit()
    keys: list[str | None] = []

    def guarded(route: Route) -> None:
        key = route.request.headers.get("authorization")
        keys.append(key)
        if key == "Bearer sesame":
            route.continue_()
        else:
            refuse(route, 401, "An API key is needed.")

    page.route("**/v1/search", guarded)
    search(page, "lamp")
    page.get_by_label("API key").fill("sesame")
    page.get_by_role("button", name="Use this key").click()
    expect(page.locator(".results .card:not(.skeleton)").first).to_be_visible()
    assert keys == [None, "Bearer sesame"]
    forgive_failed_loads(watch)


def test_hostile_text_stays_text(visit: Visit) -> None:
    page = visit(wait=False)
    hostile = '<img src=x onerror="window.owned=1"><script>window.owned=1</script>'
    product = {
        "id": "x", "title": hostile, "description": hostile, "brand": hostile, "categories": [hostile], "price": None,
        "rating": None, "rating_count": None, "stock": None, "attributes": {hostile: [hostile]},
        "url": "javascript:window.owned=1", "image_url": "https://elsewhere.invalid/x.png",
    }  # fmt: skip
    reasons = [{"kind": "match", "text": hostile, "evidence": []}]
    constraints = [{"key": hostile, "label": hostile}]
    ranking = {
        "ranking_id": "r", "items": [{"product": product, "score": 1.0, "reasons": reasons}], "total": 1,
        "understood": {"text": hostile, "query": hostile, "constraints": constraints, "sort": "relevance"},
        "relaxations": [], "degraded": [hostile],
    }  # fmt: skip
    page.route("**/v1/search", lambda route: route.fulfill(json=ranking))
    page.route("**/v1/products/x", lambda route: route.fulfill(json=product))
    page.route("**/v1/recommendations", lambda route: route.fulfill(json=ranking))
    page.wait_for_selector("#view .card:not(.skeleton)")
    search(page, "anything")
    expect(page.locator(".results .open")).to_have_text(hostile)
    page.locator(".results .open").click()
    expect(page.locator("#product-title")).to_have_text(hostile)
    assert page.evaluate("window.owned") is None
    assert page.locator("#view img, dialog img").count() == 0


def test_the_page_says_so_when_the_shop_is_away(visit: Visit, watch: Watch, shop_url: str) -> None:
    page = visit()
    page.route("**/v1/shop", lambda route: refuse(route, 503, "The shop is opening."))
    page.goto(f"{shop_url}/?again")
    expect(page.get_by_role("alert")).to_contain_text("The shop is opening.")
    page.unroute("**/v1/shop")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#view .card:not(.skeleton)").first).to_be_visible()
    forgive_failed_loads(watch)
