"""The k best of a score matrix, the same everywhere: best first, ties by lower row, padded with -1 and -inf."""

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
    rows = np.full((lines, k), -1, dtype=np.int64)
    best = np.full((lines, k), -np.inf, dtype=np.float32)
    take = min(k, columns)
    if take == 0:
        return rows, best
    for line in range(lines):
        values = scores[line]
        # The k-th largest value first, then everything not below it: argpartition alone would break ties at random.
        candidates = np.flatnonzero((values >= _bound(values, take)) & (values > -np.inf))
        kept = values[candidates]
        if len(kept) > take:
            candidates = candidates[kept >= np.partition(kept, len(kept) - take)[len(kept) - take]]
        order = np.lexsort((candidates, -values[candidates]))[:take]
        chosen = candidates[order]
        rows[line, : len(chosen)] = chosen
        best[line, : len(chosen)] = values[chosen]
    return rows, best


def _bound(values: Scores, k: int) -> np.float32:
    """A value that at least k of `values` reach, close to the k-th largest: the k-th largest maximum of many groups."""
    size = len(values) // (GROUPS * k)
    if size < 2:
        return np.float32(-np.inf)
    maxima = values[: size * GROUPS * k].reshape(size, GROUPS * k).max(axis=0)
    return np.float32(np.partition(maxima, len(maxima) - k)[len(maxima) - k])
