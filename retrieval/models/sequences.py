"""Histories as arrays: what learned models fit on and are asked about.

Items are numbers of the caller's own table (training items or catalogue rows); a step has a kind (how much it says)
and, where the clock is known, a moment. Knows no store, no product and no model.

>>> two = Sequences.of([[4, 7], [7]])
>>> two.items.tolist(), two.starts.tolist()
([4, 7, 7], [0, 2, 3])
>>> two.gap_codes().tolist()  # nothing is known of the time
[0, 0, 0]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tasteline.types import EventType, Mask

Numbers = NDArray[np.int64]

KINDS: dict[EventType, int] = {
    EventType.SELECT_ITEM: 0,
    EventType.VIEW_ITEM: 0,
    EventType.ADD_TO_WISHLIST: 1,
    EventType.ADD_TO_CART: 2,
    EventType.PURCHASE: 3,
}
"""Events that are steps of a history; what is not named says nothing of what comes next."""
KIND_COUNT = 1 + max(KINDS.values())
DAY = 86_400.0
GAP_EDGES = np.array([60.0, 1_800.0, DAY, 8 * DAY, 31 * DAY, 92 * DAY, 366 * DAY])
"""Seconds: within a moment, a session, a day, a week, a month, a quarter, a year."""
GAP_COUNT = 2 + len(GAP_EDGES)
"""Code 0: not known (or the first step)."""


@dataclass(frozen=True, slots=True)
class Sequences:
    """n sequences laid end to end: sequence i is `items[starts[i]:starts[i + 1]]`, oldest first."""

    starts: Numbers
    """(n + 1,), ascending from 0."""
    items: Numbers
    """(t,)"""
    kinds: NDArray[np.int8]
    """(t,) values of `KINDS`."""
    moments: NDArray[np.float64]
    """(t,) seconds, comparable within a sequence; NaN where the clock is not known."""

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]]) -> Sequences:
        """From lists of item numbers: purchases without times."""
        items = np.array([item for each in sequences for item in each], dtype=np.int64)
        starts = np.concatenate(([0], np.cumsum([len(each) for each in sequences], dtype=np.int64)))
        kinds = np.full(len(items), KINDS[EventType.PURCHASE], dtype=np.int8)
        return cls(starts.astype(np.int64), items, kinds, np.full(len(items), np.nan))

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> Numbers:
        return np.diff(self.starts)

    @property
    def owners(self) -> Numbers:
        """(t,) which sequence each step belongs to."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @property
    def steps_from_end(self) -> Numbers:
        """(t,) how many steps of the sequence come after this one."""
        return np.repeat(self.starts[1:] - 1, self.lengths) - np.arange(len(self.items))

    def gap_codes(self) -> NDArray[np.int64]:
        """(t,) how long after the step before it each step came, as a place in `GAP_EDGES` from 1; 0 is not known."""
        codes = np.zeros(len(self.items), dtype=np.int64)
        gaps = np.diff(self.moments)
        within = np.diff(self.owners) == 0
        known = within & ~np.isnan(gaps)
        codes[1:][known] = 1 + np.searchsorted(GAP_EDGES, gaps[known], side="right")
        return codes

    def last(self, steps: int) -> Sequences:
        """Each cut to its last `steps`."""
        return self.between(np.maximum(self.starts[:-1], self.starts[1:] - steps), self.starts[1:])

    def without_last(self) -> Sequences:
        """Each without its last step; the empty stay empty."""
        return self.between(self.starts[:-1], np.maximum(self.starts[1:] - 1, self.starts[:-1]))

    def take(self, chosen: Numbers) -> Sequences:
        """The sequences at these places, in that order."""
        return self.between(self.starts[chosen], self.starts[chosen + 1])

    def merged(self) -> Sequences:
        """A view, a cart and a purchase of one item in a row as one step, of the last moment and the strongest kind."""
        owners = self.owners
        same = np.zeros(len(self.items), dtype=np.bool_)
        same[1:] = (owners[1:] == owners[:-1]) & (self.items[1:] == self.items[:-1])
        if not same.any():
            return self
        group = np.cumsum(~same) - 1
        last = np.append(np.flatnonzero(~same)[1:] - 1, len(same) - 1)
        kinds = np.zeros(group[-1] + 1, dtype=np.int8)
        np.maximum.at(kinds, group, self.kinds)
        starts = np.concatenate(([0], np.cumsum(np.bincount(owners[last], minlength=len(self)))))
        return Sequences(starts.astype(np.int64), self.items[last], kinds, self.moments[last])

    def numbered(self, number: Numbers) -> Sequences:
        """With item i called `number[i]`; steps of items that are called -1 are left out."""
        items = number[self.items] if len(self.items) else self.items
        return replace(self, items=items).where(items >= 0)

    def where(self, kept: Mask) -> Sequences:
        """The same sequences with only those steps of which `kept`, shape (t,), is true."""
        starts = np.concatenate(([0], np.cumsum(kept)))[self.starts].astype(np.int64)
        return Sequences(starts, self.items[kept], self.kinds[kept], self.moments[kept])

    def between(self, first: Numbers, last: Numbers) -> Sequences:
        """The pieces of steps first[0]:last[0], first[1]:last[1], … as sequences."""
        places = ranges(first, last)
        starts = np.concatenate(([0], np.cumsum(last - first))).astype(np.int64)
        return Sequences(starts, self.items[places], self.kinds[places], self.moments[places])


def ranges(first: Numbers, last: Numbers) -> Numbers:
    """first[0] … last[0] - 1, first[1] … last[1] - 1, … as one array.

    >>> ranges(np.array([3, 7]), np.array([5, 8])).tolist()
    [3, 4, 7]
    """
    lengths = last - first
    ends = np.cumsum(lengths)
    if not len(ends):
        return np.zeros(0, dtype=np.int64)
    places: Numbers = np.arange(ends[-1], dtype=np.int64) + np.repeat(first - (ends - lengths), lengths)
    return places
