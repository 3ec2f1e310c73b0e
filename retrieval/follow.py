"""Keeps the process in step with the store: indexes, vocabulary and counts follow what anybody wrote.

One thread, a tick every half second, so that an import, an erasure or a second process is seen within two seconds.
A failing tick is logged and counted and tried again; the service goes on with what it has.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from itertools import islice
from pathlib import Path

import structlog

from retrieval.live import LiveIndex
from retrieval.models.behaviour import BehaviourCounts
from retrieval.understanding import Vocabulary, understand
from tasteline.ports import Store
from tasteline.types import Understood

TICK_SECONDS = 0.5
EVENTS_AT_ONCE = 2_000
REST = 20.0
"""The vocabulary of 20,000 products costs some 2 seconds: with single products put all day, it takes 5 % of a core."""
FIT_ANEW = 0.2
"""Share of events counted on top after which all are counted anew: topping up knows no repeat purchases."""
COUNTS_FILE = "models/behaviour.npz"

log = structlog.get_logger(__name__)


class Behaviour:
    """The counts of this store, fitted once, topped up after, fitted anew when a person was erased."""

    def __init__(self, store: Store, live: LiveIndex, path: Path) -> None:
        self._store = store
        self._live = live
        self._path = path
        self._counts = BehaviourCounts()
        self._since_fit = 0

    def __call__(self) -> BehaviourCounts:
        return self._counts

    def open(self) -> None:
        """From disk where that is still true, else from all events."""
        try:
            self._counts = BehaviourCounts.load(self._path)
        except (OSError, KeyError, ValueError):
            self.fit()
        self.follow()

    def fit(self) -> None:
        erasures = self._store.erasures()
        self._counts = BehaviourCounts.fit(self._store.events(), erasures)
        self._counts.save(self._path)
        self._since_fit = 0

    def follow(self) -> None:
        if self._store.erasures() != self._counts.erasures:
            self.fit()
        events = iter(self._store.events(self._counts.sequence))
        while batch := list(islice(events, EVENTS_AT_ONCE)):
            with self._live.read():
                self._since_fit += self._counts.update(batch)
        if self._since_fit > max(EVENTS_AT_ONCE, FIT_ANEW * self._counts.sequence):
            self.fit()


class Reader:
    """Reads requests with the catalogue's vocabulary, at most REST times its own cost behind the catalogue."""

    def __init__(self, live: LiveIndex) -> None:
        self._live = live
        self._revision = -1
        self._not_before = 0.0
        self.vocabulary = Vocabulary.from_products([])

    def __call__(self, text: str, ignore: Collection[str]) -> Understood:
        return understand(text, self.vocabulary, ignore)

    def follow(self) -> None:
        if self._revision == self._live.revision or time.monotonic() < self._not_before:
            return
        started = time.thread_time()  # on a busy machine the clock would count others' work as its own
        with self._live.read() as indexes:
            revision, products = indexes.revision, list(indexes.catalogue.products())
        self.vocabulary = Vocabulary.from_products(products)
        self._revision = revision
        self._not_before = time.monotonic() + REST * (time.thread_time() - started)


class Follower:
    """Runs each step of `steps` every tick until closed. `failed(name)` is called when one breaks."""

    def __init__(self, steps: dict[str, Callable[[], None]], failed: Callable[[str], None]) -> None:
        self._steps = steps
        self._failed = failed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def tick(self) -> None:
        for name, step in self._steps.items():
            try:
                step()
            except Exception:
                log.exception("follow_failed", step=name)
                self._failed(name)

    def _run(self) -> None:
        while not self._stop.wait(TICK_SECONDS):
            self.tick()

    def stop(self) -> None:
        """Ends the thread; returns when the step that it is at is over."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def close(self) -> None:
        """Stops the thread, then runs every step a last time."""
        self.stop()
        self.tick()
