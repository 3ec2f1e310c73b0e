"""Did a protocol keep its promises? Everything that a split must never do, looked up event by event.

Takes a Split and the Dataset that it was cut from, raises at the first broken promise. Knows no protocol: it trusts
neither their code nor the arrays, only `Interactions.rows`.
"""

from __future__ import annotations

import numpy as np

from eval.data.interactions import Codes, Dataset, Flags, Order
from eval.protocols.cutting import case_of_event, contained, places_of
from eval.protocols.split import Cases, Split


class LeakError(ValueError):
    """A split hands over what it asks for, or asks what nobody can answer."""


def check_split(split: Split, dataset: Dataset) -> None:
    """Raises LeakError, with the part and the number of broken cases, unless all of this holds:

    - each event of train, of a history and of a target is the event of the data set that its row says: same person,
      same item; train has none twice;
    - targets are items of the catalogue and candidates of their case, at least one for each case, none twice in one;
    - no target is a train row, nor is one event a target of both parts;
    - train holds nothing of a person from their first target on (in order, then by place in the file);
    - a history holds nothing from its own first target on, and unless repeats are allowed no item that is a target;
    - no history of a valid case holds a test target.

    Takes some 0.1 s for 200,000 rows. Whether *other* people's train rows are younger than a target is no promise of
    every protocol: `Split.leak` measures it.
    """
    train = _places(dataset, split.train.rows, split.train.users, split.train.items, "train")
    in_train = _marked(dataset, train)
    _refuse("train", "rows twice", len(train) - in_train.sum())
    parts = {"valid": split.valid, "test": split.test}
    for part, cases in parts.items():
        _check_targets(part, cases, dataset, in_train)
    for part, cases in parts.items():
        _check_order(part, cases, dataset, in_train)
        if not split.protocol.repeats:
            _check_fresh(part, cases, len(dataset.catalogue))
    tested = _marked(dataset, places_of(dataset, split.test.targets.rows))
    known = places_of(dataset, split.valid.histories.rows)
    _refuse("valid", "events in a history that are test targets", tested[known].sum())
    asked = places_of(dataset, split.valid.targets.rows)
    _refuse("valid", "targets that are test targets too", tested[asked].sum())


def _check_targets(part: str, cases: Cases, dataset: Dataset, in_train: Flags) -> None:
    targets, items = cases.targets, len(dataset.catalogue)
    lengths = {len(cases), len(cases.histories), len(targets)}
    _refuse(part, "lists of another length than there are cases", len(lengths) - 1)
    _refuse(part, "cases without a target", (np.diff(targets.starts) < 1).sum())
    _refuse(part, "targets outside the catalogue", ((targets.items < 0) | (targets.items >= items)).sum())
    keys = _keys(targets.starts, targets.items, items)
    _refuse(part, "targets twice in one case", (np.diff(np.sort(keys)) == 0).sum())
    if cases.pools is not None:
        of_target = cases.pools.of_cases[case_of_event(targets.starts)]
        _refuse(part, "targets that are no candidates", (cases.pools.of_items[targets.items] != of_target).sum())
    asked = _places(dataset, targets.rows, cases.users[case_of_event(targets.starts)], targets.items, f"{part} targets")
    _refuse(part, "targets that are train rows", in_train[asked].sum())


def _check_order(part: str, cases: Cases, dataset: Dataset, in_train: Flags) -> None:
    histories, of_event = cases.histories, case_of_event(cases.histories.starts)
    known = _places(dataset, histories.rows, cases.users[of_event], histories.items, f"{part} histories")
    if not len(cases):
        return
    first = np.minimum.reduceat(places_of(dataset, cases.targets.rows), cases.targets.starts[:-1])
    _refuse(part, "events in a history from its own target on", (known >= first[of_event]).sum())
    own_last = _last_train_place(dataset, in_train)[cases.users]
    _refuse(part, "cases whose person has train rows from the target on", (own_last >= first).sum())


def _check_fresh(part: str, cases: Cases, items: int) -> None:
    targets, histories = cases.targets, cases.histories
    known = _keys(histories.starts, histories.items, items)
    seen = contained(_keys(targets.starts, targets.items, items), known)
    _refuse(part, "targets that the history already has", seen.sum())


def _places(dataset: Dataset, rows: Order, users: Codes, items: Codes, what: str) -> Order:
    """Where these events stand in the data set, whose person and item they must have."""
    places = places_of(dataset, rows)
    _refuse(what, "events that are not in the data set", (places < 0).sum())
    events = dataset.interactions
    differing = (events.users[places] != users) | (events.items[places] != items)
    _refuse(what, "events of another person or item than the data set's", differing.sum())
    return places


def _marked(dataset: Dataset, places: Order) -> Flags:
    marks = np.zeros(len(dataset.interactions), dtype=np.bool_)
    marks[places] = True
    return marks


def _last_train_place(dataset: Dataset, in_train: Flags) -> Order:
    last = np.full(len(dataset.user_ids), -1, dtype=np.int64)
    places = np.flatnonzero(in_train)
    last[dataset.interactions.users[places]] = places  # ascending: the last assignment is the largest
    return last


def _keys(starts: Order, items: Codes, span: int) -> Order:
    keys: Order = case_of_event(starts) * span + items
    return keys


def _refuse(part: str, what: str, number: int) -> None:
    if number:
        raise LeakError(f"{part}: {int(number)} {what}")
