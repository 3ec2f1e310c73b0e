"""A person's interests as they move, from stored events: the timeline and the drifts together.

Takes a person's id, gives a `Turning`. Where each part comes from: `retrieval.steps` (columns), `retrieval.topics`
(names), `retrieval.timeline` (shares over time), `retrieval.drifts` (change points). Nothing is kept between calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from retrieval.change_points import Sureness
from retrieval.drifts import USUAL, Drift, drifts_of
from retrieval.live import LiveIndex
from retrieval.steps import Numbers, Steps, steps_of
from retrieval.timeline import NOTHING, Timeline, timeline
from retrieval.topics import Topic, topics_of
from tasteline.ports import EventStore
from tasteline.types import Event

MOST_EVENTS = 20_000
"""Twice what the benchmark's busiest person did."""


@dataclass(frozen=True, slots=True)
class Turning:
    timeline: Timeline
    drifts: tuple[Drift, ...]
    """Oldest first."""


def turning_of(user_id: str, events: EventStore, live: LiveIndex) -> Turning:
    """Empty for somebody unknown. Looks at the latest `MOST_EVENTS` of a person."""
    return turning(events.history(user_id, limit=MOST_EVENTS), live)


def turning(history: Sequence[Event], live: LiveIndex) -> Turning:
    """Of somebody with this history, oldest first."""
    steps = steps_of(history)
    if not len(steps):
        return Turning(NOTHING, ())
    with live.read() as indexes:
        topics = topics_of(steps.product_ids, indexes)
    return Turning(timeline_of(steps, topics), drifts_in(steps, topics))


def timeline_of(steps: Steps, topics: Mapping[str, Topic]) -> Timeline:
    broad_of = {topic.name: topic.broad for topic in topics.values()}
    names = list(broad_of)
    codes = _codes(steps, {pid: topic.name for pid, topic in topics.items()}, names)
    return timeline(steps, codes, names, [broad_of[name] for name in names])


def drifts_in(steps: Steps, topics: Mapping[str, Topic], sureness: Sureness = USUAL) -> tuple[Drift, ...]:
    names = list(dict.fromkeys(topic.broad for topic in topics.values()))
    return drifts_of(steps, _codes(steps, {pid: topic.broad for pid, topic in topics.items()}, names), names, sureness)


def _codes(steps: Steps, name_of: Mapping[str, str], names: Sequence[str]) -> Numbers:
    place = {name: number for number, name in enumerate(names)}
    by_product = [place[name_of[pid]] if pid in name_of else -1 for pid in steps.product_ids]
    return np.array(by_product, dtype=np.int64)[steps.products]
