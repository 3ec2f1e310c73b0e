"""What follows what: directed, decayed co-occurrence within a window of steps.

A first-order reading of histories: pairs that stand close together and in this order count most. The service's own
counts (`retrieval.models.behaviour`) are of this family, with constants; here every constant is tuned.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from eval.baselines.matrices import moves, recency_weights
from eval.baselines.popular import by_popularity, fill_zeros
from eval.baselines.tuning import Chosen, Grid, Score, tuned
from eval.data.interactions import Histories, Interactions
from eval.systems import ItemScores, Learning

GRID: Grid = {
    "recency": (0.4, 0.2, 0.3, 0.5, 0.7, 1.0),
    "backward": (0.25, 0.0, 0.5, 1.0),
    "decay": (0.9, 0.7, 0.8, 1.0),
    "source_power": (0.5, 0.0, 0.25, 1.0),
    "target_power": (0.0, 0.1, 0.2, 0.4),
    "window": (16, 4, 8, 32),
}
MARKOV: Grid = {
    "recency": (0.0,),
    "backward": (0.0,),
    "decay": (1.0,),
    "source_power": (0.0,),
    "target_power": (0.0,),
    "window": (1,),
}
"""A first-order Markov chain: how often j came right after the last item. Nothing to choose."""
LAST_ITEM: Grid = {**GRID, "recency": (0.0,), "window": (8, 1, 2, 4, 16)}
"""What goes with the last item, whatever was before it; the rest is chosen."""
VERSION = 1


class Cooccurrence:
    """score(j) = sum over the history of recency**s * F_ij / (out_i**source_power * in_j**target_power).

    The item i stands s steps from the end of the history. F_ij sums decay**(d - 1) over the pairs in train in which j
    came d <= window steps after i, and backward * decay**(d - 1) over those in which it came before; out_i and in_j are
    its row and column sums. What follows nothing in the history comes after it by popularity.
    """

    def __init__(self, grid: Grid = GRID, name: str = "cooccurrence") -> None:
        """`MARKOV` and `LAST_ITEM` are grids of systems that look at the last item only, and go by other names."""
        self.name = name
        self._grid = grid

    def fit(self, learning: Learning) -> Chosen:
        items = len(learning.catalogue)
        shares = by_popularity(learning.train, items)

        @lru_cache(maxsize=1)
        def counts(window: int, decay: float) -> sparse.csr_matrix:
            return _followed(learning.train, items, window, decay)

        def build(settings: Chosen) -> Score:
            forward = counts(int(settings["window"]), float(settings["decay"]))
            follow = (forward + float(settings["backward"]) * forward.T).tocsr().astype(np.float32)
            follow = _tempered(follow, float(settings["source_power"]), float(settings["target_power"]))
            recency = float(settings["recency"])
            return lambda histories: fill_zeros((recency_weights(histories, items, recency) @ follow).toarray(), shares)

        self._score, self.tuning = tuned(self.name, VERSION, self._grid, learning, build)
        return self.tuning.chosen

    def score(self, histories: Histories) -> ItemScores:
        return self._score(histories)


def _followed(train: Interactions, items: int, window: int, decay: float) -> sparse.csr_matrix:
    """(items, items): sum of decay**(d - 1) over pairs of a person's steps that are d apart, the earlier one first."""
    moved = moves(train.users, train.items)
    people, products = train.users[moved], train.items[moved]
    counts = sparse.csr_matrix((items, items), dtype=np.float64)
    for steps in range(1, min(window, len(products) - 1) + 1):
        together = people[:-steps] == people[steps:]
        pair = (products[:-steps][together], products[steps:][together])
        weights = np.full(len(pair[0]), decay ** (steps - 1))
        counts = counts + sparse.csr_matrix((weights, pair), shape=counts.shape)
    return counts


def _tempered(follow: sparse.csr_matrix, source_power: float, target_power: float) -> sparse.csr_matrix:
    return (
        sparse.diags(_inverse(follow.sum(axis=1), source_power))
        @ follow
        @ sparse.diags(_inverse(follow.sum(axis=0), target_power))
    )


def _inverse(sums: NDArray[np.float32], power: float) -> NDArray[np.float32]:
    flat = np.asarray(sums, dtype=np.float64).ravel()
    return np.where(flat > 0, np.maximum(flat, np.finfo(np.float64).tiny) ** -power, 0.0).astype(np.float32)
