"""Leave one out: each person's last event is asked for, the one before it is to choose settings by.

Takes a Dataset, gives a Split. The usual protocol of the field, and one that leaks: other people's train rows may be
younger than a target. `Split.leak` says how much, where times are known.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eval.data.interactions import Dataset, Interactions
from eval.protocols.cutting import cases_of, leak_of
from eval.protocols.split import Protocol, Split
from tasteline.errors import InvalidInput

LEAST_EVENTS = 3
"""One to know, one to choose by, one to ask for."""
TRAIN, VALID, TEST = 0, 1, 2


def leave_one_out(dataset: Dataset, *, repeats: bool = False) -> Split:
    """Last event = test target, the one before = valid target, history = all before the target; train = the rest.

    Where `dataset.split` is given it is followed, else people with fewer than 3 events are in train only. Events at
    the same moment stay in the order of the file. Unless `repeats`, a target that the history already has is no case
    (and is in no other part either). Raises InvalidInput where the files' split is not a leave-one-out one, and where
    there is nobody to ask about.

    >>> from eval.data.interactions import Catalogue
    >>> events = Interactions.of(users=[0, 0, 0, 1], items=[0, 1, 2, 2], order=[0, 1, 2, 0])
    >>> catalogue = Catalogue(("a", "b", "c"), ("",) * 3, ("",) * 3)
    >>> split = leave_one_out(Dataset("toy", "", catalogue, ("ann", "bob"), events, timed=False))
    >>> split.train.items.tolist(), split.valid.targets.items.tolist(), split.test.targets.items.tolist()
    ([0, 2], [1], [2])
    >>> split.test.histories.items.tolist(), split.leak.known
    ([0, 1], False)
    """
    events = dataset.interactions
    parts = _parts(events) if dataset.split is None else _checked(dataset, dataset.split)
    train = events.where(parts == TRAIN)
    valid = cases_of(events, parts == TRAIN, parts == VALID, repeats=repeats)
    test = cases_of(events, parts < TEST, parts == TEST, repeats=repeats)
    if not len(test):
        raise InvalidInput(f"{dataset.name}: leave-one-out leaves nobody to ask about; that takes three events each")
    return Split(
        protocol=Protocol("leave-one-out", _description(repeats, from_file=dataset.split is not None), repeats),
        catalogue=dataset.catalogue,
        train=train,
        valid=valid,
        test=test,
        leak=leak_of(dataset, train, test),
        timed=dataset.timed,
    )


def _parts(events: Interactions) -> NDArray[np.int8]:
    """0, 1 or 2 for each row, as in `Dataset.split`."""
    counts = np.bincount(events.users) if len(events) else np.zeros(0, dtype=np.int64)
    return _last_two(events, (counts >= LEAST_EVENTS)[events.users])


def _last_two(events: Interactions, asked: NDArray[np.bool_]) -> NDArray[np.int8]:
    ends = np.searchsorted(events.users, events.users, side="right")
    from_end = ends - np.arange(len(events))
    return np.where(asked, np.maximum(TEST + 1 - from_end, TRAIN), TRAIN).astype(np.int8)


def _checked(dataset: Dataset, parts: NDArray[np.int8]) -> NDArray[np.int8]:
    """The files' split, if everybody is in train wholly or has one valid row and then one test row at the end."""
    events = dataset.interactions
    asked = np.zeros(int(events.users.max(initial=-1)) + 1, dtype=np.bool_)
    asked[events.users[parts != TRAIN]] = True
    differing = np.flatnonzero(parts != _last_two(events, asked[events.users]))
    if len(differing):
        person = dataset.user_ids[events.users[differing[0]]]
        raise InvalidInput(
            f"{dataset.name}: the split of the files is not a leave-one-out one: person {person!r} "
            f"(one of {len(np.unique(events.users[differing]))}) does not end in one valid row and one test row",
            field="split",
        )
    return parts


def _description(repeats: bool, *, from_file: bool) -> str:
    who = "as the files divide them" if from_file else f"people with fewer than {LEAST_EVENTS} events are in train only"
    again = (
        "items of the history are candidates and may be targets"
        if repeats
        else "items of the history are not ranked, and a target that is one of them is not asked for"
    )
    return (
        "The last event of each person is the test target and the one before it the valid target; the history is all "
        f"of that person's events before the target, and train is all rows before these two ({who}); {again}; all "
        "other items of the catalogue are candidates. Train rows of other people may be younger than a target."
    )
