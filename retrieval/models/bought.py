"""Who bought what when, as arrays: what a forecast learns from and what it is asked about.

People and things are numbers of the caller's own tables; a thing is a product, or whatever products are grouped by.
Holds data only: knows no store, no feature and no model.

>>> shop = Bought.of([1, 0, 0, 0], [7, 7, 3, 7], [5000, 9000, 1000, 9060], people_count=2, thing_count=8)
>>> shop.people.tolist(), shop.things.tolist(), shop.times.tolist()  # a basket names a thing once
([0, 0, 1], [3, 7, 7], [1000, 9060, 5000])
>>> shop.before(6000).things.tolist(), shop.grouped(np.arange(8) // 4, 2).things.tolist()
([3, 7], [0, 1, 1])
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrieval.models.sequences import ranges
from retrieval.steps import VISIT_GAP_SECONDS

DAY = 86_400
Numbers = NDArray[np.int64]
Floats = NDArray[np.float32]
Days = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bought:
    """A row for each thing of a basket; by person, time and thing."""

    people: Numbers
    things: Numbers
    times: Numbers
    """Seconds since 1970; what one person bought at one moment is a basket."""
    people_count: int
    thing_count: int

    @classmethod
    def of(
        cls, people: ArrayLike, things: ArrayLike, times: ArrayLike, *, people_count: int, thing_count: int
    ) -> Bought:
        """From rows in any order; what is bought within half an hour of each other is one basket, of its last moment.

        A thing that a basket names twice counts once, one below 0 (unknown) not at all.
        """
        who, what, when = (np.asarray(each, dtype=np.int64) for each in (people, things, times))
        when = _in_baskets(who, when)
        known = np.flatnonzero(what >= 0)
        order = known[np.lexsort((what[known], when[known], who[known]))]
        who, what, when = who[order], what[order], when[order]
        new = np.ones(len(who), dtype=np.bool_)
        new[1:] = (who[1:] != who[:-1]) | (when[1:] != when[:-1]) | (what[1:] != what[:-1])
        return cls(who[new], what[new], when[new], people_count, thing_count)

    def __len__(self) -> int:
        return len(self.people)

    def before(self, moment: int) -> Bought:
        """The rows before `moment`."""
        return self._where(self.times < moment)

    def between(self, start: int, stop: int) -> Bought:
        """The rows from `start` up to, but without, `stop`."""
        return self._where((self.times >= start) & (self.times < stop))

    def grouped(self, group_of: Numbers, group_count: int) -> Bought:
        """The same by the group of each thing, -1 for a thing without one."""
        groups = group_of[self.things]
        known = np.flatnonzero(groups >= 0)
        width = max(1, group_count)
        # One whole number for each row sorts ten times faster than three.
        keys, first = np.unique(self.baskets()[known] * width + groups[known], return_index=True)
        rows = known[first]
        return Bought(self.people[rows], keys % width, self.times[rows], self.people_count, group_count)

    def as_visits(self) -> Bought:
        """By basket: one thing for everything."""
        return self.grouped(np.zeros(max(1, self.thing_count), dtype=np.int64), 1)

    def of_people(self, people: Numbers) -> Bought:
        """Of these people alone, who are numbered anew as they stand here."""
        first, last = (np.searchsorted(self.people, people, side=side) for side in ("left", "right"))
        rows = ranges(first, last)
        return Bought(
            np.repeat(np.arange(len(people)), last - first),
            self.things[rows],
            self.times[rows],
            len(people),
            self.thing_count,
        )

    def baskets(self) -> Numbers:
        """Number of each row's basket, ascending from 0."""
        new = np.ones(len(self), dtype=np.bool_)
        new[1:] = (self.people[1:] != self.people[:-1]) | (self.times[1:] != self.times[:-1])
        return np.cumsum(new) - 1

    def pairs(self) -> Numbers:
        """person · thing_count + thing of each row."""
        return self.people * self.thing_count + self.things

    def _where(self, chosen: NDArray[np.bool_]) -> Bought:
        return replace(self, people=self.people[chosen], things=self.things[chosen], times=self.times[chosen])


def _in_baskets(people: Numbers, times: Numbers) -> Numbers:
    """The time of each row, that of the last of its basket: shops log the lines of an order seconds apart."""
    order = np.lexsort((times, people))
    who, when = people[order], times[order]
    ends = np.ones(len(order), dtype=np.bool_)
    ends[:-1] = (who[1:] != who[:-1]) | (when[1:] - when[:-1] > VISIT_GAP_SECONDS)
    last = np.flatnonzero(ends)
    joined = np.empty_like(times)
    joined[order] = when[np.repeat(last, np.diff(last, prepend=-1))]
    return joined
