"""The reference vector index: a matrix and an exact product. Defines the right answer for the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from retrieval.selection import top_k
from tasteline.types import Mask, Rows, Scores, Vectors


class NumpyVectorIndex:
    """Exact inner product over a float32 matrix (n, dimension)."""

    FILE = "vectors.npy"

    def __init__(self, dimension: int) -> None:
        self._matrix: Vectors = np.zeros((0, dimension), dtype=np.float32)

    def __len__(self) -> int:
        return len(self._matrix)

    def add(self, vectors: Vectors) -> None:
        self._matrix = np.vstack([self._matrix, vectors.astype(np.float32)])

    def vectors(self, rows: Rows, out: Vectors | None = None) -> Vectors:
        return self._matrix.take(rows, axis=0, out=out, mode="clip")

    def search(self, queries: Vectors, k: int, allowed: Mask | None = None) -> tuple[Rows, Scores]:
        scores = self.products(queries)
        if allowed is not None:
            scores[:, ~allowed] = -np.inf
        return top_k(scores, k)

    def products(self, queries: Vectors) -> Scores:
        return queries.astype(np.float32) @ self._matrix.T

    def save(self, folder: Path) -> None:
        np.save(folder / self.FILE, self._matrix)

    def load(self, folder: Path) -> None:
        self._matrix = np.load(folder / self.FILE)
