"""From what was ranked and what was judged to the arrays of labels that every ranking metric takes.

Items are integers (any numbering of the caller's); -1 is an empty place. Knows nothing of string ids.

>>> labels_of(ranked=np.array([[7, 5, 9]]), items=np.array([[5, 7]]), labels=np.array([[0.0, 3.0]]))
array([[ 3.,  0., nan]])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eval.metrics.ranking import PAST_THE_END, Labels

EMPTY = -1
Items = NDArray[np.int64]


def labels_of(ranked: Items, items: Items, labels: Labels) -> Labels:
    """Label of each ranked item: `labels[q, j]` where `items[q, j]` is it, NaN where nobody judged it.

    `ranked` (n, ranks) and `items` (n, judgements) are filled up with -1; an empty rank gives -inf. An item that is
    judged twice for one query gets one of its labels; an item ranked twice raises ValueError, for it would be
    counted twice and lift nDCG above 1.
    """
    _refuse_repeats(ranked)
    span = int(max(ranked.max(initial=0), items.max(initial=0))) + 1
    queries = np.arange(len(ranked))[:, None] * span
    known = items != EMPTY
    keys, values = (queries + items)[known], labels[known]
    order = np.argsort(keys, kind="stable")
    found = _look_up(keys[order], values[order], queries + ranked)
    return np.where(ranked == EMPTY, PAST_THE_END, found)


def padded(lists: Sequence[Sequence[int]], width: int | None = None) -> Items:
    """Lists of item numbers as one array (len(lists), width), filled up with -1; longer lists are cut.

    >>> padded([[4], [], [1, 2, 3]], width=2)
    array([[ 4, -1],
           [-1, -1],
           [ 1,  2]])
    """
    width = max((len(row) for row in lists), default=0) if width is None else width
    result = np.full((len(lists), width), EMPTY, dtype=np.int64)
    for number, row in enumerate(lists):
        result[number, : min(len(row), width)] = row[:width]
    return result


def judged_labels(judgements: Sequence[Mapping[int, float]]) -> tuple[Items, Labels]:
    """Judgements of each query, {item: label}, as the two arrays that `labels_of` takes.

    >>> judged_labels([{5: 3.0}, {}])
    (array([[ 5],
           [-1]]), array([[  3.],
           [-inf]]))
    """
    items = padded([list(row) for row in judgements])
    labels = np.full(items.shape, PAST_THE_END)
    for number, row in enumerate(judgements):
        labels[number, : len(row)] = list(row.values())
    return items, labels


def _look_up(keys: Items, values: Labels, wanted: Items) -> Labels:
    if not len(keys):
        return np.full(wanted.shape, np.nan)
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], np.nan)


def _refuse_repeats(ranked: Items) -> None:
    ordered = np.sort(ranked, axis=1)
    repeated = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != EMPTY)
    if repeated.any():
        query = int(repeated.any(axis=1).argmax())
        raise ValueError(f"ranking {query} has an item twice; a ranking names an item once")
