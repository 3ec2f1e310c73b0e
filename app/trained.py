"""Encoder, reranker and language model trained for this shop, in the running service: followed, checked, exchanged.

Takes settings and indexes; gives the models that a `Follower` of their own keeps in step with the registry, since
loading one and embedding a catalogue takes seconds to minutes, which nobody waits for.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import numpy as np
import structlog

from app.encoders import MERGED, Encoders
from app.engines import open_language_model, open_reranker, open_trained_language_model
from app.llm.golden import check_language_model
from app.llm.live import LiveLanguageModel
from app.llm_trials import LlmTrials
from app.telemetry import Metrics
from retrieval.experiment import Experiments
from retrieval.follow import Follower
from retrieval.golden import PRODUCTS, GoldenPairs, check_encoder, check_reranker, golden_pairs
from retrieval.live import LiveIndex
from retrieval.live_model import Followed, LiveModel, Loaded, Pointing, Role, in_use
from retrieval.model_card import ModelKind
from retrieval.registry import Entry, Registry
from retrieval.reranking import Reranking
from retrieval.split import Split
from tasteline.errors import EngineFailed, TastelineError
from tasteline.ports import Embedder, LanguageModel, Reranker
from tasteline.settings import Settings
from tasteline.types import Product

RUNS_TRAINED = ("openvino", "transformers", "openai")
"""Engines of the setting that can run a model of ours."""
LOADING_SECONDS = 180.0
"""For a language model: converting, loading, compiling."""
TELL_SECONDS = 5.0
"""Between two lines of the log about how far an embedding is."""

log = structlog.get_logger(__name__)


class TrainedModels:
    """Each in step with what is promoted, on a thread of its own.

    `given` takes the place of any language model, configured or promoted.
    """

    def __init__(
        self,
        settings: Settings,
        encoders: Encoders,
        live: LiveIndex,
        metrics: Metrics,
        given: LanguageModel | None = None,
    ) -> None:
        self.encoder = LiveEncoder(settings, encoders, live)
        experiments = Experiments(settings.home)
        self.reranker = live_reranker(settings, live, Registry(settings.home))
        rerankers = Split(experiments, self.reranker, live_reranker(settings, live, experiments, "candidate"))
        self.reranking = Reranking(
            lambda: in_use(self.reranker), settings.reranked_products, settings.reranking_seconds, trying=rerankers
        )
        steps: dict[str, Callable[[], None]] = {"encoder": self.encoder.follow, "reranker": rerankers.follow}
        self.language_model = given
        self._llm: LiveLlm | None = None
        self.llm_trials: LlmTrials | None = None
        self.candidates: tuple[Followed, ...] = (rerankers.candidate,)
        """What experiments try beside the live ones."""
        if given is None and settings.language_model in RUNS_TRAINED:
            self._llm = llm = LiveLlm(settings, live)
            self.language_model = llm.engine
            self.llm_trials = trials = llm.trials(experiments)
            self.candidates += (trials.candidate,)
            steps["llm"] = lambda: trials.follow(llm.follow)
        elif given is None:
            self.language_model = open_language_model(settings)
        # One for each: a reranker that is taken back does not wait until a catalogue has been embedded.
        self._followers = [
            Follower({kind: step}, lambda failed: metrics.follow_failures.labels(failed).inc())
            for kind, step in steps.items()
        ]

    @property
    def alive(self) -> bool:
        return all(follower.alive for follower in self._followers)

    @property
    def followed(self) -> tuple[Followed, ...]:
        return self.encoder, self.reranker, *((self._llm,) if self._llm else ())

    def tick(self) -> None:
        """Returns when what is live is in use, or is known not to work."""
        for follower in self._followers:
            follower.tick()

    def start(self) -> None:
        for follower in self._followers:
            follower.start()

    def close(self) -> None:
        """An exchange that is under way is given up."""
        self.encoder.close()
        if self.language_model is not None:
            self.language_model.close()
        if self.llm_trials is not None:
            self.llm_trials.close()
        for follower in self._followers:
            follower.stop()


def live_reranker(settings: Settings, live: LiveIndex, pointing: Pointing, role: Role = "live") -> LiveModel[Reranker]:
    """Whatever `pointing` says."""

    def loaded_from(entry: Entry) -> Reranker:
        return open_reranker(str(entry.folder / MERGED), entry.id, settings)

    def tried(reranker: Reranker) -> None:
        check_reranker(reranker, pairs_of(live))

    return LiveModel(pointing, "reranker", loaded_from, tried, role)


class LiveEncoder:
    """The encoder of the indexes, exchanged when another one is promoted or rolled back.

    The catalogue is embedded while the old one answers; then encoder and vectors change places in one step. One that
    fails the golden check, or breaks while it embeds, changes nothing, and `problem` says so. What is promoted or taken
    back meanwhile is not kept waiting: the embedding is given up, and the cache keeps what was done.
    """

    kind: ModelKind = "encoder"

    def __init__(self, settings: Settings, encoders: Encoders, live: LiveIndex) -> None:
        self._encoders = encoders
        self._live = live
        self._done: tuple[int, int] | None = None
        self._told = 0.0
        self._closed = threading.Event()
        self._registry = Registry(settings.home)
        self._wanted = self._registry.stamp(self.kind)
        self._model: LiveModel[Embedder] = LiveModel(self._registry, self.kind, encoders.of, self._taken)

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
        self._wanted = self._registry.stamp(self.kind)
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
        if self._registry.stamp(self.kind) != self._wanted:
            raise EngineFailed("another one was promoted, or it was taken back, before the catalogue was embedded")
        self._done = done, total
        if time.monotonic() - self._told > TELL_SECONDS:
            self._told = time.monotonic()
            log.info("embedding_for_another_encoder", done=done, total=total)


class LiveLlm:
    """The language model that is promoted, else the configured one, behind one `engine` for all who ask."""

    kind: ModelKind = "llm"

    def __init__(self, settings: Settings, live: LiveIndex) -> None:
        self._settings = settings
        self._live = live
        self.engine = LiveLanguageModel()
        self._published = False
        """Whether the configured one was opened since a trained one was in use: what is missing is not tried again."""
        self._missing: str | None = None
        """Why the configured one could not be opened."""
        registry = Registry(settings.home)
        self._model: LiveModel[str] = LiveModel(registry, self.kind, self._taken)
        if registry.stamp(self.kind) is None:  # nothing was ever promoted: who starts is told what is missing
            self._back_to_published()

    def current(self) -> Loaded[str] | None:
        return self._model.current()

    @property
    def problem(self) -> str | None:
        return self._model.problem or self._missing

    @property
    def progress(self) -> str | None:
        return None

    def follow(self) -> None:
        """A trained one is used once it is loaded and checked; at a start the configured one loads beside requests."""
        self._model.follow()
        wanted = self._model.current() is None and (self._model.problem is None or self.engine.empty)
        if wanted and not self._published:
            self._back_to_published()

    def trials(self, experiments: Experiments) -> LlmTrials:
        """Who is answered by another one while an experiment runs."""
        return LlmTrials(experiments, self._model, self.engine, self._checked, self._settings.deadline_seconds)

    def _taken(self, entry: Entry) -> str:
        """Loads, checks and exchanges; gives the name."""
        model = self._checked(entry)
        self.engine.exchange(model, entry.id, model.parent or entry.card.base)
        self._published, self._missing = False, None
        return entry.id

    def _checked(self, entry: Entry) -> LanguageModel:
        model = open_trained_language_model(entry.folder / MERGED, entry.id, self._settings)
        try:
            model.warm().result(LOADING_SECONDS)
            asyncio.run(check_language_model(model, products_of(self._live)))
        except BaseException:
            model.close()
            raise
        return model

    def _back_to_published(self) -> None:
        self._published, self._missing = True, None
        try:
            model = open_language_model(self._settings)
        except TastelineError as error:
            self._missing = str(error)
            self.engine.release()  # what was taken back does not go on answering
            raise
        if model is None:
            return
        deadline = time.monotonic() + LOADING_SECONDS
        while not (self.engine.empty or model.ready) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.engine.exchange(model)


def pairs_of(live: LiveIndex) -> GoldenPairs:
    return golden_pairs(products_of(live))


def products_of(live: LiveIndex) -> list[Product]:
    """A few from all over the catalogue, which golden questions are made of: neighbours are often one thing in two
    colours, which no model need tell apart. Some may have no text."""
    with live.read() as indexes:
        rows = np.flatnonzero(indexes.catalogue.alive)
        chosen = rows[np.linspace(0, len(rows) - 1, min(len(rows), 4 * PRODUCTS)).astype(int)] if len(rows) else rows
        # The ends of the list lie far apart: with every other one in front, so do the first few.
        return [
            indexes.catalogue.product(int(row)) for row in (*chosen[::4], *chosen[1::4], *chosen[2::4], *chosen[3::4])
        ]
