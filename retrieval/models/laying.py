"""A trained ranker laid on the rows of a catalogue.

Takes a stored ranker, whose items are product ids, and the live indexes, whose rows are products; gives a ranker over
rows. A product that came after the training has a place at once: its text and attributes have vectors, and as a
neighbour by text it takes part in what follows what. A row never changes, so what was laid stays when rows are added.
Texts are known by the vectors of the encoder that the ranker was trained with, whatever requests are embedded by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import sparse

from retrieval.catalogue import Catalogue
from retrieval.live import Indexes
from retrieval.models.following import Following, Matrix, alike_among, at, largest
from retrieval.models.item_features import Codes, Description, ItemFeatures
from retrieval.models.ranker import NextItemRanker, Shelf
from retrieval.models.ranker_files import StoredRanker
from retrieval.models.sequences import Numbers, Sequences
from retrieval.text import product_text
from tasteline.ports import VectorIndex
from tasteline.types import Mask, Rows, Vectors

REASONED = 10
"""Last steps among which the one that led to a product is looked for."""


@dataclass(frozen=True, slots=True)
class Laid:
    """The ranker on the rows of one state of one catalogue."""

    catalogue: Catalogue
    rows: int
    items: Mapping[str, int]
    """Product id → item of the stored ranker."""
    rows_of_items: Numbers
    """(items,) where each was last seen, -1 where it never was in this catalogue."""
    ranker: NextItemRanker


def lay(stored: StoredRanker, indexes: Indexes, new_vectors: Callable[[int], VectorIndex]) -> Laid:
    catalogue = indexes.catalogue
    size = len(catalogue)
    rows_of_items = np.array([_row(catalogue, each) for each in stored.item_ids], dtype=np.int64)
    items_of_rows = np.full(size, -1, dtype=np.int64)
    items_of_rows[rows_of_items[rows_of_items >= 0]] = np.flatnonzero(rows_of_items >= 0)
    codes, tables = _described(stored, indexes, items_of_rows, first=0)
    vectors = []
    for table in tables:
        vectors.append(new_vectors(table.shape[1]))
        vectors[-1].add(table)
    unseen = np.flatnonzero(catalogue.alive & (items_of_rows < 0))
    texts = indexes.vectors_by(stored.embedder)
    following = _with_new(_on_rows(stored.following, rows_of_items, size), texts, unseen, catalogue.alive)
    shelf = Shelf(texts, codes, following, tuple(vectors))
    items = {product_id: item for item, product_id in enumerate(stored.item_ids)}
    return Laid(catalogue, size, items, rows_of_items, _ranker(stored, shelf))


def extended(laid: Laid, stored: StoredRanker, indexes: Indexes) -> Laid:
    """With the rows that came since."""
    catalogue, shelf = indexes.catalogue, laid.ranker.shelf
    fresh = np.arange(laid.rows, len(catalogue))
    items = np.full(len(fresh), -1, dtype=np.int64)
    for place in np.flatnonzero(catalogue.alive[fresh]):
        items[place] = laid.items.get(catalogue.product(int(fresh[place])).id, -1)
    codes, tables = _described(stored, indexes, items, first=laid.rows)
    for index, table in zip(shelf.vectors, tables, strict=True):
        index.add(table)
    origins = np.where(items >= 0, laid.rows_of_items[items], -1)
    unseen = fresh[catalogue.alive[fresh] & (origins < 0)]
    texts = indexes.vectors_by(stored.embedder)
    following = _with_new(_grown(shelf.following, origins), texts, unseen, catalogue.alive)
    rows_of_items = laid.rows_of_items.copy()
    rows_of_items[items[items >= 0]] = fresh[items >= 0]
    shelf = replace(shelf, texts=texts, codes=np.vstack([shelf.codes, codes]), following=following)
    return Laid(catalogue, len(catalogue), laid.items, rows_of_items, _ranker(stored, shelf))


def _ranker(stored: StoredRanker, shelf: Shelf) -> NextItemRanker:
    return NextItemRanker(list(stored.networks.values()), stored.fusion, shelf, from_each=stored.from_each)


def _described(stored: StoredRanker, indexes: Indexes, items: Numbers, first: int) -> tuple[Codes, list[Vectors]]:
    """Codes and each network's vectors of the rows from `first` on, of which row first + i is `items[i]` (-1: unknown).

    What is unknown is described by its product; a dead row has zeros.
    """
    known = np.flatnonzero(items >= 0)
    unseen = np.flatnonzero(indexes.catalogue.alive[first:] & (items < 0))
    features = _features(stored, indexes, first + unseen)
    codes = np.zeros((len(items), stored.codes.shape[1]), dtype=np.int64)
    codes[known], codes[unseen] = stored.codes[items[known]], features.codes
    tables = []
    for name, network in stored.networks.items():
        vectors = np.zeros((len(items), network.shape.width), dtype=np.float32)
        vectors[known] = stored.vectors[name][items[known]]
        with torch.inference_mode():
            vectors[unseen] = network.tower.describe(features).numpy()
        tables.append(vectors)
    return codes, tables


def _features(stored: StoredRanker, indexes: Indexes, rows: Rows) -> ItemFeatures:
    products = [indexes.catalogue.product(int(row)) for row in rows]
    described = [Description.of(product, product_text(product)) for product in products]
    return ItemFeatures(indexes.vectors_by(stored.embedder).vectors(rows), stored.vocabulary.codes(described))


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


def _grown(following: Following, origins: Numbers) -> Following:
    """With a row for each of `origins`: it takes over what was counted of that row, -1 is empty.

    The rest stays where it is: with 12,000 items a tenth of the time of moving all of it, and readers wait.
    """
    before = len(following.popularity)
    moved = np.flatnonzero(origins >= 0)
    size = before + len(origins)
    names = np.arange(size)
    names[origins[moved]] = before + moved

    def grown(matrix: Matrix) -> Matrix:
        taken = matrix[origins[moved]]
        lengths = np.zeros(len(origins), dtype=matrix.indptr.dtype)
        lengths[moved] = np.diff(taken.indptr)
        indptr = np.concatenate((matrix.indptr, matrix.indptr[-1] + np.cumsum(lengths)))
        data, indices = matrix.data, matrix.indices
        if len(moved):
            data = np.concatenate((data, taken.data))
            indices = names[np.concatenate((indices, taken.indices))]
        result = sparse.csr_matrix((data, indices, indptr), shape=(size, size))
        result.sort_indices()
        return result

    popularity = np.concatenate((following.popularity, np.where(origins >= 0, following.popularity[origins], 0)))
    matrices = (following.forward, following.backward, following.counted, following.smoothed)
    return Following(following.settings, popularity.astype(np.float32), *map(grown, matrices))


def _with_new(following: Following, texts: VectorIndex, rows: Rows, alive: Mask) -> Following:
    """New rows borrow what follows their likes, and stand among what follows their likes' predecessors."""
    if not len(rows):
        return following
    settings = following.settings
    likes = alike_among(texts, rows, alive, settings)
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
    followed[:, silent] = shelf.texts.vectors(recent) @ shelf.texts.vectors(rows[silent]).T
    return np.asarray(recent[followed.argmax(axis=0)], dtype=np.int64)
