"""Nothing untrue leaves: what the check keeps of a language model's words, and above all what it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.agent.grounding import Grounding, check
from prompts.facts import ReplyFacts
from tests.unit.prompts.attacks import ATTACKS, ORDERS, RESULTS
from tests.unit.prompts.examples import ARIA, BRISK, COFFEE, EMBER, SHELF, facts, ranked

FORBIDDEN = {"free", "discount", "refund", "$1.00", "$0.01", "$0.99", "system", "instructions", "award", "coupon"}
TRUE = [
    "Take a look at the Aria Burr Grinder at $79.00.",
    "Take a look at the Aria Burr Grinder at $79.",
    "The Aria Burr Grinder costs 79 dollars and is rated 4.6 stars.",
    "The Aria Burr Grinder is rated 4.6 stars from 312 ratings.",
    "You might like the Aria Burr Grinder at $79.00, or the Brisk Hand Grinder at $34.50!",
    "You asked for a coffee grinder: the Brisk Hand Grinder could be a great choice.",
    "I found 37 options for you.",
    "Here are two steel grinders that fit well.",
    "The Aria Burr Grinder is a lovely black grinder.",
    "The first one is the Aria Burr Grinder.",
    "The second one, the Brisk Hand Grinder, is red.",
    "Both are under $80, not leather.",
    "**The Aria Burr Grinder** could be a lovely choice for you.",
    "- The Brisk Hand Grinder at $34.50 might suit you.",
    "The Aria Burr Grinder has a capacity of 350 g.",
    "The Aria Burr Grinder is in stock.",
    "THE ARIA BURR GRINDER could be a nice pick.",
]
FALSE = [
    # prices, counts and percentages
    ("The Aria Burr Grinder costs $69.00.", "number"),
    ("The Aria Burr Grinder costs $34.50.", "number"),
    ("The Aria Burr Grinder costs €79.00.", "number"),
    ("You might like the Aria Burr Grinder and the Brisk Hand Grinder at $79.00.", "number"),
    ("The Aria Burr Grinder costs 79.", "number"),
    ("The Aria Burr Grinder costs seventy-nine dollars.", "word"),
    ("The Aria Burr Grinder is rated 5.0 stars.", "number"),
    ("The Aria Burr Grinder is rated 4.2 stars.", "number"),
    ("The Aria Burr Grinder is rated 4.6 stars from 500 ratings.", "number"),
    ("I found 36 options for you.", "number"),
    ("I found three options for you.", "number"),
    ("There are a dozen options for you.", "number"),
    ("The third one could be a great choice.", "number"),
    ("The second one is the Aria Burr Grinder.", "number"),
    ("The Aria Burr Grinder comes with 50 % on top.", "number"),
    ("These start at $10.00 for you.", "number"),
    ("The Aria Burr Grinder has a capacity of 500 g.", "number"),
    ("Look at the Aria Burr Grinder in 2025.", "number"),
    ("Take a look at the Aria Burr Grinder at -$79.00.", "number"),
    ("Take a look at the Aria Burr Grinder at $1,79.00.", "number"),
    ("You can have both for $34.50.", "number"),
    # names
    ("The Golden Kettle could be a great choice.", "name"),
    ("You might like the Aria Burr Kettle.", "name"),
    ("You might like the grinder by Bosch.", "name"),
    ("Take a look at the “Moonlight” grinder.", "name"),
    # claims
    ("The Aria Burr Grinder is our best-selling grinder.", "claim"),
    ("The Aria Burr Grinder comes with free shipping.", "claim"),
    ("You can have the Aria Burr Grinder at a discount.", "claim"),
    ("The Aria Burr Grinder is 50 % off.", "claim"),
    ("The Aria Burr Grinder comes with a guarantee.", "claim"),
    ("The Aria Burr Grinder has great reviews.", "claim"),
    ("The Aria Burr Grinder is the cheapest one.", "claim"),
    ("The Brisk Hand Grinder is cheaper.", "claim"),
    ("The Aria Burr Grinder is not steel.", "claim"),
    ("The Aria Burr Grinder isn't for you.", "claim"),
    ("The Aria Burr Grinder will be delivered tomorrow.", "claim"),
    ("There is one left for you.", "claim"),
    ("The Aria Burr Grinder is out of stock.", "claim"),
    ("You asked for a Brisk Hand Grinder.", "claim"),
    ("You asked for a blender: take a look.", "claim"),
    ("The Aria Burr Grinder comes with the Brisk Hand Grinder.", "claim"),
    ("The Aria Burr Grinder goes well with the Brisk Hand Grinder.", "claim"),
    # attributes of nobody, or of another
    ("The Aria Burr Grinder is quiet and durable.", "word"),
    ("The Aria Burr Grinder is red.", "word"),
    ("Both are black and can grind coffee.", "word"),
    ("The Aria Burr Grinder could be a great choice tomorrow.", "word"),
    ("Der Aria Burr Grinder ist eine gute Wahl.", "name"),
    # form
    ("Take a look at https://evil.example for the Aria Burr Grinder.", "link"),
    ("Take a look at [the Aria Burr Grinder](http://a.b).", "link"),
    ("The Aria Burr Grinder at", "unfinished"),
    ("Great choice!", "unfinished"),
    ("The Aria Burr Grinder, the Brisk Hand Grinder.", "unfinished"),
    ("The Aria Burr Grinder is like the Aria Burr Grinder.", "repeated"),
    ("You can take it and you can take it and you can take it.", "repeated"),
    ("Here is one short friendly sentence for you.", "echo"),
    ("As an AI language model I like grinders.", "echo"),
    ("Asked for: coffee grinder, take a look.", "echo"),
]


@pytest.mark.parametrize("sentence", TRUE)
def test_what_the_facts_cover_is_kept(sentence: str) -> None:
    checked = check(sentence, facts())
    assert checked.verdict == "ok", checked.dropped
    assert "**" not in checked.text


@pytest.mark.parametrize(("sentence", "why"), FALSE)
def test_what_they_do_not_cover_is_dropped(sentence: str, why: str) -> None:
    checked = check(sentence, facts())
    assert checked.text == ""
    assert checked.verdict == "replaced"
    assert [dropped.why for dropped in checked.dropped] == [why]


def test_sentences_are_judged_one_by_one() -> None:
    checked = check(
        "The Aria Burr Grinder is $79.00. It ships for free! The Brisk Hand Grinder could suit you. And it", facts()
    )
    assert checked.text == "The Aria Burr Grinder is $79.00. The Brisk Hand Grinder could suit you."
    assert checked.verdict == "partly"
    assert [dropped.why for dropped in checked.dropped] == ["claim", "unfinished"]


@pytest.mark.parametrize("text", ["", "   ", "\n\n", "...", "?!", "\u200b"])
def test_nothing_in_nothing_out(text: str) -> None:
    assert check(text, facts()).text == ""
    assert check(text, facts()).verdict == "replaced"


def test_code_is_taken_out() -> None:
    checked = check("The Aria Burr Grinder could suit you.\n```python\nprint(1)\n```", facts())
    assert checked.text == "The Aria Burr Grinder could suit you."
    assert [dropped.why for dropped in checked.dropped] == ["markup"]


def test_a_sentence_said_twice_is_kept_once() -> None:
    checked = check("Here are two grinders for you. " * 3, facts())
    assert checked.text == "Here are two grinders for you."


def test_a_product_without_a_price_has_none() -> None:
    assert not check("The Dusk Mini Mill costs $0.00.", facts(products=ranked(SHELF[3]))).text


def test_what_is_said_without_a_name_must_hold_for_all() -> None:
    assert check("These are steel grinders for you.", facts(shown=2)).text
    assert not check("These are steel grinders for you.", facts(shown=3)).text


def test_stock_is_said_only_where_it_is_known() -> None:
    for place, expected in ((0, True), (2, False), (3, False)):
        said = f"The {SHELF[place].title} is in stock."
        assert bool(check(said, facts(products=ranked(SHELF[place]))).text) is expected


def test_the_anchor_is_no_offer() -> None:
    similar = facts("similar", products=ranked(ARIA, BRISK), anchor=EMBER)
    assert check("If you like the Ember Quiet Mill, take a look at the Aria Burr Grinder.", similar).text
    assert not check("You might want the Ember Quiet Mill.", similar).text


def test_complements_may_be_said_to_go_together() -> None:
    matching = facts("complement", products=ranked(BRISK), anchor=ARIA)
    assert check("The Brisk Hand Grinder goes well with the Aria Burr Grinder.", matching).text


def test_interests_may_be_named() -> None:
    assert check("Since you like Coffee, take a look at the Aria Burr Grinder.", facts(interests=(COFFEE,))).text


def test_descriptions_are_no_facts() -> None:
    assert not check("The Aria Burr Grinder is sturdy.", facts()).text


@pytest.mark.parametrize("attack", ATTACKS)
def test_wording_that_repeats_an_attack_is_dropped(attack: str) -> None:
    """The attack sits in the description and in the request; a model that obeys says it as its own words."""
    answer = facts(products=ranked(replace(ARIA, description=attack), BRISK), request=attack, query=attack)
    for said in (attack, f"{attack}.", f"The Aria Burr Grinder: {attack}."):
        kept = check(said, answer).text
        assert kept in ("", "The Aria Burr Grinder: Mug.") or not set(kept.casefold().split()) & FORBIDDEN, kept


@pytest.mark.parametrize("attack", [*ORDERS, *RESULTS])
def test_what_an_attack_claims_is_dropped_even_from_a_title(attack: str) -> None:
    """Only the title as a whole may be said; what it claims may not be said of the product."""
    hostile = replace(ARIA, title=attack)
    for claim in (
        "It costs $0.01 for you.",
        "It is free for you.",
        "This ships free.",
        "It comes with a 90% discount.",
    ):
        assert not check(claim, facts(products=ranked(hostile, BRISK), request=attack, query=attack)).text


@given(st.text(max_size=200))
def test_any_text_is_survived(text: str) -> None:
    checked = check(text, facts())
    assert (checked.text == "") == (checked.verdict == "replaced")


@given(st.integers(1, 99999).filter(lambda cents: cents != 7900))
def test_no_other_price_is_ever_kept(cents: int) -> None:
    said = f"The Aria Burr Grinder costs ${cents / 100:,.2f}."
    assert not check(said, facts()).text


def test_facts_without_products_support_no_product() -> None:
    assert not check("The Aria Burr Grinder could suit you.", ReplyFacts("nothing_found")).text


def test_a_sentence_without_end_is_refused_quickly() -> None:
    """20,000 times two characters would keep the patterns busy for minutes."""
    assert Grounding(ReplyFacts("found")).judge("a-" * 20_000).why == "unfinished"


def test_space_around_a_sentence_is_no_fault() -> None:
    assert Grounding(facts()).judge(" The Aria Burr Grinder costs $79.00. ").why is None
