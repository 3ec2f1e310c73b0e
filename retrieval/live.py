"""Catalogue, vectors and words kept in step with the store while the service answers.

Takes changes from the store by revision, embeds what changed, and applies them to all three indexes at once under one
lock, so that a reader never sees them disagree. Knows nothing of queries or people.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from zlib import crc32

import numpy as np

from retrieval.catalogue import Catalogue
from retrieval.text import product_text
from tasteline.ports import CatalogueStore, Change, Embedder, LexicalIndex, VectorIndex
from tasteline.types import Product

BATCH = 2_000
"""Changes applied under one lock: some 50 ms of work for the indexes."""
DEAD_SHARE = 0.5
"""Rebuild when more rows than this share are dead, so that scans do not pay for what is gone."""
FEW_ROWS = 1_000

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Indexes:
    """One generation: row r means the same product in all three."""

    catalogue: Catalogue
    vectors: VectorIndex
    lexical: LexicalIndex
    revision: int = 0


def fingerprint(product: Product) -> int:
    """Tells two versions of a product apart: 32 bits of all its fields, the same in every process."""
    return crc32(repr(product).encode("utf-8", "surrogatepass"))


class LiveIndex:
    """Follows a store. `read()` gives a consistent view; `sync()` catches up and returns when all is searchable."""

    def __init__(
        self,
        store: CatalogueStore,
        embedder: Embedder,
        new_vectors: Callable[[], VectorIndex],
        new_lexical: Callable[[], LexicalIndex],
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._new_vectors = new_vectors
        self._new_lexical = new_lexical
        self._reading = threading.RLock()
        self._syncing = threading.Lock()
        self._indexes = Indexes(Catalogue(), new_vectors(), new_lexical())

    @contextmanager
    def read(self) -> Iterator[Indexes]:
        """Hold for milliseconds only; re-entrant within a thread."""
        with self._reading:
            yield self._indexes

    @property
    def present(self) -> Indexes:
        """The indexes of this moment, for code that runs inside `read()` already."""
        return self._indexes

    @property
    def revision(self) -> int:
        return self._indexes.revision

    @property
    def behind(self) -> bool:
        return self._store.revision() != self._indexes.revision

    def restore(self, known: Sequence[tuple[str, int]], vectors: VectorIndex, revision: int) -> bool:
        """Start from a snapshot: row r was the product of id and fingerprint `known[r]` at `revision`.

        False when it is not of this store: another one may well use the same ids.
        """
        unchanged: dict[str, Product] = {}
        for change in self._store.changes(0):
            if change.revision <= revision and change.product is not None:
                unchanged[change.product_id] = change.product
        fingerprints = dict(known)
        foreign = any(fingerprints.get(key) != fingerprint(product) for key, product in unchanged.items())
        if foreign or self._store.revision() < revision:
            return False
        products = [unchanged.get(product_id) for product_id, _ in known]
        catalogue, lexical = Catalogue(), self._new_lexical()
        catalogue.add(products)
        lexical.add(products)
        with self._reading:
            self._indexes = Indexes(catalogue, vectors, lexical, revision)
        return True

    def sync(self, progress: Progress | None = None) -> int:
        """Apply everything that the store has and we have not; how many changes that was."""
        applied = 0
        with self._syncing:
            total = max(0, self._store.revision() - self._indexes.revision)
            changes = iter(self._store.changes(self._indexes.revision))
            while batch := list(islice(changes, BATCH)):
                self._apply(batch)
                applied += len(batch)
                if progress:
                    progress(min(applied, total), total)
            self._compact_if_worth_it()
        return applied

    def _apply(self, batch: Sequence[Change]) -> None:
        products = [change.product for change in batch if change.product is not None]
        gone = [change.product_id for change in batch if change.product is None]
        vectors = self._embedder.encode([product_text(product) for product in products], "document")
        with self._reading:
            indexes = self._indexes
            indexes.catalogue.remove(gone)
            try:
                if products:
                    indexes.vectors.add(vectors)
                    indexes.lexical.add(products)
                    indexes.catalogue.add(products)
            finally:
                _level(indexes, self._embedder.dimension)
            indexes.revision = batch[-1].revision

    def _compact_if_worth_it(self) -> None:
        old = self._indexes
        dead = len(old.catalogue) - old.catalogue.size
        if dead <= max(FEW_ROWS, DEAD_SHARE * len(old.catalogue)):
            return
        rows = np.flatnonzero(old.catalogue.alive)
        products = [old.catalogue.product(int(row)) for row in rows]
        fresh = Indexes(Catalogue(), self._new_vectors(), self._new_lexical(), old.revision)
        fresh.catalogue.add(products)
        fresh.lexical.add(products)
        fresh.vectors.add(old.vectors.vectors(rows))
        with self._reading:
            self._indexes = fresh


def _level(indexes: Indexes, dimension: int) -> None:
    """After an engine failed half-way: dead rows where one is behind, so that the next row is the same in all three."""
    rows = max(len(indexes.catalogue), len(indexes.vectors), len(indexes.lexical))
    if missing := rows - len(indexes.vectors):
        indexes.vectors.add(np.zeros((missing, dimension), dtype=np.float32))
    if missing := rows - len(indexes.lexical):
        indexes.lexical.add([None] * missing)
    if missing := rows - len(indexes.catalogue):
        indexes.catalogue.add([None] * missing)
