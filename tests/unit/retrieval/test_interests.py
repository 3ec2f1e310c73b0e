"""What a person wants now and over the year, from what they did."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.interests import interests, topic_of, touched_products
from tasteline.types import Event, EventType, Interest, Product
from tests.unit.retrieval.small_shop import event

START = datetime(2026, 1, 1, tzinfo=UTC)
PRODUCTS = {
    "tent": Product("tent", "Tent", categories=("Outdoor", "Tents")),
    "tarp": Product("tarp", "Tarp", categories=("Outdoor", "Tents")),
    "kettle": Product("kettle", "Kettle", categories=("Kitchen", "Kettles")),
    "wired": Product("wired", "Wired", categories=("Electronics", "Headphones", "Wired")),
    "thing": Product("thing", "A thing of no kind"),
}


def at(days: float, product_id: str, kind: str = "view_item", **fields: object) -> Event:
    return event("anna", product_id, kind, time=START + timedelta(days=days), **fields)


def named(history: list[Event]) -> dict[str, Interest]:
    return {interest.topic: interest for interest in interests(history, PRODUCTS.get)}


def attention(history: list[Event]) -> dict[str, float]:
    return {touched.product_id: touched.short for touched in touched_products(history)}


def test_nobody_has_no_interests() -> None:
    assert touched_products([]) == []
    assert interests([], PRODUCTS.get) == []
    assert interests([event("anna", None, "search", query="tent")], PRODUCTS.get) == []


def test_a_step_counts_by_what_it_says_and_halves_in_five() -> None:
    history = [event("a", "kettle", "purchase"), *[event("a", f"p{i}") for i in range(5)]]
    assert attention(history)["p4"] == 1.0
    assert attention(history)["kettle"] == pytest.approx(4 * 0.5)


def test_by_the_clock_short_term_halves_in_a_week_as_well() -> None:
    history = [at(0, "kettle"), at(7, "tent")]
    assert attention(history)["kettle"] == pytest.approx(0.5 * 0.5 ** (1 / 5))
    long = {touched.product_id: touched.long for touched in touched_products(history)}
    assert long["kettle"] == pytest.approx(0.5 ** (7 / 120))


def test_lists_that_were_only_shown_age_nothing() -> None:
    clicked = [event("a", "tent"), event("a", "kettle")]
    shown = [event("a", f"p{i}", "view_item_list") for i in range(40)]
    assert attention([clicked[0], *shown, clicked[1]]) == attention(clicked)


def test_the_last_touched_stands_last_and_once() -> None:
    history = [event("a", "tent"), event("a", "kettle"), event("a", "tent", "add_to_cart", id="last")]
    touched = touched_products(history)
    assert [item.product_id for item in touched] == ["kettle", "tent"]
    assert touched[-1].last.id == "last"


def test_what_was_taken_back_counts_as_a_view() -> None:
    viewed = attention([event("a", "tent"), event("a", "kettle")])
    put = attention([event("a", "tent", "add_to_cart"), event("a", "kettle")])
    back = attention([event("a", "tent", "add_to_cart"), event("a", "tent", "remove_from_cart"), event("a", "kettle")])
    assert put["tent"] == pytest.approx(3 * viewed["tent"])
    assert back == viewed


def test_one_refund_takes_back_one_purchase() -> None:
    twice = [event("a", "tent", "purchase"), event("a", "tent", "purchase"), event("a", "tent", "refund")]
    assert attention(twice)["tent"] == pytest.approx(1.0 + 4.0 * 0.5 ** (1 / 5))
    bought_again = [event("a", "tent", "purchase"), event("a", "tent", "refund"), event("a", "tent", "purchase")]
    assert attention(bought_again)["tent"] == pytest.approx(4.0 + 0.5 ** (1 / 5))


def test_an_afternoon_moves_the_short_term_and_hardly_the_long() -> None:
    year = [at(day, "kettle") for day in range(0, 360, 4)]
    before = named(year)["Kettles"]
    after = named([*year, *[at(360 + i / 100, "tent") for i in range(5)]])
    assert (before.short_term, before.long_term) == (1.0, 1.0)
    assert after["Tents"].short_term > 0.6
    assert after["Kettles"].long_term > 0.85
    assert after["Tents"].trend == "new"
    assert after["Kettles"].trend == "fading"


def test_trends_in_between() -> None:
    mixed = named([at(i, product) for i in range(40) for product in ("kettle", "tent")])
    assert {mixed["Kettles"].trend, mixed["Tents"].trend} == {"steady"}
    turning = named([*[at(0, "kettle")] * 6, *[at(7, "tent")] * 4])
    assert (turning["Tents"].trend, turning["Kettles"].trend) == ("rising", "fading")


def test_without_a_clock_recency_counts_steps() -> None:
    history = [event("a", "kettle", position=i) for i in range(30)]
    assert interests(history, PRODUCTS.get)[0].trend == "steady"
    turned = interests([*history, *[event("a", "tent", position=30 + i) for i in range(4)]], PRODUCTS.get)
    tents = next(interest for interest in turned if interest.topic == "Tents")
    assert tents.short_term > 0.4
    assert tents.long_term < 0.2


def test_strongest_short_term_first_with_the_newest_evidence_first() -> None:
    found = interests(
        [event("a", "kettle", id="k"), event("a", "tent", id="t1"), event("a", "tarp", id="t2")], PRODUCTS.get
    )
    assert [interest.topic for interest in found] == ["Tents", "Kettles"]
    assert found[0].evidence == ("t2", "t1")


def test_what_is_gone_or_of_no_kind_names_nothing() -> None:
    assert list(named([event("a", "gone"), event("a", "thing"), event("a", "tent")])) == ["Tents"]


def test_a_long_path_is_named_by_its_two_narrowest() -> None:
    assert topic_of(PRODUCTS["wired"]) == "Headphones › Wired"
    assert topic_of(PRODUCTS["tent"]) == "Tents"


histories = st.lists(
    st.builds(
        lambda product_id, kind, days: (product_id, kind, days),
        st.sampled_from([*PRODUCTS, "gone"]),
        st.sampled_from(list(EventType)),
        st.none() | st.floats(0, 400),
    ),
    max_size=30,
)


@given(histories)
def test_shares_are_shares_and_evidence_exists(drawn: list[tuple[str, EventType, float | None]]) -> None:
    history = [
        replace(event("a", product_id, kind), time=None if days is None else START + timedelta(days=days))
        for product_id, kind, days in drawn
    ]
    found = interests(history, PRODUCTS.get)
    assert sum(interest.short_term for interest in found) <= 1 + 1e-9
    assert all(0 <= interest.long_term <= 1 for interest in found)
    assert {e for interest in found for e in interest.evidence} <= {e.id for e in history}
    assert [i.short_term for i in found] == sorted((i.short_term for i in found), reverse=True)
