"""A learned forest of decision trees as arrays: its forward pass, without the library that grew it.

Takes lines of features, gives the sum of a leaf of each tree. A split sends a value that is at most the threshold to
the left, a larger one to the right, and NaN where the split says. Knows no training and no meaning of a feature.

>>> stump = Forest.of([Tree([0, -1, -1], [1.5, 0, 0], [1, 0, 0], [2, 0, 0], [True, True, True], [0, -2, 3])], base=0.5)
>>> stump.sums(np.array([[1.0], [2.0], [np.nan]], dtype=np.float32)).tolist()
[-1.5, 3.5, -1.5]
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.models.bought import Days, Floats, Numbers

LINES_AT_ONCE = 8_192
"""Lines that pass through all trees together: they stay in the processor's cache."""
LEAF = -1


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree by nodes, the root first."""

    features: Sequence[int]
    """LEAF (-1) for a leaf."""
    thresholds: Sequence[float]
    left: Sequence[int]
    """Numbers of nodes of this tree."""
    right: Sequence[int]
    missing_left: Sequence[bool]
    values: Sequence[float]
    """Of the leaves."""


@dataclass(frozen=True, slots=True)
class Forest:
    """All trees end to end."""

    roots: Numbers
    features: NDArray[np.int32]
    thresholds: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    missing_left: NDArray[np.bool_]
    values: Days
    base: float

    @classmethod
    def of(cls, trees: Sequence[Tree], base: float) -> Forest:
        starts = np.cumsum([0, *(len(tree.features) for tree in trees)])[:-1].astype(np.int64)

        def joined(each: Iterable[Sequence[float]], shifts: NDArray[np.int64] | None = None) -> Days:
            moved = zip(each, starts if shifts is None else shifts, strict=True)
            return np.concatenate([np.asarray(values, dtype=np.float64) + shift for values, shift in moved])

        still = np.zeros(len(trees), dtype=np.int64)
        return cls(
            starts,
            joined((tree.features for tree in trees), still).astype(np.int32),
            joined((tree.thresholds for tree in trees), still),
            joined(tree.left for tree in trees).astype(np.int32),
            joined(tree.right for tree in trees).astype(np.int32),
            joined((tree.missing_left for tree in trees), still).astype(np.bool_),
            joined((tree.values for tree in trees), still),
            base,
        )

    def sums(self, lines: Floats) -> Days:
        """(n, features) → (n,)"""
        result = np.full(len(lines), self.base)
        for start in range(0, len(lines), LINES_AT_ONCE):
            part = lines[start : start + LINES_AT_ONCE]
            for root in self.roots:
                result[start : start + len(part)] += self.values[self._leaves(part, int(root))]
        return result

    def _leaves(self, lines: Floats, root: int) -> Numbers:
        """Where each line ends in one tree."""
        nodes = np.full(len(lines), root, dtype=np.int64)
        going = np.arange(len(lines)) if self.features[root] != LEAF else np.zeros(0, dtype=np.int64)
        while len(going):
            at = nodes[going]
            values = lines[going, self.features[at]]
            goes_left = np.where(np.isnan(values), self.missing_left[at], values <= self.thresholds[at])
            at = np.where(goes_left, self.left[at], self.right[at]).astype(np.int64)
            nodes[going] = at
            going = going[self.features[at] != LEAF]
        return nodes
