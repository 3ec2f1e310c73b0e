"""When a person turned from one thing to another: change points in what their visits were about.

Takes a person's steps and the topic of each, gives `Drift`s: since when, from what to what, which events show it, how
sure. A visit is one observation, shared among its topics: ten clicks on one shelf say one thing, and so does a basket
of thirty groceries. Where the visits change is `retrieval.change_points`; here it is asked what may be said of that. A
topic is named only where its share of the attention moved, and where it was met in more, or fewer, of the visits than
chance would have it over all topics and all places that could have been looked at: of twenty shelves that a household
buys from now and then, some come up twice in a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from scipy.special import gammaln

from retrieval.change_points import Sureness, Visits, change_points, mixture, visits_of
from retrieval.steps import Numbers, Steps, Values

MOST_VISITS = 600
"""Beyond this, neighbouring visits are taken together: a change is then placed among some of them."""
MOST_TOPICS = 64
"""What is beyond the strongest counts as one topic."""
MOST_NAMED = 2
"""Topics on each side of a drift."""
MOST_EVIDENCE = 5
LEAST_VISITS = 3
LEAST_NAMED = 0.05
"""Share of attention by which a topic must have moved to be named, and it must have been met in `LEAST_MET` visits."""
LEAST_MET = 2
NEAR_VISITS, NEAR_SHARE = 3, 0.25
"""A topic that is named must be met within so many visits of the turn, or within this share of the stretch."""

USUAL = Sureness()


@dataclass(frozen=True, slots=True)
class Drift:
    since: datetime | None
    """Of the first event after it; None where the history has no clock."""
    step: int
    """Number of that event among the person's steps, from 1."""
    before: tuple[str, ...]
    """Topics that drew the person more before, the one that lost most first."""
    after: tuple[str, ...]
    evidence: tuple[str, ...]
    """Ids: events of the topics before, then of those after, each in the order in which they happened."""
    confidence: float
    """Posterior probability of a change there, 0.5 to 1."""
    shown_before: int = 0
    """How many of `evidence` lie before it."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """Steps with a topic, in columns, and the visits in which they were."""

    steps: Steps
    kept: Numbers
    """Places of these steps in `steps`."""
    visits: Numbers
    """(kept,) from 0, without gaps."""
    codes: Numbers
    """(kept,) topic of each."""
    names: tuple[str | None, ...]
    """Of each code; None for all the rest together."""
    summed: Visits


def drifts_of(steps: Steps, topics: Numbers, names: Sequence[str], sureness: Sureness = USUAL) -> tuple[Drift, ...]:
    """Oldest first. `topics`: (n,) place in `names` of each step, -1 where its product is gone."""
    kept = np.flatnonzero(topics >= 0)
    visits = np.unique(steps.visits[kept], return_inverse=True)[1]
    count = int(visits.max(initial=-1)) + 1
    if count < LEAST_VISITS:
        return ()
    if count > MOST_VISITS:
        visits, count = visits * MOST_VISITS // count, MOST_VISITS
    codes, places = _strongest(steps, topics, kept, len(names))
    about = np.bincount(visits * len(places) + codes, weights=steps.weights[kept], minlength=count * len(places))
    summed = visits_of(np.asarray(about.reshape(count, len(places)), dtype=np.float64))
    named = tuple(names[place] if place >= 0 else None for place in places.tolist())
    seen = _Seen(steps, kept, visits, codes, named, summed)
    splits = change_points(summed, sureness)
    bounds = [0, *(split for split, _ in splits), count]
    found = (
        _drift(seen, (low, split, high), confidence, sureness)
        for low, high, (split, confidence) in zip(bounds, bounds[2:], splits, strict=False)
    )
    return tuple(drift for drift in found if drift is not None)


def _strongest(steps: Steps, topics: Numbers, kept: Numbers, count: int) -> tuple[Numbers, Numbers]:
    """(code of each kept step, place in `names` of each code; -1 for all the rest together)"""
    total = np.bincount(topics[kept], weights=steps.weights[kept], minlength=count)
    places = np.flatnonzero(total)
    if len(places) > MOST_TOPICS:
        places = np.append(np.sort(np.argsort(-total, kind="stable")[: MOST_TOPICS - 1]), -1)
    codes = np.full(count, len(places) - 1, dtype=np.int64)
    codes[places[places >= 0]] = np.flatnonzero(places >= 0)
    return codes[topics[kept]], places


def _drift(seen: _Seen, around: tuple[int, int, int], confidence: float, sureness: Sureness) -> Drift | None:
    """None where no topic that has a name moved beyond chance on both sides: then there is nothing to tell."""
    low, split, high = around
    bounds = np.searchsorted(seen.visits, [low, split, high]).tolist()
    earlier, later = slice(bounds[0], bounds[1]), slice(bounds[1], bounds[2])
    topics = len(seen.names)
    after = _named(seen, (split, high), (low, split), sureness.chance_rises / topics / len(seen.summed))
    before = _named(seen, (low, split), (split, high), sureness.chance_falls / topics)
    if not before or not after:
        return None
    shown_before = bounds[0] + np.flatnonzero(np.isin(seen.codes[earlier], before))[-MOST_EVIDENCE:]
    shown_after = bounds[1] + np.flatnonzero(np.isin(seen.codes[later], after))[:MOST_EVIDENCE]
    begin = int(seen.kept[shown_after[0]])
    steps = seen.steps
    return Drift(
        since=datetime.fromtimestamp(float(steps.times[begin]), UTC) if steps.timed else None,
        step=begin + 1,
        before=tuple(name for code in before if (name := seen.names[code])),
        after=tuple(name for code in after if (name := seen.names[code])),
        evidence=tuple(steps.events[seen.kept[place]].id for place in (*shown_before, *shown_after)),
        confidence=confidence,
        shown_before=len(shown_before),
    )


def _named(seen: _Seen, part: tuple[int, int], other: tuple[int, int], by_chance: float) -> list[int]:
    """Codes with most more attention in one part than in the other; a second only when its gain is half as much.

    Each must have been met more than once, near the turn (what came up months after it is not what it was to), and in
    so many more visits that chance would do it no more often than `by_chance`.
    """
    shares, met = seen.summed.shares, seen.summed.met
    (begin, end), (low, high) = part, other
    moved = mixture(shares[end] - shares[begin]) - mixture(shares[high] - shares[low])
    order = np.argsort(-moved, kind="stable")[:MOST_NAMED].tolist()
    least = max(LEAST_NAMED, 0.5 * float(moved[order[0]]))
    here, there = met[end] - met[begin], met[high] - met[low]
    return [
        code
        for code in order
        if moved[code] >= least
        and seen.names[code]
        and _is_met(seen, part, code, begins=begin == high)
        and chance(int(here[code]), end - begin, int(there[code]), high - low) <= by_chance
    ]


def _is_met(seen: _Seen, part: tuple[int, int], code: int, *, begins: bool) -> bool:
    """In enough visits of a stretch, the first of them near its beginning, or the last near its end."""
    begin, end = part
    met = begin + np.flatnonzero(np.diff(seen.summed.met[begin : end + 1, code]))
    if len(met) < LEAST_MET:
        return False
    away = met[0] - begin if begins else end - 1 - met[-1]
    return bool(away <= max(NEAR_VISITS, NEAR_SHARE * (end - begin)))


def chance(here: int, visits_here: int, there: int, visits_there: int) -> float:
    """Of so many of the visits with a topic lying on this side, or more, were they dealt out (Fisher's exact test).

    >>> round(chance(3, 3, 0, 5), 4)  # one way of the 56 to choose three visits of eight
    0.0179
    """
    more = np.arange(here, min(visits_here, here + there) + 1)
    ways = _ways(visits_here, more) + _ways(visits_there, here + there - more)
    return min(1.0, float(np.exp(ways - _ways(visits_here + visits_there, np.array(here + there))).sum()))


def _ways(of: int, chosen: Numbers) -> Values:
    """Logarithm of the binomial coefficient."""
    return np.asarray(gammaln(of + 1) - gammaln(chosen + 1) - gammaln(of - chosen + 1), dtype=np.float64)
