"""Early signs of a trend: topics that are still small and gain shoppers week after week.

Takes acts, gives `Sign`s. The test is a trend over `WEEKS` weeks (Cochran and Armitage's, its variance summed over
shoppers, because the same people come every week):

    T = sum over weeks of (t - mean t) * (shoppers of the topic in week t)

weighed against the number of (shopper, topic) pairs of each week, so that a busy week raises nothing by itself. False
alarms are held as in `movements`. One heavy shopper is one shopper a week, and makes no trend.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from retrieval.insights.acts import Acts
from retrieval.insights.movements import ALARMS, WEEK, Floats, adjusted

WEEKS = 8
"""Long enough that growth is seen twice (half against half, and in either half), short enough to be early."""
GROWTH = 1.25
"""Shoppers of the later half over those of the earlier one, at least, with the same number of pairs."""
WEEKS_UP = 4
"""Of WEEKS - 1: a single good week is no trend."""
SMALL = 0.5
"""A topic under this quantile of all topics' shoppers is small."""


@dataclass(frozen=True, slots=True)
class Sign:
    topic: int
    shoppers: int
    """Different ones in the later half."""
    growth: float
    """Later half over earlier half, the shop's own growth taken out: 1.5 is half as many again."""
    weeks_up: int
    """Weeks that brought more shoppers than the week before them, of WEEKS - 1."""
    accelerating: bool
    """Gains more in the later half than in the earlier one."""
    p: float
    q: float


def early_signs(acts: Acts, fewest: int, known: Container[int] = ()) -> list[Sign]:
    """Fastest growing first; topics in `known` are told elsewhere. Empty with fewer weeks of history than needed."""
    week = WEEKS - 1 - pl.col("age") // WEEK
    pairs = (
        acts.timed.lazy().filter(pl.col("age") < WEEK * WEEKS).select("person", "topic", week=week).unique().collect()
    )
    person, topic = pairs["person"].to_numpy().astype(np.int64), pairs["topic"].to_numpy().astype(np.int64)
    weeks = pairs["week"].to_numpy().astype(np.int64)
    exposure = np.bincount(weeks, minlength=WEEKS).astype(np.float64)
    if not len(weeks) or exposure.min() == 0:
        return []
    counted = np.zeros((len(acts.topics), WEEKS))
    np.add.at(counted, (topic, weeks), 1)
    late = weeks >= WEEKS // 2
    late_pairs = np.unique(person[late] * len(acts.topics) + topic[late])
    shoppers = np.bincount(late_pairs % len(acts.topics), minlength=len(acts.topics))
    p = trend(person, topic, weeks, counted, exposure)
    p[counted.sum(axis=1) < fewest] = np.nan
    q = adjusted(p)
    limit = np.quantile(shoppers[counted.sum(axis=1) > 0], SMALL)
    signs = [
        _sign(number, counted[number], exposure, fewest, int(shoppers[number]), float(p[number]), float(q[number]))
        for number in np.flatnonzero(q <= ALARMS).tolist()
        if fewest <= shoppers[number] <= limit and number not in known
    ]
    grown = (sign for sign in signs if sign.growth >= GROWTH and sign.weeks_up >= WEEKS_UP)
    return sorted(grown, key=lambda sign: (-sign.growth, sign.topic))


def trend(
    person: NDArray[np.int64], topic: NDArray[np.int64], weeks: NDArray[np.int64], counted: Floats, exposure: Floats
) -> Floats:
    """Two-sided p of each topic's trend; pairs are those of shoppers, topics and weeks, each once."""
    coefficients = np.arange(len(exposure)) - np.average(np.arange(len(exposure)), weights=exposure)
    share = counted.sum(axis=1) / exposure.sum()
    statistic = counted @ coefficients
    said = coefficients[weeks]
    everything = np.bincount(person, said)
    size = len(everything)
    codes, place = np.unique(topic * size + person, return_inverse=True)
    of_topic = np.bincount(place, said)
    number, who = codes // size, codes % size
    squares = np.bincount(number, of_topic**2, minlength=len(counted))
    cross = np.bincount(number, of_topic * everything[who], minlength=len(counted))
    variance = squares - 2 * share * cross + share**2 * float((everything**2).sum())
    corrected = np.maximum(np.abs(statistic) - 0.5, 0)
    p: Floats = 2 * stats.norm.sf(corrected / np.sqrt(np.maximum(variance, 1.0)))
    return np.minimum(p, 1.0)


def _sign(topic: int, counted: Floats, exposure: Floats, fewest: int, shoppers: int, p: float, q: float) -> Sign:
    share = counted / exposure
    half = WEEKS // 2
    # Of fewer, as if `fewest` had come: how few it was is not told, and growth would tell it.
    enough = counted[:half].sum() >= fewest
    earlier = share[:half].mean() if enough else fewest / exposure[:half].sum()
    lines = [float(np.polyfit(np.arange(half), part, 1)[0]) for part in (share[:half], share[half:])]
    return Sign(
        topic=topic,
        shoppers=shoppers,
        growth=float(share[half:].mean() / earlier),
        weeks_up=int((np.diff(share) > 0).sum()),
        accelerating=lines[1] > max(lines[0], 0.0),
        p=p,
        q=q,
    )
