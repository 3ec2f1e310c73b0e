"""The events tell the story that was planned: they drift with the phases, and baskets hold what goes together."""

import hashlib
import os
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from eval import demo_shop
from eval.demo_shop import Phase, Shopper, featured, lexicon
from eval.demo_shop.people import interests
from tasteline.types import Event, EventType, Product

DIGEST = """
import hashlib
from datetime import UTC, datetime
from eval import demo_shop
catalogue, people = demo_shop.products(), demo_shop.shoppers()
log = list(demo_shop.events(catalogue, people, datetime(2025, 6, 15, 18, 30, tzinfo=UTC)))
print(hashlib.sha256(repr((catalogue, people, log)).encode()).hexdigest())
"""


def by_user(events: list[Event]) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if event.user_id is not None:
            found[event.user_id].append(event)
    return found


def share(events: list[Event], topics: tuple[str, ...], shelf: dict[str, str]) -> float:
    """Of the events with a product, how many are about `topics`."""
    about = [shelf[event.product_id] in topics for event in events if event.product_id]
    return sum(about) / len(about) if about else 0.0


def shelves(products: list[Product]) -> dict[str, str]:
    return {product.id: product.categories[1] for product in products}


def test_counts_and_kinds_of_events(events: list[Event]) -> None:
    kinds = Counter(event.type for event in events)
    assert 25_000 <= len(events) <= 40_000
    assert kinds[EventType.VIEW_ITEM] > kinds[EventType.ADD_TO_CART] > kinds[EventType.PURCHASE] > 1_000
    assert kinds[EventType.REMOVE_FROM_CART] > 100
    assert kinds[EventType.SEARCH] > 1_000
    assert 0.05 < sum(event.user_id is None for event in events) / len(events) < 0.25


def test_every_event_is_whole(events: list[Event], products: list[Product], shoppers: list[Shopper]) -> None:
    ids, users = {product.id for product in products}, {shopper.id for shopper in shoppers}
    for event in events:
        assert event.session_id
        assert event.user_id is None or event.user_id in users
        assert event.product_id is None or event.product_id in ids
        assert bool(event.query) == (event.type is EventType.SEARCH)
        assert bool(event.product_id) == (event.type not in (EventType.SEARCH, EventType.BEGIN_CHECKOUT))


def test_times_rise_to_the_end_and_ids_follow(events: list[Event], end: datetime) -> None:
    assert [event.id for event in events] == [f"e{n:06d}" for n in range(1, len(events) + 1)]
    times = [event.time for event in events if event.time]
    assert len(times) == len(events)
    assert all(earlier <= later for earlier, later in pairwise(times))
    assert end - timedelta(days=367) < times[0] < times[-1] <= end
    assert all(time.tzinfo is UTC for time in times)


def test_activity_is_heavy_tailed(events: list[Event], shoppers: list[Shopper]) -> None:
    mine = by_user(events)
    counts = sorted(len(mine.get(shopper.id, [])) for shopper in shoppers)
    assert counts[0] == 0
    assert counts[len(counts) // 20] <= 8
    assert counts[-1] >= 350
    assert counts[-1] > 5 * counts[len(counts) // 2]
    assert all(len(mine[star.id]) >= 150 for star in featured(shoppers))


def test_a_session_belongs_to_one_visitor_and_buys_only_from_its_cart(
    events: list[Event], products: list[Product]
) -> None:
    stock = {product.id: product.stock for product in products}
    owner: dict[str, str | None] = {}
    carts: dict[str, Counter[str]] = defaultdict(Counter)
    for event in events:
        session, product = event.session_id or "", event.product_id or ""
        assert owner.setdefault(session, event.user_id) == event.user_id
        if event.type is EventType.ADD_TO_CART:
            assert stock[product]
            carts[session][product] += 1
        if event.type in (EventType.REMOVE_FROM_CART, EventType.PURCHASE):
            assert carts[session][product] > 0, event
            carts[session][product] -= 1


def test_evenings_are_busier_than_nights(events: list[Event], shoppers: list[Shopper]) -> None:
    offset = {shopper.id: shopper.utc_offset for shopper in shoppers}
    hours = Counter((event.time.hour + offset[event.user_id]) % 24 for event in events if event.user_id and event.time)
    assert sum(hours[h] for h in (19, 20, 21, 22)) > 5 * sum(hours[h] for h in (2, 3, 4, 5))


def test_attention_follows_the_planned_phases(
    events: list[Event], products: list[Product], shoppers: list[Shopper], end: datetime
) -> None:
    shelf, mine = shelves(products), by_user(events)
    gains = []
    for shopper in shoppers:
        for phase in shopper.phases:
            inside, outside = split(mine.get(shopper.id, []), phase, end)
            if phase.start > -365 and len(inside) >= 25 and len(outside) >= 25:
                gains.append(share(inside, phase.topics, shelf) - share(outside, phase.topics, shelf))
    assert len(gains) > 60
    assert sum(gain > 0.1 for gain in gains) > 0.93 * len(gains)
    assert sum(gains) / len(gains) > 0.3


def split(events: list[Event], phase: Phase, end: datetime) -> tuple[list[Event], list[Event]]:
    inside = [event for event in events if event.time and phase.active(event.time, end)]
    names = {event.id for event in inside}
    return inside, [event for event in events if event.id not in names]


def test_one_star_has_turned_in_the_last_ten_days(
    events: list[Event], products: list[Product], shoppers: list[Shopper], end: datetime
) -> None:
    shelf, mine = shelves(products), by_user(events)
    turns = [(star, phase) for star in featured(shoppers) for phase in star.phases if phase.start >= -10]
    assert turns
    for star, phase in turns:
        inside, outside = split(mine[star.id], phase, end)
        assert len(inside) >= 20
        assert share(inside, phase.topics, shelf) > 0.6
        assert share(outside, phase.topics, shelf) < 0.1


def test_gardens_wake_in_spring(products: list[Product], shoppers: list[Shopper], events: list[Event]) -> None:
    shelf = shelves(products)
    topics = tuple(lexicon.kinds()[kind].shelf for kind in interests()["garden"].kinds)
    spring = [event for event in events if event.time and event.time.month in (3, 4, 5)]
    rest = [event for event in events if event.time and event.time.month not in (3, 4, 5)]
    assert share(spring, topics, shelf) > 2 * share(rest, topics, shelf)


def test_baskets_hold_what_goes_together(events: list[Event]) -> None:
    baskets: dict[str, set[str]] = defaultdict(set)
    for event in events:
        if event.type is EventType.PURCHASE and event.product_id:
            baskets[event.session_id or ""].add(event.product_id.rsplit("-", 1)[0])
    lifts = {}
    for kind, others in lexicon.shop().complements.items():
        first = others[0]
        with_kind = [basket for basket in baskets.values() if kind in basket]
        usual = sum(first in basket for basket in baskets.values()) / len(baskets)
        if len(with_kind) >= 8 and usual:
            lifts[kind] = sum(first in basket for basket in with_kind) / len(with_kind) / usual
    assert len(lifts) > 25
    assert sum(lift > 3 for lift in lifts.values()) > 0.9 * len(lifts), lifts
    assert lifts["tent"] > 3
    assert lifts["espresso-machine"] > 3


def test_only_shelves_that_are_given_are_visited(products: list[Product], shoppers: list[Shopper]) -> None:
    few = [product for product in products if product.categories[0] == "Audio"]
    log = list(demo_shop.events(few, shoppers[:3], datetime(2025, 6, 15, tzinfo=UTC)))
    assert log
    assert {event.product_id for event in log if event.product_id} <= {product.id for product in few}
    assert list(demo_shop.events([], shoppers[:3], datetime(2025, 6, 15, tzinfo=UTC))) == []


def test_another_process_with_another_hash_seed_makes_the_same_bytes(
    events: list[Event], products: list[Product], shoppers: list[Shopper]
) -> None:
    ours = hashlib.sha256(repr((products, shoppers, events)).encode()).hexdigest()
    other = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    environment = {**os.environ, "PYTHONHASHSEED": other}
    done = subprocess.run(
        [sys.executable, "-c", DIGEST], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == ours
