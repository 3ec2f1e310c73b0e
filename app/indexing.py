"""The indexes of a shop: opened from their last snapshot, or built and swapped in (`tasteline index`).

Takes settings, a store and an embedder. Knows no shopper.
"""

from __future__ import annotations

import contextlib

from app.engines import new_vectors, open_embedder, open_store
from app.telemetry import Metrics
from retrieval.follow import COUNTS_FILE, Behaviour
from retrieval.live import LiveIndex, Progress
from retrieval.snapshot import Manifest, load_snapshot, save_snapshot
from tasteline.errors import SnapshotMismatch
from tasteline.ports import Embedder, Store
from tasteline.settings import Settings


def open_live(settings: Settings, store: Store, embedder: Embedder, *, fresh: bool = False) -> LiveIndex:
    """The indexes as of the last snapshot (empty when `fresh` or none). Raises SnapshotMismatch."""
    from retrieval.adapters.lexical_tantivy import TantivyLexicalIndex

    live = LiveIndex(store, embedder, lambda width: new_vectors(settings, width), TantivyLexicalIndex)
    if not fresh:
        load_snapshot(live, new_vectors(settings, embedder.dimension), embedder, settings.home)
    return live


def build_index(settings: Settings, progress: Progress | None = None) -> tuple[int, int, Manifest]:
    """`tasteline index`: embed what changed, count behaviour, swap in a new snapshot.

    Gives the number of products, how many of them had changed, and the snapshot's manifest.
    """
    with contextlib.closing(open_store(settings)) as store:
        embedder = open_embedder(settings)
        try:
            live = open_live(settings, store, embedder)
        except SnapshotMismatch:
            live = open_live(settings, store, embedder, fresh=True)
        changed = live.sync(progress)
        Behaviour(store, live, settings.home / COUNTS_FILE).fit()
        manifest = save_snapshot(live, embedder, settings.home)
    return live.present.catalogue.size, changed, manifest


def follow_index(live: LiveIndex, metrics: Metrics) -> None:
    """Catch up where the store is ahead, and say so in the metrics."""
    if live.behind:
        live.sync()
    with live.read() as indexes:
        metrics.products.set(indexes.catalogue.size)
        metrics.revision.set(indexes.revision)
