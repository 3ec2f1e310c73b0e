"""Item-based nearest neighbours: what the people who had this item also had, in any order.

Sarwar, Karypis, Konstan and Riedl, "Item-Based Collaborative Filtering Recommendation Algorithms", WWW 2001; k
neighbours for each item as in Deshpande and Karypis, TOIS 2004.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from eval.baselines.matrices import bags, largest, people_by_items
from eval.baselines.popular import by_popularity, fill_zeros
from eval.baselines.tuning import Chosen, Grid, Score, tuned
from eval.data.interactions import Histories
from eval.systems import ItemScores, Learning

GRID: Grid = {"shrinkage": (10.0, 0.0, 1.0, 3.0, 30.0, 100.0), "neighbours": (200, 20, 50, 100, 500, 1000)}
VERSION = 1


class ItemKnn:
    """score(j) = sum over the items i of the history of n_ij / (sqrt(n_i * n_j) + shrinkage), for i's k best j.

    n_ij people had both, n_i had i. With `Learning.repeats` an item is its own neighbour. What no neighbour proposes
    follows by popularity.
    """

    name = "item_knn"

    def __init__(self, grid: Grid = GRID) -> None:
        self._grid = grid

    def fit(self, learning: Learning) -> Chosen:
        items = len(learning.catalogue)
        people = people_by_items(learning.train, items)
        together = (people.T @ people).tocsr()
        sizes = together.diagonal()
        if not learning.repeats:
            together.setdiag(0.0)
            together.eliminate_zeros()
        shares = by_popularity(learning.train, items)

        def build(settings: Chosen) -> Score:
            cosines = _cosines(together, sizes, float(settings["shrinkage"]))
            neighbours = largest(cosines, int(settings["neighbours"]))
            return lambda histories: fill_zeros((bags(histories, items) @ neighbours).toarray(), shares)

        self._score, self.tuning = tuned(self.name, VERSION, self._grid, learning, build)
        return self.tuning.chosen

    def score(self, histories: Histories) -> ItemScores:
        return self._score(histories)


def _cosines(together: sparse.csr_matrix, sizes: np.ndarray, shrinkage: float) -> sparse.csr_matrix:
    line = np.repeat(np.arange(len(sizes)), np.diff(together.indptr))
    norms = np.sqrt(sizes[line] * sizes[together.indices]) + np.float32(shrinkage)
    return sparse.csr_matrix((together.data / norms, together.indices, together.indptr), shape=together.shape)
