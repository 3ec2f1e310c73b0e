"""Reasons that tell of a turn: "You turned to Coffee & Tea this week", "Back to Planters, as every year at this time".

Takes what was ranked for a person and their history, gives the same products, some with such a reason added. It is said
of a product only where its own topic is the one that the person turned to, lately, and its evidence are the events that
show it. The first product of a topic leads with it, for the others it stands behind what led to them: ten cards that
say the same tell nothing. Costs next to nothing for somebody who has done nothing lately.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from retrieval.catalogue import Catalogue
from retrieval.drifts import Drift
from retrieval.interests import DAY
from retrieval.live import LiveIndex
from retrieval.seasons import LEAST_RETURNS, YEAR_DAYS, YEAR_UNEVEN, season_of
from retrieval.steps import Steps, steps_of
from retrieval.topics import Topic, by_category
from retrieval.turning import drifts_in
from tasteline.types import Event, Product, RankedProduct, Reason

LATELY, THIS_WEEK = timedelta(days=31), timedelta(days=7)
"""An older turn is no news."""
MOST_EVENTS = 300
"""Of the history: a turn of the last month shows in them, and the answer must not wait for more."""
PLAIN_RISE = 0.2
"""Of a share of the attention: a smaller turn shows on the timeline, it is not said to somebody's face."""
CONFIDENT = 0.6
"""Posterior probability from which a turn is said to somebody's face."""


def with_turns(
    items: Sequence[RankedProduct], history: Sequence[Event], live: LiveIndex, now: datetime
) -> list[RankedProduct]:
    """`history` oldest first."""
    latest = next((event.time for event in reversed(history) if event.time), None)
    if not items or latest is None or now - latest > LATELY or _is_one_visit(history):
        return list(items)
    steps = steps_of(history[-MOST_EVENTS:])
    with live.read() as indexes:
        topics = _topics(steps, [item.product for item in items], indexes.catalogue)
    shown = {topic for item in items if (topic := topics.get(item.product.id))}
    reasons = _of_drifts(steps, topics, now) if _rose_lately(steps, topics, shown, now) else {}
    seasons = _of_seasons(steps, topics, shown)
    back = {topic.broad for topic in shown if topic.name in seasons}  # what comes back was not turned to
    turns = {name: reason for name, reason in reasons.items() if name not in back}
    return _told(items, topics, {**seasons, **turns})


def _is_one_visit(history: Sequence[Event]) -> bool:
    """Nobody turns within one visit, and most who are asked for have made no other."""
    first, last = history[0], history[-1]
    return first.session_id is not None and first.session_id == last.session_id


def _topics(steps: Steps, products: Sequence[Product], catalogue: Catalogue) -> dict[str, Topic]:
    known = {pid: catalogue.product(row) for pid in steps.product_ids if (row := catalogue.row(pid)) is not None}
    return by_category({**known, **{product.id: product for product in products}}, catalogue)


def _rose_lately(steps: Steps, topics: Mapping[str, Topic], shown: set[Topic], now: datetime) -> bool:
    """Could the person have turned to anything of what is shown? Asked first, because it takes a tenth of the time."""
    begin = int(np.searchsorted(steps.times, (now - LATELY).timestamp()))
    earlier, recent = _shares(steps, topics, slice(0, begin)), _shares(steps, topics, slice(begin, None))
    rise = PLAIN_RISE if earlier else 0.0
    return any(recent.get(topic.broad, 0.0) - earlier.get(topic.broad, 0.0) > rise for topic in shown)


def _shares(steps: Steps, topics: Mapping[str, Topic], part: slice) -> dict[str, float]:
    """Broad topic → share of the attention in a part of the steps; empty where there was none."""
    by_product = np.bincount(steps.products[part], weights=steps.weights[part], minlength=len(steps.product_ids))
    total = float(by_product.sum())
    shares: dict[str, float] = {}
    for pid, weight in zip(steps.product_ids, by_product.tolist(), strict=True):
        if weight and pid in topics:
            shares[topics[pid].broad] = shares.get(topics[pid].broad, 0.0) + weight / total
    return shares


def _of_drifts(steps: Steps, topics: Mapping[str, Topic], now: datetime) -> dict[str, Reason]:
    """Broad topic → what may be said of it; of the latest turn only, so that nobody turned to two things at once."""
    drifts = drifts_in(steps, topics)
    if not drifts or not is_news(drifts[-1], now):
        return {}
    since = drifts[-1].since or now
    said = "You turned to {} this week" if now - since <= THIS_WEEK else "Lately you turned to {}"
    shows = {event.id: event for event in steps.events[drifts[-1].step - 1 :]}
    return {
        topic: Reason("history", said.format(topic), _of_topic(drifts[-1].evidence, shows, topics, topic))
        for topic in drifts[-1].after
    }


def is_news(drift: Drift, now: datetime) -> bool:
    """Sure enough, and recent enough, to be told to the person."""
    return drift.confidence >= CONFIDENT and drift.since is not None and now - drift.since <= LATELY


def _of_topic(
    evidence: Sequence[str], events: Mapping[str, Event], topics: Mapping[str, Topic], topic: str
) -> tuple[str, ...]:
    """Those of `evidence` that are events after the turn, with products of its topic."""
    kept = [(each, topics.get(events[each].product_id or "")) for each in evidence if each in events]
    return tuple(each for each, about in kept if about and about.broad == topic)


def _of_seasons(steps: Steps, topics: Mapping[str, Topic], shown: set[Topic]) -> dict[str, Reason]:
    """Narrow topic → what may be said of one that is back."""
    if not steps.timed or steps.times[-1] - steps.times[0] < LEAST_RETURNS * (YEAR_DAYS - YEAR_UNEVEN) * DAY:
        return {}
    names = np.array([topics[pid].name if pid in topics else "" for pid in steps.product_ids])[steps.products]
    found = {}
    for topic in shown:
        season = season_of(steps, np.flatnonzero(names == topic.name))
        if season is not None and season.awake:
            said = f"Back to {topic.name}, as every year at this time"
            found[topic.name] = Reason("history", said, season.returns)
    return found


def _told(
    items: Sequence[RankedProduct], topics: Mapping[str, Topic], reasons: Mapping[str, Reason]
) -> list[RankedProduct]:
    led: set[str] = set()
    told = []
    for item in items:
        topic = topics.get(item.product.id)
        reason = (reasons.get(topic.name) or reasons.get(topic.broad)) if topic else None
        if reason is None or not reason.evidence:
            told.append(item)
        elif reason.text in led:
            told.append(replace(item, reasons=(*item.reasons, reason)))
        else:
            led.add(reason.text)
            told.append(replace(item, reasons=(reason, *item.reasons)))
    return told
