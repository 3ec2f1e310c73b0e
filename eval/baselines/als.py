"""Matrix factorisation by alternating least squares, as the `implicit` library does it.

Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008. Item factors are fitted on
train; a person's factors are solved anew from the history that is asked about, so that nobody has to be in train.
"""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from eval.baselines.matrices import bags, people_by_items
from eval.baselines.popular import by_popularity, fill_silent
from eval.baselines.tuning import Chosen, Grid, Score, tuned
from eval.data.interactions import Histories
from eval.systems import ItemScores, Learning

GRID: Grid = {
    "factors": (256, 128),
    "alpha": (20.0, 5.0, 50.0),
    "regularisation": (1.0, 30.0),
    "iterations": (15,),
}
"""64 factors are worse by a quarter; 30 iterations move the third digit."""
VERSION = 1


class Als:
    """score(j) = y_j . x, where x solves (Y'Y + regularisation I + (alpha - 1) sum of y_i y_i') x = alpha sum of y_i.

    The sums are over the items i of the history, Y holds the item factors. A history of which train knows nothing gets
    the popular list. Seeded; one thread, so that a run can be repeated.
    """

    name = "als"

    def __init__(self, grid: Grid = GRID) -> None:
        self._grid = grid

    def fit(self, learning: Learning) -> Chosen:
        from implicit.cpu.als import AlternatingLeastSquares

        items = len(learning.catalogue)
        people = people_by_items(learning.train, items)
        shares = by_popularity(learning.train, items)

        def build(settings: Chosen) -> Score:
            # The library warns where BLAS runs more than one thread under its own.
            with threadpool_limits(1, user_api="blas"):
                model = AlternatingLeastSquares(
                    factors=int(settings["factors"]),
                    regularization=float(settings["regularisation"]),
                    alpha=float(settings["alpha"]),
                    iterations=int(settings["iterations"]),
                    num_threads=1,
                    random_state=learning.seed,
                )
                model.fit(people, show_progress=False)

            def score(histories: Histories) -> ItemScores:
                if not len(histories):
                    return np.zeros((0, items), dtype=np.float32)
                with threadpool_limits(1, user_api="blas"):  # small systems: two threads would wait for each other
                    persons = model.recalculate_user(np.arange(len(histories)), bags(histories, items))
                return fill_silent(persons @ model.item_factors.T, shares)

            return score

        self._score, self.tuning = tuned(self.name, VERSION, self._grid, learning, build, rounds=1)
        return self.tuning.chosen

    def score(self, histories: Histories) -> ItemScores:
        return self._score(histories)
