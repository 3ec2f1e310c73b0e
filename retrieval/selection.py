"""Orders of scores, the same everywhere: best first, ties by lower row, what is missing padded with -1 and -inf."""

from __future__ import annotations

import numpy as np

from tasteline.types import Rows, Scores

GROUPS = 4
"""Times k: the more groups, the closer their maxima bound the k-th value from below, and the longer it takes."""


def top_k(scores: Scores, k: int) -> tuple[Rows, Scores]:
    """Columns and values of the k largest of each line of `scores`, shape (q, n) → two of (q, k).

    A score of -inf means "not allowed" and is never returned.
    """
    lines, columns = scores.shape
    take = min(k, columns)
    if take == 0 or lines == 0:
        return np.full((lines, k), -1, dtype=np.int64), np.full((lines, k), -np.inf, dtype=np.float32)
    flat = np.flatnonzero(scores >= _bounds(scores, take)[:, None])
    values = scores.ravel()[flat]
    if not (values.min(initial=0) > -np.inf):
        flat, values = flat[values > -np.inf], values[values > -np.inf]
    ends = flat.searchsorted(np.arange(lines + 1) * columns)
    counts = np.diff(ends)
    line = np.repeat(np.arange(lines), counts)
    column = flat - line * columns
    # Value and column in one number, of which the smallest are wanted: they sort many times as fast as by lexsort.
    keys = np.full((lines, max(k, int(counts.max()))), _NOTHING)
    keys[line, np.arange(len(flat)) - ends[line]] = (_falling(values) << 32) | column
    keys.sort(axis=1)
    rows = np.where(keys[:, :k] == _NOTHING, -1, keys[:, :k] & 0xFFFFFFFF)
    best = np.where(rows >= 0, np.take_along_axis(scores, np.maximum(rows, 0), axis=1), -np.inf)
    return rows, best.astype(np.float32, copy=False)


def order_of(scores: Scores) -> Rows:
    """Columns of each line of (q, n), the largest score first.

    >>> order_of(np.array([[1, 3, 1, -np.inf]], dtype=np.float32)).tolist()
    [[1, 0, 2, 3]]
    """
    keys = (_falling(scores) << 32) | np.arange(scores.shape[1])
    keys.sort(axis=1)
    order: Rows = keys & 0xFFFFFFFF
    return order


_NOTHING = np.iinfo(np.int64).max


def _falling(values: Scores) -> Rows:
    """float32 → whole numbers that fall as the values rise, equal where those are."""
    bits = (values + np.float32(0)).view(np.int32).astype(np.int64)  # -0 becomes 0
    return np.where(bits < 0, bits & 0x7FFFFFFF, -bits)


def _bounds(scores: Scores, k: int) -> Scores:
    """(q,) values that at least k of each line reach, close to the k-th largest: that of the maxima of many groups."""
    lines, columns = scores.shape
    size = columns // (GROUPS * k)
    if size < 2:
        return np.full(lines, -np.inf, dtype=np.float32)
    maxima = scores[:, : size * GROUPS * k].reshape(lines, size, GROUPS * k).max(axis=1)
    bounds: Scores = np.partition(maxima, GROUPS * k - k, axis=1)[:, GROUPS * k - k]
    return bounds
