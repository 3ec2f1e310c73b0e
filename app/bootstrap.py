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
from app.agent.tasks import TriedTasks
from app.engines import open_store
from app.retrieving import open_retrieval
from app.shop import RANKINGS_WAITING, Shop, featured_in, write_rankings
from app.telemetry import Metrics
from retrieval.commit_batcher import CommitBatcher
from retrieval.follow import Follower
from retrieval.live import Progress
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
    parts = open_retrieval(settings, store, metrics, new_id, progress, language_model)
    rankings: deque[tuple[Ranking, str | None]] = deque(maxlen=RANKINGS_WAITING)
    steps = {**parts.steps, "rankings": lambda: write_rankings(store, rankings)}
    follower = Follower(steps, lambda step: metrics.follow_failures.labels(step).inc())
    follower.tick()
    tasks = TriedTasks.of(settings, parts.models, lambda: parts.reader.vocabulary, parts.live, store, metrics)
    assistant = Assistant(
        store, parts.live, parts.searcher, parts.recommender, parts.newcomers, tasks, metrics, settings
    )
    return Shop(
        settings=settings,
        store=store,
        retrieval=parts,
        assistant=assistant,
        tasks=tasks,
        writer=CommitBatcher(store),
        metrics=metrics,
        follower=follower,
        workers=ThreadPoolExecutor(max_workers=4, thread_name_prefix="shop"),
        rankings=rankings,
        featured=featured_in(settings.home),
    )
