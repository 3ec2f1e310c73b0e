"""Questions out of what shoppers did: a search, and what it led to.

Takes events in the order of their arrival and, where it is known, how seldom each place of a ranking is looked at;
gives questions weighted by what was done. A product belongs to a search by the ranking that it was clicked in, where
events quote one, else by having been turned to for the first time in the half hour after it. Knows no index.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Final

from finetune.examples import Question
from prompts.judging import taste_of
from tasteline.types import Event, EventType, Product

WITHIN = timedelta(minutes=30)
"""Of a search: the usual end of a session in web logs (Catledge and Pitkow, 1995)."""
STRENGTHS: Final[Mapping[EventType, float]] = {
    EventType.SELECT_ITEM: 1.0,
    EventType.VIEW_ITEM: 1.0,
    EventType.ADD_TO_WISHLIST: 1.5,
    EventType.ADD_TO_CART: 2.0,
    EventType.PURCHASE: 3.0,
}
"""A guess, not measured: a purchase is certain, a click is often a mistake; not further apart, for clicks are many."""
ORIGINS: Final[Mapping[EventType, str]] = {
    EventType.SELECT_ITEM: "search_click",
    EventType.VIEW_ITEM: "search_click",
    EventType.ADD_TO_WISHLIST: "search_saved",
    EventType.ADD_TO_CART: "search_cart",
    EventType.PURCHASE: "search_purchase",
}
TOGETHER, NEXT = "together", "next"
LARGEST_BASKET = 12
"""Products; all pairs of a larger one say little about each, and are many."""

NEXT_EACH = 2
"""Questions of one person: nobody who buys a lot is most of the set."""

PlaceWeight = Callable[[str, str], float]
"""(ranking id, product id) → what a click there counts; 1 where nothing is known."""


def even(ranking_id: str, product_id: str) -> float:
    """For where positions are not corrected."""
    del ranking_id, product_id
    return 1.0


@dataclass(slots=True)
class _Found:
    """What one search led to with one product."""

    search: Event
    strongest: Event
    place: float = 1.0


def search_questions(events: Iterable[Event], place_weight: PlaceWeight = even) -> list[Question]:
    """One question for each search text and product of a session, by the strongest thing that was done.

    `weight` is the strength of that times `place_weight` of the click. Searches without words are passed over.
    """
    return [question for session in _sessions(events) for question in _of_session(session, place_weight)]


def together_questions(events: Iterable[Event], titles: Mapping[str, str]) -> list[Question]:
    """Pairs of products put in the cart or bought in one session: the title of one asks for the other, both ways.

    They teach what goes together, not what answers a search.
    """
    made = []
    for session in _sessions(events):
        basket: dict[str, Event] = {}
        for event in session:
            taken = event.type in (EventType.ADD_TO_CART, EventType.PURCHASE)
            if taken and event.product_id is not None and event.product_id in titles:
                basket.setdefault(event.product_id, event)
        if len(basket) <= LARGEST_BASKET:
            for (one, first), (other, second) in combinations(basket.items(), 2):
                made += [_together(titles[one], other, first, second), _together(titles[other], one, first, second)]
    return made


def next_questions(
    events: Iterable[Event], products: Mapping[str, Product]
) -> tuple[list[Question], dict[str, set[str]]]:
    """What people decided for next, asked in the words that the service has for their taste; and text → ids that are
    no wrong answer to it: what the person had already.

    The last NEXT_EACH decisions of each person. They teach what follows from a taste, not what answers a search.
    """
    decided: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        taken = event.type in (EventType.ADD_TO_CART, EventType.PURCHASE)
        if taken and event.user_id and event.product_id is not None and event.product_id in products:
            decided[event.user_id].append(event)
    made: list[Question] = []
    known: dict[str, set[str]] = defaultdict(set)
    for user_id, taken_by in decided.items():
        if all(event.time is not None for event in taken_by):  # a feed may come newest first
            taken_by.sort(key=_moment)
        one_by_one: dict[str, Event] = {}
        for event in taken_by:
            one_by_one.setdefault(event.product_id or "", event)
        ids = list(one_by_one)
        for place in range(max(1, len(ids) - NEXT_EACH), len(ids)):
            taste = taste_of([products[key] for key in ids[:place]])
            if taste:
                known[taste].update(ids[: place + 1])
                time = one_by_one[ids[place]].time
                made.append(Question(query=taste, positive=ids[place], origin=NEXT, user_id=user_id, time=time))
    return made, known


def _together(title: str, product_id: str, first: Event, second: Event) -> Question:
    latest = second if _moment(second) >= _moment(first) else first
    return Question(query=title, positive=product_id, origin=TOGETHER, user_id=latest.user_id, time=latest.time)


def _sessions(events: Iterable[Event]) -> Iterator[list[Event]]:
    """Of each session, or of each person where events name none, by time; what has no time keeps its place."""
    sessions: dict[tuple[str, str | None], list[Event]] = defaultdict(list)
    for event in events:
        telling = event.type in STRENGTHS or event.type is EventType.SEARCH
        if telling and (event.session_id or event.user_id):
            # A session in which two people speak is two: what one did must not be found under the other's name.
            sessions[event.session_id or "", event.user_id].append(event)
    for session in sessions.values():
        if all(event.time is not None for event in session):
            session.sort(key=_moment)
        yield session


def _moment(event: Event) -> datetime:
    return event.time or datetime.min.replace(tzinfo=UTC)


def _of_session(session: list[Event], place_weight: PlaceWeight) -> Iterator[Question]:
    latest: Event | None = None
    by_ranking: dict[str, Event] = {}
    seen: set[str] = set()
    found: dict[tuple[str, str], _Found] = {}
    led_to: dict[str, Event] = {}
    for event in session:
        if event.type is EventType.SEARCH and _text(event):
            latest = event
            if event.ranking_id:
                by_ranking[event.ranking_id] = event
        elif event.type in STRENGTHS and event.product_id:
            search = _search_of(event, latest, by_ranking, led_to, seen)
            seen.add(event.product_id)
            if search is not None:
                led_to[event.product_id] = search
                _note(found, search, event, place_weight)
    for (_, product_id), of in found.items():
        yield Question(
            query=_text(of.search),
            positive=product_id,
            weight=STRENGTHS[of.strongest.type] * of.place,
            origin=ORIGINS[of.strongest.type],
            user_id=of.strongest.user_id,
            time=of.strongest.time,
        )


def _search_of(
    event: Event, latest: Event | None, by_ranking: Mapping[str, Event], led_to: Mapping[str, Event], seen: set[str]
) -> Event | None:
    """The search that led to the product: the quoted one, the one it was found by before, or the one just made."""
    assert event.product_id is not None
    if event.ranking_id is not None and event.ranking_id in by_ranking:
        return by_ranking[event.ranking_id]
    if event.product_id in led_to:
        return led_to[event.product_id]
    if event.ranking_id is not None or event.product_id in seen or latest is None:
        return None  # from a recommendation, or known before the search
    late = event.time is not None and latest.time is not None and event.time - latest.time > WITHIN
    return None if late else latest


def _note(found: dict[tuple[str, str], _Found], search: Event, event: Event, place_weight: PlaceWeight) -> None:
    assert event.product_id is not None
    of = found.setdefault((_text(search).casefold(), event.product_id), _Found(search, event))
    if STRENGTHS[event.type] > STRENGTHS[of.strongest.type]:
        of.strongest = event
    if event.ranking_id is not None and event.ranking_id == search.ranking_id:
        of.place = place_weight(event.ranking_id, event.product_id)


def _text(search: Event) -> str:
    return " ".join((search.query or "").split())
