"""Masks equal a plain reading of the filters, product by product."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.catalogue import Catalogue
from tasteline.types import AttributeFilter, Filters, Price, Product

RED = AttributeFilter("Color", ("RED",))


def product(product_id: str, **fields: object) -> Product:
    return Product(product_id, f"Product {product_id}", **fields)  # type: ignore[arg-type]


PRODUCTS = [
    product("a", brand="Acme", price=Price(1000, "USD"), rating=4.0, stock=0, categories=("Shoes", "Boots")),
    product("b", brand="acme", price=Price(2000, "USD"), rating=4.5, stock=3, attributes={"color": ("Red", "Blue")}),
    product("c", brand="Other", price=Price(2000, "EUR"), categories=("Shoes",), attributes={"size": ("42", "43.5")}),
    product("d"),
]


def catalogue(products: Iterable[Product] = PRODUCTS) -> Catalogue:
    made = Catalogue()
    made.add(list(products))
    return made


def passing(filters: Filters, made: Catalogue | None = None) -> str:
    made = catalogue() if made is None else made
    mask = made.mask(filters, lambda term: np.array([0] if term == "leather" else [], dtype=np.int64))
    return "".join(made.product(int(row)).id for row in np.flatnonzero(mask))


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(), "abcd"),
        (Filters(price_max=1000), "a"),
        (Filters(price_min=1001), "bc"),
        (Filters(price_min=1001, currency="USD"), "b"),
        (Filters(price_max=9999, currency="JPY"), ""),
        (Filters(brands=("ACME",)), "ab"),
        (Filters(brands=("acme", "other")), "abc"),
        (Filters(exclude_brands=("Acme",)), "cd"),
        (Filters(categories=("shoes",)), "ac"),
        (Filters(categories=("boots",)), "a"),
        (Filters(exclude_categories=("Boots",)), "bcd"),
        (Filters(rating_min=4.5), "b"),
        (Filters(in_stock=True), "bcd"),
        (Filters(attributes=(RED,)), "b"),
        (Filters(attributes=(AttributeFilter("size", minimum=43),)), "c"),
        (Filters(attributes=(AttributeFilter("size", maximum=41),)), ""),
        (Filters(attributes=(AttributeFilter("nothing", ("x",)),)), ""),
        (Filters(exclude_ids=frozenset({"a", "unknown"})), "bcd"),
        (Filters(exclude_terms=("leather",)), "bcd"),
        (Filters(brands=("acme",), price_max=1500), "a"),
    ],
)
def test_each_filter(filters: Filters, expected: str) -> None:
    assert passing(filters) == expected


def test_a_changed_product_takes_a_new_row_and_the_old_one_dies() -> None:
    made = catalogue()
    made.add([product("a", price=Price(9000, "USD"))])
    assert (len(made), made.size, made.row("a")) == (5, 4, 4)
    assert passing(Filters(price_max=1000), made) == ""
    assert passing(Filters(price_min=9000), made) == "a"
    with pytest.raises(KeyError):
        made.product(0)


def test_twice_in_one_batch_the_last_one_lives() -> None:
    made = catalogue([product("a", brand="old"), product("a", brand="new")])
    assert made.size == 1
    assert passing(Filters(brands=("old",)), made) == ""
    assert passing(Filters(brands=("new",)), made) == "a"


def test_removed_is_gone_and_unknown_ids_are_passed_over() -> None:
    made = catalogue()
    made.remove(["b", "unknown"])
    assert passing(Filters(), made) == "acd"
    assert "b" not in made


def test_currency_is_the_commonest() -> None:
    assert catalogue().currency() == "USD"
    assert catalogue([product("x")]).currency() is None


PRODUCT = st.builds(
    Product,
    id=st.sampled_from("abcdefgh"),
    title=st.just("t"),
    brand=st.sampled_from([None, "Acme", "Other"]),
    categories=st.sampled_from([(), ("Shoes",), ("Shoes", "Boots")]),
    price=st.one_of(st.none(), st.builds(Price, st.integers(0, 50), st.sampled_from(["USD", "EUR"]))),
    rating=st.sampled_from([None, 1.0, 3.5, 5.0]),
    stock=st.sampled_from([None, 0, 2]),
)
FILTERS = st.builds(
    Filters,
    price_min=st.one_of(st.none(), st.integers(0, 50)),
    price_max=st.one_of(st.none(), st.integers(0, 50)),
    currency=st.sampled_from([None, "USD"]),
    brands=st.sampled_from([(), ("acme",)]),
    categories=st.sampled_from([(), ("boots",)]),
    rating_min=st.sampled_from([None, 3.5]),
    in_stock=st.booleans(),
    exclude_brands=st.sampled_from([(), ("other",)]),
)


def keeps(p: Product, f: Filters) -> bool:
    """The filter as a shopper would read it."""
    limited = f.price_min is not None or f.price_max is not None
    if limited:
        if p.price is None or (f.currency and p.price.currency != f.currency):
            return False
        if not (f.price_min or 0) <= p.price.amount <= (10**9 if f.price_max is None else f.price_max):
            return False
    brand = (p.brand or "").casefold()
    return (
        (not f.brands or brand in f.brands)
        and brand not in f.exclude_brands
        and (not f.categories or "Boots" in p.categories)
        and (f.rating_min is None or (p.rating is not None and p.rating >= f.rating_min))
        and (not f.in_stock or p.stock != 0)
    )


@settings(max_examples=200, deadline=None)
@given(st.lists(PRODUCT, max_size=30), FILTERS)
def test_masks_agree_with_a_plain_reading(products: list[Product], filters: Filters) -> None:
    latest = {p.id: p for p in products}
    expected = {p.id for p in latest.values() if keeps(p, filters)}
    assert set(passing(filters, catalogue(products))) == expected
