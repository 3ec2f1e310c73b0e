"""The k best of a score matrix, the same everywhere: best first, ties by lower row, padded with -1 and -inf."""

from __future__ import annotations

import numpy as np

from tasteline.types import Rows, Scores


def top_k(scores: Scores, k: int) -> tuple[Rows, Scores]:
    """Columns and values of the k largest of each line of `scores`, shape (q, n) → two of (q, k).

    A score of -inf means "not allowed" and is never returned.
    """
    lines, columns = scores.shape
    rows = np.full((lines, k), -1, dtype=np.int64)
    best = np.full((lines, k), -np.inf, dtype=np.float32)
    take = min(k, columns)
    for line in range(lines):
        # The k-th largest value first, then everything not below it: argpartition alone would break ties at random.
        values = scores[line]
        if take == 0:
            continue
        threshold = np.partition(values, columns - take)[columns - take]
        candidates = np.flatnonzero((values >= threshold) & (values > -np.inf))
        order = np.lexsort((candidates, -values[candidates]))[:take]
        chosen = candidates[order]
        rows[line, : len(chosen)] = chosen
        best[line, : len(chosen)] = values[chosen]
    return rows, best
