"""What people begin with on the other side of a catalogue, and what somebody's history says of it, in one list.

Takes a fitted-by-us system and what may be learned from, where the cases ask about one side (between two shops). The
history of a newcomer says something of few items and nothing of the rest; what others began with says something of all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from eval.baselines.newcomers import beginnings, has_bridge, side_of
from eval.baselines.popular import by_popularity
from eval.baselines.tuning import Chosen, Grid, Score, tuned
from eval.data.interactions import Histories
from eval.systems import ItemScores, Learning, Scorer, Settings

GRID: Grid = {
    "weight": (0.3, 0.05, 0.1, 0.2, 0.5, 0.7, 0.9),
    "among": ("shared", "all"),
    "decay": (0.3, 0.0, 0.5, 0.8),
}
VERSION = 1
KNOWN = 0.9
"""Share of what people begin with beside all of their items, so that nothing is impossible."""


class Begun:
    """score(j) = weight * P_h(j) + (1 - weight) * P(j), both probabilities over the side that is asked about.

    P is of what people begin with (`eval.baselines.newcomers.PopularFirst`), with a tenth of popularity. P_h is what
    another system says of the history: its positive scores over their sum, or with `logs` the softmax of all. Who has
    no history, or one of which nothing is said, gets P. `fit` raises InvalidInput where the cases do not ask about one
    side, and what the other system raises.
    """

    def __init__(self, system: Scorer, *, logs: bool = False, grid: Grid = GRID) -> None:
        self.name = f"{system.name}_first"
        self._system, self._logs, self._grid = system, logs, grid

    def fit(self, learning: Learning) -> Settings:
        self._side = np.flatnonzero(side_of(learning))
        inner = self._system.fit(learning) or {}
        popular = by_popularity(learning.train, len(learning.catalogue))
        grid = self._grid if has_bridge(learning) else {**self._grid, "among": ("all",)}

        def build(settings: Chosen) -> Score:
            counts = beginnings(learning, float(settings["decay"]), shared=settings["among"] == "shared")
            first = KNOWN * self._shares(counts) + (1 - KNOWN) * self._shares(popular)
            weight = float(settings["weight"])

            def score(histories: Histories) -> ItemScores:
                said = self._said(histories)
                heard = said.sum(axis=1, keepdims=True) > 0
                scores = np.full((len(histories), len(popular)), -1.0, dtype=np.float32)
                scores[:, self._side] = np.where(heard, weight * said + (1 - weight) * first, first)
                return scores

            return score

        self._score, self.tuning = tuned(self.name, VERSION, grid, learning, build)
        return {**{f"of {self._system.name}: {name}": value for name, value in inner.items()}, **self.tuning.chosen}

    def score(self, histories: Histories) -> ItemScores:
        return self._score(histories)

    def _shares(self, counts: NDArray[np.float32]) -> NDArray[np.float64]:
        there = counts[self._side].astype(np.float64)
        return np.asarray(there / max(there.sum(), np.finfo(np.float64).tiny))

    def _said(self, histories: Histories) -> NDArray[np.float32]:
        """(histories, items of the side) shares of each; zeros where the history is empty or unknown to the system."""
        scores = self._system.score(histories)[:, self._side]
        weights = softmax(scores, axis=1) if self._logs else np.maximum(scores, 0)
        weights = weights * (histories.lengths > 0)[:, None]
        totals = weights.sum(axis=1, keepdims=True)
        said: NDArray[np.float32] = (weights / np.where(totals > 0, totals, 1)).astype(np.float32)
        return said
