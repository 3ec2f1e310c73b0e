"""What of a shop finds and recommends: indexes, models, search and recommender, wired over one store.

Takes settings and a store, gives a `Retrieval` whose parts know of one another. Choices between engines are those of
`app.engines`. Knows no conversation and no HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.encoders import Encoders
from app.forecasting import open_forecasting
from app.indexing import follow_index, open_live
from app.learned_ranking import next_item_sources
from app.telemetry import Metrics
from app.trained import TrainedModels
from retrieval.deed_log import DeedLog
from retrieval.facets import Guide
from retrieval.follow import COUNTS_FILE, Behaviour, Reader
from retrieval.forecast import Forecasting
from retrieval.live import LiveIndex, Progress
from retrieval.live_model import Followed
from retrieval.models import sources
from retrieval.models.baskets import BasketSource
from retrieval.newcomers import Newcomers
from retrieval.offers.bundles import Bundles
from retrieval.recommend import Recommender
from retrieval.search import Searcher
from tasteline.ports import CandidateSource, LanguageModel, Store
from tasteline.settings import Settings


@dataclass(frozen=True, slots=True)
class Retrieval:
    live: LiveIndex
    models: TrainedModels
    reader: Reader
    searcher: Searcher
    recommender: Recommender
    newcomers: Newcomers
    forecasting: Forecasting
    deeds: DeedLog
    bundles: Bundles
    trained: tuple[Followed, ...]
    """Models of the registry that this service uses, one of each kind."""
    candidates: tuple[Followed, ...]
    """Those that experiments try beside them."""
    steps: Mapping[str, Callable[[], None]]
    """What keeps all this in step with store and registry, in order."""


def open_retrieval(
    settings: Settings,
    store: Store,
    metrics: Metrics,
    new_id: Callable[[], str],
    progress: Progress | None = None,
    language_model: LanguageModel | None = None,
) -> Retrieval:
    """Ready to answer. `language_model` takes the place of any configured or promoted one."""
    encoders = Encoders(settings)
    live = open_live(settings, store, encoders.to_start_with())
    live.sync(progress)
    models = TrainedModels(settings, encoders, live, metrics, language_model)
    models.tick()
    behaviour = Behaviour(store, live, settings.home / COUNTS_FILE)
    behaviour.open()
    reader = Reader(live)
    reader.follow()
    searcher = Searcher(live, reader, behaviour, new_id, models.reranking)
    trials = next_item_sources(settings, encoders, live)
    deeds = DeedLog(store)
    bundles = Bundles(deeds, live, seconds=settings.deadline_seconds)
    baskets = BasketSource(bundles.rules, lambda: live.present)
    proposing: list[CandidateSource] = [trials.usual, baskets, *sources.untrained(behaviour, lambda: live.present)]
    guide = Guide(live, behaviour)
    newcomers = Newcomers(live, reader, behaviour, guide)
    asking = (store, proposing, searcher, lambda: behaviour().repeat_share, new_id)
    recommender = Recommender(live, *asking, sources.Wishes(lambda: live.present), newcomers, trials.ready, trials)
    forecasting, forecast_model = open_forecasting(settings, store, deeds, live)
    steps = {
        "index": lambda: follow_index(live, metrics),
        "vocabulary": reader.follow,
        "behaviour": behaviour.follow,
        "baskets": bundles.follow,
        "next-item model": lambda: trials.follow(live),
        "questions": guide.follow,
        "forecast model": forecast_model.follow,
        "deeds": deeds.follow,
    }
    trained = (trials.model, forecast_model, *models.followed)
    candidates = (trials.candidate, *models.candidates)
    return Retrieval(
        live, models, reader, searcher, recommender, newcomers, forecasting, deeds, bundles, trained, candidates, steps
    )
