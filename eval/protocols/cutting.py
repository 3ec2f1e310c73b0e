"""What all protocols share: cases from rows that are known and rows that are asked for, and what of the future leaks.

Takes masks over the rows of an Interactions, gives Cases. Knows no protocol.
"""

from __future__ import annotations

import numpy as np

from eval.data.interactions import Codes, Dataset, Flags, Interactions, Order
from eval.protocols.split import Cases, Leak, Targets


def cases_of(
    interactions: Interactions,
    history: Flags,
    window: Flags,
    *,
    repeats: bool,
    next_only: bool = False,
    min_history: int = 0,
) -> Cases:
    """One case for each person who has a target: the rows of `window` against those of `history`.

    Both are masks over all rows; no person's `history` row may come after one of their `window` rows. Targets are the
    distinct items of the window in order; unless `repeats`, without those of the history. `next_only` keeps the first
    of them. People with fewer than `min_history` rows of history are no case.

    >>> toy = Interactions.of(users=[0, 0, 0, 0, 1], items=[7, 8, 7, 9, 7], order=[0, 1, 2, 3, 0])
    >>> made = cases_of(toy, np.arange(5) < 2, np.arange(5) >= 2, repeats=False)
    >>> made.users.tolist(), made.histories.items.tolist(), made.targets.items.tolist()
    ([0, 1], [7, 8], [9, 7])
    """
    places = np.flatnonzero(window if repeats else history | window)
    fresh = places[_first_of_each(_pairs(interactions.users[places], interactions.items[places]))]
    targets = fresh[window[fresh]]
    if next_only:
        targets = targets[_first_of_each(interactions.users[targets])]
    users, starts = np.unique(interactions.users[targets], return_index=True)
    starts = np.append(starts, len(targets)).astype(np.int64)
    known = interactions.where(history).histories(users)
    cases = Cases(users, known, Targets(starts, interactions.items[targets], interactions.rows[targets]))
    return cases.take(known.lengths >= min_history) if min_history else cases


def leak_of(dataset: Dataset, train: Interactions, test: Cases) -> Leak:
    """How much of the future `train` holds, seen from the first target of each test case; unknown where not timed.

    `unborn_targets` counts targets that train knows from the future only: it has rows of the item, all younger than
    the case's target. A target without any train row is cold and leaks nothing. Unknown too without rows or cases.
    """
    if not dataset.timed or not len(train) or not len(test):
        return Leak(known=False)
    first = test.targets.starts[:-1]
    moments = dataset.interactions.order[places_of(dataset, test.targets.rows[first])]
    born = np.full(len(dataset.catalogue), np.iinfo(np.int64).max)
    np.minimum.at(born, train.items, train.order)
    known_from = born[test.targets.items[first]]
    return Leak(
        known=True,
        train_after_target=float((train.order.max() > moments).mean()),
        rows_after_median=float((train.order > np.median(moments)).mean()),
        unborn_targets=float(((known_from > moments) & (known_from < np.iinfo(np.int64).max)).mean()),
    )


def places_of(dataset: Dataset, rows: Order) -> Order:
    """Where the events called `rows` stand in `dataset.interactions`; -1 for one that is not there.

    >>> from eval.data.interactions import Catalogue
    >>> toy = Interactions.of(users=[0, 0], items=[1, 0], order=[0, 1])
    >>> places_of(Dataset("toy", "", Catalogue(("a", "b"), ("", ""), ("", "")), ("u",), toy, False), np.array([1, -1]))
    array([ 1, -1])
    """
    known = dataset.interactions.rows
    if not len(known):
        return np.full(len(rows), -1, dtype=np.int64)
    if np.array_equal(known, np.arange(len(known))):  # as loaders number them: no sorting needed
        return np.where((rows >= 0) & (rows < len(known)), rows, -1)
    sorting = np.argsort(known)
    found = sorting[np.minimum(np.searchsorted(known, rows, sorter=sorting), len(known) - 1)]
    return np.where(known[found] == rows, found, -1)


def keep_targets(cases: Cases, chosen: Flags) -> Cases:
    """The cases with only those targets of which the mask over `cases.targets.items` is true; no case without one."""
    counts = np.concatenate(([0], np.cumsum(chosen)))[cases.targets.starts]
    targets = Targets(counts.astype(np.int64), cases.targets.items[chosen], cases.targets.rows[chosen])
    return Cases(cases.users, cases.histories, targets).take(np.diff(counts) > 0)


def case_of_event(starts: Order) -> Order:
    """The number of the case to which each event (or target) belongs.

    >>> case_of_event(np.array([0, 2, 2, 3])).tolist()
    [0, 0, 2]
    """
    return np.repeat(np.arange(len(starts) - 1), np.diff(starts))


def contained(keys: Order, among: Order) -> Flags:
    """Whether each key is one of `among`. By sorting, as `distinct`.

    >>> contained(np.array([3, 5]), np.array([5, 1, 5])).tolist()
    [False, True]
    """
    if not among.size:
        return np.zeros(keys.shape, dtype=np.bool_)
    ordered = np.sort(among, axis=None)
    found: Flags = ordered[np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)] == keys
    return found


def distinct(keys: Order) -> Order:
    """The different keys, ascending. By sorting: NumPy 2.4 hashes, which takes 20 times as long for 2 million pairs.

    >>> distinct(np.array([5, 1, 5])).tolist()
    [1, 5]
    """
    ordered = np.sort(keys)
    return ordered[np.diff(ordered, prepend=ordered[:1] - 1) > 0]


def draw(rng: np.random.Generator, pool: Codes, share: float) -> Codes:
    """A share of the pool, at least one where there is any; ascending."""
    number = min(len(pool), max(1, round(share * len(pool))))
    return np.sort(rng.choice(pool, size=number, replace=False))


def _pairs(users: Codes, items: Codes) -> Order:
    span = int(items.max(initial=0)) + 1
    pairs: Order = users.astype(np.int64) * span + items
    return pairs


def _first_of_each(keys: Order | Codes) -> Order:
    """Places of the first occurrence of each key, ascending."""
    return np.sort(np.unique(keys, return_index=True)[1])
