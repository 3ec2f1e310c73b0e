"""Encoder and reranker that were trained for this shop, in the running service: followed, checked, exchanged.

Takes settings and indexes; gives the models that a `Follower` of their own keeps in step with the registry, since
loading one and embedding a catalogue takes seconds to minutes, which nobody waits for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import islice

import structlog

from app.encoders import MERGED, Encoders
from app.engines import open_reranker
from retrieval.follow import Follower
from retrieval.golden import PRODUCTS, GoldenPairs, check_encoder, check_reranker, golden_pairs
from retrieval.live import LiveIndex
from retrieval.live_model import Followed, LiveModel, Loaded
from retrieval.model_card import ModelKind
from retrieval.registry import Entry, Registry
from tasteline.errors import EngineFailed
from tasteline.ports import Embedder, Reranker
from tasteline.settings import Settings

TELL_SECONDS = 5.0
"""Between two lines of the log about how far an embedding is."""

log = structlog.get_logger(__name__)


class TrainedModels:
    """Encoder and reranker, each in step with what is promoted, on a thread of their own."""

    def __init__(self, settings: Settings, encoders: Encoders, live: LiveIndex, failed: Callable[[str], None]) -> None:
        self.encoder = LiveEncoder(settings, encoders, live)
        self.reranker = live_reranker(settings, live)
        self._follower = Follower({"encoder": self.encoder.follow, "reranker": self.reranker.follow}, failed)

    @property
    def alive(self) -> bool:
        return self._follower.alive

    @property
    def followed(self) -> tuple[Followed, ...]:
        return self.encoder, self.reranker

    def tick(self) -> None:
        """Returns when what is live is in use, or is known not to work."""
        self._follower.tick()

    def start(self) -> None:
        self._follower.start()

    def close(self) -> None:
        """An exchange that is under way is given up."""
        self.encoder.close()
        self._follower.stop()


def live_reranker(settings: Settings, live: LiveIndex) -> LiveModel[Reranker]:
    def loaded_from(entry: Entry) -> Reranker:
        return open_reranker(str(entry.folder / MERGED), entry.id, settings)

    def tried(reranker: Reranker) -> None:
        check_reranker(reranker, pairs_of(live))

    return LiveModel(Registry(settings.home), "reranker", loaded_from, tried)


class LiveEncoder:
    """The encoder of the indexes, exchanged when another one is promoted or rolled back.

    The catalogue is embedded while the old one answers; then encoder and vectors change places in one step. One that
    fails the golden check, or breaks while it embeds, changes nothing, and `problem` says so.
    """

    kind: ModelKind = "encoder"

    def __init__(self, settings: Settings, encoders: Encoders, live: LiveIndex) -> None:
        self._encoders = encoders
        self._live = live
        self._done: tuple[int, int] | None = None
        self._told = 0.0
        self._closed = threading.Event()
        self._model: LiveModel[Embedder] = LiveModel(Registry(settings.home), self.kind, encoders.of, self._taken)

    def current(self) -> Loaded[Embedder] | None:
        return self._model.current()

    @property
    def problem(self) -> str | None:
        return self._model.problem

    @property
    def progress(self) -> str | None:
        """How far the embedding for another encoder is; None while there is none."""
        done = self._done
        return f"the catalogue is embedded for another encoder: {done[0]} of {done[1]}" if done else None

    def follow(self) -> None:
        """Returns when the indexes are those of the live encoder, or when that is known to be impossible."""
        self._model.follow()
        if self._model.current() is None and self._model.problem is None:
            published = self._encoders.published()
            if published.name != self._live.embedder.name:  # rolled back to before the first
                self._exchange(published)

    def close(self) -> None:
        """What is being embedded is given up; the cache keeps what was done."""
        self._closed.set()

    def _taken(self, embedder: Embedder) -> None:
        check_encoder(embedder, pairs_of(self._live))
        self._exchange(embedder)

    def _exchange(self, embedder: Embedder) -> None:
        before, begun = self._live.embedder.name, time.monotonic()
        try:
            self._live.adopt(embedder, self._tell)
        finally:
            self._done = None
        seconds = round(time.monotonic() - begun, 3)
        log.info("encoder_exchanged", embedder=embedder.name, before=before, seconds=seconds)

    def _tell(self, done: int, total: int) -> None:
        if self._closed.is_set():
            raise EngineFailed("the service ends")
        self._done = done, total
        if time.monotonic() - self._told > TELL_SECONDS:
            self._told = time.monotonic()
            log.info("embedding_for_another_encoder", done=done, total=total)


def pairs_of(live: LiveIndex) -> GoldenPairs:
    with live.read() as indexes:
        products = list(islice(indexes.catalogue.products(), 4 * PRODUCTS))  # some may have no text
    return golden_pairs(products)
