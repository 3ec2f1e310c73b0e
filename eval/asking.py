"""Asking a next-item system about cases: full rankings by the protocol's rules, and how long one answer takes.

Takes a fitted system and Cases, gives item numbers; every answer is checked before it counts. Knows no metric.
"""

from __future__ import annotations

import time

import numpy as np

from eval.data.interactions import Codes, Histories
from eval.measured import Values
from eval.metrics import top_k
from eval.protocols.split import Cases
from eval.systems import ItemScores, NextItemSystem, Ranker, Scorer

BATCH_SCORES = 16_000_000
"""Scores held at a time: 64 MB of float32."""
TIMED_CASES = 200


def rank(system: NextItemSystem, histories: Histories, items: int, depth: int, *, repeats: bool) -> Codes:
    """(histories, depth) items, best first, -1 past the end; all are candidates but, unless `repeats`, the seen.

    Raises ValueError for an answer of the wrong shape, with NaN, with an item twice or unknown, or with a seen one.
    """
    batch = max(1, BATCH_SCORES // max(items, 1))
    answers = [
        _rank_batch(system, histories.slice(start, start + batch), items, depth, repeats)
        for start in range(0, len(histories), batch)
    ]
    return np.concatenate(answers) if answers else np.zeros((0, depth), dtype=np.int32)


def latencies(system: NextItemSystem, cases: Cases, items: int, depth: int, *, repeats: bool, seed: int = 0) -> Values:
    """Milliseconds for one case asked alone, of up to TIMED_CASES drawn ones; the first answer does not count."""
    drawn = np.random.default_rng(seed).permutation(len(cases))[:TIMED_CASES]
    asked = [cases.histories.take(drawn[place : place + 1]) for place in range(len(drawn))]
    if not asked:
        return np.zeros(0)
    _rank_batch(system, asked[0], items, depth, repeats)
    times = []
    for history in asked:
        started = time.perf_counter()
        _rank_batch(system, history, items, depth, repeats)
        times.append(1000 * (time.perf_counter() - started))
    return np.array(times)


def scored(system: Scorer, histories: Histories, items: int, *, repeats: bool) -> ItemScores:
    """(histories, items) scores, checked, with -inf at what may not be ranked."""
    scores = system.score(histories)
    if scores.shape != (len(histories), items):
        raise ValueError(f"{system.name} gave scores of shape {scores.shape}; {(len(histories), items)} were asked for")
    if np.isnan(scores).any():
        raise ValueError(f"{system.name} gave NaN; -inf says that an item is not ranked")
    if not repeats:
        scores = np.array(scores, dtype=np.float32)  # a system may hand out an array that it keeps
        scores[np.repeat(np.arange(len(histories)), histories.lengths), histories.items] = -np.inf
    return scores


def _rank_batch(system: NextItemSystem, histories: Histories, items: int, depth: int, repeats: bool) -> Codes:
    if isinstance(system, Ranker):
        return _checked(system, system.rank(histories, depth), histories, items, depth, repeats)
    best, _ = top_k(scored(system, histories, items, repeats=repeats), depth)
    return best


def _checked(system: Ranker, ranked: Codes, histories: Histories, items: int, depth: int, repeats: bool) -> Codes:
    if ranked.shape != (len(histories), depth):
        raise ValueError(f"{system.name} gave lists of shape {ranked.shape}; {(len(histories), depth)} were asked for")
    if ranked.max(initial=-1) >= items or ranked.min(initial=-1) < -1:
        raise ValueError(f"{system.name} ranked an item that the catalogue of {items} does not have")
    if not repeats:
        keys = np.repeat(np.arange(len(histories)), histories.lengths) * np.int64(items) + histories.items
        shown = np.where(ranked < 0, -1, np.arange(len(ranked))[:, None] * np.int64(items) + ranked)
        if np.isin(shown, keys).any():
            raise ValueError(f"{system.name} ranked an item of the person's own history; the protocol leaves them out")
    return ranked.astype(np.int32, copy=False)
