"""Keeps the shop-wide view ready: computed on a thread of its own, kept until the store has moved, its age told.

Takes the log of deeds and the catalogue's products, gives `Told`. What is asked for first is waited for; afterwards
whoever asks gets what there is, and a newer one is made behind them, at most every `rest` seconds. After an erasure
nothing older is given out. Not in any shopper's request: the thread has the lowest priority that the system gives.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass, field
from datetime import UTC, datetime

from retrieval.deed_log import DeedLog
from retrieval.insights.acts import Acts, acts_of
from retrieval.insights.findings import Told, View
from retrieval.insights.view import Lasting, lasting_of, view_of
from tasteline.errors import DeadlineExceeded
from tasteline.types import Product

LOWEST_PRIORITY = 19


@dataclass(frozen=True, slots=True)
class _Made:
    view: View
    computed_at: datetime
    finished: float
    seconds: float
    state: tuple[int, int, int]
    """Erasures, last event and revision of the catalogue that it knows."""


@dataclass(frozen=True, slots=True)
class _Read:
    acts: Acts
    lasting: Lasting
    state: tuple[int, int, int]
    at: float


@dataclass(slots=True)
class InsightsDesk:
    """`fewest`: people behind whatever is shown; `rest`: seconds that a view is kept before a newer one is made;
    `revision`: of `products`, moves with every change of stock or price."""

    log: DeedLog
    products: Callable[[], Iterable[Product]]
    fewest: int
    rest: float
    revision: Callable[[], int] = lambda: 0
    _read: _Read | None = None
    _made: dict[int | None, _Made] = field(default_factory=dict)
    _making: dict[int | None, Future[_Made]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _thread: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, "insights", initializer=_give_way)
    )

    def view(self, days: int | None, timeout: float) -> Told:
        """Raises DeadlineExceeded when there is none yet after `timeout` seconds; it goes on being made."""
        erasures = self.log.erasures()
        with self._lock:
            made = self._made.get(days)
            if made is not None and made.state[0] != erasures:
                made = None
            if made is not None and time.monotonic() - made.finished < self.rest:
                return _told(made, is_renewed=False)
            making = self._begin(days)
        if made is not None:
            return _told(made, is_renewed=True)
        until = time.monotonic() + timeout
        try:
            renewed = making.result(timeout)
            while renewed.state[0] != self.log.erasures():  # begun before somebody was erased, whoever asks knows it
                with self._lock:
                    making = self._begin(days)
                renewed = making.result(max(0.0, until - time.monotonic()))
            return _told(renewed, is_renewed=False)
        except NotYet:
            raise DeadlineExceeded("The shop-wide view is being computed; ask again in a few seconds.") from None

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _begin(self, days: int | None) -> Future[_Made]:
        making = self._making.get(days)
        if making is None or making.done():
            making = self._making[days] = self._thread.submit(self._make, days)
        return making

    def _make(self, days: int | None) -> _Made:
        """On the desk's own thread."""
        began, now = time.monotonic(), datetime.now(UTC)
        read = self._renewed()
        known = self._made.get(days)
        if known is not None and known.state == read.state:
            view = known.view  # nothing has happened since
        else:
            view = view_of(read.acts, read.lasting, days, self.fewest)
        finished = time.monotonic()
        made = _Made(view, now, finished, finished - began, read.state)
        with self._lock:
            self._made = {key: each for key, each in self._made.items() if each.state[0] == read.state[0]}
            self._made[days] = made
        return made

    def _renewed(self) -> _Read:
        """What the store holds by now; read once for windows of several lengths that are asked for together."""
        read = self._read
        if read is not None and read.state[0] == self.log.erasures() and time.monotonic() - read.at < self.rest:
            return read
        began = time.monotonic()
        deeds = self.log.read()
        state = (deeds.erasures, deeds.sequence, self.revision())
        if read is None or read.state != state:
            acts = acts_of(deeds, self.products())
            read = _Read(acts, lasting_of(acts, self.fewest), state, began)
        else:
            read = _Read(read.acts, read.lasting, state, began)
        self._read = read
        return read


def _told(made: _Made, *, is_renewed: bool) -> Told:
    return Told(made.view, made.computed_at, time.monotonic() - made.finished, made.seconds, is_renewed)


def _give_way() -> None:
    if hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)
