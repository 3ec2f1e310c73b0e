"""Recommendations: for a person, a session, a product page, a cart, a stranger.

Takes what is known of the shopper, asks every candidate source, fuses by the weights of the context, varies, explains.
Learned models plug in as further sources; the weights are data, one line for each context.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from retrieval.fusion import Fused, fuse, settled
from retrieval.interests import Touched, interests, topic_of, touched_products
from retrieval.live import Indexes, LiveIndex
from retrieval.models.sequences import KINDS
from retrieval.newcomers import Explaining, Heard, Newcomers
from retrieval.search import Searcher, SearchQuery
from retrieval.turn_reasons import with_turns
from retrieval.turning import MOST_EVENTS
from retrieval.understanding import merge
from tasteline.errors import NotFound
from tasteline.ports import CandidateSource, EventStore, Need
from tasteline.trials import Trial
from tasteline.types import (
    Choice,
    Event,
    EventType,
    Filters,
    Interest,
    Mask,
    Product,
    RankedProduct,
    Ranking,
    Reason,
    ReasonKind,
    Rows,
    Scores,
)

Context = Literal["home", "product", "similar", "cart", "welcome"]
DEPTH = 200
WEIGHTS: Mapping[str, Mapping[str, float]] = {
    "home": {"cooccurrence": 1.0, "likeness": 0.6, "popular": 0.1, "rated": 0.01, "habit": 1.0, "new": 0.05},
    "similar": {"likeness": 1.0, "cooccurrence": 0.3},
    "complement": {"baskets": 10.0, "cooccurrence": 1.0, "likeness": 0.2, "popular": 0.05, "rated": 0.01},
    "welcome": {"popular": 1.0, "rated": 0.2, "new": 0.4},
}
"""Of each source, by what is wanted. `habit` is further scaled by how often this shop's people buy again. That of
`baskets`: recall@10 of 1,000 completejourney carts on valid is .072 without, .103 at 1, .107 at 2, .111 at 5, .112 at
10 and .115 with nothing but the rules."""
LEARNED_WEIGHTS: Mapping[str, Mapping[str, float]] = {
    "home": {"learned": 1.0, "popular": 1e-7, "rated": 1e-8},
    "complement": {"learned": 1.0, "baskets": 3.0, "popular": 1e-7, "rated": 1e-8},
}
"""The same once there is a learned ranker: it has weighed all of them already, the rest only fills what it leaves. It
knows no baskets: with one of a small recipe, for 900 households and 1,500 products of completejourney, recall@10 of
1,000 carts on valid is .136 without these, .152 at .3, .193 at 1 and .207 at 3."""
WISH_WEIGHT = {"home": 0.3}
"""Of words among those sources; nothing where products were pointed at."""
NEWCOMER_WEIGHTS: Mapping[str, Mapping[str, float]] = {
    "spoken": {"spoken": 1.0, "answered": 0.3, "popular": 0.001, "rated": 0.0001, "new": 0.0001},
    "answered": {"answered": 1.0, "rated": 0.05, "new": 0.0001},
}
"""The same for somebody who has done nothing and told us something: the rest fills what that leaves."""
VARIETY = {"home": 0.85, "welcome": 0.5, "similar": 1.0, "complement": 0.8, "spoken": 1.0, "answered": 1.0}
"""What a candidate's score is multiplied by for each one of its category that stands above it."""
LEARNED_VARIETY = 1.0
"""The same under a learned ranker, which has learned how alike the next things are."""
COUNTED_VARIETY = 1.0
"""The same where baskets were counted: their rules leave substitutes out. Recall@10 on valid is .107, with .97 .103."""
PERSONAL = 0.1
"""Weight of closeness (cosine) to recent products in a search by a known person: settles near ties, no more."""
JUST_TOUCHED = 20
"""Most recent products that are not proposed again where people seldom buy again."""
BUY_AGAIN = 0.1
"""Share of repeat purchases above which a shop's people are taken to buy things again."""
DONE = {
    EventType.PURCHASE: "bought",
    EventType.ADD_TO_CART: "put {} in your cart",
    EventType.ADD_TO_WISHLIST: "saved",
}
TITLE_LENGTH = 60


@runtime_checkable
class LateReasons(Protocol):
    """What a source has besides whose reasons take longer than its proposals: its `because` says -1, and it is asked
    again for the few rows that will be shown."""

    def led_to(self, need: Need, rows: Rows) -> Rows:
        """The row that led to each, or -1. Asked within the same `read()`."""
        ...


@runtime_checkable
class Relating(CandidateSource, Protocol):
    """What a source has besides that knows in figures how a product hangs together with the one that led to it.

    It tells substitutes from what is bought together by those figures: nothing of a kind is kept from it.
    """

    def relation(self, row: int, led_by: int) -> Reason | None:
        """None where it knows none. Asked within the same `read()`."""
        ...


@dataclass(frozen=True, slots=True)
class RecommendationQuery:
    user_id: str | None = None
    session_id: str | None = None
    session: tuple[Event, ...] = ()
    """Steps sent along with the request, oldest first; they follow whatever is stored."""
    context: Context = "home"
    product_id: str | None = None
    cart: tuple[str, ...] = ()
    query: str = ""
    """Narrows to what a search for it finds."""
    wish: str = ""
    """Words that propose products of their own. They narrow nothing, but to a stranger a limit said is a limit."""
    answers: tuple[Choice, ...] = ()
    """Of a stranger, to the questions of `Newcomers.question`."""
    filters: Filters = Filters()
    limit: int = 10
    exclude_seen: bool = False


@dataclass(frozen=True, slots=True)
class Person:
    """What is known of the shopper, resolved against the catalogue of the moment."""

    history: list[Event]
    touched: list[Touched]
    need: Need
    last: Mapping[str, Event]


class Recommender:
    """`repeat_share()` says how often people of this shop buy the same thing again, 0 to 1.

    `wishes` makes a source of words for somebody with a history, `newcomers` hears those of a stranger; without them
    `RecommendationQuery.wish` is not heard. `is_learned()` says whether the source called "learned" has a ranker.
    `trying(query)` gives the arm of a running experiment that the shopper is in, with the source that takes the place
    of the one of its name.
    """

    def __init__(
        self,
        live: LiveIndex,
        events: EventStore,
        sources: Sequence[CandidateSource],
        searcher: Searcher,
        repeat_share: Callable[[], float],
        new_id: Callable[[], str],
        wishes: Callable[[str], CandidateSource | None] = lambda wish: None,
        newcomers: Newcomers | None = None,
        is_learned: Callable[[], bool] = lambda: False,
        trying: Callable[[RecommendationQuery], tuple[Trial, CandidateSource] | None] = lambda query: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._live = live
        self._events = events
        self._wishes = wishes
        self._newcomers = newcomers
        self._sources = sources
        self._searcher = searcher
        self._repeat_share = repeat_share
        self._new_id = new_id
        self._is_learned = is_learned
        self._trying = trying
        self._now = now

    @property
    def sources(self) -> Sequence[CandidateSource]:
        return self._sources

    def asking(self, sources: Sequence[CandidateSource]) -> Recommender:
        """The same with other sources, for comparing."""
        other = copy(self)
        other._sources = sources
        return other

    @property
    def repeat_share(self) -> float:
        """How often this shop's people buy the same again, 0 to 1."""
        return self._repeat_share()

    @property
    def source_names(self) -> list[str]:
        return [source.name for source in self._sources]

    def interests(self, user_id: str) -> list[Interest]:
        """Named interests of a person; empty for somebody unknown. Of as many events as their timeline."""
        history = self._events.history(user_id, limit=MOST_EVENTS)
        with self._live.read() as indexes:
            return interests(history, lambda product_id: _product(indexes, product_id))

    def recommend(self, query: RecommendationQuery) -> Ranking:
        """Raises NotFound for a page or a cart whose products do not exist, and for answers to what nobody asked."""
        history = self._history(query)
        found = self._searcher.search([SearchQuery(query.query, query.filters, DEPTH)])[0] if query.query else None
        heard = self._heard(query)
        wish = None if heard else self._wishes(query.wish)
        tried = self._trying(query)
        usual = self._sources if tried is None else _with_instead(self._sources, tried[1])
        sources = [*usual, *([wish] if wish else []), *(heard.sources if heard else ())]
        with self._live.read() as indexes:
            person = _person(indexes, history, _anchors(indexes, query))
            filters = merge(query.filters, heard.limits) if heard else query.filters
            mask = indexes.catalogue.mask(filters, indexes.lexical.containing)
            total = int(np.count_nonzero(mask))
            mask[person.need.anchor] = False
            if found is not None:
                mask &= _mask_of(indexes, found)
            mask = self._fresh(indexes, mask, person, query)
            kinds = (heard.wanted,) if heard else _wanted(query, person)
            parts = [self._ranked(indexes, person, mask, wanted, query.limit, sources) for wanted in kinds]
            items = _interleave(parts, query.limit)
            told = heard.relaxations(indexes, query.filters) if heard and not total else ()
        if kinds == ("home",):
            items = with_turns(items, history, self._live, self._now())
        # Only where the learned ranker had a say did the arm make a difference.
        trial = tried[0] if tried is not None and any(wanted in LEARNED_WEIGHTS for wanted in kinds) else None
        if found is None:
            understood = heard.understood if heard else None
            return Ranking(self._new_id(), tuple(items), total, understood, told, trial=trial)
        return Ranking(self._new_id(), tuple(items), found.total, found.understood, found.relaxations, trial=trial)

    def personalised(self, ranking: Ranking, user_id: str | None, session_id: str | None = None) -> Ranking:
        """The same products, those close to the person's recent ones moved up a little; as it was for a stranger."""
        relevance = ranking.understood is None or ranking.understood.sort == "relevance"
        if not relevance or len(ranking.items) < 2 or (user_id is None and session_id is None):
            return ranking
        touched = touched_products(self._events.history(user_id, session_id))[-JUST_TOUCHED:]
        with self._live.read() as indexes:
            touched = [item for item in touched if item.product_id in indexes.catalogue]
            if not touched:
                return ranking
            vectors = indexes.vectors.vectors(indexes.catalogue.rows(item.product_id for item in touched))
            rows = indexes.catalogue.rows(item.product.id for item in ranking.items)
            if len(rows) != len(ranking.items):
                return ranking
            weights = _share(np.array([item.short for item in touched], dtype=np.float32))
            closeness = indexes.vectors.vectors(rows) @ (weights @ vectors)
        scores = [item.score + PERSONAL * float(close) for item, close in zip(ranking.items, closeness, strict=True)]
        order = sorted(range(len(scores)), key=lambda place: (-scores[place], place))
        return replace(ranking, items=tuple(replace(ranking.items[place], score=scores[place]) for place in order))

    def recent(self, user_id: str | None, session_id: str | None = None, limit: int = 5) -> list[Product]:
        """What a person touched last, oldest first; empty for a stranger."""
        if user_id is None and session_id is None:
            return []
        touched = touched_products(self._events.history(user_id, session_id))[-limit:]
        with self._live.read() as indexes:
            products = [_product(indexes, item.product_id) for item in touched]
        return [product for product in products if product is not None]

    def _heard(self, query: RecommendationQuery) -> Heard | None:
        """What a stranger told us; embeds, so it comes before the indexes are held."""
        return (
            self._newcomers.hear(query.wish, query.answers) if self._newcomers and query.context == "welcome" else None
        )

    def _history(self, query: RecommendationQuery) -> list[Event]:
        known = query.user_id is not None or query.session_id is not None
        stored = self._events.history(query.user_id, query.session_id) if known else []
        return stored + list(query.session)

    def _fresh(self, indexes: Indexes, mask: Mask, person: Person, query: RecommendationQuery) -> Mask:
        """Without what the person has seen, where that is asked for; else without what they would not want again."""
        rows, fresh = indexes.catalogue.rows, mask.copy()
        if query.exclude_seen:
            fresh[rows(event.product_id for event in person.history if event.product_id)] = False
        elif self._repeat_share() < BUY_AGAIN:
            fresh[rows(touched.product_id for touched in person.touched[-JUST_TOUCHED:])] = False
            fresh[rows(e.product_id for e in person.history if e.product_id and e.type is EventType.PURCHASE)] = False
            # Only a wish of ours: within narrow limits the same things again are better than nothing.
            return fresh if fresh.any() else mask
        return fresh

    def _weighed(
        self, sources: Sequence[CandidateSource], weights: Mapping[str, float]
    ) -> Iterator[tuple[float, CandidateSource]]:
        """Those whose opinion counts, with its weight."""
        for source in sources:
            weight = weights.get(source.name, 0.0) * (self._repeat_share() if source.name == "habit" else 1)
            if weight > 0:
                yield weight, source

    def _ranked(
        self,
        indexes: Indexes,
        person: Person,
        mask: Mask,
        wanted: str,
        limit: int,
        sources: Sequence[CandidateSource],
    ) -> list[RankedProduct]:
        others = mask & ~_same_kind(indexes, person.need.anchor) if wanted == "complement" else mask
        learned = self._is_learned() and wanted in LEARNED_WEIGHTS
        usual = {**WEIGHTS, **NEWCOMER_WEIGHTS, **(LEARNED_WEIGHTS if learned else {})}
        weights = {**usual[wanted], "wish": WISH_WEIGHT.get(wanted, 0.0)}
        variety = LEARNED_VARIETY if learned else VARIETY[wanted]
        lists: list[tuple[str, float, Rows, Scores]] = []
        because: dict[str, dict[int, int]] = {}
        weighed = list(self._weighed(sources, weights))
        rest = sum(weight for weight, _ in weighed[1:])
        for weight, source in weighed:
            allowed = mask if isinstance(source, Relating) else others
            rows, scores, led_there = source.propose(person.need, DEPTH, allowed)
            lists.append((source.name, weight, rows, scores))
            because[source.name] = dict(zip(rows.tolist(), led_there.tolist(), strict=True))
            if len(lists) == 1 and variety == 1.0 and _is_final(scores, limit, rest / weight):
                break  # what is left would change nothing
        if because.get("baskets"):
            variety = COUNTED_VARIETY
        asked = [source for source in sources if source.name in because]
        told = {source.name: source.reason for source in asked if isinstance(source, Explaining)}
        relating = [source for source in asked if isinstance(source, Relating)]
        varied = (
            fuse(lists, limit)
            if variety == 1.0  # nothing pays for its kind: the best as they stand, without a look at all the others
            else _varied(fuse(lists), lambda candidate: _kinds(indexes, candidate, because), variety, limit)
        )
        for late in (source for source in asked if isinstance(source, LateReasons)):
            shown = np.array([candidate.row for candidate in varied if candidate.leader == late.name], dtype=np.int64)
            because[late.name] = dict(zip(shown.tolist(), late.led_to(person.need, shown).tolist(), strict=True))
        return [
            RankedProduct(
                indexes.catalogue.product(candidate.row),
                candidate.score,
                (told[candidate.leader](candidate.row),)
                if candidate.leader in told
                else (_related(relating, candidate, because) or _reason(indexes, candidate, because, person, wanted),),
            )
            for candidate in varied
        ]


def _is_final(scores: Scores, limit: int, rest: float) -> bool:
    """Are the first `limit` of a list the best whatever lists of `rest` times its weight say?"""
    first = scores[: limit + 1]
    return len(first) > limit and first[0] > 0 and bool(settled(first / first[0], rest))


def _with_instead(sources: Sequence[CandidateSource], other: CandidateSource) -> list[CandidateSource]:
    """`other` in the place of the one of its name."""
    return [other if source.name == other.name else source for source in sources]


def _wanted(query: RecommendationQuery, person: Person) -> tuple[str, ...]:
    if query.context == "product":
        return ("similar", "complement")
    if query.context == "similar":
        return ("similar",)
    if query.context == "cart":
        return ("complement",)
    if query.context == "welcome" or not person.touched:
        return ("welcome",)
    return ("home",)


def _anchors(indexes: Indexes, query: RecommendationQuery) -> Rows:
    ids = [query.product_id] if query.context in ("product", "similar") and query.product_id else []
    ids += list(query.cart) if query.context == "cart" else []
    rows = indexes.catalogue.rows(ids)
    if ids and not len(rows):
        raise NotFound(f"No product has the id {ids[0]!r}. Search for it, or put it with PUT /v1/products.")
    return rows


def _person(indexes: Indexes, history: list[Event], anchors: Rows) -> Person:
    touched = [item for item in touched_products(history) if item.product_id in indexes.catalogue]
    rows = indexes.catalogue.rows(item.product_id for item in touched)
    short = np.array([item.short for item in touched], dtype=np.float32)
    long = np.array([item.long for item in touched], dtype=np.float32)
    need = Need(rows, _share(short), rows, _share(long), anchors, *_steps(indexes, history))
    return Person(history, touched, need, {item.product_id: item.last for item in touched})


def _steps(indexes: Indexes, history: Sequence[Event]) -> tuple[Rows, NDArray[np.int8], NDArray[np.float64]]:
    """Rows, kinds and moments of all that was done with products that exist."""
    steps = [event for event in history if event.type in KINDS and event.product_id in indexes.catalogue]
    return (
        indexes.catalogue.rows(event.product_id for event in steps if event.product_id),
        np.array([KINDS[event.type] for event in steps], dtype=np.int8),
        np.array([event.time.timestamp() if event.time else np.nan for event in steps], dtype=np.float64),
    )


def _share(weights: Scores) -> Scores:
    total = weights.sum()
    return weights / total if total > 0 else weights


def _mask_of(indexes: Indexes, found: Ranking) -> Mask:
    mask = np.zeros(len(indexes.catalogue), dtype=np.bool_)
    mask[indexes.catalogue.rows(item.product.id for item in found.items)] = True
    return mask


def _same_kind(indexes: Indexes, anchors: Rows) -> Mask:
    """Rows of the anchors' own narrowest categories: a second tent does not go well with a tent."""
    kinds = {
        indexes.catalogue.product(int(row)).categories[-1]
        for row in anchors
        if indexes.catalogue.product(int(row)).categories
    }
    if not kinds:
        return np.zeros(len(indexes.catalogue), dtype=np.bool_)
    return indexes.catalogue.mask(Filters(categories=tuple(kinds)), indexes.lexical.containing)


def _kinds(indexes: Indexes, candidate: Fused, because: Mapping[str, Mapping[int, int]]) -> tuple[str, ...]:
    """What a candidate repeats: its narrowest category, the product that led to it, its own model in another color."""
    product = indexes.catalogue.product(candidate.row)
    kind = product.categories[-1] if product.categories else ""
    return (kind, f"row {because[candidate.leader].get(candidate.row, -1)}", f"model {product.title.split(',')[0]}")


def _varied(
    fused: Iterable[Fused], kinds_of: Callable[[Fused], tuple[str, ...]], variety: float, limit: int
) -> list[Fused]:
    """Greedy, up to `limit`: the next is the best after each kind has paid for those of it already chosen."""
    if variety == 1.0:  # nobody pays
        return list(islice(fused, limit))
    waiting: dict[tuple[str, ...], list[Fused]] = {}
    for candidate in fused:
        waiting.setdefault(kinds_of(candidate), []).append(candidate)
    taken: Counter[str] = Counter()
    order: list[Fused] = []
    while waiting and len(order) < limit:
        price = {kinds: variety ** sum(taken[kind] for kind in kinds) for kinds in waiting}
        best = min(waiting, key=lambda kinds: (-waiting[kinds][0].score * price[kinds], waiting[kinds][0].row))
        order.append(waiting[best].pop(0))
        taken.update(best)
        if not waiting[best]:
            del waiting[best]
    return order


def _interleave(parts: Sequence[list[RankedProduct]], limit: int) -> list[RankedProduct]:
    """One from each list in turn; a product stands once."""
    chosen: dict[str, RankedProduct] = {}
    for place in range(max((len(part) for part in parts), default=0)):
        for part in parts:
            if place < len(part) and len(chosen) < limit:
                chosen.setdefault(part[place].product.id, part[place])
    return list(chosen.values())


def _product(indexes: Indexes, product_id: str) -> Product | None:
    row = indexes.catalogue.row(product_id)
    return None if row is None else indexes.catalogue.product(row)


def _related(relating: Sequence[Relating], candidate: Fused, because: Mapping[str, Mapping[int, int]]) -> Reason | None:
    """Figures, where a source has them: they tell more than what else can be said, whichever source led."""
    for source in relating:
        led_by = because[source.name].get(candidate.row)
        if led_by is not None:
            return source.relation(candidate.row, led_by)
    return None


def _reason(
    indexes: Indexes, candidate: Fused, because: Mapping[str, Mapping[int, int]], person: Person, wanted: str
) -> Reason:
    leader = candidate.leader
    product = indexes.catalogue.product(candidate.row)
    if leader == "habit":
        return Reason("history", "You chose this before", (person.last[product.id].id,))
    if leader == "rated":
        return Reason("popular", f"Rated {product.rating:.1f} of 5 stars", (product.id,))
    if leader in ("popular", "new"):
        where = f" in {topic_of(product)}" if product.categories else ""
        kind: ReasonKind = "popular" if leader == "popular" else "new"
        return Reason(kind, f"{'Popular' if leader == 'popular' else 'New'}{where}", (product.id,))
    if leader == "wish":
        return Reason("meaning", "Close in meaning to what you look for", (product.id,))
    source = indexes.catalogue.product(because[leader][candidate.row])
    title = _short(source.title)
    if wanted == "similar":
        return Reason("similar", f"Similar to {title}", (source.id,))
    if wanted == "complement":
        return Reason("complement", f"Goes well with {title}", (source.id,))
    event = person.last[source.id]
    done = DONE.get(event.type, "viewed")
    phrase = done.format(title) if "{}" in done else f"{done} {title}"
    return Reason("history", f"Because you {phrase}", (event.id, source.id))


def _short(title: str) -> str:
    return title if len(title) <= TITLE_LENGTH else title[: TITLE_LENGTH - 1].rsplit(" ", 1)[0] + "…"
