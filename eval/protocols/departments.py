"""The first purchase in a department that is new to somebody, from what they bought in the others before.

Takes a Dataset with real times whose catalogue has `paths`, gives a Split: one moment divides everybody, as in
`eval.protocols.temporal`, and a case is a person's first basket of a department. Only items of that department are
candidates (`Cases.pools`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eval.data.interactions import Catalogue, Codes, Dataset, Flags, Histories, Interactions, Order
from eval.protocols.cutting import leak_of
from eval.protocols.split import Cases, Pools, Protocol, Split, Targets
from eval.protocols.temporal import Moments, utc
from retrieval.models.sequences import ranges
from tasteline.errors import InvalidInput

NAME = "new-department"
LEAST_KINDS = 20
"""A department with fewer kinds in train is not asked about: its first ten would be half of it."""


def by_kind(dataset: Dataset) -> Dataset:
    """The same events with all items of one path as one item, called by it; for what is too sparse item by item.

    Items without a path are one together. Raises InvalidInput for a set without paths.
    """
    paths = _paths(dataset)
    kinds = sorted(set(paths))
    number = {path: place for place, path in enumerate(kinds)}
    of_item = np.array([number[path] for path in paths], dtype=np.int32)
    catalogue = Catalogue(
        tuple(" > ".join(path) for path in kinds),
        tuple(", ".join(dict.fromkeys(reversed(path))) for path in kinds),
        tuple(path[1] if len(path) > 1 else "" for path in kinds),
        tuple(kinds),
    )
    interactions = replace(dataset.interactions, items=of_item[dataset.interactions.items])
    return replace(dataset, name=f"{dataset.name} by kind", catalogue=catalogue, interactions=interactions)


def new_department(dataset: Dataset, moments: Moments) -> Split:
    """A case for each person's first basket of each department that falls into the valid or into the test window.

    New means: nothing of the department in any row of the data before. The basket is what was bought there in that
    very second; the history is all that the person bought before it, of which there must be something. Departments of
    fewer than LEAST_KINDS paths in train are not asked about, but stay in train and histories. Train is all rows before
    `moments.valid`. Raises InvalidInput for a set without times or paths, for moments out of order and where train is
    empty or nobody has a test target.
    """
    if not dataset.timed:
        raise InvalidInput(f"{dataset.name} has no times that can be compared between people")
    if moments.valid >= moments.test:
        raise InvalidInput(f"the valid window begins at {moments.valid}, which is not before the test window")
    names, of_items = _departments(dataset)
    events = dataset.interactions
    train = events.where(events.order < moments.valid)
    asked = _large(dataset, train, names, of_items)
    first = _first_rows(events, of_items)
    first = first[asked[of_items[events.items[first]]]]
    when = events.order[first]
    valid = _cases(events, first[(when >= moments.valid) & (when < moments.test)], of_items)
    test = _cases(events, first[when >= moments.test], of_items)
    if not len(train) or not len(test):
        raise InvalidInput(f"{dataset.name}: {len(train)} train rows and {len(test)} test cases; choose other moments")
    return Split(
        protocol=Protocol(NAME, _description(moments, [name for name, big in zip(names, asked, strict=True) if big])),
        catalogue=dataset.catalogue,
        train=train,
        valid=valid,
        test=test,
        leak=leak_of(dataset, train, test),
        timed=True,
    )


def department_of(dataset: Dataset, cases: Cases) -> list[str]:
    """The department that each case asks about."""
    names, of_items = _departments(dataset)
    return [names[of_items[item]] for item in cases.targets.items[cases.targets.starts[:-1]]]


def _paths(dataset: Dataset) -> tuple[tuple[str, ...], ...]:
    if not any(dataset.catalogue.paths):
        raise InvalidInput(f"{dataset.name} names no departments with kinds below them")
    return dataset.catalogue.paths


def _departments(dataset: Dataset) -> tuple[list[str], Codes]:
    """Names, "" among them where an item has no path, and the place of each item's."""
    broadest = np.array([path[0] if path else "" for path in _paths(dataset)], dtype=str)
    names, place = np.unique(broadest, return_inverse=True)
    return [str(name) for name in names], place.astype(np.int32)


def _large(dataset: Dataset, train: Interactions, names: list[str], of_items: Codes) -> Flags:
    """(departments,) whether train knows enough kinds of it; never of the nameless."""
    bought = np.unique(train.items)
    kinds = {dataset.catalogue.paths[item]: of_items[item] for item in bought}
    counts = np.bincount(np.array(list(kinds.values()), dtype=np.int64), minlength=len(names))
    named: Flags = np.array([name != "" for name in names])
    return named & (counts >= LEAST_KINDS)


def first_baskets(events: Interactions, of_items: Codes, since: int) -> Cases:
    """A case for each person's first basket of each department that falls on or after `since`, as `new_department`.

    `of_items` (items,) the department of each.
    """
    first = _first_rows(events, of_items)
    return _cases(events, first[events.order[first] >= since], of_items)


def first_moments(events: Interactions, of_items: Codes) -> Order:
    """(rows,) when the person of each row first bought something of its department."""
    _, first, place = np.unique(_keys(events, of_items), return_index=True, return_inverse=True)
    return events.order[first[place]]


def _keys(events: Interactions, of_items: Codes) -> Order:
    """(rows,) one number for person and department together."""
    keys: Order = events.users.astype(np.int64) * (int(of_items.max()) + 1) + of_items[events.items]
    return keys


def _first_rows(events: Interactions, of_items: Codes) -> Order:
    """Places of each person's first row of each department."""
    return np.sort(np.unique(_keys(events, of_items), return_index=True)[1])


def _cases(events: Interactions, first: Order, of_items: Codes) -> Cases:
    """The basket around each first row, with the rows before its second as history."""
    moment = _moments(events)
    begin = np.searchsorted(events.users, events.users[first])
    until, end = (np.searchsorted(moment, moment[first], side=side) for side in ("left", "right"))
    kept = until > begin
    first, begin, until, end = first[kept], begin[kept], until[kept], end[kept]
    wanted = of_items[events.items[first]]
    starts, basket = _baskets(events, until, end, wanted, of_items)
    known = ranges(begin, until)
    lengths = np.concatenate(([0], np.cumsum(until - begin))).astype(np.int64)
    histories = Histories(lengths, events.items[known], events.order[known], events.types[known], events.rows[known])
    return Cases(
        events.users[first],
        histories,
        Targets(starts, events.items[basket], events.rows[basket]),
        Pools(of_items, wanted),
    )


def _baskets(
    events: Interactions, until: Order, end: Order, wanted: Codes, of_items: Codes
) -> tuple[Order, NDArray[np.int64]]:
    """Where each case's targets begin, and their places: the distinct items of the wanted department, until to end."""
    places = ranges(until, end)
    case = np.repeat(np.arange(len(until)), end - until)
    inside = of_items[events.items[places]] == wanted[case]
    places, case = places[inside], case[inside]
    keys = case * (int(events.items.max()) + 1) + events.items[places]
    fresh = np.sort(np.unique(keys, return_index=True)[1])
    counts = np.bincount(case[fresh], minlength=len(until))
    return np.concatenate(([0], np.cumsum(counts))).astype(np.int64), places[fresh]


def _moments(events: Interactions) -> Order:
    """One ascending number for person and second together."""
    earliest = events.order.min()
    span = int(events.order.max() - earliest) + 1
    moments: Order = events.users.astype(np.int64) * span + (events.order - earliest)
    return moments


def _description(moments: Moments, departments: list[str]) -> str:
    return (
        "A person's first purchase in a department of which nothing of theirs was seen before, from all that they "
        f"bought in others before it. Train is all rows of everybody before {utc(moments.valid)}; first purchases "
        f"between it and {utc(moments.test)} are valid cases, later ones test cases, so that nothing that may be "
        "fitted on is as young as what is asked. Targets are the distinct items of that first basket, candidates all "
        f"items of the department. Departments of fewer than {LEAST_KINDS} kinds in train are not asked about, which "
        f"leaves {len(departments)}. Cases of one person hang together."
    )
