"""Filters and constraints together pass what all of them pass; and amounts of money as text."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.understanding import merge
from retrieval.understanding.amounts import number
from retrieval.understanding.money import MEANINGS, currency_of, minor_units, money
from tasteline.types import AttributeFilter, Constraint, Filters

NAMES = ("Canon", "CANON", "Nikon", "Sony")


def some(names: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(names), max_size=3, unique=True).map(tuple)


FILTERS = st.builds(
    Filters,
    price_min=st.none() | st.integers(1, 50),
    price_max=st.none() | st.integers(1, 50),
    currency=st.none() | st.sampled_from(["USD", "EUR"]),
    brands=some(NAMES),
    rating_min=st.none() | st.sampled_from([3.0, 4.0]),
    in_stock=st.booleans(),
    attributes=some(("red", "blue")).map(lambda v: (AttributeFilter("color", v),) if v else ()),
    exclude_brands=some(NAMES),
    exclude_terms=some(("leather", "nylon")),
)


def constraint(filters: Filters) -> Constraint:
    return Constraint("k", "l", filters)


def passes(filters: Filters, price: int, currency: str, brand: str, color: str, rating: float) -> bool:
    """The meaning of the fields, word for word from their documentation."""
    low, high = filters.price_min, filters.price_max
    if (low, high) != (None, None) and filters.currency not in (None, currency):
        return False
    if (low is not None and price < low) or (high is not None and price > high):
        return False
    if filters.rating_min is not None and rating < filters.rating_min:
        return False
    if filters.brands and brand.casefold() not in {b.casefold() for b in filters.brands}:
        return False
    if brand.casefold() in {b.casefold() for b in filters.exclude_brands}:
        return False
    return all(color in a.values for a in filters.attributes)


@given(
    a=FILTERS,
    b=FILTERS,
    price=st.integers(1, 50),
    currency=st.sampled_from(["USD", "EUR"]),
    brand=st.sampled_from(NAMES),
    color=st.sampled_from(["red", "blue"]),
    rating=st.sampled_from([2.0, 3.5, 5.0]),
)
def test_passes_what_both_pass(
    a: Filters, b: Filters, price: int, currency: str, brand: str, color: str, rating: float
) -> None:
    product = (price, currency, brand, color, rating)
    limited = [(f.price_min, f.price_max) != (None, None) for f in (a, b)]
    both = passes(a, *product) and passes(b, *product)
    merged = passes(merge(a, [constraint(b)]), *product)
    if (
        all(limited)
        or a.currency == b.currency
        or (a.currency is None and not limited[0])
        or (b.currency is None and not limited[1])
    ):
        assert merged == both
    else:  # a currency belongs to limits: merged with limits that name none, it holds for those too
        assert not merged or both


@given(a=FILTERS)
def test_nothing_changes_nothing(a: Filters) -> None:
    assert merge(a, []) == a
    assert merge(a, [constraint(a)]).brands == a.brands


def test_limits_tighten() -> None:
    limits = [
        constraint(Filters(price_min=10, price_max=80)),
        constraint(Filters(price_min=20)),
        constraint(Filters(rating_min=4)),
    ]
    merged = merge(Filters(price_max=50, rating_min=3, in_stock=True, exclude_ids=frozenset({"7"})), limits)
    assert merged == Filters(price_min=20, price_max=50, rating_min=4, in_stock=True, exclude_ids=frozenset({"7"}))


def test_common_brands_remain() -> None:
    assert merge(Filters(brands=("Canon", "Sony")), [constraint(Filters(brands=("canon", "Nikon")))]).brands == (
        "Canon",
    )


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (Filters(brands=("Canon",)), Filters(brands=("Nikon",))),
        (Filters(categories=("Tents",)), Filters(categories=("Pans",))),
        (Filters(price_max=5, currency="USD"), Filters(price_max=5, currency="EUR")),
    ],
)
def test_what_cannot_hold_together_is_impossible(a: Filters, b: Filters) -> None:
    merged = merge(a, [constraint(b), constraint(Filters(price_min=1, price_max=1000))])
    assert merged.price_min is not None
    assert merged.price_max is not None
    assert merged.price_min > merged.price_max


def test_exclusions_add_up() -> None:
    merged = merge(Filters(exclude_terms=("leather",)), [constraint(Filters(exclude_terms=("Leather", "nylon")))])
    assert merged.exclude_terms == ("leather", "nylon")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("80", "80"),
        ("25.50", "25.50"),
        ("25,5", "25.5"),
        ("1,299", "1299"),
        ("1.299", "1299"),
        ("1,299.99", "1299.99"),
        ("1.299,99", "1299.99"),
        ("1,234,567", "1234567"),
    ],
)
def test_number(written: str, value: str) -> None:
    assert number(written) == Decimal(value)


@pytest.mark.parametrize(
    ("number_", "currency", "units", "text"),
    [
        ("80", "USD", 8000, "$80"),
        ("0.5", "EUR", 50, "€0.50"),
        ("500", "JPY", 500, "¥500"),
        ("1.5", "KWD", 1500, "1.500 KWD"),
        ("9", None, 900, "9"),
    ],
)
def test_minor_units(number_: str, currency: str | None, units: int, text: str) -> None:
    assert minor_units(Decimal(number_), currency) == units
    assert money(units, currency) == text


@given(st.sampled_from(sorted(MEANINGS)), st.sampled_from(["USD", "CAD", "GBP", "EUR", None]))
def test_a_currency_is_never_another_one(written: str, shop: str | None) -> None:
    assert currency_of(written, shop) in {*MEANINGS[written], None}
