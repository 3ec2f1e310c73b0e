"""When a person turned from one thing to another: change points in what their visits were about.

Takes a person's steps and the topic of each, gives `Drift`s: since when, from what to what, which events show it, how
sure. A visit is one observation, shared among its topics: ten clicks on one shelf say one thing, and so does a basket
of thirty groceries. A stretch of visits is a Dirichlet-multinomial. The most probable division into stretches is found
by dynamic programming over the likeliest places; each turn in it is then worth the marginal likelihood of the stretches
on both sides over that of the two together, averaged over all places that it could be at. Thresholds are chosen by
`eval.drift` on made-up people whose changes are known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from scipy.special import gammaln

from retrieval.steps import Numbers, Steps, Values

MOST_VISITS = 1_000
"""Beyond this, neighbouring visits are taken together: a change is then placed among some of them."""
MOST_TOPICS = 64
"""What is beyond the strongest counts as one topic."""
MOST_NAMED = 2
"""Topics on each side of a drift."""
MOST_EVIDENCE = 5
LEAST_VISITS = 3
LEAST_NAMED = 0.1
"""Share of attention by which a topic must have moved to be named, and it must have been met in `LEAST_MET` visits."""
LEAST_MET = 2
NEAR_VISITS, NEAR_SHARE = 3, 0.25
"""A topic that is named must be met within so many visits of the turn, or within this share of the stretch."""
MOST_PLACES = 48
"""Between visits where a turn may be: those whose neighbourhoods differ most, where there are more."""
NEIGHBOURHOODS = (4, 16)
"""Visits on each side that are compared for it."""


@dataclass(frozen=True, slots=True)
class Sureness:
    """What a drift must show. Chosen on one half of the made-up people, see `eval.drift`."""

    log_odds: float = -2.5
    """Of a change in a stretch of visits, before they are looked at (natural logarithm)."""
    concentration: float = 0.3
    """How many visits' worth of an even mixture each stretch begins with: the fewer, the purer a stretch should be."""
    least_shift: float = 0.2
    """Total variation between the mixtures before and after: a long history makes small shifts certain, not notable."""


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
    summed: Values
    """(visits + 1, topics) observations up to each visit."""


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
    share = about.reshape(count, len(places)) / about.reshape(count, -1).sum(axis=1, keepdims=True)
    summed = np.vstack([np.zeros(len(places)), np.cumsum(share, axis=0)])
    named = tuple(names[place] if place >= 0 else None for place in places.tolist())
    seen = _Seen(steps, kept, visits, codes, named, summed)
    splits = list(_splits(summed, sureness))
    bounds = [0, *(split for split, _ in splits), count]
    found = (
        _drift(seen, (low, split, high), confidence)
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


def _splits(summed: Values, sureness: Sureness) -> Iterator[tuple[int, float]]:
    """(first visit after the turn, confidence), oldest first."""
    prior = np.full(summed.shape[1], sureness.concentration / summed.shape[1])
    bounds = _divided(summed, prior, sureness)
    place = 0
    while place + 2 < len(bounds):
        low, split, high = bounds[place : place + 3]
        confidence = _confidence(summed, prior, (low, split, high), sureness)
        if confidence < 0.5:
            del bounds[place + 1]  # what is left is judged with both stretches as one
            place = max(0, place - 1)
        else:
            place += 1
    for low, split, high in zip(bounds, bounds[1:], bounds[2:], strict=False):
        yield split, _confidence(summed, prior, (low, split, high), sureness)


def _divided(summed: Values, prior: Values, sureness: Sureness) -> list[int]:
    """Bounds of the most probable stretches, from 0 to the number of visits."""
    visits = len(summed) - 1
    places = np.array([0, *_likeliest(summed, prior), visits])
    first, second = np.triu_indices(len(places), 1)
    worth = np.full((len(places), len(places)), -np.inf)
    worth[first, second] = _likelihood(summed[places[second]] - summed[places[first]], prior)
    worth[1:] += sureness.log_odds - np.log(visits)  # a turn at the beginning of the stretch, at any of the visits
    best, came_from = np.zeros(len(places)), np.zeros(len(places), dtype=np.int64)
    for place in range(1, len(places)):
        until = best[:place] + worth[:place, place]
        came_from[place] = until.argmax()
        best[place] = until[came_from[place]]
    bounds = [len(places) - 1]
    while bounds[-1]:
        bounds.append(int(came_from[bounds[-1]]))
    return [int(places[bound]) for bound in reversed(bounds)]


def _likeliest(summed: Values, prior: Values) -> Numbers:
    """Places between visits, rising."""
    places = np.arange(1, len(summed) - 1)
    if len(places) <= MOST_PLACES:
        return places
    apart = np.full(len(places), -np.inf)
    for reach in NEIGHBOURHOODS:
        left = summed[places] - summed[np.maximum(places - reach, 0)]
        right = summed[np.minimum(places + reach, len(summed) - 1)] - summed[places]
        apart = np.maximum(apart, _gain(left, right, prior))
    return np.sort(places[np.argsort(-apart, kind="stable")[:MOST_PLACES]])


def _confidence(summed: Values, prior: Values, around: tuple[int, int, int], sureness: Sureness) -> float:
    """Of a turn somewhere within the two stretches; 0 where they hardly differ."""
    low, split, high = around
    one, other = summed[split] - summed[low], summed[high] - summed[split]
    if 0.5 * np.abs(_mixture(one) - _mixture(other)).sum() < sureness.least_shift:
        return 0.0
    left = summed[low + 1 : high] - summed[low]
    worth = _gain(left, summed[high] - summed[low] - left, prior)
    odds = sureness.log_odds + worth.max() + np.log(np.mean(np.exp(worth - worth.max())))
    return float(1.0 / (1.0 + np.exp(-odds)))


def _gain(left: Values, right: Values, prior: Values) -> Values:
    """How much likelier two stretches are apart than as one."""
    apart = _likelihood(left, prior) + _likelihood(right, prior)
    return np.asarray(apart - _likelihood(left + right, prior), dtype=np.float64)


def _likelihood(counts: Values, prior: Values) -> Values:
    """Log marginal likelihood of Dirichlet-multinomial counts, (…, topics) → (…,), without what cancels in a ratio."""
    whole = prior.sum()
    ways = (gammaln(prior + counts) - gammaln(prior)).sum(axis=-1)
    return np.asarray(gammaln(whole) - gammaln(whole + counts.sum(axis=-1)) + ways, dtype=np.float64)


def _mixture(counts: Values) -> Values:
    return np.asarray(counts / max(float(counts.sum()), 1e-9), dtype=np.float64)


def _drift(seen: _Seen, around: tuple[int, int, int], confidence: float) -> Drift | None:
    """None where no topic that has a name moved by much: then there is nothing to tell."""
    low, split, high = around
    moved = _mixture(seen.summed[high] - seen.summed[split]) - _mixture(seen.summed[split] - seen.summed[low])
    bounds = np.searchsorted(seen.visits, [low, split, high]).tolist()
    earlier, later = slice(bounds[0], bounds[1]), slice(bounds[1], bounds[2])
    before, after = _named(-moved, seen, earlier, begins=False), _named(moved, seen, later, begins=True)
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


def _named(moved: Values, seen: _Seen, part: slice, *, begins: bool) -> list[int]:
    """Codes that rose most, the first by most; a second only when it is half as much.

    Each must have been met more than once, and near the turn: what came up months after it is not what it was to.
    """
    order = np.argsort(-moved, kind="stable")[:MOST_NAMED].tolist()
    least = max(LEAST_NAMED, 0.5 * float(moved[order[0]]))
    return [code for code in order if moved[code] >= least and seen.names[code] and _is_met(seen, part, code, begins)]


def _is_met(seen: _Seen, part: slice, code: int, begins: bool) -> bool:
    """In enough visits of a stretch, the first of them near its beginning, or the last near its end."""
    visits = seen.visits[part]
    met = np.unique(visits[seen.codes[part] == code])
    if len(met) < LEAST_MET:
        return False
    away = met[0] - visits[0] if begins else visits[-1] - met[-1]
    return bool(away <= max(NEAR_VISITS, NEAR_SHARE * (visits[-1] - visits[0] + 1)))
