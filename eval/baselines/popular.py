"""The same list for everybody: what is most popular, over all time or lately.

Takes the train rows, gives a score for each item. `by_popularity` lets other baselines say something where they know
nothing. Knows no person.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eval.baselines.tuning import Chosen, Grid, Score, tuned
from eval.data.interactions import Histories, Interactions
from eval.systems import ItemScores, Learning
from tasteline.errors import InvalidInput

DAY = 86_400.0
HALF_LIVES: Grid = {"half_life_days": (30.0, 0.01, 0.04, 0.25, 1.0, 3.0, 7.0, 14.0, 60.0, 120.0, 365.0)}
VERSION = 1

Shares = NDArray[np.float32]
"""(items,): from 0, never seen, to 1, the most popular."""


class Popular:
    """score(i) = number of train rows of i, over that of the most popular item (so 0 to 1)."""

    name = "popular"

    def fit(self, learning: Learning) -> None:
        self._shares = by_popularity(learning.train, len(learning.catalogue))

    def score(self, histories: Histories) -> ItemScores:
        return _for_everybody(self._shares, len(histories))


class PopularRecent:
    """score(i) = sum over the train rows of i of 0.5**(age / half-life), age counted back from the last train row.

    Only where times of different people can be compared: `fit` raises InvalidInput for an untimed set.
    """

    name = "popular_recent"

    def __init__(self, grid: Grid = HALF_LIVES) -> None:
        self._grid = grid

    def fit(self, learning: Learning) -> Chosen:
        if not learning.timed:
            raise InvalidInput(
                f"{learning.dataset} has no times that can be compared between people, so nothing in it is recent; "
                f"leave {self.name} out",
                field="timed",
            )
        train, items = learning.train, len(learning.catalogue)
        age = (train.order.max(initial=0) - train.order) / DAY

        def build(settings: Chosen) -> Score:
            shares = by_popularity(train, items, 0.5 ** (age / float(settings["half_life_days"])))
            return lambda histories: _for_everybody(shares, len(histories))

        self._score, self.tuning = tuned(self.name, VERSION, self._grid, learning, build)
        return self.tuning.chosen

    def score(self, histories: Histories) -> ItemScores:
        return self._score(histories)


def by_popularity(train: Interactions, items: int, weights: NDArray[np.float64] | None = None) -> Shares:
    """Rows of each item (or their weights), over the largest; zeros where there are no rows.

    >>> by_popularity(Interactions.of([0, 1, 1], [2, 2, 0], [0, 0, 1]), items=3).tolist()
    [0.5, 0.0, 1.0]
    """
    counts = np.bincount(train.items, weights, minlength=items).astype(np.float64)
    shares: Shares = (counts / max(counts.max(initial=0.0), np.finfo(np.float64).tiny)).astype(np.float32)
    return shares


def fill_zeros(scores: ItemScores, shares: Shares) -> ItemScores:
    """Each 0 becomes -1 + share / 2: below every positive score, the more popular first. In place.

    For models whose scores are positive where they know something; an empty history gets the popular list.
    """
    np.copyto(scores, shares / 2 - 1, where=scores == 0)
    return scores


def fill_silent(scores: ItemScores, shares: Shares) -> ItemScores:
    """Rows in which every score is 0 become the shares. In place.

    For models whose scores may be negative; a history that is empty or unknown to them gets the popular list.
    """
    scores[~scores.any(axis=1)] = shares
    return scores


def _for_everybody(shares: Shares, people: int) -> ItemScores:
    everybody: ItemScores = np.tile(shares, (people, 1))
    return everybody
