"""Rules of baskets: figures by hand, floors, direction, substitutes, and the same as a loop over all pairs."""

from itertools import permutations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.offers.baskets import CONFIDENCE, LIFT, OFTEN_SUPPORT, POPULARITY, SUPPORT, BasketRules
from retrieval.offers.deeds import BOUGHT, CARTED, DAY, SCHEMA


def deeds(baskets: list[set[str]]) -> pl.DataFrame:
    """Each a day of a person of its own."""
    rows = [
        (f"p{number}", thing, BOUGHT, number * DAY, number)
        for number, basket in enumerate(baskets)
        for thing in sorted(basket)
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


CAMPING = [{"tent", "pegs"}] * 6 + [{"pegs"}] * 6 + [{"milk"}] * 28
"""40 baskets: 6 with a tent, all of them with pegs; 12 with pegs."""


def test_a_rule_has_the_figures_counted_by_hand() -> None:
    (to_pegs,), (to_tent,) = (BasketRules.fit(deeds(CAMPING)).add_ons([each]) for each in ("tent", "pegs"))
    assert (to_pegs.rule.given, to_pegs.rule.other, to_pegs.rule.support) == ("tent", "pegs", 6)
    assert (to_pegs.rule.confidence, to_pegs.rule.lift) == pytest.approx((1.0, 40 / 12))
    assert (to_tent.rule.confidence, to_tent.rule.lift) == pytest.approx((0.5, 40 / 12))
    assert to_pegs.score == pytest.approx(1.0 / 12**POPULARITY)
    assert to_pegs.score > to_tent.score  # a tent asks for pegs more than pegs for a tent


def test_pairs_of_chance_are_no_rules() -> None:
    few = [{"tent", "pegs"}] * (SUPPORT - 1) + [{"milk"}] * 30 + [{"tent"}, {"pegs"}]
    assert BasketRules.fit(deeds(few)).add_ons(["tent"]) == []
    level = [{"milk", "bread"}] * 9 + [{"milk"}] * 1  # nine of ten have both: as chance would have it
    assert BasketRules.fit(deeds(level)).add_ons(["milk"]) == []


def test_a_cart_sums_over_its_products_and_names_the_one_that_speaks_most() -> None:
    baskets = CAMPING + [{"stove", "pegs"}] * 3 + [{"stove"}] * 3 + [{"tent", "lamp"}] * 3
    (pegs, lamp) = BasketRules.fit(deeds(baskets)).add_ons(["tent", "stove", "unknown"])
    assert (pegs.rule.other, pegs.rule.given) == ("pegs", "tent")
    assert (lamp.rule.other, lamp.rule.given) == ("lamp", "tent")
    alone = BasketRules.fit(deeds(baskets)).add_ons(["tent"])[0]
    assert pegs.score > alone.score


def test_nothing_of_the_cart_is_added_to_it() -> None:
    assert BasketRules.fit(deeds(CAMPING)).add_ons(["tent", "pegs"]) == []
    assert BasketRules.fit(deeds(CAMPING)).add_ons([]) == []
    assert BasketRules.fit(deeds([])).add_ons(["tent"]) == []


def test_two_of_a_kind_are_substitutes_unless_bought_together_often() -> None:
    kinds = {"dome": "Tents", "tunnel": "Tents"}
    few = [{"dome", "tunnel"}] * (OFTEN_SUPPORT - 1) + [{"milk"}] * 60
    often = [{"dome", "tunnel"}] * OFTEN_SUPPORT + [{"milk"}] * 60
    assert BasketRules.fit(deeds(few)).add_ons(["dome"])
    assert BasketRules.fit(deeds(few), kinds).add_ons(["dome"]) == []
    assert BasketRules.fit(deeds(often), kinds).add_ons(["dome"])
    assert BasketRules.fit(deeds(few), {"dome": "Tents"}).add_ons(["dome"])  # of the other no kind is known


def test_only_purchases_of_one_day_are_a_basket() -> None:
    rows = [("ann", thing, BOUGHT, day * DAY, day) for day in range(6) for thing in ("a", "b")]
    apart = [("bob", thing, BOUGHT, day * DAY, day) for day, thing in enumerate(["c", "d"] * 6)]
    looked = [("eve", thing, CARTED, day * DAY, day) for day in range(6) for thing in ("e", "f")]
    rules = BasketRules.fit(pl.DataFrame(rows + apart + looked, schema=SCHEMA, orient="row"))
    assert rules.baskets == 18
    assert [each.rule.other for each in rules.add_ons(["a"])] == ["b"]
    assert rules.add_ons(["c"]) == rules.add_ons(["e"]) == []


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sets(st.sampled_from("abcdef"), min_size=1), min_size=5, max_size=40))
def test_rules_are_those_of_a_loop_over_all_pairs(baskets: list[set[str]]) -> None:
    rules = BasketRules.fit(deeds(baskets))
    count = {thing: sum(thing in basket for basket in baskets) for thing in "abcdef"}
    for one, other in permutations("abcdef", 2):
        both = sum({one, other} <= basket for basket in baskets)
        lift = both * len(baskets) / max(1, count[one] * count[other])
        if lift == pytest.approx(LIFT):
            continue  # the last digit decides
        expected = both >= SUPPORT and both / count[one] >= CONFIDENCE and lift >= LIFT
        found = {each.rule.other: each.rule for each in rules.add_ons([one])}
        assert (other in found) == expected
        if expected:
            assert found[other].support == both
            assert found[other].confidence == pytest.approx(both / count[one])
