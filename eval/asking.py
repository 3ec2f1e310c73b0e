"""Asking a next-item system about cases: full rankings by the protocol's rules, and how long one answer takes.

Takes a fitted system and Cases, gives item numbers; every answer is checked before it counts. Knows no metric.
"""

from __future__ import annotations

import time

import numpy as np

from eval.data.interactions import Codes, Histories, Order
from eval.measured import Values
from eval.metrics import top_k
from eval.protocols.split import Cases, Pools, Repeats
from eval.systems import ItemScores, NextItemSystem, Ranker, Scorer
from tasteline.errors import InvalidInput

BATCH_SCORES = 16_000_000
"""Scores held at a time: 64 MB of float32."""
TIMED_CASES = 200


def rank(
    system: NextItemSystem,
    histories: Histories,
    items: int,
    depth: int,
    *,
    repeats: Repeats,
    pools: Pools | None = None,
) -> Codes:
    """(histories, depth) items, best first, -1 past the end; of what was seen those that `repeats` lets in.

    With `pools` (`Cases.pools`) only items of a history's own pool are candidates: that takes a Scorer. Raises
    ValueError for an answer of the wrong shape, with NaN, with an item twice or unknown, or with one that may not be
    ranked; InvalidInput for a Ranker with `pools`.
    """
    batch = max(1, BATCH_SCORES // max(items, 1))
    answers = [
        _rank_batch(
            system,
            histories.slice(start, start + batch),
            items,
            depth,
            repeats,
            None if pools is None else pools.slice(start, start + batch),
        )
        for start in range(0, len(histories), batch)
    ]
    return np.concatenate(answers) if answers else np.zeros((0, depth), dtype=np.int32)


def latencies(
    system: NextItemSystem, cases: Cases, items: int, depth: int, *, repeats: Repeats, seed: int = 0
) -> Values:
    """Milliseconds for one case asked alone, of up to TIMED_CASES drawn ones; the first answer does not count."""
    drawn = np.random.default_rng(seed).permutation(len(cases))[:TIMED_CASES]
    asked = [cases.take(drawn[place : place + 1]) for place in range(len(drawn))]
    if not asked:
        return np.zeros(0)
    _rank_batch(system, asked[0].histories, items, depth, repeats, asked[0].pools)
    times = []
    for case in asked:
        started = time.perf_counter()
        _rank_batch(system, case.histories, items, depth, repeats, case.pools)
        times.append(1000 * (time.perf_counter() - started))
    return np.array(times)


def scored(
    system: Scorer, histories: Histories, items: int, *, repeats: Repeats, pools: Pools | None = None
) -> ItemScores:
    """(histories, items) scores, checked, with -inf at what may not be ranked."""
    scores = system.score(histories)
    if scores.shape != (len(histories), items):
        raise ValueError(f"{system.name} gave scores of shape {scores.shape}; {(len(histories), items)} were asked for")
    if np.isnan(scores).any():
        raise ValueError(f"{system.name} gave NaN; -inf says that an item is not ranked")
    if repeats is True and pools is None:
        return scores
    scores = np.array(scores, dtype=np.float32)  # a system may hand out an array that it keeps
    scores[barred(histories, repeats)] = -np.inf
    if pools is not None:
        scores[~pools.allowed] = -np.inf
    return scores


def barred(histories: Histories, repeats: Repeats) -> tuple[Order, Codes]:
    """The (history, item) pairs that may not be ranked because they were seen.

    >>> seen = Histories.of([[4, 7], [], [5]])
    >>> [[each.tolist() for each in barred(seen, repeats)] for repeats in (False, "earlier", True)]
    [[[0, 0, 2], [4, 7, 5]], [[0, 2], [7, 5]], [[], []]]
    """
    if repeats is True:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int32)
    seen = histories.last(1) if repeats == "earlier" else histories
    return np.repeat(np.arange(len(seen)), seen.lengths), seen.items


def _rank_batch(
    system: NextItemSystem, histories: Histories, items: int, depth: int, repeats: Repeats, pools: Pools | None
) -> Codes:
    if isinstance(system, Ranker):
        if pools is not None:
            raise InvalidInput(f"{system.name} gives short lists of all items; a part of the catalogue needs scores")
        if repeats == "earlier":  # it may list the one at hand; the harness leaves that out, as it does for a Scorer
            longer = _checked(system, system.rank(histories, depth + 1), histories, items, depth + 1, True)
            return _without(longer, histories.last(1), depth)
        return _checked(system, system.rank(histories, depth), histories, items, depth, repeats)
    best, _ = top_k(scored(system, histories, items, repeats=repeats, pools=pools), depth)
    return best


def _without(ranked: Codes, at_hand: Histories, depth: int) -> Codes:
    """The first `depth` of each list but the one item at hand, where there is one."""
    last = np.full(len(ranked), -2, dtype=np.int32)  # nothing: -1 is an empty place
    last[at_hand.lengths > 0] = at_hand.items
    gone = ranked == last[:, None]
    order = np.argsort(gone, axis=1, kind="stable")
    moved: Codes = np.take_along_axis(np.where(gone, -1, ranked), order, axis=1)[:, :depth]
    return moved


def _checked(system: Ranker, ranked: Codes, histories: Histories, items: int, depth: int, repeats: Repeats) -> Codes:
    if ranked.shape != (len(histories), depth):
        raise ValueError(f"{system.name} gave lists of shape {ranked.shape}; {(len(histories), depth)} were asked for")
    if ranked.max(initial=-1) >= items or ranked.min(initial=-1) < -1:
        raise ValueError(f"{system.name} ranked an item that the catalogue of {items} does not have")
    if repeats is not True:
        case, seen = barred(histories, repeats)
        keys = case * np.int64(items) + seen
        shown = np.where(ranked < 0, -1, np.arange(len(ranked))[:, None] * np.int64(items) + ranked)
        if np.isin(shown, keys).any():
            raise ValueError(f"{system.name} ranked an item of the person's own history; the protocol leaves it out")
    return ranked.astype(np.int32, copy=False)
