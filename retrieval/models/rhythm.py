"""The rhythm in which people buy things: how often, how lately, how regularly, and what gaps say of the next days.

Takes purchases before a moment and the (person, thing) pairs that are asked about; gives one line of figures for each.
What somebody never bought has counts of 0 and times of NaN. Knows no popularity and no model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.models.bought import DAY, Bought, Days, Floats, Numbers

HALF_LIVES = (7, 21, 62, 140)
"""Days after which a purchase counts half."""
AHEAD = 30.0
"""Days that are forecast."""
LONG_AGO = 10_000.0
"""Days; a weight that halves after so many is the same for a whole year."""
NAMES = (
    "bought",
    *(f"bought_{days}" for days in HALF_LIVES),
    "last",
    "first",
    "gap",
    "gap_spread",
    "last_gap",
    "due",
    "baskets_since",
    "baskets_due",
    "bought_since",
    "covered",
    "covered_lately",
    "gaps_ended",
    "gaps_longer",
    "months",
)
"""last, first: days; gap: mean days between two purchases; due: last / gap, above 1 it is overdue; bought_since: things
bought since; covered: share of past moments after which it was bought within `AHEAD` days; gaps_longer, gaps_ended: own
gaps that were longer than the time since the last purchase, and how many of them ended within `AHEAD` days of there;
months: past months with a purchase, each counting .7 of the next."""


@dataclass(frozen=True, slots=True)
class Steps:
    """Purchases of the pairs that are asked about, by pair, oldest first."""

    places: Numbers
    """Which of the pairs."""
    ages: Days
    """Days before the moment."""
    first: NDArray[np.bool_]
    last: NDArray[np.bool_]
    rows: Numbers
    """Which purchase it is."""
    count: int
    """Of pairs."""

    @classmethod
    def of(cls, bought: Bought, moment: int, pairs: Numbers) -> Steps:
        """`pairs`: ascending, none twice."""
        keys = bought.pairs()
        places = np.minimum(np.searchsorted(pairs, keys), max(0, len(pairs) - 1))
        rows = np.flatnonzero(pairs[places] == keys) if len(pairs) else np.zeros(0, dtype=np.int64)
        rows = rows[np.argsort(places[rows], kind="stable")]  # rows of a person are in order of time
        places = places[rows]
        first = np.ones(len(rows), dtype=np.bool_)
        first[1:] = places[1:] != places[:-1]
        last = np.append(first[1:], True) if len(rows) else first
        return cls(places, (moment - bought.times[rows]) / DAY, first, last, rows, len(pairs))

    def sums(self, weights: Days | NDArray[np.bool_] | None = None) -> Days:
        """(pairs,) sum of the weights of each pair's purchases; how many there are, without."""
        return np.bincount(self.places, weights, minlength=self.count).astype(np.float64)

    def put(self, chosen: NDArray[np.bool_], values: Days) -> Days:
        """(pairs,) NaN but where a chosen step says a value."""
        result = np.full(self.count, np.nan)
        result[self.places[chosen]] = values[chosen]
        return result

    @property
    def gaps(self) -> Days:
        """(steps,) days since the purchase before; NaN for the first of a pair."""
        gaps = np.full(len(self.ages), np.nan)
        gaps[1:] = self.ages[:-1] - self.ages[1:]
        gaps[self.first] = np.nan
        return gaps


def rhythm(bought: Bought, moment: int, pairs: Numbers, since: Days) -> Floats:
    """(pairs, NAMES). `bought`: all before `moment`; `since`: days since each pair's person came first."""
    steps = Steps.of(bought, moment, pairs)
    times = steps.sums()
    last, first = steps.put(steps.last, steps.ages), steps.put(steps.first, steps.ages)
    gaps = steps.gaps
    later = ~steps.first
    squares = np.bincount(steps.places[later], gaps[later] ** 2, minlength=steps.count)
    with np.errstate(invalid="ignore", divide="ignore"):
        gap = np.where(times > 1, (first - last) / (times - 1), np.nan)
        spread = np.sqrt(np.maximum(squares / (times - 1) - gap**2, 0.0))
        due = last / gap
    baskets_since, things_since = _since(bought, steps)
    ended, longer = _own_gaps(steps, gaps, last)
    columns = [
        times,
        *(steps.sums(0.5 ** (steps.ages / days)) for days in HALF_LIVES),
        last,
        first,
        gap,
        spread,
        steps.put(steps.last & later, gaps),
        due,
        baskets_since,
        baskets_since * _share_of_baskets(bought, pairs, times),
        things_since,
        _covered(steps, since, last, LONG_AGO),
        _covered(steps, since, last, HALF_LIVES[2]),
        ended,
        longer,
        _months(steps),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def _since(bought: Bought, steps: Steps) -> tuple[Days, Days]:
    """(pairs,) baskets, and things, that the person bought since the last time."""
    baskets, people = bought.baskets(), bought.people
    end = np.searchsorted(people, people, side="right") - 1
    passed = (baskets[end] - baskets).astype(np.float64), (end - np.arange(len(people))).astype(np.float64)
    by_baskets, by_things = (steps.put(steps.last, each[steps.rows]) for each in passed)
    return by_baskets, by_things


def _share_of_baskets(bought: Bought, pairs: Numbers, times: Days) -> Days:
    people = pairs // max(1, bought.thing_count)
    return np.asarray(times / np.maximum(basket_counts(bought), 1)[people], dtype=np.float64)


def basket_counts(bought: Bought) -> Numbers:
    """(people,)"""
    baskets = bought.baskets()
    new = np.diff(baskets, prepend=-1) > 0
    return np.bincount(bought.people[new], minlength=bought.people_count)


def _own_gaps(steps: Steps, gaps: Days, last: Days) -> tuple[Days, Days]:
    """(pairs,) gaps longer than the time since the last purchase that ended within `AHEAD` days of it, and all."""
    waited = last[steps.places]
    longer = gaps > waited  # NaN is not
    return steps.sums(longer & (gaps <= waited + AHEAD)), steps.sums(longer)


def _covered(steps: Steps, since: Days, last: Days, half_life: float) -> Days:
    """(pairs,) share of the moments since the person came, old ones counting less, that a purchase followed in time.

    A moment s days ago is covered where something was bought between then and `AHEAD` days later; those of the last
    `AHEAD` days are not over yet and are left out.
    """
    rate = np.log(2) / half_life

    def mass(days: Days) -> Days:
        return np.asarray(-np.expm1(-rate * days) / rate, dtype=np.float64)

    before = np.where(steps.first, since[steps.places], np.append(0.0, steps.ages[:-1])[: len(steps.ages)])
    bare = np.maximum(mass(before) - mass(steps.ages + AHEAD), 0.0)
    waiting = np.maximum(mass(np.nan_to_num(last)) - mass(np.full(1, AHEAD)), 0.0)
    whole = np.maximum(mass(since) - mass(np.full(1, AHEAD)), 1e-3)
    return np.where(np.isnan(last), 0.0, np.clip(1 - (steps.sums(bare) + waiting) / whole, 0.0, 1.0))


def _months(steps: Steps) -> Days:
    months = np.floor(steps.ages / AHEAD)
    new = np.ones(len(months), dtype=np.bool_)
    new[1:] = steps.first[1:] | (months[1:] != months[:-1])
    return steps.sums(new * 0.7**months)
