"""Within one visit: given what somebody has looked at so far, to which product do they turn next?

Takes a Dataset with real times, gives one whose people are sessions (`by_session`) and a Split of that: sessions that
were over before one moment are for train, steps of the others that begin before another moment for valid, the rest for
test. A step is all events in a row with one product.

>>> from eval.data.interactions import Catalogue, Interactions
>>> events = Interactions.of(users=[0] * 7, items=[0, 1, 1, 2, 1, 0, 1], order=[0, 1, 2, 5000, 5001, 9000, 9001])
>>> toy = Dataset("toy", "", Catalogue(("a", "b", "c"), ("",) * 3, ("",) * 3), ("ann",), events, timed=True)
>>> visits = by_session(toy)
>>> visits.interactions.users.tolist(), visits.user_ids  # half an hour of nothing ends a visit
([0, 0, 0, 1, 1, 2, 2], ('ann 1', 'ann 2', 'ann 3'))
>>> split = session_split(visits, Moments(valid=5000, test=9000))
>>> split.train.items.tolist(), split.valid.targets.items.tolist(), split.test.targets.items.tolist()
([0, 1], [1], [1])
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eval.baselines.matrices import moves
from eval.data.interactions import TYPES, Codes, Dataset, Flags, Histories, Interactions, Order
from eval.protocols.cutting import leak_of
from eval.protocols.split import Cases, Protocol, Split, Targets
from eval.protocols.temporal import Moments, utc
from retrieval.models.sequences import ranges
from tasteline.errors import InvalidInput
from tasteline.types import EventType

NAME = "session"
GAP = 30 * 60
"""Seconds without an event that end a session, where the files name none: the convention of web analytics."""
_FIRMNESS = (EventType.VIEW_ITEM, EventType.ADD_TO_CART, EventType.PURCHASE)
"""From a glance to a decision: a step is of the firmest type that it holds; other types are no firmer than a view."""


def by_session(dataset: Dataset) -> Dataset:
    """The same events, each session somebody of its own: `user_ids` are "PERSON NUMBER", from 1 for each person.

    Sessions are those of the files (`Dataset.sessions`); where these name none, GAP seconds without an event end one.
    A split of the files is dropped; `sessions` stays None where the files name none. Raises InvalidInput for a set
    without real times or without events.
    """
    events = dataset.interactions
    if not dataset.timed or not len(events):
        raise InvalidInput(f"{dataset.name} has no times that can be compared between people; use leave-one-out")
    codes = _by_gap(events) if dataset.sessions is None else dataset.sessions
    sorting = np.lexsort((np.arange(len(events)), events.order, codes, events.users))
    _, first, session = np.unique(
        np.stack((events.users, codes), axis=1)[sorting], axis=0, return_index=True, return_inverse=True
    )
    people = events.users[sorting][first]
    numbers = np.arange(len(people)) - np.searchsorted(people, people) + 1
    return replace(
        dataset,
        user_ids=tuple(f"{dataset.user_ids[user]} {number}" for user, number in zip(people, numbers, strict=True)),
        interactions=Interactions.of(
            session.ravel(), events.items[sorting], events.order[sorting], events.types[sorting]
        ),
        split=None,
        sessions=None if dataset.sessions is None else session.ravel().astype(np.int32),
    )


def session_split(visits: Dataset, moments: Moments) -> Split:
    """A split of `by_session(...)`: train is the steps of sessions that were over before `moments.valid`.

    A case is a step, from the second of its session on, that begins in the valid or in the test window; the history is
    all earlier events of the session. Of a session that straddles the first moment the earlier steps are history only,
    so that no train row is younger than a target; one that straddles the second has cases in both parts. Train steps
    are timed by their first event and of their firmest type. Raises InvalidInput where the moments are not in order,
    train is empty or nobody has a test target.
    """
    if moments.valid >= moments.test:
        raise InvalidInput(f"the valid window begins at {moments.valid}, which is not before the test window")
    events = visits.interactions
    steps = moves(events.users, events.items)
    over = (_ends(events) < moments.valid)[events.users]
    train = _as_steps(events, steps).where(over[steps])
    asked = steps & ~over & (np.arange(len(events)) > np.searchsorted(events.users, events.users))
    late = events.order >= moments.test
    valid = _cases(events, asked & (events.order >= moments.valid) & ~late)
    test = _cases(events, asked & late)
    if not len(train) or not len(test):
        raise InvalidInput(
            f"{visits.name}: with train sessions over before {utc(moments.valid)} and test from {utc(moments.test)} "
            f"there are {len(train)} train steps and {len(test)} test cases; choose other moments"
        )
    return Split(
        protocol=Protocol(NAME, _description(visits, moments), "earlier"),
        catalogue=visits.catalogue,
        train=train,
        valid=valid,
        test=test,
        leak=leak_of(visits, train, test),
        timed=True,
    )


def _by_gap(events: Interactions) -> Codes:
    """Numbers of the sessions that begin with a new person or after GAP seconds."""
    begins = np.ones(len(events), dtype=np.bool_)
    begins[1:] = (events.users[1:] != events.users[:-1]) | (np.diff(events.order) >= GAP)
    return (np.cumsum(begins) - 1).astype(np.int32)


def _ends(events: Interactions) -> Order:
    """(sessions,) the moment of each one's last event."""
    ends = np.full(int(events.users.max()) + 1, np.iinfo(np.int64).min)
    np.maximum.at(ends, events.users, events.order)
    return ends


def _as_steps(events: Interactions, steps: Flags) -> Interactions:
    """One row for each step: its first event, with the firmest type of its events."""
    firmness = np.array([_FIRMNESS.index(each) if each in _FIRMNESS else 0 for each in TYPES], dtype=np.int8)
    firmest = np.maximum.reduceat(firmness[events.types], np.flatnonzero(steps))
    types = np.array([TYPES.index(each) for each in _FIRMNESS], dtype=np.int8)[firmest]
    return replace(events.where(steps), types=types)


def _cases(events: Interactions, asked: Flags) -> Cases:
    """A case for each asked event: the rows of its session before it are the history."""
    places = np.flatnonzero(asked)
    users = events.users[places]
    first = np.searchsorted(events.users, users)
    known = ranges(first, places)
    starts = np.concatenate(([0], np.cumsum(places - first))).astype(np.int64)
    histories = Histories(starts, events.items[known], events.order[known], events.types[known], events.rows[known])
    alone = np.arange(len(places) + 1, dtype=np.int64)
    return Cases(users, histories, Targets(alone, events.items[places], events.rows[places]))


def _description(visits: Dataset, moments: Moments) -> str:
    named = "end after half an hour without an event" if visits.sessions is None else "are those that the files name"
    return (
        f"Sessions {named}; events in a row with one product are one step. Train is the sessions that were over "
        f"before {utc(moments.valid)}; of the others, every step from the second on that begins between it and "
        f"{utc(moments.test)} is a valid case, every later one a test case. The history is the events of that session "
        "before the step, whoever the person is. No train row is younger than a target. "
        "People go back, so items of the history are candidates, all but the last one, which is at hand. Cases of one "
        "session hang together: intervals and tests redraw and swap whole sessions."
    )
