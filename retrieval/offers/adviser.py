"""The advice of a running shop: computed from its store when it is asked for, and kept for a while.

Takes the log of deeds, the store, the indexes and the home, gives `Advice` for the shop or a person. What all people
did is looked at once in a while (a million events take seconds); one person's own events are read at each question. An
erasure is seen at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import structlog

from retrieval.deed_log import DeedLog
from retrieval.interests import topic_of
from retrieval.live import LiveIndex
from retrieval.offers import taste
from retrieval.offers.advice import Advice, Expected, expectations, personal_advice, shop_advice
from retrieval.offers.deeds import deeds_in, deeds_of
from retrieval.offers.kept import Kept
from retrieval.offers.response import FILE, ResponseModel
from retrieval.registry import Registry
from retrieval.turning import MOST_EVENTS
from tasteline.errors import InvalidInput, ModelDamaged
from tasteline.ports import EventStore
from tasteline.types import Product

MOST = 100
"""Offers of the whole shop that are kept."""
NO_TIMES = "no event of this shop has a time: nothing can be said of when somebody turned to something"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Read:
    """What all people's deeds of one moment say."""

    topics: pl.DataFrame
    expected: Expected
    advice: Advice
    """The first MOST of the whole shop."""


class Adviser:
    """Thread-safe. `clock` counts seconds; `seconds`: that a question waits for the log, then DeadlineExceeded."""

    def __init__(
        self,
        log: DeedLog,
        events: EventStore,
        live: LiveIndex,
        home: Path,
        clock: Callable[[], float] = time.monotonic,
        seconds: float = float("inf"),
    ) -> None:
        self._log = log
        self._events = events
        self._seconds = seconds
        self._live = live
        self._registry = Registry(home)
        self._read: Kept[_Read | None] = Kept(self._anew, self._stamp, clock)

    def shop(self, limit: int = 20) -> Advice:
        """For the merchant."""
        read = self._read()
        return replace(read.advice, offers=read.advice.offers[:limit]) if read else _nothing()

    def person(self, user_id: str, limit: int = 10) -> Advice:
        """For one person, by what they did up to now; nothing for somebody unknown."""
        read = self._read()
        if read is None:
            return _nothing()
        deeds = deeds_in(self._events.history(user_id, limit=MOST_EVENTS), user_id)
        return personal_advice(deeds, read.topics, read.expected, self._product, limit)

    def _stamp(self) -> object:
        """Moves when somebody is erased, and when another response model becomes live."""
        return self._log.erasures(), self._registry.stamp("offers")

    def _anew(self) -> _Read | None:
        deeds, topics = deeds_of(self._log.read(self._seconds)), self._topics()
        if deeds.is_empty():
            return None
        day = int(deeds["day"].max()) + 1  # type: ignore[arg-type]
        expected = expectations(deeds, topics, day, self._response_model())
        return _Read(topics, expected, shop_advice(deeds, topics, expected, self._product, MOST))

    def _topics(self) -> pl.DataFrame:
        with self._live.read() as indexes:
            named = [(each.id, topic_of(each)) for each in indexes.catalogue.products() if each.categories]
        return pl.DataFrame(named, schema={"product": pl.String, "topic": pl.String}, orient="row")

    def _response_model(self) -> ResponseModel | None:
        """The live one; one that cannot be used leaves the true counts, and the log says so."""
        try:
            entry = self._registry.live("offers")
            return ResponseModel.read(entry.folder / FILE, taste.FEATURES) if entry else None
        except (OSError, InvalidInput, ModelDamaged) as error:
            log.warning("response_model_unusable", reason=str(error))
            return None

    def _product(self, product_id: str) -> Product | None:
        with self._live.read() as indexes:
            row = indexes.catalogue.row(product_id)
            return None if row is None else indexes.catalogue.product(row)


def _nothing() -> Advice:
    return Advice((), NO_TIMES, None)
