from __future__ import annotations

import pytest

from eval.protocols.checks import check_split
from eval.protocols.cutting import leak_of
from eval.protocols.leave_one_out import leave_one_out
from eval.protocols.temporal import Moments, before_end, by_share, temporal
from tasteline.errors import InvalidInput
from tests.unit.eval.protocols.toy_shop import DAY, dataset_of, habitual

SEQUENCES = [[0, 1, 2, 1, 3, 3, 4], [5, 6], [7]]
TIMES = [[1, 2, 10, 11, 20, 21, 22], [12, 20], [25]]
MOMENTS = Moments(valid=10, test=20)


def test_histories_end_and_targets_begin_at_the_moment() -> None:
    split = temporal(dataset_of(SEQUENCES, TIMES), MOMENTS)

    assert split.train.order.tolist() == [1, 2]
    assert split.valid.users.tolist() == [0, 1]
    assert split.valid.targets.items.tolist() == [2, 5]  # item 1, bought again at 11, is in the history
    assert split.test.users.tolist() == [0, 1, 2]
    assert split.test.histories.items.tolist() == [0, 1, 2, 1, 5]  # of the valid window too
    assert split.test.targets.items.tolist() == [3, 4, 6, 7]  # item 3 once
    assert split.test.targets.starts.tolist() == [0, 2, 3, 4]
    assert split.leak.known
    assert (split.leak.train_after_target, split.leak.rows_after_median, split.leak.unborn_targets) == (0, 0, 0)


def test_options() -> None:
    dataset = dataset_of(SEQUENCES, TIMES)

    assert temporal(dataset, MOMENTS, repeats=True).valid.targets.items.tolist() == [2, 1, 5]
    following = temporal(dataset, MOMENTS, next_only=True)
    assert following.test.targets.items.tolist() == [3, 6, 7]
    assert following.protocol.name == "temporal-next"
    assert temporal(dataset, MOMENTS, min_history=1).test.users.tolist() == [0, 1]
    assert "people without any history are asked about too" in following.protocol.description
    assert "1970-01-01T00:00:20Z" in following.protocol.description


def test_windows_before_the_end() -> None:
    dataset = dataset_of([[0, 1, 2, 3]], [[0, 10 * DAY, 20 * DAY, 40 * DAY]])
    moments = before_end(dataset, valid_seconds=15 * DAY, test_seconds=20 * DAY)
    assert moments == Moments(valid=5 * DAY + 1, test=20 * DAY + 1)  # 20 days, the last second included
    assert temporal(dataset, moments).test.targets.items.tolist() == [3]


def test_shares_of_events() -> None:
    dataset = dataset_of([list(range(10))], [[0, 1, 2, 3, 4, 5, 6, 7, 7, 9]])
    split = temporal(dataset, by_share(dataset, valid=0.2, test=0.2))
    assert split.test.targets.items.tolist() == [7, 8, 9]  # both events at moment 7
    assert split.valid.targets.items.tolist() == [6]
    with pytest.raises(InvalidInput, match="no train"):
        by_share(dataset, valid=0.5, test=0.5)


def test_what_cannot_be_divided() -> None:
    untimed = dataset_of(SEQUENCES)
    with pytest.raises(InvalidInput, match="leave-one-out"):
        temporal(untimed, MOMENTS)
    with pytest.raises(InvalidInput, match="leave-one-out"):
        by_share(untimed)
    for moments in (Moments(20, 10), Moments(0, 20), Moments(10, 30)):
        with pytest.raises(InvalidInput, match=r"not before|choose other moments"):
            temporal(dataset_of(SEQUENCES, TIMES), moments)


def test_leak_is_none_here_and_shows_in_leave_one_out_of_the_same_data() -> None:
    dataset = habitual()
    split = temporal(dataset, before_end(dataset))
    check_split(split, dataset)
    first_asked = dataset.interactions.order[split.valid.targets.rows].min()
    assert split.train.order.max() < first_asked
    assert split.leak.train_after_target == 0
    assert leave_one_out(dataset).leak.train_after_target > 0.8
    # the number comes from the rows: a train part that goes too far shows
    late = leak_of(dataset, dataset.interactions, split.test)
    assert late.train_after_target > 0.9
    assert late.rows_after_median > 0
