"""Everybody's purchases in memory, for what is asked of all people at once; follows the log of deeds.

Takes the log, gives arrays by person and product, put in order anew when something came or somebody was erased.
Purchases without a person or a time are left out: nothing
can be forecast from them. Knows no model.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from retrieval.deed_log import KINDS, DeedLog, Deeds
from retrieval.models.bought import Bought
from tasteline.types import Event, EventType, Product

FRESH_SECONDS = 30.0
"""Events are looked for again after so long; a million purchases take a second to be put in order anew."""
MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Everybody:
    """The purchases of a moment."""

    bought: Bought
    people: Sequence[str]
    product_ids: Sequence[str]
    last: int
    """Seconds since 1970 of the newest purchase; 0 where there is none."""


def purchases_among(deeds: Deeds) -> Deeds:
    """Those of a product at a known time."""
    return deeds.where((deeds.kind == KINDS[EventType.PURCHASE]) & (deeds.product >= 0) & (deeds.moment >= 0))


def everybody_of(done: Deeds) -> Everybody:
    """Of purchases alone."""
    seconds = done.moment // MICROSECONDS
    counts = {"people_count": len(done.people), "thing_count": len(done.products)}
    bought = Bought.of(done.person, done.product, seconds, **counts)
    return Everybody(bought, done.people, done.products, int(seconds.max(initial=0)))


class ShopPurchases:
    """Of one log. Thread-safe; one thread orders at a time. `seconds`: that a question waits for the log at most."""

    def __init__(
        self, log: DeedLog, clock: Callable[[], float] = time.monotonic, seconds: float = float("inf")
    ) -> None:
        self._log = log
        self._clock = clock
        self._seconds = seconds
        self._lock = threading.Lock()
        self._everybody: Everybody | None = None
        self._state = (-1, -1, -1)
        """Erasures, purchases, and the sum of their moments: one may be given back while another comes."""
        self._looked = float("-inf")

    def __call__(self) -> Everybody:
        """At most `FRESH_SECONDS` behind the store; nobody who was erased is in it. Raises DeadlineExceeded."""
        with self._lock:
            known = self._everybody
            is_stale = known is None or self._log.erasures() != self._state[0]
            if known is not None and not is_stale and self._clock() - self._looked <= FRESH_SECONDS:
                return known
            done = purchases_among(self._log.read(self._seconds))
            self._looked, state = self._clock(), (done.erasures, len(done), int(done.moment.sum()))
            if known is None or state != self._state:
                known = self._everybody = everybody_of(done)
                self._state = state
            return known


def purchase_time(event: Event) -> int | None:
    """Seconds since 1970 of a purchase of a product; None for anything else and without a time."""
    if event.type != EventType.PURCHASE or not event.product_id or event.time is None:
        return None
    return int(event.time.timestamp())


def purchases_of(history: Iterable[Event]) -> list[tuple[str, int]]:
    """(product id, seconds) of one person's purchases, without those that were given back."""
    standing = not_given_back(history)
    return [(event.product_id or "", at) for event in standing if (at := purchase_time(event)) is not None]


def not_given_back(history: Iterable[Event]) -> list[Event]:
    """Of one person, oldest first: a refund takes the latest purchase of its product before it out of the history."""
    kept: list[Event | None] = []
    bought: defaultdict[str, list[int]] = defaultdict(list)
    for event in history:
        product_id = event.product_id or ""
        if event.type is EventType.REFUND and bought[product_id]:
            kept[bought[product_id].pop()] = None
        elif event.type is EventType.PURCHASE:
            bought[product_id].append(len(kept))
        kept.append(event)
    return [event for event in kept if event is not None]


def forecast_category(product: Product) -> str:
    """The second level of the path, "Coffee" of Kitchen › Coffee › Grinders: departments tell nothing apart, and the
    narrowest kinds are bought too rarely. "" for a product without categories.

    >>> forecast_category(Product("1", "Mill", categories=("Kitchen", "Coffee", "Grinders")))
    'Coffee'
    """
    return product.categories[min(1, len(product.categories) - 1)] if product.categories else ""


def one_person(products: Sequence[int], times: Sequence[int], count: int) -> Bought:
    """The purchases of one person alone, number 0."""
    return Bought.of([0] * len(products), products, times, people_count=1, thing_count=count)
