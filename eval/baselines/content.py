"""More of the same, by what the texts say: the only classical baseline that can rank an item nobody has touched.

Takes an Embedder, gives a system over histories; the vectors of the catalogue are kept beside the data set. Knows
nothing of what other people did, except that an empty history gets the popular list.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np

from eval.baselines.matrices import recency_weights
from eval.baselines.popular import by_popularity, fill_silent
from eval.baselines.tuning import Chosen, Grid, Score, tuned
from eval.data.interactions import Histories
from eval.systems import ItemScores, Learning
from tasteline.ports import Embedder
from tasteline.types import Vectors

GRID: Grid = {"recency": (0.8, 0.0, 0.3, 0.5, 0.7, 0.9, 1.0)}
VERSION = 1


class Content:
    """score(j) = cosine of v_j and the sum over the history of recency**s * v_i, item i s steps from its end.

    v are the vectors of `Catalogue.texts`; an item without text scores 0.
    """

    name = "content"

    def __init__(self, embedder: Embedder, grid: Grid = GRID) -> None:
        self._embedder = embedder
        self._grid = grid

    def fit(self, learning: Learning) -> Chosen:
        items = len(learning.catalogue)
        shares = by_popularity(learning.train, items)
        vectors = text_vectors(self._embedder, learning.catalogue.texts, learning.cache)

        def build(settings: Chosen) -> Score:
            recency = float(settings["recency"])

            def score(histories: Histories) -> ItemScores:
                tastes = recency_weights(histories, items, recency) @ vectors
                tastes /= np.maximum(np.linalg.norm(tastes, axis=1, keepdims=True), np.finfo(np.float32).tiny)
                return fill_silent(tastes @ vectors.T, shares)

            return score

        self._score, self.tuning = tuned(
            f"{self.name}-{key_of(self._embedder, learning.catalogue.texts)}", VERSION, self._grid, learning, build
        )
        return self.tuning.chosen

    def score(self, histories: Histories) -> ItemScores:
        return self._score(histories)


def text_vectors(embedder: Embedder, texts: Sequence[str], cache: Path | None) -> Vectors:
    """(texts, dimension) unit vectors, zeros for a blank one; kept where there is a `cache`."""
    if cache is None:
        return embedder.encode(texts, kind="document")
    path = cache / "vectors" / f"{key_of(embedder, texts)}.npy"
    if path.is_file():
        stored: Vectors = np.load(path)
        return stored
    vectors = embedder.encode(texts, kind="document")
    path.parent.mkdir(parents=True, exist_ok=True)
    writing = path.with_suffix(".tmp.npy")
    np.save(writing, vectors)
    writing.replace(path)
    return vectors


def key_of(embedder: Embedder, texts: Sequence[str]) -> str:
    """A name for the vectors of these texts by this embedder."""
    digest = sha256(embedder.name.encode())
    for text in texts:
        digest.update(b"\0" + text.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:16]
