"""Rows of tokens that begin alike, laid out in one line in which a common beginning stands once.

Prompts of one kind share their instruction and examples, which may be most of their tokens. A causal network that is
told which places each token may look at, and how deep in its own row it stands, computes for such a line what it
computes for the rows one by one, and their gradients with it. Takes rows, gives parts of them and the line of each
part. Knows no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.models.sequences import Numbers


@dataclass(frozen=True, slots=True)
class Line:
    """A tree of tokens, every row a way from its root."""

    ids: Numbers
    """(tokens,)."""
    depths: Numbers
    """(tokens,) place of each in its row, from 0."""
    ways: tuple[Numbers, ...]
    """Of each row, in the order given: where in the line its tokens stand."""

    @classmethod
    def of(cls, rows: Sequence[Numbers]) -> Line:
        """
        >>> line = Line.of([np.array([7, 8, 9]), np.array([7, 8, 5, 6])])
        >>> line.ids.tolist(), line.depths.tolist(), [way.tolist() for way in line.ways]
        ([7, 8, 5, 6, 9], [0, 1, 2, 3, 2], [[0, 1, 4], [0, 1, 2, 3]])
        """
        ways: list[Numbers] = [np.zeros(0, dtype=np.int64)] * len(rows)
        ids: list[Numbers] = []
        size, before = 0, -1
        for place in _sorted(rows):
            row = rows[place]
            shared = common(rows[before], row) if before >= 0 else 0
            new = np.arange(size, size + len(row) - shared)
            ways[place] = np.concatenate([ways[before][:shared], new]) if before >= 0 else new
            ids.append(row[shared:])
            size, before = size + len(new), place
        depths = np.zeros(size, dtype=np.int64)
        for way in ways:
            depths[way] = np.arange(len(way))
        return cls(np.concatenate(ids) if ids else np.zeros(0, dtype=np.int64), depths, tuple(ways))

    def sees(self) -> NDArray[np.bool_]:
        """(tokens, tokens): may the first look at the second? At itself, and at what comes before it in its row."""
        seen = np.zeros((len(self.ids), len(self.ids)), dtype=np.bool_)
        for way in self.ways:
            seen[np.ix_(way, way)] = np.tri(len(way), dtype=np.bool_)
        return seen


def parts_of(rows: Sequence[Numbers], budget: int) -> list[Numbers]:
    """Places of `rows`, those that begin alike together: the line of each part has at most `budget` tokens.

    A row over the budget is a part of its own.

    >>> [part.tolist() for part in parts_of([np.array([1, 2]), np.array([3]), np.array([1, 2, 4])], 3)]
    [[0, 2], [1]]
    """
    parts: list[list[int]] = []
    size, before = 0, -1
    for place in _sorted(rows):
        cost = len(rows[place]) - (common(rows[before], rows[place]) if before >= 0 else 0)
        if not parts or size + cost > budget:
            parts.append([])
            size, cost = 0, len(rows[place])
        parts[-1].append(place)
        size, before = size + cost, place
    return [np.array(part, dtype=np.int64) for part in parts]


def common(one: Numbers, other: Numbers) -> int:
    """Tokens with which both begin.

    >>> common(np.array([1, 2, 3]), np.array([1, 2, 4, 5]))
    2
    """
    shorter = min(len(one), len(other))
    different = one[:shorter] != other[:shorter]
    return int(different.argmax()) if different.any() else shorter


def _sorted(rows: Sequence[Numbers]) -> list[int]:
    """Rows that begin alike are neighbours."""
    return sorted(range(len(rows)), key=lambda place: rows[place].tolist())
