"""One row of an event log as an Event. Takes values under role names, knows no file.

Names are GA4's; other shops' words for the same acts (`_SYNONYMS`) are understood. An event that has no id of its own
gets a hash of its row's content, so that importing the same log twice, or two logs that overlap, adds nothing. The
price of this: two identical rows of one log are one event, and the second counts as repeated. Rows without any time
are ordered by their line.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b

from retrieval.importing.cleaning import clean_id, clean_line
from retrieval.importing.values import parse_count, parse_time
from tasteline.clock import latest_moment
from tasteline.errors import InvalidInput
from tasteline.types import Event, EventType

MAX_QUERY = 1_000
MAX_QUANTITY = 1_000_000

ALIASES: dict[str, tuple[str, ...]] = {
    "id": ("event_id", "id", "insert_id", "uuid"),
    "type": ("event_name", "event_type", "event", "type"),
    "user": ("user_id", "userid", "customer_id", "visitor_id", "visitorid", "user", "user_pseudo_id", "client_id"),
    "session": ("session_id", "user_session", "ga_session_id", "session"),
    "product": ("product_id", "item_id", "productid", "itemid", "sku"),
    "query": ("search_term", "query", "search_query", "q"),
    "time": (
        "time",
        "timestamp",
        "event_time",
        "event_timestamp",
        "timestamp_micros",
        "datetime",
        "created_at",
        "date",
        "event_date",
    ),
    "position": ("position",),
    "quantity": ("quantity", "qty"),
    "ranking": ("ranking_id",),
}
PLACE = {name: (role, rank) for role, names in ALIASES.items() for rank, name in enumerate(names)}

_SYNONYMS: dict[EventType, str] = {
    EventType.VIEW_ITEM_LIST: "impression view_list",
    EventType.SELECT_ITEM: "click select",
    EventType.VIEW_ITEM: "view viewed product_view view_product product_viewed detail",
    EventType.ADD_TO_WISHLIST: "wishlist favorite favourite like",
    EventType.ADD_TO_CART: "cart addtocart add_cart add_to_basket basket",
    EventType.REMOVE_FROM_CART: "removefromcart remove_cart remove_from_basket",
    EventType.VIEW_CART: "cart_view",
    EventType.BEGIN_CHECKOUT: "checkout",
    EventType.PURCHASE: "purchased buy bought order transaction",
    EventType.REFUND: "refunded return returned",
    EventType.SEARCH: "searched view_search_results",
}
EVENT_NAMES: dict[str, EventType] = {kind.value: kind for kind in EventType} | {
    word: kind for kind, words in _SYNONYMS.items() for word in words.split()
}
_KNOWN = ", ".join(kind.value for kind in EventType)
_WITHOUT_PRODUCT = frozenset({EventType.VIEW_ITEM_LIST, EventType.VIEW_CART, EventType.BEGIN_CHECKOUT})
"""Acts on a list or a cart: they may name no product."""


def event_type(name: object) -> EventType:
    """Raises InvalidInput with the list of names for what is none of them."""
    text = name if isinstance(name, str) else ""
    kind = EVENT_NAMES.get(text) or EVENT_NAMES.get(text.strip().lower().replace(" ", "_").replace("-", "_"))
    if kind is None:
        raise InvalidInput(f"unknown event {str(name)[:40]!r}; known: {_KNOWN}", field="event")
    return kind


def content_id(content: bytes) -> str:
    """96 bits: no accident among a hundred thousand million rows."""
    return "h" + blake2b(content, digest_size=12).hexdigest()


def event_from(values: Mapping[str, object], row_id: str, line: int) -> Event:
    """`values` holds the filled roles only; `row_id` serves where the row has no id. Raises InvalidInput."""
    get = values.get
    kind = event_type(get("type"))
    product, user, session = get("product"), get("user"), get("session")
    if user is None and session is None:
        raise InvalidInput("neither a user nor a session", field="user_id")
    if product is None and kind is not EventType.SEARCH and kind not in _WITHOUT_PRODUCT:
        raise InvalidInput("product_id is missing", field="product_id")
    time, position, quantity, own, ranking = get("time"), get("position"), get("quantity"), get("id"), get("ranking")
    return Event(
        id=row_id if own is None else clean_id(own, "event_id"),
        type=kind,
        user_id=None if user is None else clean_id(user, "user_id"),
        session_id=None if session is None else clean_id(session, "session_id"),
        product_id=None if product is None else clean_id(product, "product_id"),
        query=_query(kind, get("query")),
        time=None if time is None else _past(parse_time(time)),
        position=_position(time, position, line),
        quantity=1 if quantity is None else _quantity(quantity),
        ranking_id=None if ranking is None else clean_id(ranking, "ranking_id"),
    )


def _past(time: datetime) -> datetime:
    if time > latest_moment():
        raise InvalidInput(f"{time:%Y-%m-%d} is in the future", field="time")
    return time


def _query(kind: EventType, value: object) -> str | None:
    query = clean_line(value) if isinstance(value, str) else ""
    if kind is EventType.SEARCH and not query:
        raise InvalidInput("a search without a query", field="query")
    if len(query) > MAX_QUERY:
        raise InvalidInput(f"longer than {MAX_QUERY:,} characters", field="query")
    return query or None


def _position(time: object, position: object, line: int) -> int | None:
    if position is not None:
        return parse_count(position, "position")
    return line if time is None else None


def _quantity(value: object) -> int:
    quantity = parse_count(value, "quantity", least=1)
    if quantity > MAX_QUANTITY:
        raise InvalidInput(f"more than {MAX_QUANTITY:,}", field="quantity")
    return quantity
