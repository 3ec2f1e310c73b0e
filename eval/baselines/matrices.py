"""Histories and training rows as sparse matrices: what nearly every classical recommender is a product of.

Takes the arrays of `eval.data`, gives `scipy.sparse` matrices in float32. Knows no model.

>>> bags(Histories.of([[2, 0], [], [1]]), items=3).toarray().tolist()
[[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from eval.data.interactions import Codes, Flags, Histories, Interactions


def people_by_items(train: Interactions, items: int) -> sparse.csr_matrix:
    """(people with a row in `train`, items): 1 where the person did anything with the item, however often."""
    _, person = np.unique(train.users, return_inverse=True)
    people = int(person.max(initial=-1)) + 1
    return _once(sparse.csr_matrix((np.ones(len(train), np.float32), (person, train.items)), shape=(people, items)))


def bags(histories: Histories, items: int) -> sparse.csr_matrix:
    """(histories, items): 1 for each item that is in the history, in any place and however often."""
    return _once(_placed(histories, items, np.ones(len(histories.items), dtype=np.float32)))


def recency_weights(histories: Histories, items: int, decay: float) -> sparse.csr_matrix:
    """(histories, items): sum of decay**s over the places of the item, s steps from the end; the last step is 0.

    A view, a cart and a purchase of one item in a row are one step. decay 1 counts steps, 0 sees the last one only.

    >>> recency_weights(Histories.of([[2, 0, 0]]), items=3, decay=0.5).toarray().tolist()
    [[1.0, 0.0, 0.5]]
    """
    case = np.repeat(np.arange(len(histories)), histories.lengths)
    kept = moves(case, histories.items)
    steps = np.concatenate(([0], np.cumsum(kept)))
    from_end = steps[np.repeat(histories.starts[1:], histories.lengths)] - steps[1:]
    return _placed(histories, items, np.where(kept, float(decay) ** from_end, 0.0).astype(np.float32))


def moves(groups: NDArray[np.integer], items: Codes) -> Flags:
    """Whether each event turns to another item than the one before it in its group (person or case).

    >>> moves(np.array([0, 0, 0, 1]), np.array([5, 5, 6, 6])).tolist()
    [True, False, True, True]
    """
    moved = np.ones(len(items), dtype=np.bool_)
    moved[1:] = (groups[1:] != groups[:-1]) | (items[1:] != items[:-1])
    return moved


def largest(matrix: sparse.csr_matrix, k: int) -> sparse.csr_matrix:
    """The k largest stored values of each line, equal ones by column; the others are gone.

    >>> largest(sparse.csr_matrix(np.array([[3.0, 1.0, 3.0]])), k=1).toarray().tolist()
    [[3.0, 0.0, 0.0]]
    """
    matrix = matrix.sorted_indices()
    line = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((-matrix.data, line))  # stable: equal values stay in order of column
    rank = np.arange(len(order)) - matrix.indptr[line]
    kept = order[rank < k]
    return sparse.csr_matrix((matrix.data[kept], (line[kept], matrix.indices[kept])), shape=matrix.shape)


def unit(lines: sparse.csr_matrix, weights: NDArray[np.float64]) -> sparse.csr_matrix:
    """Each line with its items weighed, of length 1; a line of nothing stays so."""
    weighed = (lines @ sparse.diags(weights)).tocsr().astype(np.float32)
    lengths = np.sqrt(np.asarray(weighed.multiply(weighed).sum(axis=1))).ravel()
    scaled: sparse.csr_matrix = (sparse.diags(1 / np.maximum(lengths, np.finfo(np.float32).tiny)) @ weighed).tocsr()
    return scaled.astype(np.float32)


def _placed(histories: Histories, items: int, weights: NDArray[np.float32]) -> sparse.csr_matrix:
    matrix = sparse.csr_matrix((weights, histories.items, histories.starts), shape=(len(histories), items), copy=True)
    matrix.sum_duplicates()
    return matrix


def _once(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    counts.sum_duplicates()
    counts.data[:] = 1.0
    return counts
