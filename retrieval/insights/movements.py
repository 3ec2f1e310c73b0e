"""Interests that rise and fall: the share of shoppers who turned to a topic, in one window against the one before.

Takes acts, gives a `Movement` for each topic that moved. Both windows have whole weeks, so that each weekday is in both
as often. A shopper counts once, however much they did; the test asks whether more shoppers turned to the topic than
were to be expected if everybody's interest had stayed as it was:

    expected = 1 - (1 - before)^g        g: how much more (or less) shoppers looked around altogether

g is the weighted median over topics of log(1 - now) / log(1 - before), which a few real trends do not move. The test
is McNemar's, made wider: most shoppers are in both windows, some in one. Its statistic is now - expected; its variance
is that of a sum over shoppers (each may tell in both windows, which is one observation and not two), with the share
that both windows have under the hypothesis; half a shopper is taken off at each side (continuity). Benjamini and
Hochberg's step-up procedure (1995) then keeps the share of false alarms among what is told at or under `ALARMS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from retrieval.insights.acts import Acts

WEEK = 7
ALARMS = 0.05
"""Share of false alarms among the movements told, at most (the false discovery rate)."""
NOTABLE = 0.1
"""Relative change under which a movement is not worth a line, however certain it is: ten percent of the shoppers."""

FEW = 5
"""Topics under which a median tells one topic's own way and not everybody's."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reach:
    """Of a topic in a window."""

    shoppers: int
    share: float
    """Of the shoppers who did anything in the window."""
    attention: float
    """Share of all attention in the window."""


@dataclass(frozen=True, slots=True)
class Movement:
    topic: int
    direction: Literal["rising", "falling"]
    now: Reach
    before: Reach
    expected: float
    """Share of shoppers that was to be expected."""
    extra: float
    """Shoppers beyond what was to be expected; negative: missing."""
    change: float
    """Of the shoppers against the expected ones: 0.4 is 40 % more."""
    p: float
    q: float
    """p after Benjamini and Hochberg: telling all with this q or less, this share of them are false at most."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Who turned to what in two windows: one row for each pair of a shopper and a topic."""

    days: int
    topic: NDArray[np.int64]
    person: NDArray[np.int64]
    now: NDArray[np.bool_]
    before: NDArray[np.bool_]
    attention_now: Floats
    attention_before: Floats
    topics: int

    def of(self, people: NDArray[np.int64]) -> Windows:
        """Of some shoppers alone."""
        kept = np.isin(self.person, people)
        return Windows(
            self.days,
            self.topic[kept],
            self.person[kept],
            self.now[kept],
            self.before[kept],
            self.attention_now[kept],
            self.attention_before[kept],
            self.topics,
        )


def windows(acts: Acts, days: int) -> Windows:
    """The last `days` days, a multiple of 7, and as many before."""
    recent = pl.col("age") < days
    pairs = (
        acts.timed.lazy()
        .filter(pl.col("age") < 2 * days)
        .group_by("person", "topic")
        .agg(now=pl.col("weight").filter(recent).sum(), before=pl.col("weight").filter(~recent).sum())
        .collect()
    )
    now, before = pairs["now"].to_numpy().astype(np.float64), pairs["before"].to_numpy().astype(np.float64)
    topic, person = pairs["topic"].to_numpy().astype(np.int64), pairs["person"].to_numpy().astype(np.int64)
    return Windows(days, topic, person, now > 0, before > 0, now, before, len(acts.topics))


@dataclass(frozen=True, slots=True)
class Counts:
    """Of each topic: shoppers now, before, in both, and those of one window who were about in the other."""

    now: Floats
    before: Floats
    both: Floats
    now_of_earlier: Floats
    before_of_present: Floats
    present: int
    earlier: int
    in_both: int
    attention_now: Floats
    attention_before: Floats

    @classmethod
    def of(cls, w: Windows) -> Counts:
        size = int(w.person.max()) + 1 if len(w.person) else 0
        present, earlier = np.zeros(size, dtype=np.bool_), np.zeros(size, dtype=np.bool_)
        present[w.person[w.now]] = True
        earlier[w.person[w.before]] = True

        def count(flags: NDArray[np.bool_]) -> Floats:
            return np.bincount(w.topic[flags], minlength=w.topics).astype(np.float64)

        def shares(attention: Floats) -> Floats:
            summed = np.bincount(w.topic, attention, minlength=w.topics)
            return np.asarray(summed / max(summed.sum(), 1e-12), dtype=np.float64)

        return cls(
            now=count(w.now),
            before=count(w.before),
            both=count(w.now & w.before),
            now_of_earlier=count(w.now & earlier[w.person]),
            before_of_present=count(w.before & present[w.person]),
            present=int(present.sum()),
            earlier=int(earlier.sum()),
            in_both=int((present & earlier).sum()),
            attention_now=shares(w.attention_now),
            attention_before=shares(w.attention_before),
        )


@dataclass(frozen=True, slots=True)
class Tested:
    """Of each topic; NaN where too few shoppers turned to it to ask."""

    expected: Floats
    extra: Floats
    p: Floats


def asked(counts: Counts, fewest: int, growth: float | None = None) -> Tested:
    """`fewest` shoppers in both windows together make a topic worth asking about. `growth`: g, where it is known."""
    n2, n1 = max(counts.present, 1), max(counts.earlier, 1)
    p2, p1 = counts.now / n2, counts.before / n1
    g = growth_of(p2, p1, counts.before) if growth is None else growth
    expected = 1 - (1 - p1) ** g
    slope = g * (1 - np.minimum(p1, 1 - 1e-9)) ** (g - 1)
    same = np.minimum((counts.now + counts.before) / (n1 + g * n2), 1 - 1e-9)
    then = 1 - (1 - same) ** g
    together = counts.both - p1 * counts.now_of_earlier - p2 * counts.before_of_present + p1 * p2 * counts.in_both
    variance = then * (1 - then) / n2 + slope**2 * same * (1 - same) / n1 - 2 * slope * together / (n1 * n2)
    least = 1 / n2**2  # one shopper more or less
    half = 0.5 * (1 / n2 + slope / n1)
    z = np.maximum(np.abs(p2 - expected) - half, 0) / np.sqrt(np.maximum(variance, least))
    enough = (counts.now + counts.before >= fewest) & (min(counts.present, counts.earlier) >= fewest)
    p = np.where(enough, 2 * stats.norm.sf(z), np.nan)
    return Tested(expected, (p2 - expected) * n2, np.minimum(p, 1.0))


def growth_of(now: Floats, before: Floats, weights: Floats) -> float:
    """g: 1 where shoppers turned to as many topics as before, 2 where to about twice as many; 1 for under FEW topics.

    >>> before = np.array([0.2, 0.19, 0.18, 0.17, 0.1])
    >>> growth_of(np.array([0.2, 0.19, 0.18, 0.17, 0.6]), before, 100 * before)
    1.0
    """
    known = (before > 0) & (before < 1) & (now < 1)
    if known.sum() < FEW:
        return 1.0
    ratios = np.log1p(-now[known]) / np.log1p(-before[known])
    order = np.argsort(ratios)
    reached = np.cumsum(weights[known][order])
    middle = float(ratios[order][np.searchsorted(reached, reached[-1] / 2)])
    return middle if middle > 0 else 1.0


def adjusted(p: Floats) -> Floats:
    """Benjamini and Hochberg's q of each p; NaN stays NaN and is no test.

    >>> adjusted(np.array([0.01, np.nan, 0.04])).round(3).tolist()
    [0.02, nan, 0.04]
    """
    q = np.full_like(p, np.nan)
    asked = ~np.isnan(p)
    if asked.any():
        q[asked] = stats.false_discovery_control(p[asked])
    return q


def movements(w: Windows, fewest: int) -> list[Movement]:
    """Rising ones first, by shoppers gained; then falling ones, by shoppers lost. Empty without an earlier window."""
    counts = Counts.of(w)
    if min(counts.present, counts.earlier) < fewest:
        return []
    test = asked(counts, fewest)
    return told(counts, test, adjusted(test.p), fewest)


def told(counts: Counts, test: Tested, q: Floats, fewest: int) -> list[Movement]:
    """Those that are certain enough, large enough to be worth a line, and of enough shoppers to be shown."""
    found = []
    for topic in np.flatnonzero(q <= ALARMS).tolist():
        movement = _movement(counts, test, q, topic)
        most = max(movement.now.shoppers, movement.before.shoppers)
        if abs(movement.change) >= NOTABLE and most >= fewest and _is_of_attention(movement):
            found.append(movement)
    return sorted(found, key=lambda m: (m.direction == "falling", -abs(m.extra), m.topic))


def _movement(counts: Counts, test: Tested, q: Floats, topic: int) -> Movement:
    now = Reach(int(counts.now[topic]), counts.now[topic] / counts.present, float(counts.attention_now[topic]))
    before = Reach(
        int(counts.before[topic]), counts.before[topic] / counts.earlier, float(counts.attention_before[topic])
    )
    expected, extra = float(test.expected[topic]), float(test.extra[topic])
    # Of a topic that nobody turned to before, a share of the shoppers gained.
    change = extra / max(expected * counts.present, 1.0)
    direction: Literal["rising", "falling"] = "rising" if extra > 0 else "falling"
    return Movement(topic, direction, now, before, expected, extra, change, float(test.p[topic]), float(q[topic]))


def _is_of_attention(movement: Movement) -> bool:
    """More shoppers and less attention is no rise: both must point the same way."""
    moved = movement.now.attention - movement.before.attention
    return moved > 0 if movement.direction == "rising" else moved < 0


def by_step(acts: Acts, steps: int, days: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Shoppers of each topic in each of the last `steps` times `days` days, oldest first; and all shoppers.

    Shapes (topics, steps) and (steps,).
    """
    step = steps - 1 - pl.col("age") // days
    recent = acts.timed.lazy().filter(pl.col("age") < days * steps).select("person", "topic", step=step)
    pairs = recent.unique().collect()
    counted = np.zeros((len(acts.topics), steps), dtype=np.int64)
    np.add.at(counted, (pairs["topic"].to_numpy(), pairs["step"].to_numpy()), 1)
    everybody = pairs.select("person", "step").unique()["step"].to_numpy()
    return counted, np.bincount(everybody, minlength=steps)
