"""How much sooner a product is looked at near the top of a ranking, estimated from what was shown and clicked.

Takes what was shown (which product for which query), where, and whether it was clicked; gives for each position how
likely it is to be looked at, the first being 1. No experiment is needed: the same product was shown for the same query
at several places by itself, as rankings change (intervention harvesting, "AllPairs": Agarwal, Zaitsev, Wang, Li, Najork
and Joachims, "Estimating Position Bias without Intrusive Interventions", WSDM 2019). The click model is the
position-based one, P(click) = P(looked at | position) · P(liked | query, product); for each two positions the liking
is one number over all that stood at both, so that many rare queries do as well as few frequent ones. It is fitted by EM
(Wang, Golbandi, Bendersky, Metzler and Najork, WSDM 2018). Knows no store.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

POSITIONS = 20
"""Estimated; what lies deeper counts as the last."""
MOST_WEIGHT = 10.0
"""Of a click: an estimate of a small chance is the least certain, and one click must not outweigh a hundred."""
LEAST_CLICKS = 200
"""On pairs that stood at several positions; with fewer nothing is corrected: of 20 clicks at each of ten positions the
square root, a fifth, is chance."""
ROUNDS = 3_000
STILL = 1e-7
"""Change of every propensity in a round below which EM has arrived."""
_CHUNK = 2_000
"""Pairs at once: 2,000 · 20 · 20 numbers are 6 MB."""

Floats = NDArray[np.float64]


def propensities(pairs: NDArray[np.int64], positions: NDArray[np.int64], clicks: NDArray[np.bool_]) -> Floats | None:
    """Chance of being looked at by position, from the top, relative to the first; None where too little has moved.

    Each line is one showing: `pairs` numbers query and product, `positions` count from 0. A position that was never
    one of several for anything has the value of the one before it.
    """
    shown = positions < POSITIONS
    shows, clicked = _tables(pairs[shown], positions[shown], clicks[shown])
    moved = (shows > 0).sum(axis=1) > 1
    if clicked[moved].sum() < LEAST_CLICKS:
        return None
    looked_at = _fitted(*_both_places(shows[moved], clicked[moved]))
    return _filled(looked_at) if np.isfinite(looked_at).any() else None


def click_weights(chances: Sequence[float] | Floats | None, depth: int = POSITIONS) -> Floats:
    """Of a click at each position: one over its chance of being looked at, at most `MOST_WEIGHT`; ones for None.

    >>> click_weights([1.0, 0.5, 0.01]).tolist()
    [1.0, 2.0, 10.0]
    """
    if chances is None:
        return np.ones(depth)
    return np.minimum(1.0 / np.maximum(np.asarray(chances, dtype=np.float64), 1e-12), MOST_WEIGHT)


def _tables(pairs: NDArray[np.int64], positions: NDArray[np.int64], clicks: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Showings and clicks of each pair at each position, shape (pairs, POSITIONS)."""
    _, lines = np.unique(pairs, return_inverse=True)
    size = (int(lines.max()) + 1 if len(lines) else 0, POSITIONS)
    cells = lines * POSITIONS + positions
    shows = np.bincount(cells, minlength=size[0] * POSITIONS).reshape(size)
    clicked = np.bincount(cells, weights=clicks, minlength=size[0] * POSITIONS).reshape(size)
    return shows.astype(np.float64), clicked.astype(np.float64)


def _both_places(shows: Floats, clicked: Floats) -> tuple[Floats, Floats]:
    """Clicks and their absence at position k of pairs that stood at k and at k', shape (POSITIONS, POSITIONS).

    A pair counts alike on both sides, however often it stood at either: by the harmonic mean of the showings, which
    is what the difference of two rates is known by.
    """
    hits, misses = np.zeros((POSITIONS, POSITIONS)), np.zeros((POSITIONS, POSITIONS))
    for start in range(0, len(shows), _CHUNK):
        many, rate = shows[start : start + _CHUNK], clicked[start : start + _CHUNK]
        rate = np.divide(rate, many, out=np.zeros_like(rate), where=many > 0)
        both = many[:, :, None] + many[:, None, :]
        weight = np.divide(many[:, :, None] * many[:, None, :], both, out=np.zeros_like(both), where=both > 0)
        hits += np.einsum("pkl,pk->kl", weight, rate)
        misses += np.einsum("pkl,pk->kl", weight, 1.0 - rate)
    np.fill_diagonal(hits, 0.0)
    np.fill_diagonal(misses, 0.0)
    return hits, misses


def _fitted(hits: Floats, misses: Floats) -> Floats:
    """NaN for a position without evidence. Only ratios are determined, so the first known one is made 1 at the end."""
    shown, both = hits + misses, hits + misses + hits.T + misses.T
    known = shown.sum(axis=1) > 0
    looked, liked = np.full(POSITIONS, 0.9), np.full((POSITIONS, POSITIONS), 0.5)
    for _ in range(ROUNDS):
        neither = np.maximum(1.0 - looked[:, None] * liked, 1e-12)
        unliked = misses * looked[:, None] * (1.0 - liked) / neither  # looked at, and passed over
        unseen = misses * liked * (1.0 - looked[:, None]) / neither  # liked, had it been looked at
        before = looked
        looked = _share((hits + unliked).sum(axis=1), shown.sum(axis=1))
        liked = _share(hits + hits.T + unseen + unseen.T, both)
        if np.abs(looked - before).max() < STILL:
            break
    looked[~known] = np.nan
    first = looked[known]
    return looked / first[0] if len(first) and first[0] > 0 else np.full(POSITIONS, np.nan)


def _share(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)


def _filled(chances: Floats) -> Floats:
    """Without gaps: each unknown position takes the value before it, the first ones that of the first known."""
    known = np.flatnonzero(np.isfinite(chances))
    last = np.maximum.accumulate(np.where(np.isfinite(chances), np.arange(len(chances)), known[0]))
    filled: Floats = chances[last]
    return filled
