"""The templated voice: what it says for each kind of answer, and that no text in the facts can make it say more."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import get_args

import pytest

from prompts.facts import Facet, ReplyFacts, ReplyKind
from prompts.money import price_text
from prompts.reply import follow_ups, render_reply
from prompts.view import title
from tests.unit.prompts.attacks import ATTACKS
from tests.unit.prompts.examples import ARIA, BRISK, COFFEE, EMBER, RELAXED, SHELF, TRAILS, UNDER_80, facts, ranked

KINDS: tuple[ReplyKind, ...] = get_args(ReplyKind)
MARKUP = re.compile(r"[<>`*|\[\]{}\\#]|://|javascript:", re.IGNORECASE)
AMOUNT = re.compile(r"\$[\d,]+\.\d\d")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shown", range(6))
@pytest.mark.parametrize("turn", range(3))
def test_every_kind_reads_as_sentences(kind: ReplyKind, shown: int, turn: int) -> None:
    text = render_reply(facts(kind, shown, turn=turn, interests=(COFFEE,), anchor=EMBER if turn else None))
    assert text
    assert text[0].isupper() or text[0].isdigit()
    assert not re.search(r"  |\.\.| [.,;:]|None|\(\)|“”|: *\.|,\.|\n\n", text), text
    assert all(line[-1] in ".?!:”" for line in text.splitlines()), text


@pytest.mark.parametrize("kind", ["found", "refined", "more", "recommended", "compared", "similar", "cart_advice"])
def test_each_product_is_named_with_its_price(kind: ReplyKind) -> None:
    text = render_reply(facts(kind, 5, cart=(EMBER,)))
    for product in SHELF:
        line = next(line for line in text.splitlines() if re.match(rf"\d\. {product.title}", line))
        assert (price_text(product.price) if product.price else "$") in line or product.price is None
        assert "$" not in line or product.price is not None


def test_found_says_what_was_understood_and_why() -> None:
    text = render_reply(facts("found", 2))
    assert "37 products" in text
    assert "“coffee grinder” (under $80, not leather)" in text
    assert "Matches “grinder”." in text
    assert "only 3 left" in text


def test_one_product_is_not_a_list() -> None:
    text = render_reply(facts("found", 1, total=1))
    assert text.startswith("One product fits")
    assert "1. " not in text


def test_nothing_found_says_what_would_fit() -> None:
    text = render_reply(facts("found", 0, relaxations=RELAXED))
    assert text.startswith("Nothing in the shop fits “coffee grinder”")
    assert "Without “under $80”, 14 products would." in text
    assert "not leather”, 0" not in text


def test_phrasing_rotates_with_the_turn_and_is_deterministic() -> None:
    texts = [render_reply(facts(turn=turn)) for turn in range(3)]
    assert len(set(texts)) == 3
    assert texts == [render_reply(facts(turn=turn)) for turn in range(3)]


def test_recommended_names_the_interests() -> None:
    assert "Coffee and Trail Running" in render_reply(facts("recommended", interests=(COFFEE, TRAILS)))


def test_compared_gives_the_differences() -> None:
    text = render_reply(facts("compared", 2))
    assert "The Brisk Hand Grinder is cheaper, by $44.50." in text
    assert "The Aria Burr Grinder is rated higher: 4.6 against 4.2 stars." in text
    assert "Colour: black against red." in text
    assert "Capacity: 350 g against not stated." in text
    assert "Both share: material steel." in text


def test_prices_in_two_currencies_are_not_compared() -> None:
    other = replace(BRISK, price=replace(BRISK.price, currency="EUR"))  # type: ignore[type-var]
    text = render_reply(facts(products=ranked(ARIA, other, EMBER)))
    assert "least" not in text
    assert "cheap" not in render_reply(facts("compared", products=ranked(ARIA, other)))


def test_details_answers_what_was_asked_or_says_that_it_does_not_know() -> None:
    text = render_reply(facts("details", 1, asked=("colour", "weight", "price")))
    assert "Colour: black." in text
    assert "I do not know the weight" in text
    assert "in stock" in text
    assert "From its description: “A sturdy grinder with forty settings.”" in text
    assert "shipping" not in text
    assert "50" not in text.replace("350", "")


def test_details_asked_for_a_price_that_is_missing() -> None:
    assert "I do not know the price" in render_reply(facts("details", products=ranked(SHELF[3]), asked=("price",)))


def test_a_degraded_answer_says_so() -> None:
    assert "not available" in render_reply(facts(degraded=("dense",)))
    assert "again" in render_reply(facts("degraded", 0))


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("kind", ["found", "details", "compared", "off_topic"])
def test_attacks_carry_no_markup_and_change_no_fact(attack: str, kind: ReplyKind) -> None:
    hostile = replace(ARIA, title=attack, description=attack, attributes={"note": (attack,)})
    text = render_reply(facts(kind, products=ranked(hostile, BRISK), request=attack, query=attack, turn=1))
    assert not MARKUP.search(text), text
    own = text.replace(title(hostile), "").replace(title(hostile, 60), "")
    own = re.sub(r"^Note: .*$|note: .*$", "", own, flags=re.MULTILINE)  # the attribute is shown as the shop's words
    assert set(AMOUNT.findall(own)) <= {"$79.00", "$34.50", "$44.50"}
    assert not re.search(r"free ship|guarantee|refund|discount|instruction|SYSTEM", own), own
    if kind != "off_topic":
        assert "$79.00" in own


def test_a_long_or_odd_request_is_not_repeated() -> None:
    for query in ("everything is $0", "please tell me that all is free", "a b c d e f g h i j", "x" * 60):
        assert render_reply(facts(query=query)).startswith("37 products fit what you asked for (under $80")


def test_follow_ups_are_few_and_answerable() -> None:
    said = follow_ups(facts("found", 5, constraints=(), facets=(Facet("colour", ("black", "red")),)))
    assert said == ("Under $50", "Show it in black", "Only 4 stars and up") or said[0].startswith("Under $")
    assert len(said) <= 3


def test_a_suggested_limit_keeps_something_and_drops_something() -> None:
    limit = int(follow_ups(facts("found", 3, constraints=()))[0].removeprefix("Under $"))
    prices = [product.price.amount / 100 for product in SHELF[:3] if product.price]
    assert min(prices) <= limit < max(prices)


def test_a_limit_that_is_set_is_not_suggested_again() -> None:
    said = follow_ups(facts("found", 5, constraints=(UNDER_80,)))
    assert not any(text.startswith("Under") for text in said)


def test_follow_ups_after_nothing_take_back_what_would_help() -> None:
    assert follow_ups(facts("nothing_found", 0, relaxations=RELAXED)) == ("Any price",)


@pytest.mark.parametrize("kind", KINDS)
def test_follow_ups_exist_for_all(kind: ReplyKind) -> None:
    for shown in range(6):
        said = follow_ups(facts(kind, shown, departments=("Kitchen",)))
        assert 1 <= len(said) <= 3
        assert len(set(said)) == len(said)


def test_the_plainest_facts_are_enough() -> None:
    for kind in KINDS:
        assert render_reply(ReplyFacts(kind))
