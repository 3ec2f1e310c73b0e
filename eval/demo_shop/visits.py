"""What the shoppers do: sessions of searches, views, carts and purchases, drawn from their planned interests.

Takes products, shoppers and the moment at which the log ends; gives `Event`s in time order. Products are known by
their shelf (second level of the category path); what is not in the vocabulary is never visited.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from eval.demo_shop import lexicon
from eval.demo_shop.chance import between, generator, happens, pick
from eval.demo_shop.lexicon import Kind
from eval.demo_shop.people import YEAR, Phase, Shopper, interests, passer_by
from tasteline.types import Event, EventType, Product

ANONYMOUS = 900
"""Sessions of people who never signed in."""
STRAY = 0.06
"""Share of visits that follow no planned interest."""
HOURS = (1, 1, 0.5, 0.3, 0.3, 0.5, 1, 2, 3, 3.5, 4, 4.5, 5.5, 5, 4, 4, 4, 4.5, 5, 6, 8, 9, 7, 3)
"""Visits by local hour: a hump at lunch, a mountain in the evening."""
WEEKDAYS = (1.05, 1.0, 1.0, 0.95, 0.85, 1.1, 1.35)
"""Visits by weekday, Monday first: quiet Fridays, busy Sundays."""


@dataclass(frozen=True, slots=True)
class Shelves:
    """The products by kind, with what a visitor needs to know of each kind."""

    products: Mapping[str, tuple[Product, ...]]
    usual_price: Mapping[str, float]

    def __contains__(self, kind: str) -> bool:
        return kind in self.products


@dataclass(slots=True)
class Memory:
    """What a shopper has from earlier visits."""

    owned: dict[str, Product] = field(default_factory=dict)
    """Last thing bought of each kind."""
    wanted: dict[str, float] = field(default_factory=dict)
    """Kinds that go with a recent purchase, with how much they are on the mind."""
    appeal: dict[str, list[float]] = field(default_factory=dict)
    """Weights of a kind's products for this person."""


@dataclass(slots=True)
class Visit:
    """One session while it happens."""

    shopper: Shopper
    memory: Memory
    session_id: str
    clock: datetime
    rng: np.random.Generator
    events: list[Event] = field(default_factory=list)
    cart: dict[str, tuple[str, Product]] = field(default_factory=dict)
    """Product id to (kind, product)."""

    def note(self, event_type: EventType, product: Product | None = None, query: str | None = None) -> None:
        self.clock += timedelta(seconds=between(self.rng, 6, 95))
        event = Event(
            id="",
            type=event_type,
            user_id=self.shopper.id or None,
            session_id=self.session_id,
            product_id=product.id if product else None,
            query=query,
            time=self.clock,
        )
        self.events.append(event)


def events(products: Sequence[Product], shoppers: Sequence[Shopper], end: datetime, seed: int = 7) -> Iterator[Event]:
    """All events of the year before `end`, oldest first, ids "e000001" upward in that order."""
    shelves = _shelves(products)
    found = [event for shopper in shoppers for event in _year(shopper, shelves, end, generator(seed, shopper.id))]
    rng = generator(seed, "passers-by")
    for number in range(ANONYMOUS):
        visitor = passer_by(rng)
        found += _visit(visitor, Memory(), shelves, _moments(visitor, 1, end, rng)[0], end, f"a{number}", rng)
    found = [event for event in found if event.time is not None and event.time <= end]
    found.sort(key=lambda event: (event.time, event.session_id or ""))
    yield from _numbered(found)


def _numbered(found: Sequence[Event]) -> Iterator[Event]:
    sessions: dict[str, str] = {}
    for number, event in enumerate(found, 1):
        session = sessions.setdefault(event.session_id or "", f"s{len(sessions) + 1:05d}")
        yield replace(event, id=f"e{number:06d}", session_id=session)


def _shelves(products: Sequence[Product]) -> Shelves:
    kind_of = {(kind.department, kind.shelf): kind.id for kind in lexicon.kinds().values()}
    grouped: dict[str, list[Product]] = defaultdict(list)
    for product in products:
        kind = kind_of.get((product.categories[0], product.categories[1])) if len(product.categories) > 1 else None
        if kind is not None and product.price is not None:
            grouped[kind].append(product)
    prices = {kind: [_cents(product) for product in shelf] for kind, shelf in grouped.items()}
    usual = {kind: math.exp(sum(map(math.log, cents)) / len(cents)) for kind, cents in prices.items()}
    return Shelves({kind: tuple(shelf) for kind, shelf in grouped.items()}, usual)


def _cents(product: Product) -> float:
    return float(product.price.amount) if product.price is not None else math.inf


def _year(shopper: Shopper, shelves: Shelves, end: datetime, rng: np.random.Generator) -> Iterator[Event]:
    memory = Memory()
    for number, moment in enumerate(_moments(shopper, shopper.sessions, end, rng)):
        yield from _visit(shopper, memory, shelves, moment, end, f"{shopper.id} {number}", rng)


def _moments(shopper: Shopper, number: int, end: datetime, rng: np.random.Generator) -> list[datetime]:
    """When the visits begin, in order; a day is likelier when more of the person's phases are awake."""
    days = [end + timedelta(days=day) for day in range(max(shopper.joined, -YEAR), 0)]
    weights = [
        WEEKDAYS[day.weekday()] * (0.4 + sum(p.weight for p in shopper.phases if p.active(day, end))) ** 0.5
        for day in days
    ]
    chosen = rng.choice(len(days), size=number, p=np.array(weights) / sum(weights))
    moments = [_moment(days[int(day)], shopper.utc_offset, rng) for day in chosen]
    moments += [end - timedelta(days=float(rng.uniform(0.2, 9))) for _ in range(8 if shopper.featured else 0)]
    return sorted(min(moment, end - timedelta(minutes=40)) for moment in moments)


def _moment(day: datetime, utc_offset: int, rng: np.random.Generator) -> datetime:
    midnight = day.replace(hour=0, minute=0, second=0, microsecond=0)
    local = timedelta(hours=pick(rng, range(24), HOURS), minutes=between(rng, 0, 59), seconds=between(rng, 0, 59))
    return midnight + local - timedelta(hours=utc_offset)


def _visit(
    shopper: Shopper,
    memory: Memory,
    shelves: Shelves,
    moment: datetime,
    end: datetime,
    session_id: str,
    rng: np.random.Generator,
) -> list[Event]:
    kind = _topic(shopper, memory, shelves, moment, end, rng)
    if kind is None:
        return []
    visit = Visit(shopper, memory, session_id, moment.replace(microsecond=0), rng)
    again = memory.owned.get(kind.id) if kind.consumable else None
    if again is not None and happens(rng, 0.5) and (again.stock or 0) > 0:
        visit.note(EventType.VIEW_ITEM, again)
        _put_in_cart(visit, kind.id, again)
    else:
        _browse(visit, kind, shelves)
    if happens(rng, 0.3):
        _look_beside(visit, kind, shelves)
    _decide(visit, shelves)
    return visit.events


def _topic(
    shopper: Shopper, memory: Memory, shelves: Shelves, moment: datetime, end: datetime, rng: np.random.Generator
) -> Kind | None:
    """The kind of thing that this visit is about; None where the shop has nothing of it."""
    awake = [phase for phase in shopper.phases if phase.active(moment, end)]
    if happens(rng, STRAY) or not awake:
        return lexicon.kinds()[pick(rng, list(shelves.products))] if shelves.products else None
    weights = _attention(pick(rng, awake, [phase.weight for phase in awake]), memory, shelves)
    if not weights:
        return None
    return lexicon.kinds()[pick(rng, list(weights), list(weights.values()))]


def _attention(phase: Phase, memory: Memory, shelves: Shelves) -> dict[str, float]:
    """A bought tent is done with, a bought bag of beans is not; what goes with a purchase comes to mind."""
    weights: dict[str, float] = {}
    for kind, weight in interests()[phase.interest].kinds.items():
        if kind in shelves:
            done = kind in memory.owned and not lexicon.kinds()[kind].consumable
            weights[kind] = weight * (0.35 if done else 1.0) * (1.0 + memory.wanted.get(kind, 0.0))
    return weights


def _browse(visit: Visit, kind: Kind, shelves: Shelves) -> None:
    rng = visit.rng
    options = shelves.products[kind.id]
    weights = _appeal(visit.shopper, visit.memory, kind.id, shelves)
    if happens(rng, 0.55):
        query, asked = _query(kind, options, rng)
        visit.note(EventType.SEARCH, query=_mistyped(query, rng))
        weights = [
            weight * (4.0 if product.id in asked else 1.0) for weight, product in zip(weights, options, strict=True)
        ]
    for product in _several(options, weights, 1 + min(int(rng.geometric(0.3)), 7), rng):
        visit.note(EventType.VIEW_ITEM, product)
        if happens(rng, 0.04):
            visit.note(EventType.ADD_TO_WISHLIST, product)
        if (product.stock or 0) > 0 and happens(rng, 0.17):
            _put_in_cart(visit, kind.id, product)


def _appeal(shopper: Shopper, memory: Memory, kind: str, shelves: Shelves) -> list[float]:
    if kind not in memory.appeal:
        usual = shelves.usual_price[kind] * shopper.dearness
        memory.appeal[kind] = [_liking(shopper, product, usual) for product in shelves.products[kind]]
    return memory.appeal[kind]


def _liking(shopper: Shopper, product: Product, usual: float) -> float:
    """How likely this person looks at that product, among others of its kind."""
    fame = (4 + (product.rating_count or 0)) ** 0.4 * math.exp(1.1 * ((product.rating or 4.2) - 4.2))
    price = math.exp(-((math.log(_cents(product) / usual) / 0.55) ** 2) / 2)
    loyal = 2.5 if product.brand in shopper.brands else 1.0
    gender = product.attributes.get("gender", ("unisex",))[0]
    fits = 1.0 if gender in ("unisex", shopper.gender) else 0.03
    return fame * max(price, 0.02) * loyal * fits * (1.0 if product.stock else 0.3)


def _several(
    options: Sequence[Product], weights: Sequence[float], number: int, rng: np.random.Generator
) -> list[Product]:
    """Different products, the more appealing the earlier and the likelier."""
    keys = rng.random(len(options)) ** (1.0 / np.array(weights))
    return [options[int(i)] for i in np.argsort(-keys, kind="stable")[:number]]


def _query(kind: Kind, options: Sequence[Product], rng: np.random.Generator) -> tuple[str, frozenset[str]]:
    """What is typed, and the ids of the products that it names."""
    words = pick(rng, kind.searches)
    product = pick(rng, options)
    style = pick(rng, ("plain", "color", "brand", "price"), (8, 2, 2, 2))
    if style == "color" and "color" in product.attributes:
        color = product.attributes["color"]
        return f"{color[0]} {words}", frozenset(p.id for p in options if p.attributes.get("color") == color)
    if style == "brand" and product.brand:
        named = frozenset(p.id for p in options if p.brand == product.brand)
        return f"{product.brand.lower()} {words}", named
    if style == "price" and "$" not in words:
        limit = max(math.ceil(_cents(product) / 1000) * 10, 10)
        return f"{words} under ${limit}", frozenset(p.id for p in options if _cents(p) <= limit * 100)
    return words, frozenset()


def _mistyped(query: str, rng: np.random.Generator) -> str:
    """One in sixteen queries has two letters swapped, or one missing or doubled."""
    if len(query) < 6 or not happens(rng, 0.06):
        return query
    at = between(rng, 1, len(query) - 3)
    if not query[at : at + 2].isalpha():
        return query
    slips = (query[at + 1] + query[at], query[at], query[at] + query[at : at + 2])
    return query[:at] + pick(rng, slips) + query[at + 2 :]


def _look_beside(visit: Visit, kind: Kind, shelves: Shelves) -> None:
    """A glance at what goes with it, or with what the person has."""
    beside = [other for other in lexicon.shop().complements.get(kind.id, ()) if other in shelves]
    if beside:
        _browse_briefly(visit, pick(visit.rng, beside), shelves, 2)


def _browse_briefly(visit: Visit, kind: str, shelves: Shelves, most: int) -> Product:
    weights = _appeal(visit.shopper, visit.memory, kind, shelves)
    seen = _several(shelves.products[kind], weights, between(visit.rng, 1, most), visit.rng)
    for product in seen:
        visit.note(EventType.VIEW_ITEM, product)
    return seen[-1]


def _put_in_cart(visit: Visit, kind: str, product: Product) -> None:
    visit.note(EventType.ADD_TO_CART, product)
    visit.cart[product.id] = (kind, product)


def _decide(visit: Visit, shelves: Shelves) -> None:
    """Takes things out again, adds what goes with the rest, buys or leaves the cart behind."""
    for product_id, (_, product) in list(visit.cart.items()):
        if happens(visit.rng, 0.14):
            visit.note(EventType.REMOVE_FROM_CART, product)
            del visit.cart[product_id]
    if not visit.cart or not happens(visit.rng, 0.62):
        return
    _complete(visit, shelves)
    visit.note(EventType.BEGIN_CHECKOUT)
    for kind, product in visit.cart.values():
        visit.note(EventType.PURCHASE, product)
        visit.memory.owned[kind] = product
        visit.memory.wanted.pop(kind, None)
        for other in lexicon.shop().complements.get(kind, ()):
            visit.memory.wanted[other] = 1.5


def _complete(visit: Visit, shelves: Shelves) -> None:
    """Adds what goes with the cart: the first complement most often, the later ones less."""
    for kind, _ in list(visit.cart.values()):
        for place, other in enumerate(lexicon.shop().complements.get(kind, ())):
            has = other in visit.memory.owned or any(other == kind for kind, _ in visit.cart.values())
            if other in shelves and not has and happens(visit.rng, 0.4 / (place + 1)):
                product = _browse_briefly(visit, other, shelves, 2)
                if product.stock:
                    _put_in_cart(visit, other, product)
