"""Search: limits hold, a batch answers as each alone, counts are true."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.search import SearchQuery
from tasteline.types import Constraint, Filters, Product, Ranking
from tests.unit.retrieval.small_shop import SmallShop, event, product

COLOURS = ["Red", "Blue", "Green"]
JACKETS = [
    product(
        f"jacket-{colour.lower()}-{size}",
        f"Waterproof Jacket {colour}",
        "Clothing",
        "Jackets",
        price=5_000 + 1_000 * place + 100 * size,
        brand=("Northgale", "Fernhollow")[size % 2],
        rating=3.0 + 0.1 * (place + size),
        attributes={"color": (colour,), "material": (("Leather", "Nylon")[size % 2],)},
        stock=size,
    )
    for place, colour in enumerate(COLOURS)
    for size in range(5)
]
KETTLES = [product(f"kettle-{i}", "Enamel Kettle", "Kitchen", "Kettles", price=2_000 + i) for i in range(4)]
UNPRICED = product("sample", "Waterproof Jacket Sample", "Clothing", "Jackets")
PRODUCTS: list[Product] = [*JACKETS, *KETTLES, UNPRICED]
SHOP = SmallShop(PRODUCTS, [event("u", "kettle-2", "purchase"), event("v", "jacket-red-1", "purchase")])


def search(text: str, **fields: object) -> Ranking:
    return SHOP.searcher.search([SearchQuery(text, **fields)])[0]  # type: ignore[arg-type]


def ids(ranking: Ranking) -> list[str]:
    return [item.product.id for item in ranking.items]


def answer(ranking: Ranking) -> object:
    """All but the name of the ranking; scores as they are to within rounding."""
    return (
        [(item.product.id, pytest.approx(item.score, abs=1e-5), item.reasons) for item in ranking.items],
        ranking.total,
        ranking.understood,
        ranking.relaxations,
    )


QUERIES = [
    SearchQuery("waterproof jacket"),
    SearchQuery("jacket under $60"),
    SearchQuery("kettle", Filters(price_max=2_001)),
    SearchQuery("red jacket not leather", limit=3),
    SearchQuery("waterproof jacket under $1"),
    SearchQuery(""),
    SearchQuery("zzzz qqqq"),
    SearchQuery("enamel kettle", limit=2),
    SearchQuery("jacket", further=("in blue",)),
    SearchQuery("jacket", floor=0.9),
]


def test_a_batch_answers_as_each_alone() -> None:
    together = SHOP.searcher.search(QUERIES)
    alone = [SHOP.searcher.search([query])[0] for query in QUERIES]
    assert [ranking.understood for ranking in together] == [ranking.understood for ranking in alone]
    for batched, single in zip(together, alone, strict=True):
        assert answer(batched) == answer(single)
    assert len({ranking.id for ranking in together}) == len(QUERIES)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(QUERIES), max_size=5))
def test_any_batch_in_any_order(queries: Sequence[SearchQuery]) -> None:
    for batched, query in zip(SHOP.searcher.search(queries), queries, strict=True):
        assert answer(batched) == answer(SHOP.searcher.search([query])[0])


def test_limits_in_the_text_hold_for_every_product() -> None:
    ranking = search("red jacket under $53, not leather", limit=50)
    assert set(ids(ranking)) == {"jacket-red-1"}
    assert search("northgale jacket", limit=50).items
    assert {item.product.brand for item in search("northgale jacket", limit=50).items} == {"Northgale"}


def test_filters_and_text_hold_together() -> None:
    filters = Filters(price_max=5_500, in_stock=True, exclude_ids=frozenset({"jacket-red-2"}))
    found = search("jacket not leather", filters=filters, limit=50)
    assert set(ids(found)) == {"jacket-red-1", "jacket-red-3"}


def test_total_counts_what_carries_every_word_whatever_the_limit() -> None:
    assert search("waterproof jacket", limit=2).total == len(JACKETS) + 1
    assert search("waterproof jacket under $60", limit=1).total == sum(
        p.price is not None and p.price.amount < 6_000 for p in JACKETS
    )
    assert len(search("waterproof jacket", limit=2).items) == 2


def test_nothing_said_shows_the_popular_first() -> None:
    ranking = search("", limit=50)
    assert set(ids(ranking)[:2]) == {"kettle-2", "jacket-red-1"}
    assert ranking.total == len(PRODUCTS)
    assert ranking.items[0].reasons[0].kind == "popular"


def test_nonsense_finds_nothing_and_does_not_break() -> None:
    for text in ("zzzz qqqq", "?!", "\x00", "'; DROP TABLE", "🦄", "NOT AND OR (", "a" * 2_000):
        ranking = search(text)
        assert all(item.product in PRODUCTS for item in ranking.items)
    assert ids(search("zzzz qqqq")) == []


def test_relaxations_say_truly_how_many_would_fit() -> None:
    ranking = search("red waterproof jacket under $1")
    assert (ranking.items, ranking.total) == ((), 0)
    promised = {relaxation.constraint.key: relaxation.would_match for relaxation in ranking.relaxations}
    assert set(promised) == {"price"}
    for key, count in promised.items():
        without = search("red waterproof jacket under $1", ignore=frozenset({key}), limit=100)
        constraints = without.understood.constraints if without.understood else ()
        assert key not in {constraint.key for constraint in constraints}
        assert count == sum("Red" in p.attributes.get("color", ()) for p in PRODUCTS)
        assert len(without.items) <= count


def test_relaxations_only_where_nothing_fits() -> None:
    assert search("red jacket").relaxations == ()
    both = search("red jacket under $1 over $900 4 stars and up").relaxations
    assert [r.would_match for r in both] == sorted((r.would_match for r in both), reverse=True)


def amounts(ranking: Ranking) -> list[int]:
    return [item.product.price.amount if item.product.price else -1 for item in ranking.items]


def test_sorts() -> None:
    cheapest = amounts(search("cheapest waterproof jacket", limit=50))
    priced = [amount for amount in cheapest if amount >= 0]
    assert priced == sorted(priced)
    assert -1 not in cheapest[: len(priced)]
    dearest = amounts(search("most expensive waterproof jacket", limit=50))
    assert dearest == sorted(dearest, reverse=True)
    rated = [item.product.rating or 0 for item in search("best rated waterproof jacket", limit=50).items]
    assert rated == sorted(rated, reverse=True)
    assert ids(search("most popular waterproof jacket", limit=5))[0] == "jacket-red-1"


def test_what_is_not_relevant_is_not_sorted_to_the_top() -> None:
    assert not any(found.startswith("kettle") for found in ids(search("cheapest waterproof jacket", limit=50)))


def test_the_later_word_counts() -> None:
    turned = search("waterproof jacket in red", further=("in blue",), limit=50)
    assert {item.product.attributes["color"] for item in turned.items} == {("Blue",)}
    added = search("jacket not leather", further=("not nylon",), limit=50)
    assert set(ids(added)) == {"sample"}


def test_limits_from_elsewhere_take_the_place_of_the_texts() -> None:
    under = Constraint("price", "under $52", Filters(price_max=5_199, currency="USD"))
    found = search("jacket under $1", limits=(under,), limit=50)
    assert set(ids(found)) == {"jacket-red-0", "jacket-red-1"}


@pytest.mark.parametrize("ignored", ["color:red", "color"])
def test_a_limit_taken_back_limits_no_more(ignored: str) -> None:
    found = search("red jacket", ignore=frozenset({ignored}), limit=50)
    assert len({item.product.attributes.get("color") for item in found.items}) > 1


def test_a_floor_leaves_out_what_is_far_below_the_best() -> None:
    everything = search("waterproof enamel kettle", limit=50)
    best = search("waterproof enamel kettle", limit=50, floor=0.9)
    assert ids(best) == ids(everything)[: len(best.items)]
    assert {found.partition("-")[0] for found in ids(best)} == {"kettle"}
    assert {found.partition("-")[0] for found in ids(everything)} >= {"kettle", "jacket"}


def test_reasons_quote_only_what_was_asked_and_is_there() -> None:
    for item in search("waterproof jacket under $60").items:
        match, limit = item.reasons
        assert (match.kind, limit.kind) == ("match", "constraint")
        assert match.evidence == (item.product.id,)
        assert "“waterproof”" in match.text
        assert limit.text == "Fits: under $60"


def test_deleted_and_changed_products_are_not_shown_as_they_were() -> None:
    shop = SmallShop([product("a", "Waterproof Jacket"), product("b", "Waterproof Hat")])
    shop.delete("a")
    shop.put(product("b", "Enamel Kettle"))
    [ranking] = shop.searcher.search([SearchQuery("waterproof jacket hat")])
    assert "a" not in ids(ranking)
    assert [item.product.title for item in ranking.items] in ([], ["Enamel Kettle"])


def test_an_empty_catalogue_and_an_empty_batch() -> None:
    empty = SmallShop()
    for text in ("", "jacket", "jacket under $5", "cheapest jacket"):
        [ranking] = empty.searcher.search([SearchQuery(text)])
        assert (ranking.items, ranking.total) == ((), 0)
    assert SHOP.searcher.search([]) == []


def test_the_first_words_are_told_as_they_were_said() -> None:
    understood = search("Waterproof JACKET", further=("under $60",)).understood
    assert understood is not None
    assert understood.text == "Waterproof JACKET"
    assert replace(understood, constraints=()).sort == "relevance"
