"""A running shop: its parts as `app.bootstrap` wired them, and what a route may ask of all of them together."""

from __future__ import annotations

import json
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from app.admission import Admission
from app.agent.pipeline import Assistant
from app.agent.tasks import TriedTasks
from app.retrieving import Retrieval
from app.telemetry import Metrics
from app.trained import TrainedModels
from retrieval.commit_batcher import CommitBatcher
from retrieval.follow import Follower, Reader
from retrieval.live import LiveIndex
from retrieval.live_model import Followed
from retrieval.newcomers import Newcomers
from retrieval.recommend import Recommender
from retrieval.search import Searcher
from tasteline.ports import Embedder, LanguageModel, RankingStore, Store
from tasteline.settings import Settings
from tasteline.types import Ranking

RANKINGS_WAITING = 10_000
"""Written behind the answers; beyond this the oldest are dropped, because an answer must not wait for its log."""
WORK_WAITING = 1_024
"""Requests for the shop's threads, running and in line: some two seconds of them."""


@dataclass(frozen=True, slots=True)
class Featured:
    """A person that the demo page offers to be."""

    user_id: str
    name: str
    about: str


@dataclass(slots=True)
class Shop:
    """Everything wired. `close()` ends it in reverse order."""

    settings: Settings
    store: Store
    retrieval: Retrieval
    assistant: Assistant
    tasks: TriedTasks
    writer: CommitBatcher
    metrics: Metrics
    follower: Follower
    workers: ThreadPoolExecutor
    rankings: deque[tuple[Ranking, str | None]]
    featured: list[Featured] = field(default_factory=list)
    waiting: Admission = field(default_factory=lambda: Admission(WORK_WAITING, "requests"))

    @property
    def live(self) -> LiveIndex:
        return self.retrieval.live

    @property
    def reader(self) -> Reader:
        return self.retrieval.reader

    @property
    def searcher(self) -> Searcher:
        return self.retrieval.searcher

    @property
    def recommender(self) -> Recommender:
        return self.retrieval.recommender

    @property
    def newcomers(self) -> Newcomers:
        return self.retrieval.newcomers

    @property
    def models(self) -> TrainedModels:
        return self.retrieval.models

    @property
    def trained(self) -> tuple[Followed, ...]:
        """Models of the registry that this service uses, one of each kind."""
        return self.retrieval.trained

    @property
    def candidates(self) -> tuple[Followed, ...]:
        """Models that experiments try beside them."""
        return self.retrieval.candidates

    @property
    def embedder(self) -> Embedder:
        """Of this moment: another one may be promoted."""
        return self.live.embedder

    @property
    def language_model(self) -> LanguageModel | None:
        return self.models.language_model

    @property
    def language_models(self) -> list[LanguageModel]:
        """That one, and the candidate of an experiment."""
        trials, usual = self.models.llm_trials, self.language_model
        trying = [trials.engine] if trials is not None and trials.candidate.current() is not None else []
        return [*([usual] if usual is not None else []), *trying]

    def start(self) -> None:
        """Follow store and registry from now on."""
        self.follower.start()
        self.models.start()

    def caught_up(self) -> None:
        """Returns when everything in the store is searchable."""
        self.live.sync()
        self.reader.follow()

    def flush_rankings(self) -> None:
        """Write what still waits, so that export and erasure see everything."""
        write_rankings(self.store, self.rankings)

    def close(self) -> None:
        self.assistant.close()
        self.workers.shutdown(wait=True, cancel_futures=True)
        self.writer.close()
        self.models.close()
        self.follower.close()
        self.retrieval.bundles.close()
        self.store.close()


def write_rankings(store: RankingStore, rankings: deque[tuple[Ranking, str | None]]) -> None:
    """Keep what was shown since the last call."""
    waiting = [rankings.popleft() for _ in range(len(rankings))]
    if waiting:
        store.save_rankings(waiting)


def featured_in(home: Path) -> list[Featured]:
    """People whom the demo wrote down for its page; nobody elsewhere."""
    path = home / "featured.json"
    return [Featured(**person) for person in json.loads(path.read_text())] if path.exists() else []
