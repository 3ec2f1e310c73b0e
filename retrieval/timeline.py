"""Interests over time: how much each topic drew a person at a series of moments, shortly and lastingly.

Takes a person's steps and the topic of each, gives moments (steps, days, weeks or months, whichever keeps them few) and
two shares for each topic at each of them, with the trend. The shares of the last moment are those of
`retrieval.interests`. One pass: each step is added to the moment that follows it, and each moment fades into the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import numpy as np

from retrieval.interests import (
    DAY,
    LONG_HALF_LIFE_DAYS,
    LONG_HALF_LIFE_STEPS,
    NOTABLE,
    SHORT_HALF_LIFE_DAYS,
    SHORT_HALF_LIFE_STEPS,
    trend_of,
)
from retrieval.seasons import Season, season_of
from retrieval.steps import Numbers, Steps, Values

MOST_MOMENTS = 53
"""A year of weeks."""
MOST_PRESENT, MOST_TOPICS = 12, 16
"""Topics that draw the person now, and with those that once did."""
UNITS: tuple[tuple[Unit, float], ...] = (("day", DAY), ("week", 7 * DAY), ("month", 365.25 / 12 * DAY))
SAME_DAY = 2 * DAY
"""A history shorter than this is told by its steps: one afternoon has no days."""

Unit = Literal["step", "day", "week", "month", "year"]
Trend = Literal["new", "rising", "steady", "fading", "seasonal"]


@dataclass(frozen=True, slots=True)
class Moment:
    time: datetime | None
    """None where the history has no clock."""
    step: int
    """Steps up to and including this moment."""


@dataclass(frozen=True, slots=True)
class TopicLine:
    """One topic through all moments."""

    topic: str
    broad: str
    """What it is part of, by which drifts are named; the same as `topic` where the feed says nothing broader."""
    trend: Trend
    short_term: tuple[float, ...]
    long_term: tuple[float, ...]
    """Shares of attention at each moment, 0 to 1."""
    first_seen: datetime | None
    last_seen: datetime | None
    evidence: tuple[str, ...]
    """Ids of its latest events, the last first."""
    season: Season | None = None
    """Only where the trend is seasonal."""


@dataclass(frozen=True, slots=True)
class Timeline:
    unit: Unit
    moments: tuple[Moment, ...]
    topics: tuple[TopicLine, ...]
    """What draws the person now first, then what once did."""
    groups: tuple[TopicLine, ...] = ()
    """The same at the width by which drifts are named; empty where that is no other."""


NOTHING = Timeline("step", (), ())


def timeline(steps: Steps, topics: Numbers, names: Sequence[str], broad: Sequence[str]) -> Timeline:
    """`topics`: (n,) place in `names` of each step, -1 where its product is gone. Empty for an empty history.

    `broad`: what each name is part of.
    """
    if not (topics >= 0).any():
        return NOTHING
    unit, edges = _moments(steps)
    until = np.searchsorted(steps.times, edges, side="right")
    moments = tuple(Moment(_time(edge, steps), int(step)) for edge, step in zip(edges, until, strict=True))
    lines = _lines(steps, topics, names, broad, edges)
    groups = list(dict.fromkeys(broad))
    if len(groups) == len(names):
        return Timeline(unit, moments, lines)
    place = np.array([groups.index(name) for name in broad], dtype=np.int64)
    grouped = np.where(topics >= 0, place[topics], -1)
    return Timeline(unit, moments, lines, _lines(steps, grouped, groups, groups, edges))


def _lines(
    steps: Steps, topics: Numbers, names: Sequence[str], broad: Sequence[str], edges: Values
) -> tuple[TopicLine, ...]:
    short, long = _weights(steps, topics, len(names), edges, np.searchsorted(steps.times, edges, side="right"))
    order = _order(short, long, names)
    return tuple(_line(place, names, broad, short[:, place], long[:, place], steps, topics) for place in order)


def _moments(steps: Steps) -> tuple[Unit, Values]:
    """The last is that of the newest step; the others lie whole units before it."""
    first, last = float(steps.times[0]), float(steps.times[-1])
    if not steps.timed or last - first < SAME_DAY:
        places = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), MOST_MOMENTS)).astype(np.int64))
        return "step", np.unique(steps.times[places])
    unit, seconds = next(
        (each for each in UNITS if last - first <= (MOST_MOMENTS - 1) * each[1]), ("year", 365.25 * DAY)
    )
    count = min(int((last - first) // seconds) + 1, MOST_MOMENTS)
    return unit, np.asarray(last - seconds * np.arange(count - 1, -1, -1), dtype=np.float64)


def _weights(steps: Steps, topics: Numbers, count: int, edges: Values, until: Numbers) -> tuple[Values, Values]:
    """(moments, topics) shares, short-term and long-term."""
    number = np.arange(1, len(steps) + 1, dtype=np.float64)
    if steps.timed:
        days, edge_days = steps.times / DAY, edges / DAY
        short = (
            number / SHORT_HALF_LIFE_STEPS + days / SHORT_HALF_LIFE_DAYS,
            until / SHORT_HALF_LIFE_STEPS + edge_days / SHORT_HALF_LIFE_DAYS,
        )
        long = days / LONG_HALF_LIFE_DAYS, edge_days / LONG_HALF_LIFE_DAYS
    else:
        short = number / SHORT_HALF_LIFE_STEPS, until / SHORT_HALF_LIFE_STEPS
        long = number / LONG_HALF_LIFE_STEPS, until / LONG_HALF_LIFE_STEPS
    return _faded(steps, topics, count, until, *short), _faded(steps, topics, count, until, *long)


def _faded(steps: Steps, topics: Numbers, count: int, until: Numbers, ages: Values, edge_ages: Values) -> Values:
    """Ages count half-lives: a step at age a weighs 2^(a - b) at a moment of age b."""
    bins = np.searchsorted(until, np.arange(len(steps)), side="right")
    seen = (topics >= 0) & (bins < len(until))
    added = steps.weights[seen] * 0.5 ** (edge_ages[bins[seen]] - ages[seen])
    total = np.bincount(bins[seen] * count + topics[seen], weights=added, minlength=len(until) * count)
    shares = total.reshape(len(until), count)
    fades = 0.5 ** np.diff(edge_ages, prepend=edge_ages[0])
    for moment in range(1, len(until)):
        shares[moment] += fades[moment] * shares[moment - 1]
    whole = shares.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(shares, whole, out=np.zeros_like(shares), where=whole > 0), dtype=np.float64)


def _order(short: Values, long: Values, names: Sequence[str]) -> list[int]:
    """Those that `retrieval.interests` names, as it orders them, then those that once drew the person most."""
    now, peak = np.maximum(short[-1], long[-1]), long.max(axis=0)
    present = np.flatnonzero(now >= NOTABLE).tolist()
    present.sort(key=lambda place: (-short[-1, place], -long[-1, place], names[place]))
    past = [place for place in np.argsort(-peak, kind="stable").tolist() if peak[place] >= NOTABLE]
    return list(dict.fromkeys(present[:MOST_PRESENT] + past))[:MOST_TOPICS]


def _line(
    place: int,
    names: Sequence[str],
    broad: Sequence[str],
    short: Values,
    long: Values,
    steps: Steps,
    topics: Numbers,
) -> TopicLine:
    mine = np.flatnonzero(topics == place)
    season = season_of(steps, mine)
    trend: Trend = "seasonal" if season else trend_of(float(short[-1]), float(long[-1]))
    return TopicLine(
        topic=names[place],
        broad=broad[place],
        trend=trend,
        short_term=tuple(short.tolist()),
        long_term=tuple(long.tolist()),
        first_seen=_time(float(steps.times[mine[0]]), steps),
        last_seen=_time(float(steps.times[mine[-1]]), steps),
        evidence=tuple(steps.events[step].id for step in mine[-5:][::-1]),
        season=season,
    )


def _time(seconds: float, steps: Steps) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if steps.timed else None
