"""Everybody's purchases in memory, for what is asked of all people at once; follows the log of deeds.

Takes the log, gives arrays by person and product, put in order anew when something came or somebody was erased.
Purchases without a person or a time are left out: nothing
can be forecast from them. Knows no model.
"""

from __future__ import annotations

import threading
import time
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


def everybody_of(deeds: Deeds) -> Everybody:
    """The purchases among them."""
    done = deeds.where((deeds.kind == KINDS[EventType.PURCHASE]) & (deeds.product >= 0) & (deeds.moment >= 0))
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
        self._state = (-1, -1)
        """Erasures and last event that it knows."""
        self._looked = float("-inf")

    def __call__(self) -> Everybody:
        """At most `FRESH_SECONDS` behind the store; nobody who was erased is in it. Raises DeadlineExceeded."""
        with self._lock:
            known = self._everybody
            is_stale = known is None or self._log.erasures() != self._state[0]
            if known is not None and not is_stale and self._clock() - self._looked <= FRESH_SECONDS:
                return known
            deeds = self._log.read(self._seconds)
            self._looked, state = self._clock(), (deeds.erasures, deeds.sequence)
            if known is None or state != self._state:
                self._everybody, self._state = everybody_of(deeds), state
            return self._everybody  # type: ignore[return-value]


def purchase_time(event: Event) -> int | None:
    """Seconds since 1970 of a purchase of a product; None for anything else and without a time."""
    if event.type != EventType.PURCHASE or not event.product_id or event.time is None:
        return None
    return int(event.time.timestamp())


def purchases_of(history: Iterable[Event]) -> list[tuple[str, int]]:
    """(product id, seconds) of one person's purchases."""
    return [(event.product_id or "", at) for event in history if (at := purchase_time(event)) is not None]


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
