"""What everybody did, in columns, read once from the store and kept: for all who ask about the whole shop.

Takes a store, gives `Deeds`: the events of people in the order of their arrival, as arrays. Who asks gets them as of
now: what came since is read on, by whoever asks or a slice at a time by the follower behind the shop's start, so that
the first question finds nearly everything read. Nobody is given what is dated in the future, nor a purchase that was
given back (`refunded`). After an erasure all is dropped and read anew: of an erased person
nothing is left, neither number nor name. Knows no catalogue and no question.

Memory: `Deeds.BYTES` (25) an event, while the columns grow at most a quarter more in reserve and, for a moment, both
old and new; beside them some 200 bytes for each different person and product. Sessions are kept as hashes and cost
nothing more. A million events are 25 to 31 MB.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tasteline.clock import latest_microsecond
from tasteline.errors import DeadlineExceeded
from tasteline.ports import Deed
from tasteline.types import EventType

NONE = -1
"""Product of an event that names none, moment of one without a time, kind of one that we do not know."""
NO_SESSION = 0
SLICE_SECONDS = 0.1
"""Of reading in one step of the follower: the other steps come in time, and shoppers wait for no long reader."""
RESERVE = 1.25
"""Columns grow by this factor: rarely enough to cost nothing, little enough to waste nothing."""
KINDS: Mapping[str, int] = {str(kind): number for number, kind in enumerate(EventType)}
_COLUMNS = {"person": np.int32, "product": np.int32, "kind": np.int8, "moment": np.int64, "session": np.int64}

_PURCHASE, _REFUND = KINDS[EventType.PURCHASE], KINDS[EventType.REFUND]

Numbers = NDArray[np.int32]
Codes = NDArray[np.int8]
Wide = NDArray[np.int64]
Flags = NDArray[np.bool_]


class DeedStore(Protocol):
    """The two methods of `EventStore` that are needed here."""

    def deeds(self, since: int = 0) -> Iterator[Sequence[Deed]]: ...
    def erasures(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Deeds:
    """Columns of one length, and what their numbers mean. What was given out never changes."""

    person: Numbers
    product: Numbers
    kind: Codes
    """By KINDS."""
    moment: Wide
    """Microseconds since 1970 in UTC; nothing was done before."""
    session: Wide
    """Equal for the events of one person in one session, a hash; NO_SESSION where none is named."""
    people: Sequence[str]
    products: Sequence[str]
    """Ids by number."""
    sequence: int
    """Of the last event that is in it."""
    erasures: int
    """How many the store had seen when it was read."""

    BYTES = sum(np.dtype(each).itemsize for each in _COLUMNS.values())

    def __len__(self) -> int:
        return len(self.person)

    def as_of(self, latest: int) -> Deeds:
        """Without what is dated later than `latest`, in microseconds, and without purchases that were given back."""
        kept = (self.moment <= latest) & ~refunded(self)
        return self if kept.all() else self.where(kept)

    def where(self, kept: Flags) -> Deeds:
        """Some rows alone; their people and products are numbered anew, in the order of their first row."""
        people, person = _renumbered(self.person[kept], self.people)
        products, product = _renumbered(self.product[kept], self.products)
        kind, moment, session = self.kind[kept], self.moment[kept], self.session[kept]
        return Deeds(person, product, kind, moment, session, people, products, self.sequence, self.erasures)


def refunded(deeds: Deeds) -> Flags:
    """(rows,) purchases that were given back: a refund takes the person's latest purchase of the product before it."""
    gone = np.zeros(len(deeds), dtype=np.bool_)
    back = (deeds.kind == _REFUND) & (deeds.product >= 0)
    if not back.any():
        return gone
    pairs = deeds.person.astype(np.int64) * len(deeds.products) + deeds.product
    rows = np.flatnonzero(np.isin(pairs, pairs[back]) & (back | (deeds.kind == _PURCHASE)))
    standing: defaultdict[int, list[int]] = defaultdict(list)
    for row in rows[np.lexsort((rows, deeds.moment[rows]))].tolist():
        if not back[row]:
            standing[int(pairs[row])].append(row)
        elif standing[int(pairs[row])]:
            gone[standing[int(pairs[row])].pop()] = True
    return gone


class DeedLog:
    """Of one store. Thread-safe; one thread reads at a time. `clock` counts seconds."""

    def __init__(self, store: DeedStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._held = _Columns()
        self._erasures: int | None = None

    def erasures(self) -> int:
        """Of the store as it is now."""
        return self._store.erasures()

    def read(self, seconds: float = float("inf")) -> Deeds:
        """As of now. Raises DeadlineExceeded after `seconds`; what was read until then stays."""
        until = self._clock() + seconds
        if not self._lock.acquire(timeout=min(seconds, threading.TIMEOUT_MAX)):
            raise _not_yet()
        try:
            if not self._read_on(until):
                raise _not_yet()
            return self._held.deeds(self._erasures or 0).as_of(latest_microsecond())
        finally:
            self._lock.release()

    def follow(self) -> None:
        """A slice of what is not read yet; nothing while somebody else reads. A step of the follower."""
        if self._lock.acquire(blocking=False):
            try:
                self._read_on(self._clock() + SLICE_SECONDS)
            finally:
                self._lock.release()

    def _read_on(self, until: float) -> bool:
        """Page by page; whether the end was reached."""
        erasures = self._store.erasures()
        if erasures != self._erasures:
            self._held, self._erasures = _Columns(), erasures
        for page in self._store.deeds(self._held.sequence):
            self._held.append(page)
            if self._clock() >= until:
                return False
        return True


class _Columns:
    """The rows so far, with room for more behind them: a view of the first ones is not touched by what is added."""

    def __init__(self) -> None:
        self.sequence = 0
        self._size = 0
        self._columns = {name: np.zeros(0, dtype) for name, dtype in _COLUMNS.items()}
        self._people, self._products = _numbering(), _numbering()
        self._ids: tuple[tuple[str, ...], tuple[str, ...]] = (), ()

    def append(self, page: Sequence[Deed]) -> None:
        if not page:
            return
        sequences, users, products, kinds, moments, _, sessions = zip(*page, strict=True)
        added: dict[str, object] = {
            "person": [*map(self._people.__getitem__, users)],
            "product": [NONE if each is None else self._products[each] for each in products],
            "kind": [KINDS.get(each, NONE) for each in kinds],
            "moment": [NONE if each is None else each for each in moments],
            "session": [hash(each) if each[1] else NO_SESSION for each in zip(users, sessions, strict=True)],
        }
        stop = self._size + len(page)
        self._make_room(stop)
        for name, values in added.items():
            self._columns[name][self._size : stop] = values
        self.sequence, self._size = sequences[-1], stop

    def deeds(self, erasures: int) -> Deeds:
        people, products = self._ids
        if (len(people), len(products)) != (len(self._people), len(self._products)):
            self._ids = tuple(self._people), tuple(self._products)
        rows = {name: column[: self._size] for name, column in self._columns.items()}
        return Deeds(**rows, people=self._ids[0], products=self._ids[1], sequence=self.sequence, erasures=erasures)

    def _make_room(self, size: int) -> None:
        if size <= len(self._columns["person"]):
            return
        for name, column in self._columns.items():
            larger = np.zeros(int(size * RESERVE), column.dtype)
            larger[: self._size] = column[: self._size]
            self._columns[name] = larger


def _numbering() -> defaultdict[str, int]:
    """Gives a new id the next number, without a loop of Python."""
    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__
    return numbers


def _renumbered(numbers: Numbers, names: Sequence[str]) -> tuple[tuple[str, ...], Numbers]:
    """The names that occur in `numbers`, by first occurrence, and the numbers by these; NONE stays."""
    places = np.flatnonzero(numbers >= 0)
    first = np.full(len(names), len(numbers), dtype=np.int64)
    first[numbers[places[::-1]]] = places[::-1]  # the last assignment stays: the first place
    occurring = np.flatnonzero(first < len(numbers))
    order = occurring[np.argsort(first[occurring])]
    number_of = np.full(len(names) + 1, NONE, dtype=np.int32)  # the last one for NONE itself
    number_of[order] = np.arange(len(order), dtype=np.int32)
    return tuple(names[each] for each in order.tolist()), number_of[numbers]


def _not_yet() -> DeadlineExceeded:
    return DeadlineExceeded("What all shoppers did is still being read from the store; ask again in a few seconds.")
