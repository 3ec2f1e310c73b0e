"""Filters and constraints put together: everything must hold at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import reduce
from typing import TypeVar

from tasteline.types import AttributeFilter, Constraint, Filters

Number = TypeVar("Number", int, float)


def merge(filters: Filters, constraints: Iterable[Constraint]) -> Filters:
    """One set of filters that passes exactly what `filters` and every constraint pass.

    Limits tighten (the larger minimum, the smaller maximum), exclusions add up, attribute filters all hold. Where both
    sides name brands or categories the names in common remain (case-insensitive); categories may also lie on different
    levels of a path, but `Filters` cannot say "both", so nothing in common means that nothing passes. Whatever cannot
    hold together (no name in common, price limits in two currencies) becomes an impossible price, `price_min=1,
    price_max=0`, which no product passes; the caller then finds nothing and can say which constraint stood in the way.

    >>> a = Constraint("price", "under $80", Filters(price_max=7999, currency="USD"))
    >>> merge(Filters(price_max=5000, brands=("Canon",)), [a])  # doctest: +ELLIPSIS
    Filters(price_min=None, price_max=5000, currency='USD', categories=(), brands=('Canon',), ...
    """
    return reduce(_both, (c.filters for c in constraints), filters)


IMPOSSIBLE = Filters(price_min=1, price_max=0)
"""A price that nothing has."""


def _both(a: Filters, b: Filters) -> Filters:
    brands, brands_clash = _common(a.brands, b.brands)
    categories, categories_clash = _common(a.categories, b.categories)
    currencies_clash = a.currency is not None and b.currency is not None and a.currency != b.currency
    merged = Filters(
        price_min=_tightest(a.price_min, b.price_min, max),
        price_max=_tightest(a.price_max, b.price_max, min),
        currency=a.currency or b.currency,
        categories=categories,
        brands=brands,
        rating_min=_tightest(a.rating_min, b.rating_min, max),
        in_stock=a.in_stock or b.in_stock,
        attributes=_unique_attributes(a.attributes + b.attributes),
        exclude_ids=a.exclude_ids | b.exclude_ids,
        exclude_brands=_unique(a.exclude_brands + b.exclude_brands),
        exclude_categories=_unique(a.exclude_categories + b.exclude_categories),
        exclude_terms=_unique(a.exclude_terms + b.exclude_terms),
    )
    if brands_clash or categories_clash or currencies_clash:
        return replace(merged, price_min=IMPOSSIBLE.price_min, price_max=IMPOSSIBLE.price_max)
    return merged


def _tightest(a: Number | None, b: Number | None, choose: Callable[[Number, Number], Number]) -> Number | None:
    if a is None or b is None:
        return b if a is None else a
    return choose(a, b)


def _common(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[tuple[str, ...], bool]:
    """(names to keep, whether nothing was left of two non-empty lists)."""
    if not a or not b:
        return a or b, False
    folded = {name.casefold() for name in b}
    both = tuple(name for name in a if name.casefold() in folded)
    return both or a, not both


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    kept: dict[str, str] = {}
    for name in names:
        kept.setdefault(name.casefold(), name)
    return tuple(kept.values())


def _unique_attributes(filters: tuple[AttributeFilter, ...]) -> tuple[AttributeFilter, ...]:
    return tuple(dict.fromkeys(filters))
