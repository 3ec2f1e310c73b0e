"""What people did, as arrays: the one shape into which every format is read and from which every protocol cuts.

Users and items are row numbers here (`Dataset.user_ids`, `Catalogue.ids` give the external ids). Holds data only: knows
no file, no split and no system.

>>> toy = Interactions.of(users=[0, 0, 1], items=[2, 1, 2], order=[5, 3, 0])
>>> toy.users.tolist(), toy.items.tolist(), toy.order.tolist()  # by person, then in order
([0, 0, 1], [1, 2, 2], [3, 5, 0])
>>> histories = Histories.of([[4, 7], [], [7]])
>>> histories.padded(3).tolist()
[[-1, 4, 7], [-1, -1, -1], [-1, -1, 7]]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrieval.models.sequences import ranges
from tasteline.types import EventType

Codes = NDArray[np.int32]
"""Row numbers of users or items; -1 is an empty place."""
Order = NDArray[np.int64]
Flags = NDArray[np.bool_]

TYPES: tuple[EventType, ...] = tuple(EventType)
"""`Interactions.types` holds places in this tuple."""
PURCHASE = TYPES.index(EventType.PURCHASE)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The items, in order of their row numbers; texts and categories are "" where the set has none."""

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    """What a model of text may read of each item: title, words, attributes."""
    categories: tuple[str, ...]
    """One for each item, as broad as a department of the shop; slices and diversity use it."""
    paths: tuple[tuple[str, ...], ...] = ()
    """The way to each item from the department to the narrowest kind, as far as the files name it: () for an item of
    which they say nothing. Empty for a set that has no such levels."""

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Interactions:
    """One row for each event, sorted by user, then `order`; ties keep the order of the file."""

    users: Codes
    items: Codes
    order: Order
    """Seconds since 1970 where `Dataset.timed`, else positions: only the order within one person means something."""
    types: NDArray[np.int8]
    """Places in `TYPES`."""
    rows: Order
    """Number of each event in the data set: two parts of a split that share one share an event."""

    @classmethod
    def of(cls, users: ArrayLike, items: ArrayLike, order: ArrayLike, types: ArrayLike | None = None) -> Interactions:
        """Sorted from arrays of equal length in any order; purchases where no types are given."""
        user, item = np.asarray(users, dtype=np.int32), np.asarray(items, dtype=np.int32)
        moment = np.asarray(order, dtype=np.int64)
        kind = np.full(len(user), PURCHASE, dtype=np.int8) if types is None else np.asarray(types, dtype=np.int8)
        if not len(user) == len(item) == len(moment) == len(kind):
            raise ValueError(f"{len(user)} users, {len(item)} items, {len(moment)} moments, {len(kind)} types")
        sorting = np.lexsort((moment, user))
        return cls(user[sorting], item[sorting], moment[sorting], kind[sorting], np.arange(len(user), dtype=np.int64))

    def __len__(self) -> int:
        return len(self.users)

    def where(self, chosen: Flags | Order) -> Interactions:
        """The rows of a mask or of ascending row places."""
        return Interactions(
            self.users[chosen], self.items[chosen], self.order[chosen], self.types[chosen], self.rows[chosen]
        )

    def histories(self, users: Codes) -> Histories:
        """All that is here of each of `users` (n,), oldest first; empty for somebody without a row."""
        first = np.searchsorted(self.users, users, side="left")
        last = np.searchsorted(self.users, users, side="right")
        places = ranges(first, last)
        starts = np.concatenate(([0], np.cumsum(last - first)))
        return Histories(starts, self.items[places], self.order[places], self.types[places], self.rows[places])


@dataclass(frozen=True, slots=True)
class Histories:
    """n sequences of events laid end to end: sequence i is `items[starts[i]:starts[i + 1]]`, oldest first."""

    starts: Order
    """(n + 1,), ascending from 0."""
    items: Codes
    order: Order
    types: NDArray[np.int8]
    rows: Order
    """See `Interactions.rows`; -1 for events that are in no data set."""

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]]) -> Histories:
        """From lists of item numbers: purchases, one step after the other."""
        lengths = [len(each) for each in sequences]
        items = np.array([item for each in sequences for item in each], dtype=np.int32)
        return cls(
            np.concatenate(([0], np.cumsum(lengths, dtype=np.int64))).astype(np.int64),
            items,
            np.array([place for each in sequences for place in range(len(each))], dtype=np.int64),
            np.full(len(items), PURCHASE, dtype=np.int8),
            np.full(len(items), -1, dtype=np.int64),
        )

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> Order:
        return np.diff(self.starts)

    def of_case(self, case: int) -> Codes:
        """The items of one sequence."""
        return self.items[self.starts[case] : self.starts[case + 1]]

    def take(self, cases: Order | Flags) -> Histories:
        """The sequences at these places, in that order (or where the mask is true)."""
        places = np.flatnonzero(cases) if cases.dtype == np.bool_ else cases
        return self._between(self.starts[places], self.starts[places + 1])

    def slice(self, start: int, stop: int) -> Histories:
        """Sequences start to stop - 1."""
        stop = min(stop, len(self))
        return self._between(self.starts[start:stop], self.starts[start + 1 : stop + 1])

    def last(self, events: int | Order) -> Histories:
        """Each cut to its last `events` (one number, or one for each sequence)."""
        return self._between(np.maximum(self.starts[:-1], self.starts[1:] - events), self.starts[1:])

    def padded(self, width: int) -> Codes:
        """The last `width` items of each, right-aligned, -1 before them; shape (n, width)."""
        result = np.full((len(self), width), -1, dtype=np.int32)
        cut = self.last(width)
        cases = np.repeat(np.arange(len(self)), cut.lengths)
        from_end = np.repeat(cut.starts[1:], cut.lengths) - np.arange(len(cut.items))
        result[cases, width - from_end] = cut.items
        return result

    def _between(self, first: Order, last: Order) -> Histories:
        places = ranges(first, last)
        starts = np.concatenate(([0], np.cumsum(last - first))).astype(np.int64)
        return Histories(starts, self.items[places], self.order[places], self.types[places], self.rows[places])


@dataclass(frozen=True, slots=True)
class Dataset:
    """One set of people, items and what happened between them."""

    name: str
    checksum: str
    """SHA-256 over the files, see `eval.datasets.checksum_of`."""
    catalogue: Catalogue
    user_ids: tuple[str, ...]
    interactions: Interactions
    timed: bool
    """Whether `order` is real time in seconds, comparable between people."""
    split: NDArray[np.int8] | None = None
    """For each row of `interactions` 0 (train), 1 (valid) or 2 (test), where the files say so."""
    sessions: Codes | None = None
    """For each row of `interactions` the number of its session, where the files name sessions. Two people never share
    one: a session id that the files give to both is a session of each."""
    folder: Path | None = None
    """Where the files lie; None for a set that was made in memory."""
