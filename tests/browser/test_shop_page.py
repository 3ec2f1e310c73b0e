"""A shopper's ways through the page, in Chromium, against the real demo shop."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Locator, Page, expect

if TYPE_CHECKING:
    from .conftest import Visit, Watch

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

QUERY = "backpack under $120"


def search(page: Page, text: str) -> None:
    page.get_by_role("searchbox", name="Search the shop").fill(text)
    page.keyboard.press("Enter")
    page.wait_for_selector(".results .card:not(.skeleton), .results .nothing")


def keys(cards: Locator) -> list[str]:
    return [str(card.get_attribute("data-key")) for card in cards.all()]


def prices(page: Page, place: str) -> list[float]:
    return [float(re.sub(r"[^\d.]", "", text)) for text in page.locator(f"{place} .price").all_inner_texts()]


def found(page: Page) -> int:
    said = page.locator(".results-found").inner_text()
    return int(re.sub(r"\D", "", said.split(" ")[0]))


def ask(page: Page, text: str) -> None:
    answers = page.locator(".said-by-shop").count()
    page.get_by_label("Your message").fill(text)
    page.keyboard.press("Enter")
    expect(page.locator(".said-by-shop")).to_have_count(answers + 1)
    expect(page.locator(".said-by-shop").last.locator(".engine")).to_be_visible()


def open_first_product(page: Page) -> str:
    first = page.locator("#view .card").first
    key = str(first.get_attribute("data-key"))
    first.locator(".open").click()
    expect(page.locator("#product-dialog .beside .card").first).to_be_visible()
    return key


def close_product(page: Page) -> None:
    page.locator("#product-dialog").get_by_role("button", name="Close").click()
    expect(page.locator("#product-dialog")).to_be_hidden()


def test_a_search_shows_what_was_understood_and_what_fits(visit: Visit, watch: Watch) -> None:
    page = visit()
    search(page, QUERY)
    expect(page.get_by_role("button", name=re.compile(r"Remove: .*120"))).to_be_visible()
    found_prices = prices(page, "#view")
    assert found_prices
    assert max(found_prices) <= 120
    assert "q=backpack" in page.url
    assert [event["query"] for event in watch.events if event["event"] == "search"] == [QUERY]


def test_a_removed_chip_widens_the_answer_and_can_be_put_back(visit: Visit) -> None:
    page = visit()
    search(page, QUERY)
    narrow = found(page)
    page.get_by_role("button", name=re.compile(r"Remove: .*120")).click()
    back = page.get_by_role("button", name=re.compile(r"Put back: .*120"))
    expect(back).to_be_visible()
    assert found(page) > narrow
    back.click()
    expect(page.get_by_role("button", name=re.compile(r"Remove: .*120"))).to_be_visible()
    assert found(page) == narrow


def test_where_nothing_fits_the_page_says_what_would(visit: Visit) -> None:
    page = visit()
    search(page, "backpack under $1")
    expect(page.get_by_text("Nothing in the shop fits all of that.")).to_be_visible()
    page.get_by_role("button", name=re.compile(r"^Without .*: \d+ product")).first.click()
    expect(page.locator("#view .card:not(.skeleton)").first).to_be_visible()


def test_a_department_narrows_home_and_search(visit: Visit) -> None:
    page = visit()
    pill = page.locator("#browse .pill").nth(1)
    department = pill.inner_text()
    pill.click()
    expect(page.get_by_role("heading", name=department, level=2)).to_be_visible()
    expect(pill).to_have_attribute("aria-pressed", "true")
    page.locator("#view .card:not(.skeleton) .open").first.click()
    expect(page.locator("#product-dialog .product-facts > .caption")).to_contain_text(department)


def test_chat_streams_and_a_follow_up_changes_the_products(visit: Visit) -> None:
    page = visit()
    page.evaluate(
        """() => {
          window.steps = new Set();
          const watcher = new MutationObserver(() => {
            const text = document.querySelector(".answer-text")?.textContent;
            if (text) window.steps.add(text);
          });
          watcher.observe(document.getElementById("messages"), {childList: true, subtree: true, characterData: true});
        }"""
    )
    ask(page, "a tent under $400")
    assert page.evaluate("window.steps.size") > 1, "the answer came in one piece"
    answer = page.locator(".said-by-shop").last
    expect(answer.locator(".small-card").first).to_be_visible()
    expect(answer.locator(".engine")).to_contain_text("Answered by")
    before = keys(answer.locator(".small-card"))
    dear = prices(page, ".said-by-shop >> nth=-1 >>")
    ask(page, "cheaper")
    answer = page.locator(".said-by-shop").last
    cheap = prices(page, ".said-by-shop >> nth=-1 >>")
    assert keys(answer.locator(".small-card")) != before
    assert min(cheap) <= min(dear)
    assert max(cheap) <= max(dear)


def test_follow_up_questions_can_be_clicked(visit: Visit) -> None:
    page = visit()
    page.locator(".chat-welcome .suggestion").first.click()
    suggestion = page.locator(".said-by-shop .suggestion").first
    expect(suggestion).to_be_visible()
    words = suggestion.inner_text()
    suggestion.click()
    expect(page.locator(".said-by-you").last).to_contain_text(words)
    expect(page.locator(".said-by-shop").last.locator(".engine")).to_be_visible()


def test_shift_enter_breaks_the_line_and_start_over_forgets(visit: Visit) -> None:
    page = visit()
    field = page.get_by_label("Your message")
    field.fill("a lamp")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("for reading")
    assert field.input_value() == "a lamp\nfor reading"
    assert page.locator(".said").count() == 0
    page.keyboard.press("Enter")
    expect(page.locator(".said-by-shop .engine")).to_be_visible()
    page.get_by_role("button", name="Start over").click()
    expect(page.locator(".chat-welcome")).to_be_visible()


def test_what_is_opened_moves_interests_and_the_next_recommendations(visit: Visit, watch: Watch) -> None:
    page = visit()
    expect(page.get_by_text("Nothing yet.")).to_be_visible()
    row = page.locator("#view .row").first.locator(".card:not(.skeleton)")
    before = keys(row)
    opened = open_first_product(page)
    close_product(page)
    expect(page.locator("#topics .topic").first).to_be_visible()
    expect(page.locator("#view .row").first.locator(".card .reason").first).to_contain_text(re.compile(r"you", re.I))
    assert keys(row) != before
    views = [event for event in watch.events if event["event"] == "view_item"]
    assert [view["product_id"] for view in views] == [opened]
    assert views[0]["ranking_id"]
    assert views[0]["user_id"].startswith("visitor-")


def test_a_turn_of_interests_is_drawn_told_and_moves_with_what_is_opened(
    visit: Visit, person: dict[str, str], shop_url: str
) -> None:
    page = visit(f"#person={person['user_id']}", width=390)
    answer = page.request.get(f"{shop_url}/v1/users/{person['user_id']}/interests").json()
    turned = answer["drifts"][-1]
    expect(page.locator("#interests-words")).to_contain_text(answer["summary"][0]["text"])
    told = page.locator("#turns li").first
    expect(told).to_contain_text(turned["to"][0])
    expect(told).to_contain_text(turned["from"][0])
    lane = page.locator(f'#topics [data-key="{turned["to"][0]}"]').get_by_role("img")
    expect(lane).to_have_attribute("aria-label", re.compile("recent attention .* lasting attention"))
    assert page.locator("#topics .turn-to").count() >= 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    before = str(lane.get_attribute("aria-label"))
    search(page, "yoga mat")  # something else
    page.locator(".results .card .open").first.click()
    close_product(page)
    expect(page.locator("#topics .moved").first).to_be_attached()
    expect(lane).not_to_have_attribute("aria-label", before)


def test_another_person_sees_another_shop(visit: Visit, person: dict[str, str]) -> None:
    page = visit()
    before = keys(page.locator("#view .row").first.locator(".card"))
    switcher = page.get_by_role("button", name=re.compile("Shopping as"))
    menu = page.locator("#people")
    switcher.click()
    expect(menu).to_be_visible()
    switcher.click()
    expect(menu).to_be_hidden()
    switcher.click()
    menu.get_by_role("button", name=re.compile(person["name"])).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(person["name"].split(" ")[0])
    expect(page.locator("#topics .topic").first).to_be_visible()
    expect(page.locator("#view .card:not(.skeleton)").first).to_be_visible()
    assert f"person={person['user_id']}" in page.url
    assert keys(page.locator("#view .row").first.locator(".card")) != before


def test_the_cart_counts_suggests_and_is_bought(visit: Visit, watch: Watch) -> None:
    page = visit()
    buyable = page.locator("#view .card:not(.skeleton) button.add:not(:disabled)")
    buyable.first.click()
    expect(page.get_by_role("button", name="Cart, 1 item")).to_be_visible()
    page.get_by_role("button", name="Cart, 1 item").click()
    dialog = page.locator("#cart-dialog")
    dialog.get_by_role("button", name=re.compile("One more")).first.click()
    expect(page.locator(".cart-count")).to_have_text("2")
    dialog.get_by_role("button", name="Buy").click()
    expect(dialog.get_by_role("heading", name="Thank you")).to_be_visible()
    bought = [event for event in watch.events if event["event"] == "purchase"]
    assert [event["quantity"] for event in bought] == [2]


def test_a_link_brings_person_query_and_product_back(visit: Visit, person: dict[str, str]) -> None:
    page = visit(f"#person={person['user_id']}&q=lamp")
    expect(page.get_by_role("searchbox")).to_have_value("lamp")
    key = open_first_product(page)
    assert f"product={key}" in page.url
    page.go_back()
    expect(page.locator("#product-dialog")).to_be_hidden()


@pytest.mark.parametrize("width", [390, 360])
def test_a_phone_never_scrolls_sideways(visit: Visit, width: int) -> None:
    page = visit(width=width, height=800)

    def fits() -> None:
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    fits()
    search(page, QUERY)
    fits()
    open_first_product(page)
    assert page.evaluate("document.querySelector('#product-dialog .sheet').scrollWidth") <= width
    close_product(page)
    page.get_by_role("button", name=re.compile("Shopping as")).click()
    menu = page.locator("#people").bounding_box()
    assert menu is not None
    assert menu["x"] >= 0
    assert menu["x"] + menu["width"] <= width
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Ask", exact=True).click()
    ask(page, "a warm jacket")
    fits()
    page.get_by_role("button", name="Shop", exact=True).click()
    expect(page.locator("#view .card").first).to_be_visible()


def test_the_page_works_at_twice_the_size(visit: Visit) -> None:
    page = visit("#q=lamp", width=720, height=450)
    assert page.evaluate("document.documentElement.scrollWidth") <= 720
    expect(page.locator("#view .card").first).to_be_visible()


def test_everything_can_be_done_from_the_keyboard(visit: Visit) -> None:
    page = visit()
    press = page.keyboard.press
    press("Tab")
    expect(page.get_by_role("link", name="Skip to the products")).to_be_focused()
    press("Tab")
    press("Tab")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type(QUERY)
    press("Enter")
    page.wait_for_selector(".results .card:not(.skeleton)")
    tab_to(page, ".chip")
    press("Enter")
    expect(page.get_by_role("button", name=re.compile("Put back:"))).to_be_visible()
    expect(page.locator(".results-title")).to_be_focused()
    tab_to(page, "#view .open")
    focused = page.evaluate("document.activeElement.textContent")
    press("Enter")
    expect(page.locator("#product-title")).to_have_text(focused)
    press("Escape")
    expect(page.locator("#product-dialog")).to_be_hidden()
    assert page.evaluate("document.activeElement.textContent") == focused
    tab_to(page, "#chat-field")
    page.keyboard.type("a mug")
    press("Enter")
    expect(page.locator(".said-by-shop .engine")).to_be_visible()


def tab_to(page: Page, selector: str) -> None:
    for _ in range(150):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"the Tab key never reaches {selector}")


def test_a_newcomer_is_asked_and_each_answer_reorders(visit: Visit) -> None:
    page = visit()
    panel = page.locator("#view .row").first.locator(".welcome")
    expect(panel.locator(".chip-choice").last).to_have_text("Anything")
    cards = page.locator("#view .row").first.locator(".card:not(.skeleton)")
    before = keys(cards)
    for number in range(1, 4):
        if not panel.locator(".chip-choice").count():
            break
        expect(panel).to_contain_text(f"Question {number} of at most 3")
        panel.locator(".chip-choice").first.click()
        expect(panel).not_to_contain_text(f"Question {number} of at most 3")
    assert keys(cards) != before
    expect(panel).to_contain_text("You chose")
    panel.get_by_role("button", name="Start over").click()
    expect(panel).to_contain_text("Question 1 of at most 3")
    assert keys(cards) == before


def test_the_question_can_be_dismissed_and_a_known_person_has_none(visit: Visit, person: dict[str, str]) -> None:
    page = visit()
    page.get_by_role("button", name="Do not ask me").click()
    expect(page.locator(".welcome")).to_have_count(0)
    expect(page.locator("#view .card:not(.skeleton)").first).to_be_visible()
    known = visit(f"#person={person['user_id']}")
    expect(known.locator(".welcome")).to_have_count(0)
