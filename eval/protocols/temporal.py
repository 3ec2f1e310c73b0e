"""One moment for everybody: what came before may be known, what came after is asked for.

Takes a Dataset with real times and two moments, gives a Split without a leak: nothing that may be fitted on is as
young as what is asked.

>>> from eval.data.interactions import Catalogue, Interactions
>>> events = Interactions.of(users=[0, 0, 0, 1, 1], items=[0, 1, 2, 1, 0], order=[10, 20, 30, 15, 31])
>>> toy = Dataset("toy", "", Catalogue(("a", "b", "c"), ("",) * 3, ("",) * 3), ("ann", "bob"), events, timed=True)
>>> split = temporal(toy, before_end(toy, valid_seconds=12, test_seconds=2))
>>> split.train.order.tolist(), split.valid.targets.items.tolist(), split.test.targets.items.tolist()
([10, 15], [1], [2, 0])
>>> split.leak.train_after_target
0.0
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from eval.data.interactions import Dataset, Order
from eval.protocols.cutting import cases_of, leak_of
from eval.protocols.split import Cases, Protocol, Split
from tasteline.errors import InvalidInput

MONTH = 30 * 24 * 60 * 60


@dataclass(frozen=True, slots=True)
class Moments:
    """Seconds since 1970; an event at a moment itself comes after it."""

    valid: int
    """Train ends and the valid window begins."""
    test: int
    """The valid window ends and the test window begins; it lasts to the end of the data."""


def before_end(dataset: Dataset, *, valid_seconds: int = MONTH, test_seconds: int = MONTH) -> Moments:
    """Test = the last `test_seconds` of the data, its last second included; valid = `valid_seconds` before those.

    Raises InvalidInput where the data set is not timed or has no event.
    """
    end = int(_moments_in_order(dataset)[-1]) + 1
    return Moments(valid=end - test_seconds - valid_seconds, test=end - test_seconds)


def by_share(dataset: Dataset, *, valid: float = 0.1, test: float = 0.1) -> Moments:
    """Test = the last share `test` of all events, valid = the share before it.

    Events at one moment stay together: those that share the moment of a boundary all come after it, so that a part
    may be larger than its share. Raises InvalidInput where the data set is not timed or has no event.
    """
    if not (valid > 0 and test > 0 and valid + test < 1):
        raise InvalidInput(f"shares of {valid} for valid and {test} for test leave no train part or no other one")
    moments = _moments_in_order(dataset)
    return Moments(
        valid=int(moments[int(len(moments) * (1 - test - valid))]), test=int(moments[int(len(moments) * (1 - test))])
    )


def temporal(
    dataset: Dataset, moments: Moments, *, repeats: bool = False, next_only: bool = False, min_history: int = 0
) -> Split:
    """Global temporal split: train = all rows before `moments.valid`; a case for each person with a target in a window.

    Targets are the distinct items of the window, without those of the history unless `repeats`; `next_only` keeps the
    first of them. The history is the person's rows before the window: that of a test case holds rows of the valid
    window, on which nothing may be fitted. People with fewer than `min_history` events before a window are not asked
    about; 0 asks about newcomers too. A split of the files is not looked at.

    Raises InvalidInput where the data set is not timed, the moments are not in order, train is empty or nobody has a
    test target.
    """
    if not dataset.timed:
        raise InvalidInput(_not_timed(dataset))
    if moments.valid >= moments.test:
        raise InvalidInput(f"the valid window begins at {moments.valid}, which is not before the test window")
    events = dataset.interactions
    train = events.where(events.order < moments.valid)

    def asked_between(start: int, end: int | None) -> Cases:
        window = events.order >= start
        if end is not None:
            window &= events.order < end
        known = events.order < start
        return cases_of(events, known, window, repeats=repeats, next_only=next_only, min_history=min_history)

    valid, test = asked_between(moments.valid, moments.test), asked_between(moments.test, None)
    if not len(train) or not len(test):
        raise InvalidInput(
            f"{dataset.name}: with train before {utc(moments.valid)} and test from {utc(moments.test)} there are "
            f"{len(train)} train rows and {len(test)} test cases; choose other moments"
        )
    return Split(
        protocol=Protocol(
            "temporal-next" if next_only else "temporal",
            _description(moments, repeats=repeats, next_only=next_only, min_history=min_history),
            repeats,
        ),
        catalogue=dataset.catalogue,
        train=train,
        valid=valid,
        test=test,
        leak=leak_of(dataset, train, test),
        timed=True,
    )


def utc(moment: int) -> str:
    """As a description writes a moment: "2019-10-01T00:00:00Z"."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moments_in_order(dataset: Dataset) -> Order:
    if not dataset.timed or not len(dataset.interactions):
        raise InvalidInput(_not_timed(dataset))
    return np.sort(dataset.interactions.order)


def _not_timed(dataset: Dataset) -> str:
    return (
        f"{dataset.name} has no times that can be compared between people (or no events at all), so it cannot be "
        "divided at one moment; use leave-one-out"
    )


def _description(moments: Moments, *, repeats: bool, next_only: bool, min_history: int) -> str:
    items = "all distinct items" if repeats else "all distinct items that are not in the history"
    asked = f"the first of {items}" if next_only else items
    newcomers = (
        f"only people with {min_history} or more events before a window are asked about"
        if min_history
        else "people without any history are asked about too"
    )
    candidates = "every item is a candidate" if repeats else "every item but those of the history is a candidate"
    return (
        f"One moment divides everybody: train is all rows before {utc(moments.valid)}, valid targets lie between it "
        f"and {utc(moments.test)}, test targets after that. Targets are, of a person's events in a window, {asked}; "
        "the history is the person's events before the window, so that a test history holds rows of the valid window, "
        f"on which nothing is fitted; {newcomers}; {candidates}."
    )
