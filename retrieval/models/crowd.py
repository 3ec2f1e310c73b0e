"""What a whole shop says of its things at one moment: how many buy each, how that moves, and who comes back when.

Takes everybody's purchases before the moment; gives figures by thing that a forecast of one person needs beside their
own, small enough to be kept with a model. Holds nothing by person.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import svds

from retrieval.models.bought import DAY, Bought, Days, Floats, Numbers
from retrieval.models.rhythm import AHEAD, Steps

LATELY = (7, 14, 30, 90)
THING_NAMES = (
    *(f"buyers_{days}" for days in LATELY),
    "buyers",
    "growth",
    "growth_lately",
    "again",
    "newly",
    "usual_gap",
)
"""buyers: share of people who bought it; growth: of the last 30 days over the last 90, growth_lately: 7 over 30; again,
newly: share of those who did, and did not, buy it 30 to 60 days ago who did so since; usual_gap: median of people's."""
STEP_DAYS = 5
STEPS = 36
STEPS_AHEAD = int(AHEAD) // STEP_DAYS
PRIOR = 10.0
"""A thing's own gaps count as much as the whole shop's when there are so many."""
TASTES = 32
"""Directions in which tastes differ."""
TASTE_HALF_LIFE = 62.0


@dataclass(frozen=True, slots=True)
class Crowd:
    """Of one level: line t of every array is about thing t."""

    things: Floats
    """(things, THING_NAMES)"""
    returning: Floats
    """(things, STEPS) share of those who bought it last STEP_DAYS · s days ago who buy it within the next 30 days."""
    tastes: Floats
    """(things, ≤ TASTES) orthonormal columns."""
    scale: Floats
    """(things,) by which amounts are divided before tastes are told."""

    @classmethod
    def of(cls, bought: Bought, moment: int) -> Crowd:
        """`bought`: all before `moment`."""
        pairs = np.unique(bought.pairs())
        steps = Steps.of(bought, moment, pairs)
        tastes, scale = _tastes(bought, moment)
        return cls(_things(bought, moment, steps, pairs), _returning(steps, pairs, bought.thing_count), tastes, scale)

    def back_within(self, things: Numbers, last: Floats) -> Floats:
        """`returning` of each thing at the time since it was bought last; NaN where it never was."""
        at = np.minimum(np.nan_to_num(last) / STEP_DAYS, STEPS - 1).astype(np.int64)
        return np.where(np.isnan(last), np.float32(np.nan), self.returning[things, at]).astype(np.float32)

    def taste(self, bought: Bought, moment: int) -> csr_matrix:
        """(people, tastes) where each stands; zeros for somebody who bought nothing."""
        return _amounts(bought, moment, self.scale) @ self.tastes


def _things(bought: Bought, moment: int, steps: Steps, pairs: Numbers) -> Floats:
    things, count = pairs % max(1, bought.thing_count), bought.thing_count
    people = max(1, len(np.unique(bought.people)))
    ages = (moment - bought.times) / DAY

    def buyers(chosen: NDArray[np.bool_]) -> Days:
        found = np.unique(bought.pairs()[chosen]) % max(1, count)
        return np.bincount(found, minlength=count).astype(np.float64)

    lately = {days: buyers(ages <= days) for days in LATELY}
    everybody = buyers(np.ones(len(ages), dtype=np.bool_))
    now, before = (np.unique(bought.pairs()[(ages > start) & (ages <= start + 30)]) for start in (0, 30))
    both = np.bincount(np.intersect1d(now, before) % max(1, count), minlength=count)
    earlier = np.bincount(before % max(1, count), minlength=count)
    columns = [
        *(lately[days] / people for days in LATELY),
        everybody / people,
        (lately[30] + 1) / (lately[90] + 3),
        (lately[7] + 1) / (lately[30] + 4),
        both / np.maximum(earlier, 1),
        (lately[30] - both) / np.maximum(people - earlier, 1),
        _usual_gaps(steps, things, count),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def _usual_gaps(steps: Steps, things: Numbers, count: int) -> Days:
    """(things,) median days between two purchases of one person; NaN where nobody came back."""
    gaps = steps.gaps
    later = np.flatnonzero(~steps.first)
    of_thing = things[steps.places[later]]
    order = later[np.lexsort((gaps[later], of_thing))]
    counted = np.bincount(of_thing, minlength=count)
    middles = np.cumsum(counted) - counted + counted // 2
    result = np.full(count, np.nan)
    result[counted > 0] = gaps[order][middles[counted > 0]]
    return result


def _returning(steps: Steps, pairs: Numbers, count: int) -> Floats:
    """By the product-limit estimate over everybody's gaps (Kaplan and Meier, 1958), drawn towards the shop's."""
    things = pairs % max(1, count)
    ended, open_ = np.zeros((count, STEPS)), np.zeros((count, STEPS))
    later = ~steps.first
    _add(ended, things[steps.places[later]], steps.gaps[later])
    _add(open_, things[steps.places[steps.last]], steps.ages[steps.last])
    waiting = np.cumsum((ended + open_)[:, ::-1], axis=1)[:, ::-1]
    usual = ended.sum(axis=0) / np.maximum(waiting.sum(axis=0), 1)
    hazard = (ended + PRIOR * usual) / (waiting + PRIOR)
    hazard = np.concatenate([hazard, np.repeat(hazard[:, -1:], STEPS_AHEAD, axis=1)], axis=1)
    staying = np.concatenate([np.zeros((count, 1)), np.cumsum(np.log1p(-np.minimum(hazard, 0.999)), axis=1)], axis=1)
    back = -np.expm1(staying[:, STEPS_AHEAD : STEPS_AHEAD + STEPS] - staying[:, :STEPS])
    return np.asarray(back, dtype=np.float32)


def _add(table: Days, things: Numbers, days: Days) -> None:
    at = np.minimum(days / STEP_DAYS, STEPS - 1).astype(np.int64)
    table += np.bincount(things * STEPS + at, minlength=table.size).reshape(table.shape)


def _tastes(bought: Bought, moment: int) -> tuple[Floats, Floats]:
    plain = _amounts(bought, moment, np.ones(bought.thing_count, dtype=np.float32), unit=False)
    norms = np.sqrt(np.asarray(plain.multiply(plain).sum(axis=0))).ravel()
    scale = np.maximum(norms, 1e-3).astype(np.float32)
    amounts = _amounts(bought, moment, scale)
    rank = min(TASTES, min(amounts.shape) - 1)
    if rank < 1 or not amounts.nnz:
        return np.zeros((bought.thing_count, 0), dtype=np.float32), scale
    start = np.random.default_rng(0).normal(size=min(amounts.shape))  # else its own draw changes every fit
    _, _, directions = svds(amounts.astype(np.float64), k=rank, v0=start)
    return np.ascontiguousarray(directions.T, dtype=np.float32), scale


def _amounts(bought: Bought, moment: int, scale: Floats, *, unit: bool = True) -> csr_matrix:
    """(people, things) log of decayed purchases over `scale`, each line of unit length."""
    weights = 0.5 ** ((moment - bought.times) / DAY / TASTE_HALF_LIFE)
    shape = (bought.people_count, bought.thing_count)
    amounts = csr_matrix((weights.astype(np.float32), (bought.people, bought.things)), shape=shape)
    amounts.data = (np.log1p(amounts.data) / scale[amounts.indices]).astype(np.float32)
    if not unit:
        return amounts
    norms = np.sqrt(np.asarray(amounts.multiply(amounts).sum(axis=1))).ravel()
    return diags(1 / np.maximum(norms, 1e-9)).astype(np.float32) @ amounts
