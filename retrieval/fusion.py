"""Several rankings into one: each scaled to its own best, weighted, summed.

A convex sum of scaled scores keeps how far apart two candidates are, which reciprocal ranks forget
(Bruch, Gai, Ingber: "An Analysis of Fusion Functions for Hybrid Retrieval", TOIS 2023).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tasteline.types import Mask, Rows, Scores

ABSENT = -1.0


@dataclass(frozen=True, slots=True)
class Fused:
    """One candidate: its summed score and each source's part in it."""

    row: int
    score: float
    parts: Mapping[str, float]

    @property
    def leader(self) -> str:
        """The source that contributed most; ties by name."""
        return min(self.parts, key=lambda name: (-self.parts[name], name))


def fuse(lists: Sequence[tuple[str, float, Rows, Scores]], limit: int | None = None) -> list[Fused]:
    """(name, weight, rows, scores ≥ 0) lists into one ranking, best first, ties by row. Weight 0 leaves a list out.

    No row may stand twice in one list. With `limit` only so many are made, which is most of the time of a short answer.

    >>> import numpy as np
    >>> rows, scores = np.array([7, 8]), np.array([4.0, 2.0], dtype=np.float32)
    >>> [(f.row, f.score) for f in fuse([("words", 0.5, rows, scores), ("meaning", 0.5, rows[::-1], scores)])]
    [(7, 0.75), (8, 0.75)]
    """
    used = [(name, rows, _scaled(scores, weight)) for name, weight, rows, scores in lists if weight > 0 and len(rows)]
    if not used:
        return []
    candidates, places = np.unique(np.concatenate([rows for _, rows, _ in used]), return_inverse=True)
    parts = np.full((len(used), len(candidates)), ABSENT)
    start = 0
    for line, (_, rows, scaled) in enumerate(used):
        parts[line, places[start : start + len(rows)]] = scaled
        start += len(rows)
    totals = np.maximum(parts, 0.0).sum(axis=0)
    order = np.lexsort((candidates, -totals))[:limit]
    names = [name for name, _, _ in used]
    return [
        Fused(row, total, {name: part for name, part in zip(names, of_row, strict=True) if part != ABSENT})
        for row, total, of_row in zip(
            candidates[order].tolist(), totals[order].tolist(), parts[:, order].T.tolist(), strict=True
        )
    ]


def settled(scores: Scores, rest: float) -> Mask:
    """(…, n) scores of one list as `fuse` scales them, best first: would all but the last stay as they are when other
    lists of this weight in all are fused with it?

    >>> settled(np.array([[1.0, 0.5, 0.3], [1.0, 0.5, 0.45]], dtype=np.float32), 0.1).tolist()
    [True, False]
    """
    return np.asarray((scores[..., :-1] - scores[..., 1:] > rest).all(axis=-1))


def _scaled(scores: Scores, weight: float) -> Scores:
    best = float(scores.max())
    return scores / np.float32(best) * np.float32(weight) if best > 0 else np.zeros_like(scores)
