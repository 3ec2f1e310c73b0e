"""People of the demo shop with what they did, for rows that come from people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache

from eval import demo_shop
from tasteline.types import Event, Product

END = datetime(2026, 3, 1, tzinfo=UTC)


@cache
def products() -> Mapping[str, Product]:
    return {product.id: product for product in demo_shop.products()}


@cache
def people() -> Mapping[str, Sequence[Event]]:
    shoppers = demo_shop.shoppers()[:60]
    found: defaultdict[str, list[Event]] = defaultdict(list)
    for event in demo_shop.events(list(products().values()), shoppers, END, seed=7):
        if event.user_id is not None:
            found[event.user_id].append(event)
    return dict(found)
