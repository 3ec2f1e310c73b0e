"""The embedded vector index: FAISS, exact while that is fast enough, a graph (HNSW) above it.

Filters come first: a mask that keeps few rows is answered by scanning just those rows, because a graph walked under a
selective filter loses most of its recall (.43 at 1 % of 20,000 measured). Thread-safe for readers; `add` needs the
caller's lock.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np

from retrieval.selection import top_k
from tasteline.types import Mask, Rows, Scores, Vectors

EXACT_UP_TO = 100_000
"""Rows. A flat scan of 100,000 × 384 takes some 40 ms on one core; a graph of that size pays for its build."""
GRAPH_KEEPS = 0.5
"""Share of rows that a mask must keep for the graph to be used under it."""
GATHERED_SHARE = 0.05
"""Of all rows: fewer are copied out and multiplied, more are scanned in place."""
SCANNED_TOGETHER = 4
"""Queries from which on one matrix product beats as many FAISS scans: a sixth of the time at 32."""
SCORES_AT_ONCE = 4_000_000
"""Bounds the memory of such a product to 16 MB, much of which a processor keeps at hand for the choice that follows."""
FEW_QUERIES = 40
"""Up to so many BLAS is faster with the long matrix first, which it then reads once: by half at 4, of 100,000 rows."""
GRAPH_LINKS, GRAPH_BUILD_BREADTH, GRAPH_SEARCH_BREADTH = 32, 80, 128


class FaissVectorIndex:
    """Inner product over float32 vectors; `exact_up_to` rows are scanned, more are walked as a graph."""

    FILE = "vectors.faiss"

    def __init__(self, dimension: int, exact_up_to: int = EXACT_UP_TO) -> None:
        self._dimension = dimension
        self._exact_up_to = exact_up_to
        self._index: faiss.Index = faiss.IndexFlatIP(dimension)
        self._matrix: Vectors = np.zeros((0, dimension), dtype=np.float32)
        """All vectors without a copy; not to be kept across an `add`."""

    def __len__(self) -> int:
        return len(self._matrix)

    @property
    def is_exact(self) -> bool:
        return not isinstance(self._index, faiss.IndexHNSW)

    def add(self, vectors: Vectors) -> None:
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        if self.is_exact and len(self) + len(vectors) > self._exact_up_to:
            self._index = self._graph_of(self._matrix)
        self._index.add(vectors)
        self._matrix = self._view()

    def _graph_of(self, matrix: Vectors) -> faiss.Index:
        graph = faiss.IndexHNSWFlat(self._dimension, GRAPH_LINKS, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = GRAPH_BUILD_BREADTH
        graph.add(matrix)
        return graph

    def _view(self) -> Vectors:
        # FAISS's own type stubs know only the base class.
        flat = self._index if self.is_exact else faiss.downcast_index(self._index.storage)  # type: ignore[attr-defined]
        rows = self._index.ntotal
        if not rows:
            return np.zeros((0, self._dimension), dtype=np.float32)
        matrix: Vectors = faiss.rev_swig_ptr(
            flat.get_xb(),  # type: ignore[attr-defined]
            rows * self._dimension,
        )
        return matrix.reshape(rows, self._dimension)

    def vectors(self, rows: Rows, out: Vectors | None = None) -> Vectors:
        return self._matrix.take(rows, axis=0, out=out, mode="clip")

    def search(self, queries: Vectors, k: int, allowed: Mask | None = None) -> tuple[Rows, Scores]:
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        if not len(self) or not len(queries):
            return top_k(np.zeros((len(queries), 0), dtype=np.float32), k)
        # Counted first: of a million flags that takes a fiftieth of listing them, and most masks keep most rows.
        keeps = len(self) if allowed is None else np.count_nonzero(allowed)
        if keeps == len(self):
            allowed = None
        gathered = GATHERED_SHARE if self.is_exact else GRAPH_KEEPS
        if allowed is not None and keeps <= gathered * len(self):
            return self._gathered(queries, k, np.flatnonzero(allowed))
        together = self.is_exact and len(queries) >= SCANNED_TOGETHER
        return self._together(queries, k, allowed) if together else self._by_faiss(queries, k, allowed)

    def _by_faiss(self, queries: Vectors, k: int, allowed: Mask | None) -> tuple[Rows, Scores]:
        # FAISS's own type stubs do not know the parameters of a graph.
        parameters: Any = faiss.SearchParameters() if self.is_exact else faiss.SearchParametersHNSW()  # type: ignore[attr-defined]
        if not self.is_exact:
            parameters.efSearch = max(GRAPH_SEARCH_BREADTH, 2 * k)
        if allowed is not None:
            bits = np.packbits(allowed, bitorder="little")
            parameters.sel = faiss.IDSelectorBitmap(len(allowed), faiss.swig_ptr(bits))
        scores, rows = self._index.search(queries, k, params=parameters)
        scores[rows < 0] = -np.inf
        return rows, scores

    def _together(self, queries: Vectors, k: int, allowed: Mask | None) -> tuple[Rows, Scores]:
        matrix, size = self._matrix, max(1, SCORES_AT_ONCE // len(self))
        barred = None if allowed is None else np.flatnonzero(~allowed)
        found = []
        for start in range(0, len(queries), size):
            scores = _products(queries[start : start + size], matrix)
            if barred is not None:
                scores[:, barred] = -np.inf
            found.append(top_k(scores, k))
        return np.concatenate([rows for rows, _ in found]), np.concatenate([scores for _, scores in found])

    def _gathered(self, queries: Vectors, k: int, rows: Rows) -> tuple[Rows, Scores]:
        positions, best = top_k(_products(queries, self._matrix[rows]), k)
        found = np.where(positions >= 0, rows[np.maximum(positions, 0)] if len(rows) else -1, -1)
        return found.astype(np.int64), best

    def products(self, queries: Vectors) -> Scores:
        return _products(np.ascontiguousarray(queries, dtype=np.float32), self._matrix)

    def save(self, folder: Path) -> None:
        faiss.write_index(self._index, str(folder / self.FILE))

    def load(self, folder: Path) -> None:
        # read_index gives the concrete class itself; downcasting it would leave a pointer into a freed object.
        self._index = faiss.read_index(str(folder / self.FILE))
        self._matrix = self._view()


def _products(queries: Vectors, matrix: Vectors) -> Scores:
    """(q, n) inner products."""
    scores = queries @ matrix.T if len(queries) > FEW_QUERIES else np.ascontiguousarray((matrix @ queries.T).T)
    return np.asarray(scores, dtype=np.float32)
