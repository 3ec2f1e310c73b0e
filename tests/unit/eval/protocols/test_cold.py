from __future__ import annotations

import numpy as np
import pytest

from eval.protocols.checks import check_split
from eval.protocols.cold import cut_people, withhold_items, withhold_people
from eval.protocols.leave_one_out import leave_one_out
from eval.protocols.temporal import by_share, temporal
from tasteline.errors import InvalidInput
from tests.unit.eval.protocols.toy_shop import dataset_of, habitual

DATASET = habitual()
SPLIT = leave_one_out(DATASET)


def test_new_people_have_left_nothing_in_train() -> None:
    new = withhold_people(SPLIT, DATASET, share=0.2, seed=1)
    check_split(new, DATASET)

    assert len(new.test) == round(0.2 * len(np.unique(SPLIT.test.users)))
    assert not np.isin(new.train.users, np.concatenate((new.valid.users, new.test.users))).any()
    others = ~np.isin(SPLIT.train.users, new.test.users)
    assert np.array_equal(new.train.rows, SPLIT.train.where(others).rows)  # nothing else is missing
    assert np.array_equal(new.test.users, withhold_people(SPLIT, DATASET, share=0.2, seed=1).test.users)
    assert not np.array_equal(new.test.users, withhold_people(SPLIT, DATASET, share=0.2, seed=2).test.users)
    assert "none of their events is in train" in new.protocol.description


def test_histories_are_cut_to_their_last_events() -> None:
    new = withhold_people(SPLIT, DATASET)
    none, one, few = (cut_people(new, events) for events in (0, 1, range(2, 5)))
    for split in (none, one, few):
        check_split(split, DATASET)
        assert np.array_equal(split.train.rows, new.train.rows)  # one fit serves all

    assert none.test.histories.lengths.max() == 0
    assert one.test.histories.items.tolist() == new.test.histories.last(1).items.tolist()
    assert set(few.test.histories.lengths.tolist()) == {2, 3, 4}
    assert len(few.test) == int((new.test.histories.lengths >= 2).sum())
    assert [each.protocol.name for each in (none, few)] == [
        "cold-people-0-leave-one-out",
        "cold-people-2-4-leave-one-out",
    ]


def test_people_of_train_are_not_cut() -> None:
    with pytest.raises(InvalidInput, match="withhold_people comes first"):
        cut_people(SPLIT, 1)
    for events in (-1, range(0), range(4, 1, -1)):
        with pytest.raises(InvalidInput, match="number from 0"):
            cut_people(withhold_people(SPLIT, DATASET), events)
    with pytest.raises(InvalidInput, match="no test case"):
        cut_people(withhold_people(SPLIT, DATASET), 1000)


@pytest.mark.parametrize("split", [SPLIT, temporal(DATASET, by_share(DATASET))], ids=["leave-one-out", "temporal"])
def test_withheld_items_are_in_no_train_row_and_no_history(split) -> None:  # type: ignore[no-untyped-def]
    parts = withhold_items(split, DATASET, share=0.1, seed=3)
    check_split(parts.cold, DATASET)
    check_split(parts.warm, DATASET)
    cold, warm = parts.cold, parts.warm
    asked = np.union1d(cold.test.targets.items, cold.valid.targets.items)

    assert not np.intersect1d(cold.test.targets.items, cold.valid.targets.items).size
    for known in (cold.train.items, *(each.histories.items for each in (cold.valid, cold.test, warm.valid, warm.test))):
        assert not np.isin(known, asked).any()
    assert not np.isin(warm.test.targets.items, asked).any()
    assert len(cold.catalogue) == len(DATASET.catalogue)
    assert np.array_equal(cold.train.rows, warm.train.rows)
    # every target is in cold, in warm, or withheld for the other part
    of_valid = np.isin(split.test.targets.items, cold.valid.targets.items).sum()
    assert len(cold.test.targets.items) + len(warm.test.targets.items) + of_valid <= len(split.test.targets.items)
    assert 0.04 < len(cold.test.targets.items) / len(split.test.targets.items) < 0.18


def test_a_history_keeps_what_is_not_withheld() -> None:
    # everybody walks past 12 of 20 items, so that train has each item that is not withheld
    dataset = dataset_of([[(start + step) % 20 for step in range(12)] for start in range(20)], items=20)
    split = leave_one_out(dataset)
    cold = withhold_items(split, dataset, share=0.1).cold
    kept = set(cold.train.items.tolist())
    assert len(kept) == 16
    for case, user in enumerate(cold.test.users):
        whole = split.test.histories.of_case(int(user))
        assert cold.test.histories.of_case(case).tolist() == [item for item in whole if item in kept]


def test_shares_that_leave_nothing_are_refused() -> None:
    with pytest.raises(InvalidInput, match="below"):
        withhold_items(SPLIT, DATASET, share=0.5)
    small = dataset_of([[0, 1, 2], [3, 4, 5]])
    with pytest.raises(InvalidInput, match="another share"):
        withhold_people(leave_one_out(small), small, share=1.0)
