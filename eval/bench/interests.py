"""A person's interests over time: ours beside the same written with pandas group-bys, with 10, 1,000 and 10,000 events.

Both sides take the same list of events and give the same two shares for each topic at each moment; that they agree is
checked, and the largest difference reported. The change points, which the other side has not, and the whole endpoint
are timed as well and stand under `raw`. Functions are timed by the processor's clock, the endpoint by that on the wall.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fastapi.testclient import TestClient

from app.engines import open_store
from app.main import create_app
from retrieval.interests import (
    ATTENTION,
    LONG_HALF_LIFE_DAYS,
    SHORT_HALF_LIFE_DAYS,
    SHORT_HALF_LIFE_STEPS,
    topic_of,
)
from retrieval.steps import steps_of
from retrieval.timeline import Timeline
from retrieval.topics import Topic
from retrieval.turning import drifts_in, timeline_of
from tasteline.settings import Settings
from tasteline.types import Event, EventType, Product

SIZES = (10, 1_000, 10_000)
END = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 365
PER_VISIT = 5
KINDS = (EventType.VIEW_ITEM, EventType.VIEW_ITEM, EventType.VIEW_ITEM, EventType.ADD_TO_CART, EventType.PURCHASE)


def run(products: Sequence[Product], home: Path, repeats: int = 30) -> dict[str, Any]:
    """`{"bench": "interests", "ratios": {"timeline_p50_1000": …, …}, "raw": …}`; above 1 ours is faster."""
    topics = {p.id: Topic(topic_of(p), p.categories[0]) for p in products if p.categories}
    people = {f"busy-{size}": history(list(topics), size) for size in SIZES}
    endpoint = _endpoint(products, people, home, repeats)
    ratios: dict[str, float] = {}
    raw: dict[str, Any] = {"products": len(products), "repeats": repeats}
    for size, events in zip(SIZES, people.values(), strict=True):
        ours, theirs = _turns(events, topics, repeats)
        steps = steps_of(events)
        drifts = _milliseconds(partial(drifts_in, steps, topics), repeats)
        for share in (50, 95):
            ratios[f"timeline_p{share}_{size}"] = float(np.percentile(theirs, share) / np.percentile(ours, share))
        raw[str(size)] = {
            "timeline": _percentiles(ours),
            "pandas": _percentiles(theirs),
            "drifts": _percentiles(drifts),
            "endpoint": _percentiles(endpoint[f"busy-{size}"]),
            "largest_difference": _difference(timeline_of(steps, topics), events, topics),
        }
    return {"bench": "interests", "ratios": ratios, "raw": raw}


def history(product_ids: Sequence[str], size: int, seed: int = 0) -> list[Event]:
    """A year of somebody who turns from one part of the catalogue to another in the midst of it."""
    rng = np.random.default_rng(seed)
    visits = np.sort(rng.uniform(0, DAYS, -(-size // PER_VISIT)))
    half = len(product_ids) // 2
    events = []
    for number in range(size):
        visit, step = divmod(number, PER_VISIT)
        place = rng.integers(0, half) + (half if visits[visit] > DAYS / 2 else 0)
        moment = END - timedelta(days=DAYS - float(visits[visit])) + timedelta(seconds=20 * step)
        events.append(
            Event(
                id=f"{size}-{number}",
                type=KINDS[int(rng.integers(len(KINDS)))],
                user_id=f"busy-{size}",
                session_id=f"{size}-{visit}",
                product_id=product_ids[int(place)],
                time=moment,
            )
        )
    return sorted(events, key=lambda event: event.time or END)


def with_pandas(
    events: Sequence[Event], topics: Mapping[str, Topic], moments: Sequence[datetime | None]
) -> dict[str, pd.DataFrame]:
    """What somebody would write first: for each moment what came before it, weighed by its age and grouped by topic."""
    rows = [(e.time, e.product_id, e.type) for e in events if e.product_id in topics and e.type in ATTENTION]
    frame = pd.DataFrame(rows, columns=["time", "product", "type"])
    frame["topic"] = frame["product"].map({pid: topic.name for pid, topic in topics.items()})
    frame["weight"] = frame["type"].map(ATTENTION)
    frame["step"] = np.arange(len(frame))
    shares: dict[str, list[pd.Series]] = {"short": [], "long": []}
    for moment in moments:
        past = frame[frame["time"] <= moment]
        days = (moment - past["time"]).dt.total_seconds() / 86_400
        steps = past["step"].max() - past["step"]
        short = 0.5 ** (days / SHORT_HALF_LIFE_DAYS + steps / SHORT_HALF_LIFE_STEPS)
        for name, fading in (("short", short), ("long", 0.5 ** (days / LONG_HALF_LIFE_DAYS))):
            total = (past["weight"] * fading).groupby(past["topic"]).sum()
            shares[name].append(total / total.sum())
    return {name: pd.DataFrame(each, index=moments).fillna(0.0) for name, each in shares.items()}


def _turns(events: Sequence[Event], topics: Mapping[str, Topic], repeats: int) -> tuple[list[float], list[float]]:
    """Milliseconds of both sides, in turn, so that what else the machine does meets both."""
    moments = [moment.time for moment in timeline_of(steps_of(events), topics).moments]
    ours, theirs = [], []
    for _ in range(repeats):
        ours += _milliseconds(lambda: timeline_of(steps_of(events), topics), 1)
        theirs += _milliseconds(lambda: with_pandas(events, topics, moments), 1)
    return ours, theirs


def _milliseconds(
    work: Callable[[], object], repeats: int, clock: Callable[[], float] = time.process_time
) -> list[float]:
    taken = []
    for _ in range(repeats):
        started = clock()
        work()
        taken.append(1000 * (clock() - started))
    return taken


def _difference(ours: Timeline, events: Sequence[Event], topics: Mapping[str, Topic]) -> float:
    theirs = with_pandas(events, topics, [moment.time for moment in ours.moments])
    found = 0.0
    for line in ours.topics:
        for name, shares in (("short", line.short_term), ("long", line.long_term)):
            found = max(found, float(np.abs(theirs[name][line.topic].to_numpy() - np.array(shares)).max()))
    return found


def _endpoint(
    products: Sequence[Product], people: Mapping[str, Sequence[Event]], home: Path, repeats: int
) -> dict[str, list[float]]:
    """Milliseconds of `GET /v1/users/{id}/interests` of each, store and JSON included, without a language model."""
    settings = Settings(home=home, embedder="hashing", language_model="none")
    with closing(open_store(settings)) as store:
        store.put_products(products)
        for events in people.values():
            store.append_events(list(events))
    with TestClient(create_app(settings)) as client:
        return {user: _asked(client, user, repeats) for user in people}


def _asked(client: TestClient, user: str, repeats: int) -> list[float]:
    """Without the first time."""

    def ask() -> None:
        client.get(f"/v1/users/{user}/interests").raise_for_status()

    return _milliseconds(ask, repeats + 1, time.perf_counter)[1:]


def _percentiles(milliseconds: Sequence[float]) -> dict[str, float]:
    return {f"p{share}_ms": round(float(np.percentile(milliseconds, share)), 3) for share in (50, 95)}
