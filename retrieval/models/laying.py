"""A trained ranker laid on the rows of a catalogue.

Takes a stored ranker, whose items are product ids, and the live indexes, whose rows are products; gives a ranker over
rows. A product that came after the training has a place at once: its text and attributes have vectors, and as a
neighbour by text it takes part in what follows what. A row never changes, so what was laid stays when rows are added.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import sparse

from retrieval.catalogue import Catalogue
from retrieval.live import Indexes
from retrieval.models.following import Following, Matrix, alike_among, at, largest
from retrieval.models.item_features import Description, ItemFeatures
from retrieval.models.ranker import NextItemRanker, Shelf
from retrieval.models.ranker_files import StoredRanker
from retrieval.models.sequences import Numbers, Sequences
from retrieval.text import product_text
from tasteline.ports import VectorIndex
from tasteline.types import Rows

REASONED = 10
"""Last steps among which the one that led to a product is looked for."""


@dataclass(frozen=True, slots=True)
class Laid:
    """The ranker on the rows of one state of one catalogue."""

    catalogue: Catalogue
    rows: int
    ranker: NextItemRanker


def lay(stored: StoredRanker, indexes: Indexes, new_vectors: Callable[[int], VectorIndex]) -> Laid:
    catalogue = indexes.catalogue
    size = len(catalogue)
    rows_of_items = np.array([_row(catalogue, each) for each in stored.item_ids], dtype=np.int64)
    known = np.flatnonzero(rows_of_items >= 0)
    codes = np.zeros((size, stored.codes.shape[1]), dtype=np.int64)
    codes[rows_of_items[known]] = stored.codes[known]
    unseen = np.setdiff1d(np.flatnonzero(catalogue.alive), rows_of_items[known])
    features = _features(stored, indexes, unseen)
    codes[unseen] = features.codes
    tables = []
    for name, network in stored.networks.items():
        vectors = np.zeros((size, network.shape.width), dtype=np.float32)
        vectors[rows_of_items[known]] = stored.vectors[name][known]
        with torch.inference_mode():
            vectors[unseen] = network.tower.describe(features).numpy()
        index = new_vectors(network.shape.width)
        index.add(vectors)
        tables.append(index)
    following = _on_rows(stored.following, rows_of_items, size)
    following = _with_new(following, indexes.vectors, unseen)
    shelf = Shelf(indexes.vectors.vectors, codes, following, tuple(tables))
    ranker = NextItemRanker(list(stored.networks.values()), stored.fusion, shelf, from_each=stored.from_each)
    return Laid(catalogue, size, ranker)


def extended(laid: Laid, stored: StoredRanker, indexes: Indexes) -> Laid:
    """With the rows that came since: a row never changes, so everything before stays as it is."""
    size, shelf = len(indexes.catalogue), laid.ranker.shelf
    fresh = np.arange(laid.rows, size)
    alive = fresh[indexes.catalogue.alive[fresh]]
    features = _features(stored, indexes, alive)
    codes = np.vstack([shelf.codes, np.zeros((size - laid.rows, shelf.codes.shape[1]), dtype=np.int64)])
    codes[alive] = features.codes
    for index, network in zip(shelf.vectors, stored.networks.values(), strict=True):
        vectors = np.zeros((len(fresh), network.shape.width), dtype=np.float32)
        with torch.inference_mode():
            vectors[alive - laid.rows] = network.tower.describe(features).numpy()
        index.add(vectors)
    following = _with_new(_on_rows(shelf.following, np.arange(laid.rows), size), indexes.vectors, alive)
    shelf = replace(shelf, texts=indexes.vectors.vectors, codes=codes, following=following)
    ranker = NextItemRanker(list(stored.networks.values()), stored.fusion, shelf, from_each=stored.from_each)
    return Laid(indexes.catalogue, size, ranker)


def _features(stored: StoredRanker, indexes: Indexes, rows: Rows) -> ItemFeatures:
    products = [indexes.catalogue.product(int(row)) for row in rows]
    described = [Description.of(product, product_text(product)) for product in products]
    return ItemFeatures(indexes.vectors.vectors(rows), stored.vocabulary.codes(described))


def _row(catalogue: Catalogue, product_id: str) -> int:
    row = catalogue.row(product_id)
    return -1 if row is None else int(row)


def _on_rows(following: Following, rows_of_items: Numbers, size: int) -> Following:
    """The counts of items as counts of rows; items that are gone are left out."""
    known = np.flatnonzero(rows_of_items >= 0)
    places = (np.ones(len(known), dtype=np.float32), (rows_of_items[known], known))
    onto = sparse.csr_matrix(places, shape=(size, len(rows_of_items)))

    def moved(matrix: Matrix) -> Matrix:
        result = (onto @ matrix @ onto.T).tocsr()
        result.sort_indices()
        return result

    popularity = np.zeros(size, dtype=np.float32)
    popularity[rows_of_items[known]] = following.popularity[known]
    matrices = (following.forward, following.backward, following.counted, following.smoothed)
    return Following(following.settings, popularity, *map(moved, matrices))


def _with_new(following: Following, texts: VectorIndex, rows: Rows) -> Following:
    """New rows borrow what follows their likes, and stand among what follows their likes' predecessors."""
    if not len(rows):
        return following
    settings = following.settings
    likes = alike_among(texts, rows, len(following.popularity), settings)
    lines = settings.borrowed * (likes @ following.counted) + settings.plain_likeness * likes
    columns = settings.borrowed * (following.counted @ likes.T)
    size = len(following.popularity)
    onto = sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, np.arange(len(rows)))), shape=(size, len(rows)))
    smoothed = following.smoothed + onto @ lines + columns @ onto.T
    return replace(following, smoothed=largest(smoothed, settings.kept))


def because(shelf: Shelf, history: Sequences, rows: Rows) -> Rows:
    """The step of the history that speaks most for each row: by what followed it, else by likeness; -1 without one."""
    recent = history.merged().items[-REASONED:]
    if not len(recent) or not len(rows):
        return np.full(len(rows), -1, dtype=np.int64)
    weights = shelf.following.settings.recency ** np.arange(len(recent) - 1, -1, -1)
    followed = at(shelf.following.smoothed, recent, np.broadcast_to(rows, (len(recent), len(rows)))) * weights[:, None]
    silent = np.flatnonzero(followed.max(axis=0) == 0)
    followed[:, silent] = shelf.texts(recent) @ shelf.texts(rows[silent]).T
    return np.asarray(recent[followed.argmax(axis=0)], dtype=np.int64)
