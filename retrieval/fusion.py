"""Several rankings into one: each scaled to its own best, weighted, summed.

A convex sum of scaled scores keeps how far apart two candidates are, which reciprocal ranks forget
(Bruch, Gai, Ingber: "An Analysis of Fusion Functions for Hybrid Retrieval", TOIS 2023).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tasteline.types import Rows, Scores


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


def fuse(lists: Sequence[tuple[str, float, Rows, Scores]]) -> list[Fused]:
    """(name, weight, rows, scores ≥ 0) lists into one ranking, best first, ties by row. Weight 0 leaves a list out.

    >>> import numpy as np
    >>> rows, scores = np.array([7, 8]), np.array([4.0, 2.0], dtype=np.float32)
    >>> [(f.row, f.score) for f in fuse([("words", 0.5, rows, scores), ("meaning", 0.5, rows[::-1], scores)])]
    [(7, 0.75), (8, 0.75)]
    """
    parts: dict[int, dict[str, float]] = {}
    for name, weight, rows, scores in lists:
        if weight <= 0 or not len(rows):
            continue
        best = float(scores.max())
        scaled = scores * (weight / best) if best > 0 else np.zeros(len(rows), dtype=np.float32)
        for row, part in zip(rows.tolist(), scaled.tolist(), strict=True):
            parts.setdefault(row, {})[name] = part
    fused = [Fused(row, sum(of_row.values()), of_row) for row, of_row in parts.items()]
    fused.sort(key=lambda candidate: (-candidate.score, candidate.row))
    return fused
