"""The rerank task: candidates are given, a system may only put them in another order.

Takes candidates as item numbers and systems (or orders from outside), gives each system's order of them. What a first
stage did not find, no order can mend: metrics count it as missed. Knows no file (`eval.data.trec` has runs).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eval import asking
from eval.data.interactions import Codes, Histories
from eval.protocols.split import Repeats
from eval.systems import NextItemSystem, Ranker

LOOKED_THROUGH = 500
"""How deep a system that only gives lists is asked, to find the candidates in its list."""


def reordered(
    system: NextItemSystem, histories: Histories, candidates: Codes, items: int, *, repeats: Repeats
) -> Codes:
    """`candidates` (n, k) in the order of the system: by its scores, or by its list of LOOKED_THROUGH.

    Candidates of equal score, or outside of its list, keep the order in which they were given, after the others.
    """
    if isinstance(system, Ranker):
        return by_lists(candidates, asking.rank(system, histories, items, LOOKED_THROUGH, repeats=repeats))
    parts = []
    batch = max(1, asking.BATCH_SCORES // max(items, 1))
    for start in range(0, len(histories), batch):
        scores = asking.scored(system, histories.slice(start, start + batch), items, repeats=True)
        part = candidates[start : start + batch]
        given = np.take_along_axis(scores, np.maximum(part, 0), axis=1)
        parts.append(_sorted(part, -np.where(part < 0, -np.inf, given)))
    return np.concatenate(parts) if parts else candidates


def by_lists(candidates: Codes, lists: Codes) -> Codes:
    """`candidates` (n, k) in the order in which `lists` (n, depth) has them; what it lacks keeps its order, last.

    >>> by_lists(np.array([[4, 5, 6, -1]], dtype=np.int32), np.array([[9, 6, 4]], dtype=np.int32)).tolist()
    [[6, 4, 5, -1]]
    """
    span = np.int64(max(candidates.max(initial=0), lists.max(initial=0)) + 2)
    rows = np.arange(len(candidates), dtype=np.int64)[:, None] * span
    keys = np.where(lists < 0, -1, rows + lists).ravel()
    sorting = np.argsort(keys, kind="stable")
    wanted = rows + candidates
    places = np.minimum(np.searchsorted(keys, wanted, sorter=sorting), max(0, len(keys) - 1))
    found = keys[sorting[places]] == wanted if len(keys) else np.zeros(candidates.shape, dtype=np.bool_)
    ranks = np.where(found, sorting[places] % max(1, lists.shape[1]), lists.shape[1]) if len(keys) else 0 * wanted
    return _sorted(candidates, np.where(candidates < 0, np.inf, ranks))


def cut_half(histories: Histories, seed: int) -> tuple[Histories, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]:
    """Every other drawn person's history cut to its last one or two events; which ones."""
    rng = np.random.default_rng(seed)
    short = rng.permutation(len(histories)) % 2 == 0
    lengths = np.where(short, rng.integers(1, 3, size=len(histories)), histories.lengths)
    return histories.last(lengths), short


def recall_of(candidates: Codes, targets: Sequence[int]) -> float:
    """Share of cases whose (first) target is among the candidates: what a perfect order would reach."""
    return float((candidates == np.asarray(targets)[:, None]).any(axis=1).mean()) if len(candidates) else float("nan")


def _sorted(candidates: Codes, keys: np.ndarray[tuple[int, ...], np.dtype[np.floating]]) -> Codes:
    order = np.argsort(keys, axis=1, kind="stable")
    ordered: Codes = np.take_along_axis(candidates, order, axis=1)
    return ordered
