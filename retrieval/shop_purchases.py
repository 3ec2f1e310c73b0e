"""Everybody's purchases in memory, for what is asked of all people at once; follows the store.

Takes a store, gives arrays by person and product. The first look reads all events (a million in seconds), later ones
what came since; after an erasure everything is read anew. Purchases without a person or a time are left out: nothing
can be forecast from them. Knows no model.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from retrieval.models.bought import Bought
from tasteline.ports import Store
from tasteline.types import Event, EventType, Product

FRESH_SECONDS = 30.0
"""Events are looked for again after so long; a million purchases take a second to be put in order anew."""
MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Everybody:
    """The purchases of a moment."""

    bought: Bought
    people: tuple[str, ...]
    product_ids: tuple[str, ...]
    last: int
    """Seconds since 1970 of the newest purchase; 0 where there is none."""


@dataclass(slots=True)
class _Rows:
    """Purchases as they arrive."""

    numbers: dict[str, int] = field(default_factory=dict)
    products: dict[str, int] = field(default_factory=dict)
    people: list[int] = field(default_factory=list)
    things: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)

    def add(self, user_id: str, product_id: str, seconds: int) -> None:
        self.people.append(self.numbers.setdefault(user_id, len(self.numbers)))
        self.things.append(self.products.setdefault(product_id, len(self.products)))
        self.times.append(seconds)

    def ordered(self) -> Everybody:
        counts = {"people_count": len(self.numbers), "thing_count": len(self.products)}
        bought = Bought.of(self.people, self.things, self.times, **counts)
        return Everybody(bought, tuple(self.numbers), tuple(self.products), max(self.times, default=0))


class ShopPurchases:
    """Of one store. Thread-safe; one thread reads at a time."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._rows = _Rows()
        self._everybody = self._rows.ordered()
        self._sequence = 0
        self._erasures: int | None = None
        self._looked = float("-inf")

    def __call__(self) -> Everybody:
        """At most `FRESH_SECONDS` behind the store; nobody who was erased is in it."""
        with self._lock:
            erasures = self._store.erasures()
            anew = erasures != self._erasures
            if anew:
                self._rows, self._sequence, self._erasures = _Rows(), 0, erasures
            if anew or self._clock() - self._looked > FRESH_SECONDS:
                self._read_on(anew)
            return self._everybody

    def _read_on(self, anew: bool) -> None:
        """What came since; `anew` also tells of what is no longer there."""
        before = len(self._rows.times)
        for page in self._store.deeds(self._sequence):
            for sequence, user_id, product_id, kind, microseconds, *_ in page:
                if kind == EventType.PURCHASE and product_id is not None and microseconds is not None:
                    self._rows.add(user_id, product_id, microseconds // MICROSECONDS)
                self._sequence = sequence
        self._looked = self._clock()
        if anew or len(self._rows.times) > before:
            self._everybody = self._rows.ordered()


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
