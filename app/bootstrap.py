"""The one place that names concrete parts: settings in, a running shop out. Nothing happens at import.

Threads are set here: one for each query call (torch, FAISS and BLAS with two each fight over the cores: an encode
beside a search went from 16 to 489 ms), batching gives concurrency.
"""

from __future__ import annotations

import contextlib
import secrets
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from app.agent.pipeline import Assistant
from app.llm.asking import Asker
from app.shop import RANKINGS_WAITING, Shop, featured_in, follow_index, write_rankings
from app.telemetry import Metrics
from retrieval.commit_batcher import CommitBatcher
from retrieval.follow import COUNTS_FILE, Behaviour, Follower, Reader
from retrieval.live import Indexes, LiveIndex, Progress
from retrieval.models import sources
from retrieval.recommend import Recommender
from retrieval.search import Searcher
from retrieval.snapshot import Manifest, load_snapshot, save_snapshot
from tasteline.errors import SnapshotMismatch
from tasteline.ports import CandidateSource, Embedder, LanguageModel, Store, VectorIndex
from tasteline.settings import Settings
from tasteline.types import Ranking


def open_store(settings: Settings) -> Store:
    from retrieval.adapters.store_sql import SqlStore

    settings.home.mkdir(parents=True, exist_ok=True)
    return SqlStore(settings.sqlalchemy_url())


def open_embedder(settings: Settings) -> Embedder:
    """The configured embedder behind the cache of texts already embedded."""
    from retrieval.embedding import CachedEmbedder, EmbeddingCache

    return CachedEmbedder(_bare_embedder(settings), EmbeddingCache(settings.home / "embeddings.db"))


def _bare_embedder(settings: Settings) -> Embedder:
    if settings.embedder == "hashing":
        from retrieval.adapters.embedder_hashing import HashingEmbedder

        return HashingEmbedder()
    from retrieval.adapters.weights import encoder_path

    model = encoder_path(settings.embedder_model)
    if settings.embedder == "sentence-transformers":
        from retrieval.adapters.embedder_sentence_transformers import SentenceTransformersEmbedder

        return SentenceTransformersEmbedder(model)
    from retrieval.adapters.embedder_openvino import OpenVinoEmbedder

    return OpenVinoEmbedder(model, settings.home / "models", settings.embedder_threads)


def new_vectors(settings: Settings, dimension: int) -> VectorIndex:
    if settings.vector_index == "numpy":
        from retrieval.adapters.vectors_numpy import NumpyVectorIndex

        return NumpyVectorIndex(dimension)
    from retrieval.adapters.threads import one_thread_each
    from retrieval.adapters.vectors_faiss import FaissVectorIndex

    one_thread_each()
    return FaissVectorIndex(dimension)


def open_language_model(settings: Settings) -> LanguageModel | None:
    if settings.language_model == "none":
        return None
    if settings.language_model == "scripted":
        from app.llm.scripted import ScriptedLanguageModel

        return ScriptedLanguageModel(["Here is what I found for you."])
    if settings.language_model == "openai":
        from app.llm.openai_protocol import OpenAiLanguageModel

        key = settings.language_model_key.get_secret_value() if settings.language_model_key else None
        return OpenAiLanguageModel(
            settings.language_model_url, settings.language_model_name, key, max_waiting=settings.language_model_waiting
        )
    return _in_process(settings)


def _in_process(settings: Settings) -> LanguageModel:
    """Loads beside the first requests, which do not wait for it."""
    from retrieval.adapters import weights

    name, home = settings.language_model_name, settings.home / "models"
    threads, waiting = settings.language_model_threads, settings.language_model_waiting
    if settings.language_model == "transformers":
        from app.llm.transformers_local import TransformersLanguageModel

        reference = TransformersLanguageModel(weights.language_model_folder(name, home), threads, max_waiting=waiting)
        reference.warm()
        return reference
    from app.llm.openvino_genai import OpenVinoLanguageModel

    model = OpenVinoLanguageModel(weights.language_model_path(name), home, threads, max_waiting=waiting)
    model.warm()
    return model


def open_live(settings: Settings, store: Store, embedder: Embedder, *, fresh: bool = False) -> LiveIndex:
    """The indexes as of the last snapshot (empty when `fresh` or none). Raises SnapshotMismatch."""
    from retrieval.adapters.lexical_tantivy import TantivyLexicalIndex

    live = LiveIndex(store, embedder, lambda: new_vectors(settings, embedder.dimension), TantivyLexicalIndex)
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
    recommender = _recommender(store, live, behaviour, searcher, new_id)
    language_model = language_model or open_language_model(settings)
    rankings: deque[tuple[Ranking, str | None]] = deque(maxlen=RANKINGS_WAITING)
    steps: dict[str, Callable[[], None]] = {
        "index": lambda: follow_index(live, metrics),
        "vocabulary": reader.follow,
        "behaviour": behaviour.follow,
        "rankings": lambda: write_rankings(store, rankings),
    }
    follower = Follower(steps, lambda step: metrics.follow_failures.labels(step).inc())
    follower.tick()
    asker = Asker(language_model, metrics)
    assistant = Assistant(store, live, searcher, recommender, asker, metrics, settings)
    return Shop(
        settings=settings,
        store=store,
        live=live,
        embedder=embedder,
        searcher=searcher,
        recommender=recommender,
        assistant=assistant,
        language_model=language_model,
        writer=CommitBatcher(store),
        metrics=metrics,
        follower=follower,
        workers=ThreadPoolExecutor(max_workers=4, thread_name_prefix="shop"),
        rankings=rankings,
        reader=reader,
        featured=featured_in(settings.home),
    )


def _recommender(
    store: Store, live: LiveIndex, behaviour: Behaviour, searcher: Searcher, new_id: Callable[[], str]
) -> Recommender:
    def indexes() -> Indexes:
        return live.present

    proposing: list[CandidateSource] = [
        sources.CooccurrenceSource(behaviour, indexes),
        sources.LikenessSource(indexes),
        sources.PopularSource(behaviour, indexes),
        sources.RatedSource(indexes),
        sources.HabitSource(),
        sources.NewSource(behaviour, indexes),
    ]
    return Recommender(live, store, proposing, searcher, lambda: behaviour().repeat_share, new_id)
