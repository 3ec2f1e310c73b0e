"""The trained next-item ranker in the service: which one is live, and how it becomes a source of recommendations.

Takes settings, encoders and indexes; gives the source and the model that it follows, and the same of a second one that
it is compared with while an experiment runs. PyTorch is loaded with the first ranker, not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from app.encoders import Encoders
from app.engines import new_vectors
from retrieval.experiment import Experiments
from retrieval.live import LiveIndex
from retrieval.live_model import Followed, LiveModel, Pointing, Role
from retrieval.models.learned import LearnedSource
from retrieval.recommend import RecommendationQuery
from retrieval.registry import Entry, Registry
from retrieval.split import Split
from tasteline.errors import InvalidInput
from tasteline.ports import Need, VectorIndex
from tasteline.settings import Settings
from tasteline.trials import Trial

if TYPE_CHECKING:
    from retrieval.models.ranker_files import StoredRanker


_NOTHING = np.zeros(0, dtype=np.int64)
NOBODY = Need(_NOTHING, np.zeros(0, np.float32), _NOTHING, np.zeros(0, np.float32), _NOTHING)


def next_item_sources(settings: Settings, encoders: Encoders, live: LiveIndex) -> NextItemTrials:
    """The ranker of the live next-item model, and beside it one of the candidate of a running experiment."""
    experiments = Experiments(settings.home)
    usual = _source(settings, encoders, live, Registry(settings.home), "live")
    other = _source(settings, encoders, live, experiments, "candidate")
    return NextItemTrials(experiments, usual, other)


def _source(
    settings: Settings, encoders: Encoders, live: LiveIndex, pointing: Pointing, role: Role
) -> tuple[LearnedSource, LiveModel[StoredRanker]]:
    """A source that ranks by whatever model `pointing` says, and that model; empty until there is one."""

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

    model = LiveModel(pointing, "next-item", loaded_from, tried, role)
    source = LearnedSource(lambda: loaded.model if (loaded := model.current()) else None, lambda: live.present, vectors)
    return source, model


class NextItemTrials:
    """Which ranker a shopper gets while an experiment runs, as the source of its arm."""

    def __init__(
        self,
        experiments: Experiments,
        usual: tuple[LearnedSource, LiveModel[StoredRanker]],
        other: tuple[LearnedSource, LiveModel[StoredRanker]],
    ) -> None:
        self.usual, self.model = usual
        self._other, self._candidate = other
        self._split = Split(experiments, self.model, self._candidate)

    @property
    def candidate(self) -> Followed:
        return self._candidate

    def __call__(self, query: RecommendationQuery) -> tuple[Trial, LearnedSource] | None:
        tried = self._split(query.user_id, query.session_id)
        return None if tried is None else (tried[0], self.usual if tried[0].arm == "A" else self._other)

    def ready(self) -> bool:
        """Is there a ranker to ask?"""
        return self.usual.ready()

    def follow(self, live: LiveIndex) -> None:
        """See what was promoted, started or stopped; a shopper waits for nothing of it."""
        self._split.follow(
            lambda: _follow(self.model, self.usual, live), lambda: _follow(self._candidate, self._other, live)
        )
        in_use = [model.current() for model in (self.model, self._candidate)]
        live.keep_only({loaded.model.embedder for loaded in in_use if loaded is not None})


def _follow(model: LiveModel[StoredRanker], source: LearnedSource, live: LiveIndex) -> None:
    """Load what was promoted, and lay it on the catalogue before a shopper asks."""
    model.follow()
    if (loaded := model.current()) is not None:
        with live.read():
            source.lay(loaded.model)


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
