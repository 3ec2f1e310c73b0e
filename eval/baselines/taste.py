"""Taste from texts with popularity beside it, and a taste of one shop turned into that of another.

Takes an Embedder, gives two systems. Likeness of texts alone ranks what nobody buys as high as what everybody does;
here both have a say, and how much is tuned. Knows nothing of files.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.baselines.content import key_of, text_vectors
from eval.baselines.matrices import bags, recency_weights
from eval.baselines.newcomers import beginnings, has_bridge, on_both, side_of
from eval.baselines.tuning import Chosen, Grid, Score, tuned
from eval.data.interactions import Flags, Histories
from eval.systems import ItemScores, Learning
from tasteline.ports import Embedder
from tasteline.types import Vectors

PRIORS = ("popular", "first", "first among shared")
CONTENT_GRID: Grid = {
    "prior": PRIORS,
    "popularity": (3.0, 0.3, 1.0, 10.0, 30.0),
    "recency": (1.0, 0.5, 0.8, 0.9),
}
RIDGE_GRID: Grid = {
    "prior": PRIORS,
    "popularity": (3.0, 0.3, 1.0, 10.0, 30.0),
    "regularisation": (30.0, 1.0, 10.0, 100.0, 300.0),
    "to": ("vectors", "items"),
}
VERSION = 1
BEGINNING = 0.5
"""How much less each further item of a person counts among what people begin with."""

Floats = NDArray[np.float32]


class ContentPopular:
    """score(j) = popularity * p_j + z(cosine of v_j and the sum over the history of recency**s * v_i).

    p_j is log(1 + train rows of j), z subtracts the mean over the items and divides by the standard deviation, p alike.
    Between two shops, p may also be of what people begin with (`eval.baselines.newcomers.PopularFirst`, decay .5). An
    empty history gets the list of p.
    """

    name = "content_popular"

    def __init__(self, embedder: Embedder, grid: Grid = CONTENT_GRID) -> None:
        self._embedder = embedder
        self._grid = grid

    def fit(self, learning: Learning) -> Chosen:
        items = len(learning.catalogue)
        vectors = text_vectors(self._embedder, learning.catalogue.texts, learning.cache)
        priors = _priors(learning)

        def build(settings: Chosen) -> Score:
            popularity = priors[str(settings["prior"])]

            def score(histories: Histories) -> ItemScores:
                likeness = recency_weights(histories, items, float(settings["recency"])) @ vectors @ vectors.T
                return _mixed(likeness, popularity, float(settings["popularity"]))

            return score

        self._score, self.tuning = tuned(
            f"{self.name}-{key_of(self._embedder, learning.catalogue.texts)}",
            VERSION,
            _with(priors, self._grid),
            learning,
            build,
        )
        return self.tuning.chosen

    def score(self, histories: Histories) -> ItemScores:
        return self._score(histories)


class Ridge:
    """score(j) = popularity * p_j + z((x - mean x) W ...): what the people of both shops had there, given their taste.

    x is the mean text vector of a history. W is fitted on the people of train who have items on both sides
    (`Cases.pools` says which side is asked about): to their mean vector there, with which items are then compared
    ("vectors"), or to the items that they had, each a regression of its own ("items").

        W = (X^T X + regularisation * I)^-1 X^T Y,   X and Y less their means

    `fit` raises InvalidInput where the cases do not ask about one side of a catalogue, or nobody is on both.
    """

    name = "ridge"

    def __init__(self, embedder: Embedder, grid: Grid = RIDGE_GRID) -> None:
        self._embedder = embedder
        self._grid = grid

    def fit(self, learning: Learning) -> Chosen:
        side = side_of(learning)
        vectors = text_vectors(self._embedder, learning.catalogue.texts, learning.cache)
        bridge = _bridge(learning, side, vectors)
        priors = _priors(learning)

        def build(settings: Chosen) -> Score:
            popularity = priors[str(settings["prior"])]
            weights = _weights(bridge, float(settings["regularisation"]), to_items=settings["to"] == "items")
            weight = float(settings["popularity"])

            def score(histories: Histories) -> ItemScores:
                tastes = _means(histories, vectors)
                away = np.where(histories.lengths[:, None] > 0, tastes - bridge.mean, 0)
                return _mixed(away.astype(np.float32) @ weights, popularity, weight)

            return score

        self._score, self.tuning = tuned(
            f"{self.name}-{key_of(self._embedder, learning.catalogue.texts)}",
            VERSION,
            _with(priors, self._grid),
            learning,
            build,
        )
        return self.tuning.chosen

    def score(self, histories: Histories) -> ItemScores:
        return self._score(histories)


@dataclass(frozen=True, slots=True)
class _Bridge:
    """People of train on both sides."""

    tastes: Floats
    """(people, dimension): mean vectors of what they had on the side that is not asked about, less their mean."""
    mean: Floats
    """(dimension,)"""
    had: Floats
    """(people, items): 1 for what they had on the side that is asked about."""
    vectors: Vectors
    """(items, dimension)"""


def _bridge(learning: Learning, side: Flags, vectors: Vectors) -> _Bridge:
    train = learning.train
    there = side[train.items]
    people = on_both(learning, side)
    tastes = _means(train.where(~there).histories(people), vectors)
    mean = tastes.mean(axis=0)
    had = bags(train.where(there).histories(people), len(side)).toarray()
    return _Bridge(tastes - mean, mean, had, vectors)


def _weights(bridge: _Bridge, regularisation: float, *, to_items: bool) -> Floats:
    """(dimension, items)"""
    x = bridge.tastes.astype(np.float64)
    square = x.T @ x + regularisation * np.eye(x.shape[1])
    if to_items:
        solved: Floats = np.linalg.solve(square, x.T @ (bridge.had - bridge.had.mean(axis=0))).astype(np.float32)
        return solved
    theirs = bridge.had @ bridge.vectors / bridge.had.sum(axis=1, keepdims=True)
    turned: Floats = np.linalg.solve(square, x.T @ (theirs - theirs.mean(axis=0))).astype(np.float32)
    solved_items: Floats = turned @ bridge.vectors.T
    return solved_items


def _means(histories: Histories, vectors: Vectors) -> Floats:
    """(histories, dimension) means over the distinct items; zeros for an empty history."""
    had = bags(histories, len(vectors))
    means: Floats = (had @ vectors / np.maximum(np.asarray(had.sum(axis=1)), 1)).astype(np.float32)
    return means


def _priors(learning: Learning) -> dict[str, Floats]:
    """What may stand for popularity, by its name in `PRIORS`; only those that this split has."""
    counts: dict[str, NDArray[np.floating]] = {
        "popular": np.bincount(learning.train.items, minlength=len(learning.catalogue)).astype(np.float64)
    }
    if learning.valid.pools is not None:
        counts["first"] = beginnings(learning, BEGINNING, shared=False)
        if has_bridge(learning):
            counts["first among shared"] = beginnings(learning, BEGINNING, shared=True)
    return {name: _standard(np.log1p(each)[None, :].astype(np.float32))[0] for name, each in counts.items()}


def _with(priors: dict[str, Floats], grid: Grid) -> Grid:
    """The grid with those priors only that there are."""
    return {**grid, "prior": tuple(name for name in grid["prior"] if name in priors)}


def _mixed(likeness: Floats, popularity: Floats, weight: float) -> ItemScores:
    mixed: ItemScores = (_standard(likeness) + np.float32(weight) * popularity).astype(np.float32)
    return mixed


def _standard(lines: Floats) -> Floats:
    """Each line with mean 0 and standard deviation 1; a line of equal values becomes zeros."""
    centred = lines - lines.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1, keepdims=True)
    standard: Floats = (centred / np.where(spread > np.finfo(np.float32).eps, spread, 1)).astype(np.float32)
    return standard
