"""Settings in, a running shop out: how the parts are wired (`app.engines` names the concrete ones).

Nothing happens at import.

Threads are set here: one for each query call (torch, FAISS and BLAS with two each fight over the cores: an encode
beside a search went from 16 to 489 ms), batching gives concurrency.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from app.agent.pipeline import Assistant
from app.agent.tasks import ModelTasks
from app.encoders import Encoders
from app.engines import open_store
from app.indexing import open_live
from app.learned_ranking import follow_learned, learned_source
from app.llm.asking import Asker
from app.shop import RANKINGS_WAITING, Shop, featured_in, follow_index, write_rankings
from app.telemetry import Metrics
from app.trained import TrainedModels
from retrieval.commit_batcher import CommitBatcher
from retrieval.facets import Guide
from retrieval.follow import COUNTS_FILE, Behaviour, Follower, Reader
from retrieval.live import Progress
from retrieval.models import sources
from retrieval.newcomers import Newcomers
from retrieval.recommend import Recommender
from retrieval.search import Searcher
from tasteline.ports import LanguageModel
from tasteline.settings import Settings
from tasteline.types import Ranking


def open_shop(
    settings: Settings,
    progress: Progress | None = None,
    metrics: Metrics | None = None,
    new_id: Callable[[], str] | None = None,
    language_model: LanguageModel | None = None,
) -> Shop:
    """Wire and warm everything; returns when the shop can answer. `language_model` overrides the setting."""
    new_id = new_id or (lambda: secrets.token_hex(8))
    store, metrics = open_store(settings), metrics or Metrics()
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
    learned, next_item = learned_source(settings, encoders, live)
    proposing = [learned, *sources.untrained(behaviour, lambda: live.present)]
    wishes = sources.Wishes(lambda: live.present)
    guide = Guide(live, behaviour)
    newcomers = Newcomers(live, reader, behaviour, guide)
    recommender = Recommender(
        live, store, proposing, searcher, lambda: behaviour().repeat_share, new_id, wishes, newcomers, learned.ready
    )
    rankings: deque[tuple[Ranking, str | None]] = deque(maxlen=RANKINGS_WAITING)
    steps: dict[str, Callable[[], None]] = {
        "index": lambda: follow_index(live, metrics),
        "vocabulary": reader.follow,
        "behaviour": behaviour.follow,
        "next-item model": lambda: follow_learned(next_item, learned, live),
        "questions": guide.follow,
        "rankings": lambda: write_rankings(store, rankings),
    }
    follower = Follower(steps, lambda step: metrics.follow_failures.labels(step).inc())
    follower.tick()
    asker = Asker(models.language_model, metrics)
    tasks = ModelTasks.of(settings, asker, lambda: reader.vocabulary, live, store, metrics)
    assistant = Assistant(store, live, searcher, recommender, newcomers, tasks, metrics, settings)
    return Shop(
        settings=settings,
        store=store,
        live=live,
        searcher=searcher,
        recommender=recommender,
        newcomers=newcomers,
        assistant=assistant,
        writer_of_interests=tasks.writer,
        writer=CommitBatcher(store),
        metrics=metrics,
        follower=follower,
        models=models,
        workers=ThreadPoolExecutor(max_workers=4, thread_name_prefix="shop"),
        rankings=rankings,
        reader=reader,
        featured=featured_in(settings.home),
        trained=(next_item, *models.followed),
    )
