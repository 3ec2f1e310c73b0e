"""What the shoppers do: sessions of searches, views, carts and purchases, drawn from their planned interests.

Takes products, shoppers and the moment at which the log ends; gives `Event`s in time order. Products are known by
their shelf (second level of the category path); what is not in the vocabulary is never visited.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eval.demo_shop import lexicon
from eval.demo_shop.chance import between, generator, happens, pick, pick_many
from eval.demo_shop.lexicon import Kind
from eval.demo_shop.people import YEAR, Phase, Shopper, interests, passer_by
from tasteline.types import Event, EventType, Product

ANONYMOUS = 800
"""Sessions of people who never signed in."""
RECENT = 8
"""Visits of a featured shopper in the last nine days, beside those drawn, so that the page has something to show."""
STRAY = 0.06
"""Share of visits that follow no planned interest."""
UNLIKELY = 0.04
"""Products with less than this share of the best one's appeal are not looked at."""
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


@dataclass(frozen=True, slots=True)
class Calendar:
    """The days of the year before the log's end, in columns: a shopper's year is weighed at once."""

    end: datetime
    days: tuple[datetime, ...]
    offsets: NDArray[np.int64]
    """Counted like the phases: -365 to -1."""
    months: NDArray[np.int64]
    busy: NDArray[np.float64]
    """How much goes on in the shop."""

    def attention(self, phases: Sequence[Phase]) -> NDArray[np.float64]:
        """Total weight of the phases that are awake, for each day."""
        total = np.zeros(len(self.days))
        for phase in phases:
            awake = (self.offsets >= phase.start) & (self.offsets <= phase.end)
            if phase.months:
                awake &= np.isin(self.months, phase.months)
            total += phase.weight * awake
        return total


@dataclass(slots=True)
class Memory:
    """What a shopper has from earlier visits."""

    owned: dict[str, Product] = field(default_factory=dict)
    """Last thing bought of each kind."""
    wanted: dict[str, float] = field(default_factory=dict)
    """Kinds that go with a recent purchase, with how much they are on the mind."""
    appeal: dict[str, list[float]] = field(default_factory=dict)
    """Weights of a kind's products for this person."""


class Draft(NamedTuple):
    """An event before all of them are put in order and numbered."""

    time: datetime
    session: str
    type: EventType
    user_id: str | None
    product_id: str | None
    query: str | None


@dataclass(slots=True)
class Visit:
    """One session while it happens."""

    shopper: Shopper
    memory: Memory
    session: str
    clock: datetime
    rng: np.random.Generator
    drafts: list[Draft] = field(default_factory=list)
    cart: dict[str, tuple[str, Product]] = field(default_factory=dict)
    """Product id to (kind, product)."""

    def note(self, event_type: EventType, product: Product | None = None, query: str | None = None) -> None:
        self.clock += timedelta(seconds=between(self.rng, 6, 95))
        product_id = product.id if product else None
        self.drafts.append(Draft(self.clock, self.session, event_type, self.shopper.id or None, product_id, query))


def events(products: Sequence[Product], shoppers: Sequence[Shopper], end: datetime, seed: int = 7) -> Iterator[Event]:
    """All events of the year before `end`, oldest first, ids "e000001" upward in that order."""
    shelves, calendar = _shelves(products), _calendar(end)
    if not shelves.products:
        return
    found = [event for shopper in shoppers for event in _year(shopper, shelves, calendar, generator(seed, shopper.id))]
    rng = generator(seed, "passers-by")
    for number in range(ANONYMOUS):
        visitor = passer_by(rng)
        moment = _moments(visitor, 1, calendar, rng)[0]
        found += _visit(visitor, Memory(), shelves, moment, end, f"passer-by {number}", rng)
    yield from _numbered([draft for draft in found if draft.time <= end])


def _numbered(drafts: list[Draft]) -> Iterator[Event]:
    """In time order; sessions get short ids as they come, so that an id tells nothing of its shopper."""
    drafts.sort(key=lambda draft: (draft.time, draft.session))
    sessions: dict[str, str] = {}
    for number, draft in enumerate(drafts, 1):
        session = sessions.setdefault(draft.session, f"s{len(sessions) + 1:05d}")
        yield Event(
            id=f"e{number:06d}",
            type=draft.type,
            user_id=draft.user_id,
            session_id=session,
            product_id=draft.product_id,
            query=draft.query,
            time=draft.time,
        )


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


def _year(shopper: Shopper, shelves: Shelves, calendar: Calendar, rng: np.random.Generator) -> Iterator[Draft]:
    memory = Memory()
    for number, moment in enumerate(_moments(shopper, shopper.sessions, calendar, rng)):
        yield from _visit(shopper, memory, shelves, moment, calendar.end, f"{shopper.id} {number}", rng)


def _calendar(end: datetime) -> Calendar:
    offsets = np.arange(-YEAR, 0)
    days = tuple(end + timedelta(days=int(offset)) for offset in offsets)
    busy = np.array([WEEKDAYS[day.weekday()] for day in days])
    return Calendar(end, days, offsets, np.array([day.month for day in days]), busy)


def _moments(shopper: Shopper, number: int, calendar: Calendar, rng: np.random.Generator) -> list[datetime]:
    """When the visits begin, in order; a day is likelier when more of the person's phases are awake."""
    weights = calendar.busy * np.sqrt(0.4 + calendar.attention(shopper.phases)) * (calendar.offsets >= shopper.joined)
    days = pick_many(rng, calendar.days, weights, number)
    days += [calendar.days[-between(rng, 1, 9)] for _ in range(RECENT if shopper.featured else 0)]
    latest = calendar.end - timedelta(minutes=40)
    return sorted(min(_moment(day, shopper.utc_offset, rng), latest) for day in days)


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
    session: str,
    rng: np.random.Generator,
) -> list[Draft]:
    visit = Visit(shopper, memory, session, moment.replace(microsecond=0), rng)
    if happens(rng, STRAY):
        _browse_briefly(visit, pick(rng, list(shelves.products)), shelves, 2)
        return visit.drafts
    kind = _topic(shopper, memory, shelves, moment, end, rng)
    if kind is None:
        return []
    again = memory.owned.get(kind.id) if kind.consumable else None
    if again is not None and happens(rng, 0.5) and (again.stock or 0) > 0:
        visit.note(EventType.VIEW_ITEM, again)
        _put_in_cart(visit, kind.id, again)
    else:
        _browse(visit, kind, shelves)
    if happens(rng, 0.3):
        _look_beside(visit, kind, shelves)
    _decide(visit, shelves)
    return visit.drafts


def _topic(
    shopper: Shopper, memory: Memory, shelves: Shelves, moment: datetime, end: datetime, rng: np.random.Generator
) -> Kind | None:
    """The kind of thing that this visit is about; None where no phase is awake or the shop has nothing of it."""
    awake = [phase for phase in shopper.phases if phase.active(moment, end)]
    if not awake:
        return None
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
            weights[kind] = weight * (0.15 if done else 1.0) * (1.0 + memory.wanted.get(kind, 0.0))
    return weights


def _browse(visit: Visit, kind: Kind, shelves: Shelves) -> None:
    rng = visit.rng
    options = shelves.products[kind.id]
    weights = _appeal(visit.shopper, visit.memory, kind.id, shelves)
    if happens(rng, 0.55):
        query, asked = _query(kind, options, visit.shopper, rng)
        visit.note(EventType.SEARCH, query=_mistyped(query, rng))
        weights = [w * _relevance(query, p, asked) for w, p in zip(weights, options, strict=True)]
    done = kind.id in visit.memory.owned and not kind.consumable
    for product in _several(options, weights, min(1 + int(rng.geometric(0.32)), 8), rng):
        visit.note(EventType.VIEW_ITEM, product)
        if happens(rng, 0.04):
            visit.note(EventType.ADD_TO_WISHLIST, product)
        if product.stock and happens(rng, 0.03 if done else 0.24):
            _put_in_cart(visit, kind.id, product)


def _relevance(query: str, product: Product, asked: frozenset[str]) -> float:
    """What a search engine would do: each word of the query that the title has counts threefold."""
    found = sum(_singular(word) in product.title.lower() for word in query.split() if len(word) > 2)
    return float(3.0**found) * (4.0 if product.id in asked else 1.0)


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") else word


def _appeal(shopper: Shopper, memory: Memory, kind: str, shelves: Shelves) -> list[float]:
    if kind not in memory.appeal:
        usual = shelves.usual_price[kind] * shopper.dearness
        memory.appeal[kind] = [_liking(shopper, product, usual) for product in shelves.products[kind]]
    return memory.appeal[kind]


def _liking(shopper: Shopper, product: Product, usual: float) -> float:
    """How likely this person looks at that product, among others of its kind."""
    fame = math.pow(4 + (product.rating_count or 0), 0.55) * math.exp(1.1 * ((product.rating or 4.2) - 4.2))
    price = math.exp(-((math.log(_cents(product) / usual) / 0.55) ** 2) / 2)
    loyal = 2.5 if product.brand in shopper.brands else 1.0
    gender = product.attributes.get("gender", ("unisex",))[0]
    fits = 1.0 if gender in ("unisex", shopper.gender) else 0.03
    return fame * max(price, 0.02) * loyal * fits * (1.0 if product.stock else 0.3)


def _several(
    options: Sequence[Product], weights: Sequence[float], number: int, rng: np.random.Generator
) -> list[Product]:
    """Different products, the more appealing the earlier and the likelier."""
    likely = np.asarray(weights) / max(weights)
    keys = np.where(likely < UNLIKELY, 0.0, rng.random(len(options)) ** (1.0 / likely))
    number = min(number, int((likely >= UNLIKELY).sum()))
    return [options[int(i)] for i in np.argsort(-keys, kind="stable")[:number]]


def _query(
    kind: Kind, options: Sequence[Product], shopper: Shopper, rng: np.random.Generator
) -> tuple[str, frozenset[str]]:
    """What is typed, and the ids of the products that it names."""
    other = "men" if shopper.gender == "women" else "women"
    words = pick(rng, [search for search in kind.searches if other not in search.split()])
    product = pick(rng, options)
    style = pick(rng, ("plain", "color", "brand", "price"), (8, 2, 2, 2))
    if style == "color" and kind.colors and "color" in product.attributes:
        color = product.attributes["color"]
        return f"{color[0]} {words}", frozenset(p.id for p in options if p.attributes.get("color") == color)
    if style == "brand" and product.brand:
        named = frozenset(p.id for p in options if p.brand == product.brand)
        return f"{product.brand.lower()} {words}", named
    if style == "price" and "$" not in words:
        limit = max(math.ceil(max(_cents(product), _cents(pick(rng, options))) / 1000) * 10, 10)
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
    last = {kind: product.id for kind, product in visit.cart.values()}
    for product_id, (kind, product) in list(visit.cart.items()):
        rival = last[kind] != product_id and not lexicon.kinds()[kind].consumable  # Nobody needs two tents.
        if happens(visit.rng, 0.85 if rival else 0.12):
            visit.note(EventType.REMOVE_FROM_CART, product)
            del visit.cart[product_id]
    if not visit.cart or not happens(visit.rng, 0.7):
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
            if other in shelves and not has and happens(visit.rng, 0.5 / (place + 1)):
                product = _browse_briefly(visit, other, shelves, 2)
                if product.stock:
                    _put_in_cart(visit, other, product)
