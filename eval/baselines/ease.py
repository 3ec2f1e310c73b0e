"""EASE: the linear autoencoder with a closed form, the strongest of the shallow models that see no order.

Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019. One dense items × items inverse: minutes and
gigabytes, so there is a limit to the catalogue.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import lapack

from eval.baselines.matrices import bags, people_by_items
from eval.baselines.popular import by_popularity, fill_silent
from eval.baselines.tuning import Chosen, Grid, Score, tuned
from eval.data.interactions import Histories
from eval.systems import ItemScores, Learning
from tasteline.errors import InvalidInput

GRID: Grid = {"regularisation": (50.0, 20.0, 150.0, 500.0)}
MOST_ITEMS = 20_000
"""1.6 GB for each matrix of float32, of which the search holds two; the time grows with the cube."""
VERSION = 1
_BLOCK = 2048

Square = NDArray[np.float32]


class Ease:
    """score = x B, with x 1 for each item of the history.

        P = (X^T X + regularisation * I)^-1,   B_ij = -P_ij / P_jj,   B_ii = 0

    X is (people, items) of train. `fit` raises InvalidInput for more than 20,000 items. A history of which train knows
    nothing gets the popular list.
    """

    name = "ease"

    def __init__(self, grid: Grid = GRID) -> None:
        self._grid = grid

    def fit(self, learning: Learning) -> Chosen:
        items = len(learning.catalogue)
        if items > MOST_ITEMS:
            raise InvalidInput(
                f"{self.name} inverts a dense matrix of items by items: {items:,} items would take "
                f"{2 * 4 * items**2 / 2**30:.0f} GiB and hours, the limit is {MOST_ITEMS:,}; leave it out",
                field="items",
            )
        people = people_by_items(learning.train, items)
        together = (people.T @ people).tocsr()
        shares = by_popularity(learning.train, items)

        def build(settings: Chosen) -> Score:
            weights = _weights(together, float(settings["regularisation"]))
            return lambda histories: fill_silent(bags(histories, items) @ weights, shares)

        self._score, self.tuning = tuned(self.name, VERSION, self._grid, learning, build)
        return self.tuning.chosen

    def score(self, histories: Histories) -> ItemScores:
        return self._score(histories)


def _weights(together: sparse.csr_matrix, regularisation: float) -> Square:
    """B, in the memory of one matrix: float32 suffices, the smallest eigenvalue is at least `regularisation`."""
    square = np.asfortranarray(together.toarray(order="F"), dtype=np.float32)
    square[np.diag_indices_from(square)] += np.float32(regularisation)
    square, failed = lapack.spotrf(square, lower=0, clean=0, overwrite_a=1)
    if not failed:
        square, failed = lapack.spotri(square, lower=0, overwrite_c=1)
    if failed:
        raise ValueError(f"regularisation {regularisation} leaves the matrix without an inverse; choose a larger one")
    inverse = _mirrored(square.T)  # symmetric: the transposed view lies row by row, as the sparse product wants it
    diagonal = inverse.diagonal().copy()
    inverse /= -diagonal
    inverse[np.diag_indices_from(inverse)] = 0.0
    return inverse


def _mirrored(square: Square) -> Square:
    """The lower triangle copied over the upper one, in place and block by block."""
    for start in range(0, len(square), _BLOCK):
        stop = start + _BLOCK
        corner = np.tril(square[start:stop, start:stop])
        square[start:stop, start:stop] = corner + np.tril(corner, -1).T
        square[start:stop, stop:] = square[stop:, start:stop].T
    return square
