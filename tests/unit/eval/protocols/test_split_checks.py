from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from eval.data.interactions import Dataset, Interactions
from eval.protocols.checks import LeakError, check_split
from eval.protocols.leave_one_out import leave_one_out
from eval.protocols.split import Cases, Split, Targets
from eval.protocols.temporal import Moments, temporal
from tests.unit.eval.protocols.toy_shop import dataset_of

DATASET = dataset_of([[0, 1, 2, 3], [4, 5, 6, 7, 8]])
SPLIT = leave_one_out(DATASET)


def with_train(*places: int) -> Split:
    return replace(SPLIT, train=DATASET.interactions.where(np.array(places)))


def with_targets(cases: Cases, places: list[int], starts: list[int]) -> Cases:
    events = DATASET.interactions.where(np.array(places))
    return replace(cases, targets=Targets(np.array(starts), events.items, events.rows))


def with_histories(cases: Cases, *places: int) -> Cases:
    return replace(cases, histories=DATASET.interactions.where(np.array(places)).histories(cases.users))


def test_a_proper_split_passes() -> None:
    check_split(SPLIT, DATASET)
    check_split(replace(SPLIT, test=SPLIT.test.take(np.zeros(0, dtype=np.int64))), DATASET)  # sealed


def renamed(cases: Cases, item: int) -> Cases:
    items = cases.targets.items.copy()
    items[0] = item
    return replace(cases, targets=replace(cases.targets, items=items))


BROKEN: dict[str, tuple[str, Callable[[], Split]]] = {
    # rows of DATASET: person 0 has 0-3, person 1 has 4-8; targets are 2, 7 (valid) and 3, 8 (test)
    "train has a test target": ("test: 1 targets that are train rows", lambda: with_train(0, 1, 3, 4, 5, 6)),
    "train has a valid target": ("valid: 1 targets that are train rows", lambda: with_train(0, 1, 4, 5, 6, 7)),
    "train has a row twice": ("train: 1 rows twice", lambda: with_train(0, 1, 1, 4, 5, 6)),
    "history has its own target": (
        "test: 1 events in a history from its own target on",
        lambda: replace(SPLIT, test=with_histories(SPLIT.test, 0, 1, 2, 4, 5, 6, 7, 8)),
    ),
    "valid history has the test target": (
        "valid: 1 events in a history from its own target on",
        lambda: replace(SPLIT, valid=with_histories(SPLIT.valid, 0, 1, 3, 4, 5, 6)),
    ),
    "train has a person's future": (
        "valid: 1 cases whose person has train rows from the target on",
        lambda: replace(
            SPLIT,
            train=DATASET.interactions.where(np.array([0, 1, 4, 6])),
            valid=with_histories(with_targets(SPLIT.valid, [2, 5], [0, 1, 2]), 0, 1, 4),
        ),
    ),
    "the test target is asked in valid": (
        "valid: 1 targets that are test targets too",
        lambda: replace(SPLIT, valid=with_targets(SPLIT.valid, [3, 7], [0, 1, 2])),
    ),
    "target outside the catalogue": ("test: 1 targets outside", lambda: replace(SPLIT, test=renamed(SPLIT.test, 10))),
    "target with another item": (
        "test targets: 1 events of another person or item",
        lambda: replace(SPLIT, test=renamed(SPLIT.test, 9)),
    ),
    "a case without a target": (
        "test: 1 cases without a target",
        lambda: replace(SPLIT, test=with_targets(SPLIT.test, [3], [0, 1, 1])),
    ),
    "a target twice": (
        "test: 1 targets twice in one case",
        lambda: replace(SPLIT, test=with_targets(SPLIT.test, [3, 3, 8], [0, 2, 3])),
    ),
    "an invented event": (
        "test targets: 1 events that are not in the data set",
        lambda: replace(
            SPLIT,
            test=replace(
                SPLIT.test, targets=Targets(SPLIT.test.targets.starts, SPLIT.test.targets.items, np.array([3, 99]))
            ),
        ),
    ),
    "cases and answers of different length": (
        "test: 1 lists of another length",
        lambda: replace(SPLIT, test=replace(SPLIT.test, users=SPLIT.test.users[:1])),
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_promises_are_found(broken: str) -> None:
    message, make = BROKEN[broken]
    with pytest.raises(LeakError, match=message):
        check_split(make(), DATASET)


def test_a_target_of_the_history_needs_repeats() -> None:
    dataset = dataset_of([[0, 1, 0], [2, 3, 4]])
    split = leave_one_out(dataset, repeats=True)
    check_split(split, dataset)
    with pytest.raises(LeakError, match="test: 1 targets that the history already has"):
        check_split(replace(split, protocol=replace(split.protocol, repeats=False)), dataset)


def test_a_valid_history_that_holds_another_persons_question() -> None:
    # A person who is asked about twice: the valid case of the later moment knows the test target of the earlier one.
    dataset = dataset_of([[0, 1, 2, 3]], [[0, 10, 20, 30]])
    split = temporal(dataset, Moments(valid=20, test=30))
    swapped = replace(split, valid=split.test, test=split.valid)
    with pytest.raises(LeakError, match="valid: 1 events in a history that are test targets"):
        check_split(swapped, dataset)


def test_rows_may_be_numbered_in_any_way() -> None:
    def renumbered(dataset: Dataset) -> Dataset:
        events = dataset.interactions
        rows = np.random.default_rng(0).permutation(len(events)) + 100
        numbered = Interactions(events.users, events.items, events.order, events.types, rows)
        return replace(dataset, interactions=numbered)

    dataset = renumbered(DATASET)
    split = leave_one_out(dataset)
    check_split(split, dataset)
    with pytest.raises(LeakError, match="valid: 2 targets that are train rows"):
        check_split(replace(split, train=dataset.interactions), dataset)
