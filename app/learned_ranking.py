"""The trained next-item ranker in the service: which one is live, and how it becomes a source of recommendations.

Takes settings, encoders and indexes; gives the source and the model that it follows. PyTorch is loaded with the first
ranker, not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from app.encoders import Encoders
from app.engines import new_vectors
from retrieval.live import LiveIndex
from retrieval.live_model import LiveModel
from retrieval.models.learned import LearnedSource
from retrieval.registry import Entry, Registry
from tasteline.errors import InvalidInput
from tasteline.ports import Need, VectorIndex
from tasteline.settings import Settings

if TYPE_CHECKING:
    from retrieval.models.ranker_files import StoredRanker


_NOTHING = np.zeros(0, dtype=np.int64)
NOBODY = Need(_NOTHING, np.zeros(0, np.float32), _NOTHING, np.zeros(0, np.float32), _NOTHING)


def learned_source(
    settings: Settings, encoders: Encoders, live: LiveIndex
) -> tuple[LearnedSource, LiveModel[StoredRanker]]:
    """A source that ranks by whatever next-item model is live, and that model; empty until one is."""

    def vectors(dimension: int) -> VectorIndex:
        return new_vectors(settings, dimension)

    def tried(stored: StoredRanker) -> None:
        """A ranker that cannot be asked must not become live: every page would fail."""
        with live.read() as indexes:
            trial = LearnedSource(lambda: stored, lambda: indexes, vectors)
            trial.propose(NOBODY, 1, indexes.catalogue.alive)

    def loaded_from(entry: Entry) -> StoredRanker:
        if settings.language_model != "transformers" and settings.embedder != "sentence-transformers":
            from retrieval.adapters.threads import one_torch_thread

            one_torch_thread()  # nothing else here computes with PyTorch
        stored = ranker_of(entry, encoders)
        if stored.embedder != live.embedder.name and (own := encoders.named(stored.embedder)) is not None:
            live.keep(own)
        return stored

    model = LiveModel(Registry(settings.home), "next-item", loaded_from, tried)
    source = LearnedSource(lambda: loaded.model if (loaded := model.current()) else None, lambda: live.present, vectors)
    return source, model


def follow_learned(model: LiveModel[StoredRanker], source: LearnedSource, live: LiveIndex) -> None:
    """Load what was promoted, and lay it on the catalogue before a shopper asks."""
    model.follow()
    loaded = model.current()
    if loaded is not None:
        with live.read():
            source.lay(loaded.model)
    live.keep_only({loaded.model.embedder} if loaded is not None else ())


def ranker_of(entry: Entry, encoders: Encoders) -> StoredRanker:
    """Raises InvalidInput where it knows texts by the vectors of an encoder that is not here.

    It need not be that of the requests: the ranker keeps vectors of its own beside.
    """
    from retrieval.models.ranker_files import read_ranker

    stored = read_ranker(entry.folder)
    if encoders.named(stored.embedder) is None:
        raise InvalidInput(
            f"it was trained on texts embedded by {stored.embedder}, the shop uses {encoders.published().name}; train "
            "it anew with `tasteline train next-item`, or set TASTELINE_EMBEDDER back"
        )
    return stored
