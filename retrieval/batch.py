"""Recommendations for everybody at once: what the home page would show each person, without reasons.

Takes the live indexes, the events and the recommender of the service; gives one ranking after the other. The learned
ranker is asked for hundreds of people together. It draws its candidates before what a person has is left out, as where
it is evaluated, so that a list may differ far down from the one that a single request gives. Without a learned ranker
everybody is asked for alone. Knows no file and no format.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

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
Done = tuple[float, float, int, str | None, int]
"""What somebody did: moment (-inf where there is none), position, sequence number; product and place in `KINDS`, -1 for
what is no step of a history."""
Step = tuple[int, int, float]
"""Row, kind, moment (NaN where there is none)."""


@dataclass(frozen=True, slots=True)
class ForOne:
    """Product ids, best first, with their scores."""

    user_id: str
    product_ids: tuple[str, ...]
    scores: tuple[float, ...]


def recommend_everybody(
    live: LiveIndex,
    events: EventStore,
    recommender: Recommender,
    limit: int = 10,
    progress: Progress = lambda done, total: None,
) -> Iterator[ForOne]:
    """Everybody of whom there is an event, in the order of their first; a person's session alone is nobody."""
    histories = list(_histories(events).items())
    learned = next((each for each in recommender.sources if isinstance(each, LearnedSource) and each.ready()), None)
    for start in range(0, len(histories), AT_ONCE):
        part = histories[start : start + AT_ONCE]
        if learned is None:
            yield from (_asked(recommender, user_id, limit) for user_id, _ in part)
        else:
            with live.read() as indexes:
                found = _together(indexes, recommender, learned, part, limit)
            yield from found
        progress(start + len(part), len(histories))


def _histories(events: EventStore) -> dict[str, list[Done]]:
    """Of each person the last HISTORY events, oldest first, in the order of `EventStore.history`."""
    found: dict[str, list[Done]] = defaultdict(list)
    for sequence, event in events.events():
        if event.user_id is not None:
            moment = -np.inf if event.time is None else event.time.timestamp()
            place = -np.inf if event.position is None else event.position
            found[event.user_id].append((moment, place, sequence, event.product_id, KINDS.get(event.type, -1)))
    return {user_id: sorted(done)[-HISTORY:] for user_id, done in found.items()}


def _asked(recommender: Recommender, user_id: str, limit: int) -> ForOne:
    items = recommender.recommend(RecommendationQuery(user_id=user_id, limit=limit)).items
    return ForOne(user_id, tuple(item.product.id for item in items), tuple(item.score for item in items))


def _together(
    indexes: Indexes,
    recommender: Recommender,
    learned: LearnedSource,
    people: Sequence[tuple[str, list[Done]]],
    limit: int,
) -> list[ForOne]:
    catalogue = indexes.catalogue
    steps: list[list[Step]] = [
        [
            (int(row), kind, moment if moment > -np.inf else np.nan)
            for moment, _, _, product_id, kind in done
            if kind >= 0 and product_id and (row := catalogue.row(product_id)) is not None
        ]
        for _, done in people
    ]
    allowed = catalogue.alive.copy()
    rows, odds = learned.propose_all(_sequences(steps), 2 * DEPTH, allowed)
    again = recommender.repeat_share >= BUY_AGAIN
    had = [_NO_ROWS if again else _had(each) for each in steps]
    first, scores, final = _first(rows, odds, had, limit)
    found = []
    for place, (user_id, _) in enumerate(people):
        if not steps[place]:
            found.append(_asked(recommender, user_id, limit))  # a stranger: welcomed, not ranked for
            continue
        if final[place]:
            best = list(zip(first[place].tolist(), scores[place].tolist(), strict=True))
        else:
            best = _best(recommender, (rows[place], odds[place]), allowed, had[place], limit)
        found.append(
            ForOne(user_id, tuple(catalogue.product(row).id for row, _ in best), tuple(score for _, score in best))
        )
    return found


def _sequences(steps: Sequence[Sequence[Step]]) -> Sequences:
    starts = np.concatenate(([0], np.cumsum([len(each) for each in steps]))).astype(np.int64)
    flat = np.array([step for each in steps for step in each], dtype=np.float64).reshape(-1, 3)
    return Sequences(starts, flat[:, 0].astype(np.int64), flat[:, 1].astype(np.int8), flat[:, 2])


def _first(rows: Rows, odds: Scores, had: Sequence[Rows], limit: int) -> tuple[Rows, Scores, Mask]:
    """(m, limit) rows without what each person has had, with their scores as `fuse` scales them, best first; (m,) flags
    where these are the list: so far apart that what stands beside the learned ranker cannot change their order."""
    size = max(int(rows.max(initial=0)), *(int(each.max(initial=0)) for each in had), 0) + 1
    owners = np.repeat(np.arange(len(had)), [len(each) for each in had])
    looked_at = rows[:, : limit + 1 + max(map(len, had), default=0)]
    gone = np.isin(looked_at + size * np.arange(len(rows))[:, None], np.concatenate([_NO_ROWS, *had]) + size * owners)
    order = np.argsort(gone | (looked_at < 0), axis=1, kind="stable")[:, : limit + 1]
    first = np.take_along_axis(looked_at, order, axis=1)
    kept = (first >= 0) & ~np.take_along_axis(gone, order, axis=1)
    left = np.take_along_axis(odds, order, axis=1) * kept
    scores = np.asarray(left / np.maximum(left[:, :1], np.float32(LEAST_ODDS)), dtype=np.float32)
    weights = LEARNED_WEIGHTS["home"]
    apart = settled(scores, sum(weights.values()) - weights["learned"])
    return first[:, :limit], scores[:, :limit], apart & (scores.shape[1] == limit + 1) & (limit <= DEPTH)


def _had(steps: Sequence[Step]) -> Rows:
    """What was bought, and the products touched last: nobody wants them again where people seldom buy again."""
    touched = list(dict.fromkeys(row for row, _, _ in reversed(steps)))[:JUST_TOUCHED]
    bought = [row for row, kind, _ in steps if kind == KINDS[EventType.PURCHASE]]
    return np.array([*touched, *bought], dtype=np.int64)


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
