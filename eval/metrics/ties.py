"""From scores to a ranking, with a say in who comes first among equals. Takes items and scores, gives items.

Libraries differ: trec_eval (and so pytrec_eval, and ir_measures for most measures) puts the larger id first,
ir_measures the smaller one for Judged and RR@k, this harness the smaller item number. For the order of string ids,
number the items in the order of their ids. Equal means equal as float64;
pytrec_eval 0.5 rounds scores to float32 first, so scores that differ by less tie there.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eval.metrics.labels import EMPTY, Items
from eval.metrics.ranking import Values

Ties = Literal["smaller", "larger", "given"]


def ordered_by_score(items: Items, scores: Values, *, ties: Ties = "smaller") -> NDArray[np.int64]:
    """Each query's items, largest score first.

    `items` and `scores` (n, candidates) → (n, candidates); -1 is an empty place and goes to the end, whatever its
    score. Among equal scores the smaller or the larger item number comes first, or the order stays as it was given.
    Raises ValueError where shapes differ or an item's score is NaN.

    >>> items, scores = np.array([[3, 5, 4, -1]]), np.array([[0.5, 0.5, 0.9, 0.0]])
    >>> ordered_by_score(items, scores), ordered_by_score(items, scores, ties="larger")
    (array([[ 4,  3,  5, -1]]), array([[ 4,  5,  3, -1]]))
    """
    if items.ndim != 2 or items.shape != scores.shape:
        raise ValueError(f"items have shape {items.shape}, scores {scores.shape}; give (queries, candidates) twice")
    empty = items == EMPTY
    if np.isnan(scores[~empty]).any():
        raise ValueError("an item has NaN as score; there is no place for it in an order")
    equals = {"smaller": items, "larger": -items, "given": np.zeros_like(items)}[ties]
    order = np.lexsort((equals, -np.where(empty, 0.0, scores), empty), axis=1)
    return np.asarray(np.take_along_axis(items, order, axis=1), dtype=np.int64)
