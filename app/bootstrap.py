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

from app.agent.interest_words import InterestWriter
from app.agent.judging import Judge
from app.agent.pipeline import Assistant
from app.agent.tasks import ModelTasks
from app.agent.understanding import Understanding
from app.agent.voice import Voice
from app.engines import open_embedder, open_language_model, open_store
from app.indexing import open_live
from app.learned_ranking import next_item_sources
from app.llm.asking import Asker
from app.shop import RANKINGS_WAITING, Shop, featured_in, follow_index, write_rankings
from app.telemetry import Metrics
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
    embedder = open_embedder(settings)
    live = open_live(settings, store, embedder)
    live.sync(progress)
    behaviour = Behaviour(store, live, settings.home / COUNTS_FILE)
    behaviour.open()
    reader = Reader(live)
    reader.follow()
    searcher = Searcher(live, embedder, reader, behaviour, new_id)
    trials, guide = next_item_sources(settings, embedder, live), Guide(live, behaviour)
    ways = [trials.usual, *sources.untrained(behaviour, lambda: live.present)]
    wishes = sources.Wishes(embedder, lambda: live.present)
    newcomers = Newcomers(embedder, live, reader, behaviour, guide)
    recommender = Recommender(
        live, store, ways, searcher, lambda: behaviour().repeat_share, new_id, wishes, newcomers, trials.ready, trials
    )
    language_model = language_model or open_language_model(settings)
    rankings: deque[tuple[Ranking, str | None]] = deque(maxlen=RANKINGS_WAITING)
    steps: dict[str, Callable[[], None]] = {
        "index": lambda: follow_index(live, metrics),
        "vocabulary": reader.follow,
        "behaviour": behaviour.follow,
        "next-item model": lambda: trials.follow(live),
        "questions": guide.follow,
        "rankings": lambda: write_rankings(store, rankings),
    }
    follower = Follower(steps, lambda step: metrics.follow_failures.labels(step).inc())
    follower.tick()
    asker = Asker(language_model, metrics)
    tasks = ModelTasks(
        Understanding(asker, lambda: reader.vocabulary, asks=settings.model_understands),
        Judge(asker, settings.model_judges),
        InterestWriter(asker, live, store, settings.model_describes),
        Voice(asker, metrics, settings.worded_products, settings.wording_seconds),
    )
    assistant = Assistant(store, live, searcher, recommender, newcomers, tasks, metrics, settings)
    return Shop(
        settings=settings,
        store=store,
        live=live,
        embedder=embedder,
        searcher=searcher,
        recommender=recommender,
        newcomers=newcomers,
        assistant=assistant,
        writer_of_interests=tasks.writer,
        language_model=language_model,
        writer=CommitBatcher(store),
        metrics=metrics,
        follower=follower,
        workers=ThreadPoolExecutor(max_workers=4, thread_name_prefix="shop"),
        rankings=rankings,
        reader=reader,
        featured=featured_in(settings.home),
        trained=(trials.model,),
    )
