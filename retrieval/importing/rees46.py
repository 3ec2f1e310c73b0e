"""The format `rees46`: the click-stream of a shop (event_time, event_type, product_id, category_code, brand, price, …).

It is an event log without a product feed. So that what was clicked can be recommended, each product gets a minimal
entry when it is first seen: "Aqua water heater" from brand and category, at the price of that first row (kept on every
later import of the same file). Prices carry no currency. Import a real feed after it, not before: it would be replaced.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from retrieval.importing.cleaning import clean_id, clean_line
from retrieval.importing.event_rows import content_id, event_from
from retrieval.importing.feed import Feed
from retrieval.importing.records import Records, Reject
from retrieval.importing.tables import Table
from retrieval.importing.values import parse_price
from tasteline.errors import InvalidInput
from tasteline.types import Event, Product

COLUMNS = frozenset(
    {"event_time", "event_type", "product_id", "category_code", "brand", "price", "user_id", "user_session"}
)
_ROLES = (
    ("type", "event_type"),
    ("user", "user_id"),
    ("session", "user_session"),
    ("product", "product_id"),
    ("time", "event_time"),
)


def read_rees46(feed: Feed) -> Records:
    """Event or Reject for every row, and before the first event of a product the product. Keeps the ids seen."""
    return _records(feed, Table(feed))


def _records(feed: Feed, table: Table) -> Iterator[Product | Event | Reject]:
    seen: set[str] = set()
    for row in table.rows():
        if isinstance(row, Reject):
            yield row
            continue
        line, cells, raw = row
        values = dict(zip(table.header, cells, strict=True))
        try:
            roles: dict[str, object] = {role: values[name] for role, name in _ROLES if values.get(name)}
            event = event_from(roles, content_id("\x1f".join(cells).encode()), line)
            product = None if event.product_id in seen else _product(values, feed.currency)
        except InvalidInput as error:
            yield feed.reject(line, error.field, str(error), raw)
            continue
        if product is not None:
            seen.add(product.id)
            yield product
        yield event


def _product(values: Mapping[str, str], currency: str | None) -> Product:
    identity = clean_id(values["product_id"], "product_id")
    brand = clean_line(values["brand"])[:120].title() or None
    path = tuple(
        clean_line(level.replace("_", " "))[:120].capitalize() for level in values["category_code"].split(".") if level
    )
    name = path[-1].lower() if path else f"product {identity}"
    title = f"{brand} {name}" if brand else name[0].upper() + name[1:]
    price = parse_price(values["price"], None, default=currency) if values["price"] else None
    return Product(id=identity, title=title, brand=brand, categories=path, price=price)
