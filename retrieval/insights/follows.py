"""Which interest follows which: after A, within some days, a new B comes more often than chance has it.

Takes acts, gives directed `Follow`s. A step A → B is a day on which somebody turned to A, with B within `DAYS` days
after it and not on the day itself nor in `MEMORY` days before it: what comes every week follows nothing. Chance is how
often any day of equally active people (tenths, by topics turned to) is followed by a new B, so that those who buy much
of everything, and topics that everybody buys, raise no lift:

    lift = steps A → B / sum over tenths of (their days with A * their rate of B)

The lift of B → A stands beside it: where both are high, A and B are of the same people and not one after the other.
The test adds up steps minus chance for each person, who is one observation; false alarms are held as in `movements`
over all pairs that could have been told.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse, stats

from retrieval.insights.acts import Acts
from retrieval.insights.movements import ALARMS, Floats

DAYS = 14
"""Two weekly shops, or two looks at a thing that one thinks over."""
MEMORY = 56
"""Days without B that make it new: eight weeks, the longest rhythm in which staples are bought."""
PAST = 365
"""Days of acts that are looked at."""
TENTHS = 10
LIFT = 1.2
"""Under which a pair is not worth a line."""
CANDIDATES = 400
"""Pairs with the most steps beyond chance that are tested person by person; others count as tested and not found."""


@dataclass(frozen=True, slots=True)
class Follow:
    before: int
    after: int
    steps: int
    shoppers: int
    """Different ones who made the step."""
    confidence: float
    """Share of the days with A that a new B followed."""
    lift: float
    reverse_lift: float
    """Of B → A: the nearer to 1, the clearer the direction."""
    days: float
    """Median between A and B."""
    p: float
    q: float


@dataclass(frozen=True, slots=True)
class Visits:
    """One row for each day of a person on which they did anything, by person and day."""

    person: NDArray[np.int64]
    day: NDArray[np.int64]
    turned: sparse.csc_matrix
    """(visits, topics): 1 where the person turned to the topic on that day."""

    @classmethod
    def of(cls, acts: Acts) -> Visits:
        rows = (
            acts.timed.lazy()
            .filter(pl.col("age") < PAST)
            .select("person", "topic", day=PAST - pl.col("age"))
            .unique()
            .sort("person", "day", "topic")
            .collect()
        )
        person, day = rows["person"].to_numpy().astype(np.int64), rows["day"].to_numpy().astype(np.int64)
        starts = np.ones(len(person), dtype=np.bool_)
        starts[1:] = (person[1:] != person[:-1]) | (day[1:] != day[:-1])
        visit = np.cumsum(starts) - 1
        shape = (int(starts.sum()), len(acts.topics))
        turned = sparse.csc_matrix((np.ones(len(visit), np.float32), (visit, rows["topic"].to_numpy())), shape=shape)
        return cls(person[starts], day[starts], turned)

    def within(self, days: int) -> sparse.csr_matrix:
        """(visits, visits): 1 where the second is the same person's and up to `days` days after the first."""
        size, firsts, seconds = len(self.person), [], []
        for step in range(1, size):
            near = self.person[step:] == self.person[:-step]
            near &= self.day[step:] - self.day[:-step] <= days
            if not near.any():
                break
            firsts.append(np.flatnonzero(near))
            seconds.append(firsts[-1] + step)
        rows, columns = (np.concatenate(each) if each else np.zeros(0, np.int64) for each in (firsts, seconds))
        return sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(size, size))


def follows(acts: Acts, fewest: int, days: int = DAYS) -> list[Follow]:
    """Those that tell most first (lift beyond 1, times the root of the shoppers); of a pair the stronger direction."""
    visits = Visits.of(acts)
    if not len(visits.person):
        return []
    steps_of = _Steps.of(visits, days)
    steps, chance = steps_of.counted(), steps_of.by_chance()
    np.fill_diagonal(steps, 0.0)
    lift = steps / np.maximum(chance, 1e-9)
    possible = (steps >= fewest) & (chance > 0)
    stronger = possible & (lift >= LIFT) & (lift > lift.T)
    before, after = np.nonzero(stronger)
    surplus = (steps - chance)[before, after] / np.sqrt(chance[before, after])
    chosen = np.argsort(-surplus, kind="stable")[:CANDIDATES]
    pairs = list(zip(before[chosen].tolist(), after[chosen].tolist(), strict=True))
    tested = [steps_of.of_people(pair) for pair in pairs]
    q = _adjusted(np.array([p for _, _, p in tested]), int(possible.sum()))
    with_before = np.asarray(steps_of.turned.sum(axis=0)).ravel()
    found = [
        Follow(
            before=a,
            after=b,
            steps=int(steps[a, b]),
            shoppers=shoppers,
            confidence=float(steps[a, b] / with_before[a]),
            lift=float(lift[a, b]),
            reverse_lift=float(lift[b, a]),
            days=gap,
            p=p,
            q=float(each),
        )
        for (a, b), (shoppers, gap, p), each in zip(pairs, tested, q, strict=True)
        if each <= ALARMS and shoppers >= fewest
    ]
    return sorted(found, key=lambda f: (-math.sqrt(f.shoppers) * (f.lift - 1), f.before, f.after))


def _new_within(visits: Visits, days: int) -> sparse.csr_matrix:
    """(visits, topics): 1 where the topic comes within `days` after the visit and did not come up to it."""
    near = visits.within(days)
    coming = (near @ visits.turned).sign().tocsr()
    past = (visits.within(MEMORY).T @ visits.turned + visits.turned).sign().tocsr()
    return (coming - coming.multiply(past)).tocsr()


@dataclass(frozen=True, slots=True)
class _Steps:
    """Visits that can tell: what was turned to on them, and what came new after them.

    Their following days are over, and so many days are known before them that what is new can be told.
    """

    visits: Visits
    turned: sparse.csc_matrix
    came: sparse.csc_matrix
    tenth: NDArray[np.int64]
    """Of each visit's person."""
    rate: Floats
    """(tenths, topics): share of all visits that a new topic followed."""

    @classmethod
    def of(cls, visits: Visits, days: int) -> _Steps:
        over = (visits.day <= PAST - days) & (visits.day >= visits.day.min() + MEMORY)
        whole = sparse.diags(over.astype(np.float32))
        turned, came = (whole @ visits.turned).tocsc(), (whole @ _new_within(visits, days)).tocsc()
        tenth = _tenths(visits)
        of_tenth = sparse.csr_matrix(
            (over.astype(np.float64), (tenth, np.arange(len(tenth)))), shape=(TENTHS, len(tenth))
        )
        number = np.maximum(np.bincount(tenth, over, minlength=TENTHS), 1)
        return cls(visits, turned, came, tenth, np.asarray((of_tenth @ came).todense()) / number[:, None])

    def counted(self) -> Floats:
        """(topics, topics): steps from the first to the second."""
        return np.asarray((self.turned.T @ self.came).todense(), dtype=np.float64)

    def by_chance(self) -> Floats:
        """(topics, topics): steps to be expected."""
        ones = np.ones(len(self.tenth))
        of_tenth = sparse.csr_matrix((ones, (self.tenth, np.arange(len(self.tenth)))), shape=(TENTHS, len(self.tenth)))
        return np.asarray((of_tenth @ self.turned).todense()).T @ self.rate

    def of_people(self, pair: tuple[int, int]) -> tuple[int, float, float]:
        """Shoppers who made the step, median days between, and one-sided p."""
        with_a, new_b = _places(self.turned, pair[0]), _column(self.came, pair[1])
        person, came = self.visits.person[with_a], new_b[with_a]
        everybody = int(self.visits.person[-1]) + 1
        steps = np.bincount(person, came, minlength=everybody)
        apart = steps - np.bincount(person, self.rate[self.tenth[with_a], pair[1]], minlength=everybody)
        z = (apart.sum() - 0.5) / max(float(np.sqrt((apart**2).sum())), 1.0)
        return (
            int((steps > 0).sum()),
            _median_gap(self.visits, with_a[came > 0], pair[1]),
            float(stats.norm.sf(z)),
        )


def _tenths(visits: Visits) -> NDArray[np.int64]:
    """Of each visit: 0 for the tenth of people who turned to the fewest topics, day by day, up to 9."""
    topics = np.asarray(visits.turned.sum(axis=1)).ravel()
    people, place = np.unique(visits.person, return_inverse=True)
    active = np.bincount(place, topics)
    order = np.argsort(np.argsort(active, kind="stable"), kind="stable")
    tenth: NDArray[np.int64] = (order * TENTHS // len(people))[place]
    return tenth


def _column(matrix: sparse.csc_matrix, number: int) -> Floats:
    column = np.zeros(matrix.shape[0])
    part = slice(matrix.indptr[number], matrix.indptr[number + 1])
    column[matrix.indices[part]] = matrix.data[part]
    return column


def _places(matrix: sparse.csc_matrix, number: int) -> NDArray[np.int64]:
    """Rows in which a column of ones and zeros has a one, ascending."""
    part = slice(matrix.indptr[number], matrix.indptr[number + 1])
    return np.sort(matrix.indices[part][matrix.data[part] > 0]).astype(np.int64)


def _median_gap(visits: Visits, made: NDArray[np.int64], after: int) -> float:
    """Days from each step's A to its first B."""
    with_b = _places(visits.turned, after)
    following = with_b[np.searchsorted(with_b, made, side="right")]
    return float(np.median(visits.day[following] - visits.day[made])) if len(made) else 0.0


def _adjusted(p: Floats, tests: int) -> Floats:
    """Benjamini and Hochberg's q where `tests` were made, of which only these p are known and the rest are taken as 1.

    >>> _adjusted(np.array([0.01, 0.001]), 100).round(3).tolist()
    [0.5, 0.1]
    """
    if not len(p):
        return p
    everything = np.concatenate([p, np.ones(max(0, tests - len(p)))])
    q: Floats = stats.false_discovery_control(everything)[: len(p)]
    return q
