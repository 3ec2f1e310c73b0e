"""Histories with a known turn, for the tests of timeline, drifts and reasons."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tasteline.types import Event, Product
from tests.unit.retrieval.small_shop import event, product

START = datetime(2026, 1, 1, tzinfo=UTC)
SHELVES = {"tent": "Outdoor", "stove": "Outdoor", "kettle": "Kitchen", "pan": "Kitchen", "lamp": "Home", "rug": "Home"}
PRODUCTS: list[Product] = [
    product(name, f"The {name}", department, f"{name.capitalize()}s") for name, department in SHELVES.items()
]


def visit(day: float, *product_ids: str, kind: str = "view_item", user: str = "anna") -> list[Event]:
    """One visit, a minute between its events."""
    begin = START + timedelta(days=day)
    return [
        event(user, product_id, kind, time=begin + timedelta(minutes=minute), session_id=f"s{day}")
        for minute, product_id in enumerate(product_ids)
    ]


def turned(before: int = 8, after: int = 5, every: float = 3.0) -> list[Event]:
    """Kitchen for `before` visits, then Outdoor."""
    kitchen = [e for number in range(before) for e in visit(number * every, "kettle", "pan")]
    outdoor = [e for number in range(before, before + after) for e in visit(number * every, "tent", "stove")]
    return kitchen + outdoor
