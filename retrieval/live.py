"""Catalogue, vectors and words kept in step with the store while the service answers.

Takes changes from the store by revision, embeds what changed, and applies them to all three indexes at once under one
lock, so that a reader never sees them disagree. The encoder that made the vectors is one of them: it is exchanged
together with all vectors (`adopt`), and who embeds a request does it by that of the indexes. Knows nothing of queries
or people.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from zlib import crc32

import numpy as np

from retrieval.catalogue import Catalogue
from retrieval.text import product_text
from tasteline.ports import CatalogueStore, Change, Embedder, LexicalIndex, VectorIndex
from tasteline.types import Product, Rows

BATCH = 2_000
"""Changes applied under one lock: some 50 ms of work for the indexes."""
DEAD_SHARE = 0.5
"""Rebuild when more rows than this share are dead, so that scans do not pay for what is gone."""
FEW_ROWS = 1_000

EMBEDDED_AT_ONCE = 256
"""Texts, for another encoder: half a second of all cores, and requests come in between."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Beside:
    """Vectors of the same rows by another encoder than that of the requests."""

    embedder: Embedder
    vectors: VectorIndex


@dataclass(slots=True)
class Indexes:
    """One generation: row r means the same product in all of them."""

    catalogue: Catalogue
    vectors: VectorIndex
    lexical: LexicalIndex
    embedder: Embedder
    """Made `vectors`; a request is embedded by it and no other."""
    revision: int = 0
    beside: Mapping[str, Beside] = field(default_factory=dict)
    """By the encoder's name: for models that know products by its vectors."""

    def vectors_by(self, embedder: str) -> VectorIndex:
        """Raises KeyError where nobody keeps vectors by an encoder of this name, see `LiveIndex.keep`."""
        return self.vectors if embedder == self.embedder.name else self.beside[embedder].vectors

    def all_vectors(self) -> list[Beside]:
        return [Beside(self.embedder, self.vectors), *self.beside.values()]


def fingerprint(product: Product) -> int:
    """Tells two versions of a product apart: 32 bits of all its fields, the same in every process."""
    return crc32(repr(product).encode("utf-8", "surrogatepass"))


class LiveIndex:
    """Follows a store. `read()` gives a consistent view; `sync()` catches up and returns when all is searchable."""

    def __init__(
        self,
        store: CatalogueStore,
        embedder: Embedder,
        new_vectors: Callable[[int], VectorIndex],
        new_lexical: Callable[[], LexicalIndex],
    ) -> None:
        """`new_vectors`: dimension → an empty index."""
        self._store = store
        self._new_vectors = new_vectors
        self._new_lexical = new_lexical
        self._reading = threading.RLock()
        self._syncing = threading.Lock()
        self._indexes = Indexes(Catalogue(), new_vectors(embedder.dimension), new_lexical(), embedder)

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
    def embedder(self) -> Embedder:
        """Of this moment. Who embeds and then searches compares it with that of the indexes: `retrieval.meaning`."""
        return self._indexes.embedder

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
            self._indexes = Indexes(catalogue, vectors, lexical, self._indexes.embedder, revision)
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

    def adopt(self, embedder: Embedder, progress: Progress | None = None) -> None:
        """Exchange the encoder, and with it all vectors: requests are answered by the old one until all is ready.

        Takes as long as embedding the catalogue. The old vectors are kept beside (`keep_only` lets go of them), so that
        the way back takes no time. Whatever `embedder` raises is passed on, and nothing has changed.
        """
        if embedder.name == self._indexes.embedder.name:
            return
        with self._embedded(embedder, progress) as vectors, self._reading:
            now = self._indexes
            beside = {each.embedder.name: each for each in now.all_vectors() if each.embedder.name != embedder.name}
            self._indexes = replace(now, vectors=vectors, embedder=embedder, beside=beside)

    def keep(self, embedder: Embedder, progress: Progress | None = None) -> None:
        """Vectors by this encoder, too, for a model that knows products by them."""
        if embedder.name in {each.embedder.name for each in self._indexes.all_vectors()}:
            return
        with self._embedded(embedder, progress) as vectors, self._reading:
            now = self._indexes
            self._indexes = replace(now, beside={**now.beside, embedder.name: Beside(embedder, vectors)})

    def keep_only(self, embedders: Collection[str]) -> None:
        """Let go of vectors that nobody needs any more; those of the requests stay."""
        if self._indexes.beside.keys() - set(embedders):
            with self._syncing, self._reading:
                now = self._indexes
                kept = {name: each for name, each in now.beside.items() if name in embedders}
                self._indexes = replace(now, beside=kept)

    @contextmanager
    def _embedded(self, embedder: Embedder, progress: Progress | None) -> Iterator[VectorIndex]:
        """Vectors of all rows, while no row can be added. What came during the long part is embedded at its end."""
        known = self._indexes.beside.get(embedder.name)
        catalogue, vectors = self._indexes.catalogue, self._new_vectors(embedder.dimension)
        if known is None:
            self._embed_rows(catalogue, vectors, embedder, progress)
        with self._syncing:
            now = self._indexes
            known = now.beside.get(embedder.name)
            if known is None and now.catalogue is not catalogue:  # compacted meanwhile: other rows, the same texts
                vectors = self._new_vectors(embedder.dimension)
            if known is None:
                self._embed_rows(now.catalogue, vectors, embedder, None)
            yield vectors if known is None else known.vectors

    def _embed_rows(
        self, catalogue: Catalogue, vectors: VectorIndex, embedder: Embedder, progress: Progress | None
    ) -> None:
        """Those of `catalogue` that `vectors` does not have yet; a dead row has zeros."""
        while (start := len(vectors)) < len(catalogue):
            with self._reading:
                rows = range(start, min(start + EMBEDDED_AT_ONCE, len(catalogue)))
                alive = catalogue.alive
                products = [catalogue.product(row) if alive[row] else None for row in rows]
            texts = [product_text(product) if product else "" for product in products]
            vectors.add(embedder.encode(texts, "document"))
            if progress:
                progress(len(vectors), len(catalogue))

    def _apply(self, batch: Sequence[Change]) -> None:
        products = [change.product for change in batch if change.product is not None]
        gone = [change.product_id for change in batch if change.product is None]
        texts = [product_text(product) for product in products]
        made = [each.embedder.encode(texts, "document") for each in self._indexes.all_vectors()]
        with self._reading:
            indexes = self._indexes
            indexes.catalogue.remove(gone)
            try:
                if products:
                    for each, vectors in zip(indexes.all_vectors(), made, strict=True):
                        each.vectors.add(vectors)
                    indexes.lexical.add(products)
                    indexes.catalogue.add(products)
            finally:
                _level(indexes)
            indexes.revision = batch[-1].revision

    def _compact_if_worth_it(self) -> None:
        old = self._indexes
        dead = len(old.catalogue) - old.catalogue.size
        if dead <= max(FEW_ROWS, DEAD_SHARE * len(old.catalogue)):
            return
        rows = np.flatnonzero(old.catalogue.alive)
        products = [old.catalogue.product(int(row)) for row in rows]
        first, *others = [self._taken(each, rows) for each in old.all_vectors()]
        beside = {each.embedder.name: each for each in others}
        fresh = Indexes(Catalogue(), first.vectors, self._new_lexical(), old.embedder, old.revision, beside)
        fresh.catalogue.add(products)
        fresh.lexical.add(products)
        with self._reading:
            self._indexes = fresh

    def _taken(self, each: Beside, rows: Rows) -> Beside:
        vectors = self._new_vectors(each.embedder.dimension)
        vectors.add(each.vectors.vectors(rows))
        return Beside(each.embedder, vectors)


def _level(indexes: Indexes) -> None:
    """After an engine failed half-way: dead rows where one is behind, so that the next row is the same in all."""
    every = indexes.all_vectors()
    rows = max(len(indexes.catalogue), len(indexes.lexical), *(len(each.vectors) for each in every))
    for each in every:
        if missing := rows - len(each.vectors):
            each.vectors.add(np.zeros((missing, each.embedder.dimension), dtype=np.float32))
    if missing := rows - len(indexes.lexical):
        indexes.lexical.add([None] * missing)
    if missing := rows - len(indexes.catalogue):
        indexes.catalogue.add([None] * missing)
