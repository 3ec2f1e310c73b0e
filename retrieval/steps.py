"""One person's history in columns: which product, how much attention, when, and in which visit.

Takes events oldest first, gives arrays of equal length, one place for each event that says something of interest. What
was taken back counts as a view, as in `retrieval.interests`. Knows neither products nor topics.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from retrieval.interests import ATTENTION, COMMITTED, TAKEN_BACK
from tasteline.types import Event, EventType

VISIT_GAP_SECONDS = 1_800.0
"""A longer silence begins another visit, where events do not name their session."""

Numbers = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Steps:
    """(n,) columns of what a person gave attention to, oldest first."""

    events: tuple[Event, ...]
    product_ids: tuple[str, ...]
    """Each product once, in the order of its first step."""
    products: Numbers
    """Place in `product_ids`."""
    weights: Values
    times: Values
    """Seconds since 1970, never falling; the number of the step where `timed` is false."""
    visits: Numbers
    """Number of the visit, from 0."""
    timed: bool

    def __len__(self) -> int:
        return len(self.events)


def steps_of(history: Sequence[Event]) -> Steps:
    """Empty columns where nothing says anything. An event without a time happened when the one before it did."""
    kept = [event for event in history if event.product_id and event.type in ATTENTION]
    place: dict[str, int] = {}
    products = np.array([place.setdefault(event.product_id or "", len(place)) for event in kept], dtype=np.int64)
    times, timed = _times(kept)
    return Steps(
        tuple(kept), tuple(place), products, _weights(history, kept), times, _visits(kept, times, timed), timed
    )


def _weights(history: Sequence[Event], kept: Sequence[Event]) -> Values:
    weights = np.array([ATTENTION[event.type] for event in kept], dtype=np.float64)
    returned = Counter(event.product_id for event in history if event.type in TAKEN_BACK)
    if not returned:
        return weights
    # Backwards, so that what is taken back is the latest before it: most histories never come here.
    open_returns: Counter[str | None] = Counter()
    place = len(kept)
    for event in reversed(history):
        if event.type in TAKEN_BACK:
            open_returns[event.product_id] += 1
        if not (event.product_id and event.type in ATTENTION):
            continue
        place -= 1
        if event.type in COMMITTED and open_returns[event.product_id]:
            open_returns[event.product_id] -= 1
            weights[place] = ATTENTION[EventType.VIEW_ITEM]
    return weights


def _times(kept: Sequence[Event]) -> tuple[Values, bool]:
    known = np.array([event.time.timestamp() if event.time else np.nan for event in kept], dtype=np.float64)
    there = np.flatnonzero(~np.isnan(known))
    if not len(there):
        return np.arange(len(kept), dtype=np.float64), False
    if len(there) < len(known):
        before = np.searchsorted(there, np.arange(len(known)), side="right") - 1
        known = known[there[np.maximum(before, 0)]]
    return np.maximum.accumulate(known), True


def _visits(kept: Sequence[Event], times: Values, timed: bool) -> Numbers:
    """By session where events name it, else by silence; where there is neither, each step is a visit."""
    if not kept:
        return np.zeros(0, dtype=np.int64)
    sessions = [event.session_id for event in kept]
    if all(sessions):
        begins = np.array([True, *(now != then for then, now in pairwise(sessions))])
    elif timed:
        begins = np.concatenate([[True], np.diff(times) > VISIT_GAP_SECONDS])
    else:
        begins = np.ones(len(kept), dtype=np.bool_)
    return np.asarray(np.cumsum(begins) - 1, dtype=np.int64)
