"""From what a person did to what they want: weighted recent and lasting products, and named interests.

Short-term attention halves within a few steps, long-term within months, so that an afternoon's clicks move the first
and hardly touch the second. Where events have no time, recency counts steps.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tasteline.types import Event, EventType, Interest, Product

ATTENTION: dict[EventType, float] = {
    EventType.SELECT_ITEM: 1.0,
    EventType.VIEW_ITEM: 1.0,
    EventType.ADD_TO_WISHLIST: 2.0,
    EventType.ADD_TO_CART: 3.0,
    EventType.PURCHASE: 4.0,
}
"""How much more than a view an event says; what is not named says nothing of interest."""
COMMITTED = {EventType.ADD_TO_CART, EventType.PURCHASE}
TAKEN_BACK = {EventType.REMOVE_FROM_CART, EventType.REFUND}
SHORT_HALF_LIFE_STEPS = 5.0
SHORT_HALF_LIFE_DAYS = 7.0
LONG_HALF_LIFE_STEPS = 100.0
LONG_HALF_LIFE_DAYS = 120.0
DAY = 86_400.0
RISES, FADES = 1.5, 0.5
"""Short-term over long-term share above which an interest is rising, below which it is fading."""
NOTABLE = 0.02
"""Share of attention under which an interest is not worth naming."""


@dataclass(frozen=True, slots=True)
class Touched:
    """One product in a person's history: attention now (short) and over the year (long)."""

    product_id: str
    short: float
    long: float
    last: Event


def touched_products(history: Sequence[Event]) -> list[Touched]:
    """Products of `history` (oldest first), the one touched last at the end; what was taken back counts as a view."""
    short: dict[str, float] = defaultdict(float)
    long: dict[str, float] = defaultdict(float)
    last: dict[str, Event] = {}
    taken_back: dict[str, int] = defaultdict(int)
    events = [event for event in history if event.product_id]
    newest = max((event.time for event in events if event.time), default=None)
    steps_ago = -1
    for event in reversed(events):
        product_id = event.product_id or ""
        if event.type in TAKEN_BACK:
            taken_back[product_id] += 1
        weight = ATTENTION.get(event.type, 0.0)
        if weight == 0.0:
            continue  # being shown a list is no step: a page of impressions must not age what was clicked
        steps_ago += 1
        if event.type in COMMITTED and taken_back[product_id]:
            taken_back[product_id] -= 1
            weight = ATTENTION[EventType.VIEW_ITEM]
        days = (newest - event.time).total_seconds() / DAY if newest and event.time else None
        short[product_id] += weight * _decay(steps_ago, days, SHORT_HALF_LIFE_STEPS, SHORT_HALF_LIFE_DAYS)
        long[product_id] += weight * _decay(steps_ago, days, LONG_HALF_LIFE_STEPS, LONG_HALF_LIFE_DAYS)
        last.setdefault(product_id, event)
    return [Touched(p, short[p], long[p], last[p]) for p in reversed(last)]


def _decay(steps: int, days: float | None, half_life_steps: float, half_life_days: float) -> float:
    """By steps where there is no clock; by the clock, and short-term by both, where there is one."""
    if days is None:
        return float(0.5 ** (steps / half_life_steps))
    by_clock = 0.5 ** (days / half_life_days)
    return float(by_clock * 0.5 ** (steps / half_life_steps)) if half_life_days < 30 else float(by_clock)


def topic_of(product: Product) -> str:
    """The narrowest category, with the one above it where the path is long: "Headphones › Wired", not "Wired".

    >>> topic_of(Product("1", "Kettle", categories=("Kitchen", "Kettles")))
    'Kettles'
    """
    return " › ".join(product.categories[-2:]) if len(product.categories) > 2 else product.categories[-1]


def interests(history: Sequence[Event], product: Callable[[str], Product | None], limit: int = 12) -> list[Interest]:
    """Named interests, strongest short-term first; topics are the narrowest categories that the feed gives."""
    short: dict[str, float] = defaultdict(float)
    long: dict[str, float] = defaultdict(float)
    evidence: dict[str, list[str]] = defaultdict(list)
    for touched in touched_products(history):
        known = product(touched.product_id)
        if known is None or not known.categories:
            continue
        topic = topic_of(known)
        short[topic] += touched.short
        long[topic] += touched.long
        evidence[topic].insert(0, touched.last.id)
    short_sum, long_sum = sum(short.values()) or 1.0, sum(long.values()) or 1.0
    named = [
        Interest(
            topic=topic,
            short_term=short[topic] / short_sum,
            long_term=long[topic] / long_sum,
            trend=trend_of(short[topic] / short_sum, long[topic] / long_sum),
            evidence=tuple(evidence[topic][:5]),
        )
        for topic in long
        if max(short[topic] / short_sum, long[topic] / long_sum) >= NOTABLE
    ]
    named.sort(key=lambda interest: (-interest.short_term, -interest.long_term, interest.topic))
    return named[:limit]


def trend_of(short: float, long: float) -> Literal["rising", "steady", "fading", "new"]:
    """Of a topic with these shares of recent and of all attention."""
    if short >= 4 * long:
        return "new"
    if short >= RISES * long:
        return "rising"
    return "fading" if short <= FADES * long else "steady"
