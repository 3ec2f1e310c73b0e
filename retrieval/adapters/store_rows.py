"""Between the vocabulary's values and database rows: products as JSON, events and turns as columns.

Takes and gives plain values, imports no database. What a row cannot hold (a lone surrogate in a text, a whole
number beyond 64 bits) is `InvalidInput`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import orjson

from tasteline.errors import InvalidInput
from tasteline.types import Event, EventType, Price, Product, Turn

EventColumns: TypeAlias = tuple[
    str, str, str | None, str | None, str | None, str | None, int | None, int | None, int, str | None
]
"""In the order of `EVENT_COLUMNS`."""

EVENT_COLUMNS = (
    "id",
    "type",
    "user_id",
    "session_id",
    "product_id",
    "query",
    "time",
    "position",
    "quantity",
    "ranking_id",
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TYPES = {str(kind): kind for kind in EventType}


def _plain(value: object) -> object:
    """What orjson does not know by itself: mappings that are not dicts."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"not JSON: {type(value).__name__}")


def product_body(product: Product) -> bytes:
    """A product as JSON in the feed's own order of attributes.

    >>> product_from(product_body(Product("p1", "Kettle", price=Price(4999, "USD")))).price
    Price(amount=4999, currency='USD')
    """
    try:
        return orjson.dumps(product, default=_plain)
    except orjson.JSONEncodeError as error:
        raise InvalidInput(f"Product {product.id!r} cannot be stored: {error}.", field="products") from error


def product_digest(product: Product) -> bytes:
    """16 bytes that are the same for equal products, whatever the order of their attributes."""
    try:
        ordered = orjson.dumps(product, default=_plain, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise InvalidInput(f"Product {product.id!r} cannot be stored: {error}.", field="products") from error
    return hashlib.blake2b(ordered, digest_size=16).digest()


def product_from(body: bytes) -> Product:
    """The product that `product_body` wrote; fields that it did not know yet take their defaults."""
    raw: dict[str, Any] = orjson.loads(body)
    raw["categories"] = tuple(raw.get("categories", ()))
    raw["attributes"] = {name: tuple(values) for name, values in raw.get("attributes", {}).items()}
    price = raw.get("price")
    raw["price"] = None if price is None else Price(**price)
    return Product(**raw)


def microseconds(time: datetime) -> int:
    """Whole microseconds since 1970 in UTC; a time without a zone is taken as UTC.

    >>> microseconds(datetime(1970, 1, 1, 0, 0, 1))
    1000000
    """
    aware = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MICROSECOND


def time_from(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def event_columns(event: Event) -> EventColumns:
    return (
        event.id,
        str(event.type),
        event.user_id,
        event.session_id,
        event.product_id,
        event.query,
        None if event.time is None else microseconds(event.time),
        event.position,
        event.quantity,
        event.ranking_id,
    )


def event_from(columns: Sequence[Any]) -> Event:
    """The event of a row that holds `EVENT_COLUMNS` in order."""
    id_, kind, user, session, product, query, micros, position, quantity, ranking = columns
    time = None if micros is None else time_from(micros)
    return Event(id_, _TYPES[kind], user, session, product, query, time, position, quantity, ranking)


def turn_columns(turn: Turn) -> dict[str, object]:
    return {
        "role": turn.role,
        "text": turn.text,
        "product_ids": orjson.dumps(turn.product_ids),
        "state": turn.state,
    }


def turn_from(columns: Sequence[Any]) -> Turn:
    """The turn of a row (role, text, product_ids, state)."""
    role, text, product_ids, state = columns
    return Turn(role, text, tuple(orjson.loads(product_ids)), state)
