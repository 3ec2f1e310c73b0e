"""Recommendations for everybody at once: what the home page would show each person, without reasons.

Takes the live indexes, the events and the recommender of the service; gives one ranking after the other. The learned
ranker is asked for thousands of people together. It draws its candidates before what a person has is left out, as where
it is evaluated, so that a list may differ far down from the one that a single request gives. Without a learned ranker
everybody is asked for alone. Knows no file and no format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.fusion import fuse, settled
from retrieval.live import Indexes, LiveIndex
from retrieval.models.learned import LearnedSource
from retrieval.models.sequences import KINDS, Sequences
from retrieval.recommend import BUY_AGAIN, DEPTH, JUST_TOUCHED, LEARNED_WEIGHTS, RecommendationQuery, Recommender
from tasteline.ports import EventStore, Need
from tasteline.types import EventType, Mask, Rows, Scores

AT_ONCE = 4096
"""People: enough for all processors, and for lists that take some 20 MB."""
LEAST_ODDS = 1e-30
HISTORY = 1_000
"""Last events of a person that are looked at, as `EventStore.history` gives them."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ForOne:
    """Product ids, best first, with their scores."""

    user_id: str
    product_ids: tuple[str, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Everybody:
    """What all people did with products, by numbers of `products`."""

    user_ids: Sequence[str]
    products: Sequence[str]
    histories: Sequences
    """Of each person, oldest first in the order of `EventStore.history`."""

    @classmethod
    def of(cls, events: EventStore) -> Everybody:
        """Everybody of whom there is an event, in the order of their first; some have no step with a product."""
        users: dict[str, int] = {}
        products: dict[str | None, int] = {}
        done = [np.zeros((0, 6))]
        for page in events.deeds():
            numbers, user_ids, product_ids, types, moments, positions, _ = zip(*page, strict=True) if page else [()] * 7
            columns = (
                [users.setdefault(each, len(users)) for each in user_ids],
                [products.setdefault(each, len(products)) for each in product_ids],
                [KINDS.get(each, -1) for each in types],
                moments,
                positions,
                numbers,
            )
            done.append(np.array(columns, dtype=np.float64).T)
        nothing = products.get(None, -1)
        table = np.concatenate(done)
        return cls(list(users), [each or "" for each in products], _in_order(table, len(users), nothing))

    def take(self, part: slice, indexes: Indexes) -> Sequences:
        """Histories of some, in rows of the catalogue; products that it does not have are left out."""
        rows = (indexes.catalogue.row(each) for each in self.products)
        number = np.fromiter((-1 if row is None else row for row in rows), np.int64, len(self.products))
        return self.histories.take(np.arange(len(self.user_ids))[part]).numbered(number)


def recommend_everybody(
    live: LiveIndex,
    events: EventStore,
    recommender: Recommender,
    limit: int = 10,
    progress: Progress = lambda done, total: None,
) -> Iterator[ForOne]:
    """Everybody of whom there is an event, in the order of their first; a person's session alone is nobody."""
    everybody = Everybody.of(events)
    total = len(everybody.user_ids)
    learned = next((each for each in recommender.sources if isinstance(each, LearnedSource) and each.ready()), None)
    for start in range(0, total, AT_ONCE):
        part = slice(start, start + AT_ONCE)
        user_ids = everybody.user_ids[part]
        if learned is None:
            yield from (_asked(recommender, user_id, limit) for user_id in user_ids)
        else:
            with live.read() as indexes:
                found = _together(indexes, recommender, learned, user_ids, everybody.take(part, indexes), limit)
            yield from found
        progress(start + len(user_ids), total)


def _in_order(table: NDArray[np.float64], people: int, nothing: int) -> Sequences:
    """Each person's last HISTORY lines of (user, product, kind, moment, position, number), less those that are no step
    with a product."""
    user, product, kind, moment, position, number = table.T
    unknown = [np.where(np.isnan(each), -np.inf, each) for each in (position, moment)]
    order = np.lexsort((number, *unknown, user))
    user = user[order]
    kept = user.searchsorted(user, side="right") - np.arange(len(user)) <= HISTORY
    kept &= (kind[order] >= 0) & (product[order] != nothing)
    order, user = order[kept], user[kept]
    starts = user.searchsorted(np.arange(people + 1))
    return Sequences(
        starts.astype(np.int64), product[order].astype(np.int64), kind[order].astype(np.int8), moment[order] / 1e6
    )


def _asked(recommender: Recommender, user_id: str, limit: int) -> ForOne:
    items = recommender.recommend(RecommendationQuery(user_id=user_id, limit=limit)).items
    return ForOne(user_id, tuple(item.product.id for item in items), tuple(item.score for item in items))


def _together(
    indexes: Indexes,
    recommender: Recommender,
    learned: LearnedSource,
    user_ids: Sequence[str],
    histories: Sequences,
    limit: int,
) -> list[ForOne]:
    allowed = indexes.catalogue.alive.copy()
    rows, odds = learned.propose_all(histories, 2 * DEPTH, allowed)
    again = recommender.repeat_share >= BUY_AGAIN
    had = Sequences.of([[]] * len(user_ids)) if again else _had(histories)
    first, scores, final = _first(rows, odds, had, limit)
    ids = {row: indexes.catalogue.product(row).id for row in np.unique(first[first >= 0]).tolist()}
    found = []
    lines = zip(user_ids, first.tolist(), scores.tolist(), final.tolist(), histories.lengths.tolist(), strict=True)
    for place, (user_id, best, values, is_final, steps) in enumerate(lines):
        if not steps:
            found.append(_asked(recommender, user_id, limit))  # a stranger: welcomed, not ranked for
        elif is_final:
            found.append(ForOne(user_id, tuple(map(ids.__getitem__, best)), tuple(values)))
        else:
            mine = had.items[had.starts[place] : had.starts[place + 1]]
            fused = _best(recommender, (rows[place], odds[place]), allowed, mine, limit)
            named = tuple(indexes.catalogue.product(row).id for row, _ in fused)
            found.append(ForOne(user_id, named, tuple(score for _, score in fused)))
    return found


def _first(rows: Rows, odds: Scores, had: Sequences, limit: int) -> tuple[Rows, Scores, Mask]:
    """(m, limit) rows without what each person has had, with their scores as `fuse` scales them, best first; (m,) flags
    where these are the list: so far apart that what stands beside the learned ranker cannot change their order."""
    size = np.int64(max(int(rows.max(initial=0)), int(had.items.max(initial=0))) + 1)
    looked_at = rows[:, : limit + 1 + int(had.lengths.max(initial=0))]
    gone = np.isin(looked_at + size * np.arange(len(rows))[:, None], had.items + size * had.owners)
    order = np.argsort(gone | (looked_at < 0), axis=1, kind="stable")[:, : limit + 1]
    first = np.take_along_axis(looked_at, order, axis=1)
    kept = (first >= 0) & ~np.take_along_axis(gone, order, axis=1)
    left = np.take_along_axis(odds, order, axis=1) * kept
    scores = np.asarray(left / np.maximum(left[:, :1], np.float32(LEAST_ODDS)), dtype=np.float32)
    weights = LEARNED_WEIGHTS["home"]
    apart = settled(scores, sum(weights.values()) - weights["learned"])
    return first[:, :limit], scores[:, :limit], apart & (scores.shape[1] == limit + 1) & (limit <= DEPTH)


def _had(histories: Sequences) -> Sequences:
    """What was bought, and the products touched last: nobody wants them again where people seldom buy again."""
    size, steps = np.int64(histories.items.max(initial=0) + 1), np.arange(len(histories.items))
    _, from_end = np.unique((histories.owners * size + histories.items)[::-1], return_index=True)
    last = np.zeros(len(steps), dtype=np.bool_)  # of the same product in the same history
    last[len(steps) - 1 - from_end] = True
    later = np.concatenate(([0], np.cumsum(last)))
    touched = last & (later[histories.starts[1:]][histories.owners] - later[1:] < JUST_TOUCHED)
    return histories.where(touched | (histories.kinds == KINDS[EventType.PURCHASE]))


def _best(
    recommender: Recommender, learned: tuple[Rows, Scores], allowed: Mask, had: Rows, limit: int
) -> list[tuple[int, float]]:
    """(row, score) of the first `limit`; `allowed` is as before when it returns."""
    kept = allowed[had]
    allowed[had] = False
    if not allowed.any():  # only a wish of ours: the same things again are better than nothing
        allowed[had] = kept
    rows, odds = learned
    there = np.flatnonzero((rows >= 0) & allowed[rows])[:DEPTH]
    weights = LEARNED_WEIGHTS["home"]
    lists = [("learned", weights["learned"], rows[there], odds[there])]
    for source in recommender.sources:
        if source.name != "learned" and weights.get(source.name, 0.0) > 0:
            proposed, scores, _ = source.propose(NOBODYS, DEPTH, allowed)
            lists.append((source.name, weights[source.name], proposed, scores))
    allowed[had] = kept
    return [(candidate.row, candidate.score) for candidate in fuse(lists, limit)]


_NO_ROWS, _NO_SCORES = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
NOBODYS = Need(_NO_ROWS, _NO_SCORES, _NO_ROWS, _NO_SCORES, _NO_ROWS)
"""What stands beside the learned ranker is the same for everybody: the popular and the rated."""
