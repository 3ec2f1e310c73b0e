"""Where what visits were about changed: a series of visits divided into stretches that differ.

Takes what each visit was about, gives the places of the changes with the probability of each. Two models of a stretch
are averaged, because visits are of two kinds. In the first a visit is one draw, shared among its topics
(Dirichlet-multinomial): right for an hour on one shelf. In the second each topic is met in a visit or not, and a change
moves few of them (Beta-Bernoulli, spike and slab): right for a basket of thirty groceries, of which the first model
sees a thirtieth. A change there-and-back is looked for as well as a single one (circular binary segmentation, Olshen et
al. 2004), then each is judged anew between its neighbours. Knows no names, no times and no thresholds of what to tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from scipy.special import gammaln

from retrieval.steps import Numbers, Values

MOST_PLACES = 24
"""Between visits of a stretch where a change may be: those whose neighbourhoods differ most, where there are more."""
NEIGHBOURHOODS = (4, 16)
"""Visits on each side that are compared for it, beside the whole stretch."""
BASKETS = 0.05
"""Probability of the second model before the visits are looked at."""
LARGEST = 600.0
"""Logarithm of odds beyond which nothing is surer, and no number is large enough."""
CHANGED = 2.0
"""Topics that a change moves in the second model, as expected."""


@dataclass(frozen=True, slots=True)
class Sureness:
    """What a change must show. Chosen on made-up people, see `eval.drift`, and on one part of real households."""

    log_odds: float = -2.0
    """Of a change in a stretch of visits, before they are looked at (natural logarithm)."""
    concentration: float = 0.3
    """How many visits' worth of an even mixture each stretch begins with: the fewer, the purer a stretch should be."""
    least_shift: float = 0.1
    """Total variation between the mixtures before and after: a long history makes small shifts certain, not notable."""
    chance_rises: float = 6.0
    """Rises like that of a topic named after a turn which a history of as many visits and topics shows by chance."""
    chance_falls: float = 2.0
    """The same for topics named before it; at a given place, so over topics alone."""


@dataclass(frozen=True, slots=True)
class Visits:
    """(visits + 1, topics) sums over the visits up to each."""

    shares: Values
    """Each visit adds one, divided by attention."""
    met: Numbers
    """Each visit adds one to each topic met in it."""

    def __len__(self) -> int:
        return len(self.shares) - 1


@dataclass(frozen=True, slots=True)
class _Model:
    visits: Visits
    prior: Values
    log_odds: float
    least_shift: float
    halves: Values
    """log Γ(n + ½) and log Γ(n + 1): counts of visits are whole, so that a table does."""
    wholes: Values


def visits_of(about: Values) -> Visits:
    """`about`: (visits, topics) attention; no row is all zero."""
    nothing = np.zeros((1, about.shape[1]))
    shares = np.vstack([nothing, np.cumsum(about / about.sum(axis=1, keepdims=True), axis=0)])
    return Visits(shares, np.vstack([nothing, np.cumsum(about > 0, axis=0)]).astype(np.int64))


def change_points(visits: Visits, sureness: Sureness) -> list[tuple[int, float]]:
    """(first visit after the change, confidence above 0.5), oldest first."""
    topics, numbers = visits.shares.shape[1], np.arange(len(visits) + 1)
    model = _Model(
        visits,
        np.full(topics, sureness.concentration / topics),
        sureness.log_odds,
        sureness.least_shift,
        gammaln(numbers + 0.5),
        gammaln(numbers + 1.0),
    )
    bounds = sorted({0, len(visits), *_divided(model, _neighbours_apart(model), 0, len(visits))})
    confidence = cache(partial(_confidence, model))
    place = 0
    while place + 2 < len(bounds):
        if confidence(*bounds[place : place + 3]) < 0.5:
            del bounds[place + 1]  # what is left is judged with both stretches as one
            place = max(0, place - 1)
        else:
            place += 1
    around = zip(bounds, bounds[1:], bounds[2:], strict=False)
    return [(split, confidence(low, split, high)) for low, split, high in around]


def _neighbours_apart(model: _Model) -> Values:
    """(visits + 1,) how much the visits before each place differ from those after it; not asked for in a short series.

    Once for the whole series: what lies beyond the bounds of a stretch may choose the places that are looked at in it,
    it has no part in what they are worth.
    """
    last = len(model.visits)
    apart = np.full(last + 1, -np.inf)
    if last - 1 <= MOST_PLACES:
        return apart
    places = np.arange(1, last)
    for reach in NEIGHBOURHOODS:
        lows, highs = np.maximum(places - reach, 0), np.minimum(places + reach, last)
        apart[1:-1] = np.maximum(apart[1:-1], _gain(model, lows, highs, places, highs))
    return apart


def _divided(model: _Model, apart: Values, low: int, high: int) -> Iterator[int]:
    """Places of the changes within a stretch, in no order."""
    if high - low < 2:
        return
    places = _likeliest(model, apart, low, high)
    first, second = np.triu_indices(len(places), 1)
    begins = np.concatenate([places, places[first]])
    ends = np.concatenate([np.full(len(places), high), places[second]])
    each = model.log_odds - np.log(len(model.visits))  # of a change at any one of the visits
    worth = _gain(model, low, high, begins, ends) + np.where(ends == high, each, 2 * each)
    best = int(worth.argmax())
    if worth[best] <= 0.0:
        return
    begin, end = int(begins[best]), int(ends[best])
    inner = [begin] if end == high else [begin, end]
    yield from inner
    for lower, upper in zip([low, *inner], [*inner, high], strict=True):
        yield from _divided(model, apart, lower, upper)


def _likeliest(model: _Model, apart: Values, low: int, high: int) -> Numbers:
    """Places between the visits of a stretch, rising."""
    places = np.arange(low + 1, high)
    if len(places) <= MOST_PLACES:
        return places
    worth = np.maximum(apart[places], _gain(model, low, high, places, np.full(len(places), high)))
    return np.sort(places[np.argsort(-worth, kind="stable")[:MOST_PLACES]])


def _confidence(model: _Model, low: int, split: int, high: int) -> float:
    """Of a change somewhere within the two stretches; 0 where they hardly differ."""
    shares = model.visits.shares
    if 0.5 * np.abs(mixture(shares[split] - shares[low]) - mixture(shares[high] - shares[split])).sum() < (
        model.least_shift
    ):
        return 0.0
    worth = _gain(model, low, high, np.arange(low + 1, high), np.full(high - low - 1, high))
    odds = model.log_odds + worth.max() + np.log(np.mean(np.exp(worth - worth.max())))
    return float(1.0 / (1.0 + np.exp(-odds)))


def mixture(counts: Values) -> Values:
    return np.asarray(counts / max(float(counts.sum()), 1e-9), dtype=np.float64)


def _gain(model: _Model, low: int | Numbers, high: int | Numbers, begins: Numbers, ends: Numbers) -> Values:
    """How much likelier [low, high) is when the visits from `begins` up to `ends` are a stretch of their own."""
    shares, met = model.visits.shares, model.visits.met
    inside, whole = shares[ends] - shares[begins], shares[high] - shares[low]
    drawn = _drawn(inside, model.prior) + _drawn(whole - inside, model.prior) - _drawn(whole, model.prior)
    met_inside, met_whole = met[ends] - met[begins], met[high] - met[low]
    counts = ends - begins, np.asarray(high - low)
    moved = (
        _met(met_inside, counts[0], model)
        + _met(met_whole - met_inside, counts[1] - counts[0], model)
        - _met(met_whole, counts[1], model)
        - np.log(np.pi)
    )
    share = min(0.5, CHANGED / shares.shape[1])
    few = np.log1p(share * np.expm1(np.minimum(moved, LARGEST))).sum(axis=-1)
    return np.asarray(np.logaddexp(np.log1p(-BASKETS) + drawn, np.log(BASKETS) + few), dtype=np.float64)


def _drawn(counts: Values, prior: Values) -> Values:
    """Log marginal likelihood of Dirichlet-multinomial counts, (…, topics) → (…,), without what cancels in a ratio."""
    whole = prior.sum()
    ways = (gammaln(prior + counts) - gammaln(prior)).sum(axis=-1)
    return np.asarray(gammaln(whole) - gammaln(whole + counts.sum(axis=-1)) + ways, dtype=np.float64)


def _met(met: Numbers, visits: Numbers, model: _Model) -> Values:
    """The same of each topic's Beta-Bernoulli visits, with Jeffreys' prior, but for log π: (…, topics)."""
    each = visits[..., None]
    return np.asarray(model.halves[met] + model.halves[each - met] - model.wholes[each], dtype=np.float64)
