"""From a score for every item to the best k items of each row, or to the rank of given items; both exact.

Takes float32 scores (n, items), in memory or memory-mapped; larger is better, -inf is never ranked. Reads them a few
rows at a time, so that what it needs beside the result does not grow with n. Knows nothing of labels.

>>> scores = np.array([[0.5, 0.9, 0.5, -np.inf]], dtype=np.float32)
>>> top_k(scores, 4)[0]
array([[ 1,  0,  2, -1]], dtype=int32)
>>> ranks_of(scores, np.array([2]))
array([3.])
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]
Ties = Literal["item", "optimistic", "pessimistic", "mean"]

EMPTY = -1

_CHUNK_SCORES = 2**18  # read together: 1 MB stays in a core's second-level cache from the first pass to the last
_STRIDE = 16
"""Every 16th score is sampled: one of each cache line."""
_LOWEST = np.finfo(np.float32).min


def top_k(scores: Scores, k: int) -> tuple[NDArray[np.int32], Scores]:
    """The k best items of each row, best first, equal scores by item number; with their scores.

    Shapes (n, items) → items (n, k) int32 and scores (n, k) float32. Items of score -inf are not ranked; where fewer
    than k are left, -1 and -inf fill the row up. Raises ValueError for NaN, which has no place in an order, for
    k < 1 and for anything but float32.

    A threshold that some more than k items will pass is guessed from a sample of the row, one comparison collects
    them, and only they are sorted; rows where too few passed get the exact threshold (after Floyd and Rivest,
    "Expected time bounds for selection", CACM 1975). So most of the row is looked at once instead of being moved.

    >>> top_k(np.array([[0.1, 0.3, 0.3], [0.2, -np.inf, 0.0]], dtype=np.float32), k=2)[0]
    array([[1, 2],
           [0, 2]], dtype=int32)
    """
    _check(scores)
    if k < 1:
        raise ValueError(f"k is {k}; a cut-off is 1 or more")
    items = np.full((len(scores), k), EMPTY, dtype=np.int32)
    best = np.full((len(scores), k), -np.inf, dtype=np.float32)
    for first, chunk in _chunks(scores):
        rows = slice(first, first + len(chunk))
        _select(chunk, _candidates(chunk, min(k, chunk.shape[1])), items[rows], best[rows])
    return items, best


def ranks_of(scores: Scores, targets: NDArray[np.integer], *, ties: Ties = "item") -> NDArray[np.float64]:
    """Rank of given items among all items of their row, counted from 1, without sorting anything.

        rank = 1 + #{larger scores} + b

    Shapes (n, items) and targets (n,) or (n, t), item numbers → the shape of `targets`. Of e other items with an equal
    score b are taken to stand before: those with a lower number ("item", as `top_k` orders), none ("optimistic"), all
    ("pessimistic"), or e / 2 ("mean", the expectation under random order). Optimistic ranks make a constant score look
    perfect (Sun et al., ACL 2020). A target of score -inf is not ranked: infinity, so that 1 / rank is 0 and
    `rank <= k` false; an empty target (-1) gives NaN. Raises ValueError for NaN scores.

    >>> scores = np.array([[0.5, 0.9, 0.5, 0.5]], dtype=np.float32)
    >>> [float(ranks_of(scores, np.array([2]), ties=ties)[0]) for ties in ("item", "optimistic", "pessimistic", "mean")]
    [3.0, 2.0, 4.0, 3.0]
    """
    _check(scores)
    if targets.shape[:1] != scores.shape[:1] or targets.ndim not in (1, 2):
        raise ValueError(f"targets have shape {targets.shape}; give (n,) or (n, t) with n = {len(scores)}")
    if targets.size and not EMPTY <= int(targets.min()) <= int(targets.max()) < scores.shape[1]:
        raise ValueError(f"targets are items 0 to {scores.shape[1] - 1} or -1")
    columns = targets[:, None] if targets.ndim == 1 else targets
    ranks = np.empty(columns.shape)
    for first, chunk in _chunks(scores):
        rows = slice(first, first + len(chunk))
        for column in range(columns.shape[1]):
            ranks[rows, column] = _ranks(chunk, columns[rows, column], ties)
    ranks[columns == EMPTY] = np.nan
    return ranks.reshape(targets.shape)


def _candidates(chunk: Scores, k: int) -> NDArray[np.bool_]:
    """Marks the k best of each row and what else a guessed threshold lets pass; fewer where fewer are ranked."""
    sample = chunk[:, ::_STRIDE]
    # Some k / stride of the sample belong to the k best; with 3.5 roots of that more, one row in thousands fails.
    above = int(k / _STRIDE + 3.5 * math.sqrt(k / _STRIDE) + 4)
    if sample.shape[1] < 2 * above:  # too small a sample to save anything
        return _above(chunk, _nth_largest(chunk, k), k)[0]
    threshold = _nth_largest(sample, above)
    marked, enough = _above(chunk, threshold, k)
    failed = np.flatnonzero(~enough & (threshold > _LOWEST))  # at the lowest all that is ranked has passed
    if len(failed):
        marked[failed] = _above(chunk[failed], _nth_largest(chunk[failed], k), k)[0]
    return marked


def _above(chunk: Scores, threshold: Scores, k: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Marks what is larger than the row's threshold and, up to k, what equals it; and whether k are marked.

    Of equal scores only as many are marked as may be needed: a co-occurrence scores nearly all items 0.
    """
    marked = chunk > threshold[:, None]
    missing = k - _count(marked)
    few = np.flatnonzero(missing > 0)
    if len(few):
        equal = chunk[few] == threshold[few, None]
        equal &= np.cumsum(equal, axis=1, dtype=np.int32) <= missing[few, None]
        marked[few] |= equal
        missing[few] -= _count(equal)
    return marked, missing <= 0


def _nth_largest(values: Scores, n: int) -> Scores:
    """Of each row; the lowest finite number at least, so that -inf never passes."""
    place = values.shape[1] - n
    return np.maximum(np.partition(values, place, axis=1)[:, place], _LOWEST)


def _select(chunk: Scores, marked: NDArray[np.bool_], items: NDArray[np.int32], best: Scores) -> None:
    """Write the first of the marked items, sorted by score and number, into `items` and `best` (rows, k)."""
    width = chunk.shape[1]
    places = np.flatnonzero(marked)
    counts = np.diff(np.searchsorted(places, np.arange(len(chunk) + 1) * width))
    numbers = places - np.repeat(np.arange(len(chunk)) * width, counts)
    inside = np.arange(counts.max(initial=0)) < counts[:, None]
    keys = np.full(inside.shape, np.iinfo(np.uint64).max)
    keys[inside] = _descending(chunk.ravel()[places]) << np.uint64(32) | numbers.astype(np.uint64)
    keys.sort(axis=1)
    shown = min(items.shape[1], keys.shape[1])
    chosen = (keys[:, :shown] & np.uint64(0xFFFFFFFF)).astype(np.int32)
    filled = np.arange(shown) < counts[:, None]
    items[:, :shown][filled] = chosen[filled]
    best[:, :shown][filled] = np.take_along_axis(chunk, np.where(filled, chosen, 0), axis=1)[filled]


def _descending(values: Scores) -> NDArray[np.uint64]:
    """Integers in the opposite order of the values: IEEE 754 numbers compare like sign and magnitude."""
    bits = (values + np.float32(0)).view(np.uint32)  # -0 becomes +0: they are equal
    return np.where(bits >> 31, bits, ~bits & np.uint32(0x7FFFFFFF)).astype(np.uint64)


def _ranks(chunk: Scores, targets: NDArray[np.integer], ties: Ties) -> NDArray[np.float64]:
    own = chunk[np.arange(len(chunk)), targets]  # of an empty target the last item's; the caller overwrites it
    reached = own[:, None]
    ranks = _count(chunk >= reached) + 0.0 if ties == "pessimistic" else _count(chunk > reached) + 1.0
    if ties == "mean":
        ranks = (ranks + _count(chunk >= reached)) / 2
    elif ties == "item":
        tied = np.flatnonzero(_count(chunk == reached) > 1)
        lower = np.arange(chunk.shape[1]) < targets[tied, None]
        ranks[tied] += _count((chunk[tied] == reached[tied]) & lower)
    return np.where(own == -np.inf, np.inf, ranks)


def _count(marked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many of each row are true; counting packed bits is three times as fast as adding booleans."""
    counts: NDArray[np.int64] = np.bitwise_count(np.packbits(marked, axis=1)).sum(axis=1, dtype=np.int64)
    return counts


def _chunks(scores: Scores) -> Iterator[tuple[int, Scores]]:
    step = max(1, _CHUNK_SCORES // max(1, scores.shape[1]))
    for first in range(0, len(scores) if scores.size else 0, step):
        chunk = np.ascontiguousarray(scores[first : first + step])
        if np.isnan(chunk.max(initial=-np.inf)):
            row = first + int(np.isnan(chunk).any(axis=1).argmax())
            raise ValueError(f"row {row} has a score that is not a number; -inf is what is not ranked")
        yield first, chunk


def _check(scores: Scores) -> None:
    if scores.ndim != 2 or scores.dtype != np.float32:
        raise ValueError(f"scores are {scores.dtype} of shape {scores.shape}; give float32 (n, items)")
