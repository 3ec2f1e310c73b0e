"""User-based nearest neighbours: what the people had who did most like this one.

Resnick, Iacovou, Suchak, Bergstrom and Riedl, "GroupLens", CSCW 1994, over sets of items. Needs no matrix of items by
items: the only neighbourhood that fits large catalogues with long histories.
"""

from __future__ import annotations

import numpy as np

from eval.baselines.matrices import bags, largest, people_by_items, unit
from eval.baselines.popular import by_popularity, fill_zeros
from eval.baselines.tuning import Chosen, Grid, Score, tuned
from eval.data.interactions import Histories
from eval.systems import ItemScores, Learning

GRID: Grid = {"neighbours": (200, 50, 100, 500, 2000), "rarity": (1.0, 0.0, 0.5, 2.0), "power": (1.0, 2.0, 4.0)}
VERSION = 1


class UserKnn:
    """score(j) = sum over the k most similar people of train who had j of cosine(history, theirs)**power.

    An item counts log(people / people who had it)**rarity in the cosine. What no neighbour had follows by popularity.
    """

    name = "user_knn"

    def __init__(self, grid: Grid = GRID) -> None:
        self._grid = grid

    def fit(self, learning: Learning) -> Chosen:
        items = len(learning.catalogue)
        people = people_by_items(learning.train, items)
        had = np.asarray(people.sum(axis=0), dtype=np.float64).ravel()
        rarity = np.log((people.shape[0] + 1) / (had + 0.5))  # above 0 for what everybody has
        shares = by_popularity(learning.train, items)

        def build(settings: Chosen) -> Score:
            weights = rarity ** float(settings["rarity"])
            theirs, power = unit(people, weights).T.tocsc(), float(settings["power"])

            def score(histories: Histories) -> ItemScores:
                alike = largest((unit(bags(histories, items), weights) @ theirs).tocsr(), int(settings["neighbours"]))
                alike.data **= power
                return fill_zeros((alike @ people).toarray(), shares)

            return score

        self._score, self.tuning = tuned(self.name, VERSION, self._grid, learning, build)
        return self.tuning.chosen

    def score(self, histories: Histories) -> ItemScores:
        return self._score(histories)
