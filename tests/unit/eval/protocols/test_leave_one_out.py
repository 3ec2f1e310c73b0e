from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eval.data.amazon import read_amazon
from eval.protocols.checks import check_split
from eval.protocols.leave_one_out import leave_one_out
from tasteline.errors import InvalidInput
from tests.unit.eval.protocols.toy_shop import dataset_of

BEAUTY = Path(__file__).parents[5] / "shared" / "data" / "amazon-beauty"


def test_last_is_test_and_the_one_before_is_valid() -> None:
    split = leave_one_out(dataset_of([[0, 1, 2, 3], [4, 5], [6, 7, 8]]))

    assert split.train.items.tolist() == [0, 1, 4, 5, 6]
    assert split.valid.users.tolist() == split.test.users.tolist() == [0, 2]
    assert split.valid.targets.items.tolist() == [2, 7]
    assert split.test.targets.items.tolist() == [3, 8]
    assert [split.test.histories.of_case(case).tolist() for case in (0, 1)] == [[0, 1, 2], [6, 7]]
    assert [split.valid.histories.of_case(case).tolist() for case in (0, 1)] == [[0, 1], [6]]
    assert not split.leak.known


def test_a_target_of_the_history_is_a_case_only_where_repeats_are_allowed() -> None:
    dataset = dataset_of([[0, 1, 0], [0, 1, 2]])

    assert leave_one_out(dataset).test.users.tolist() == [1]
    assert leave_one_out(dataset).train.items.tolist() == [0, 0]
    assert leave_one_out(dataset, repeats=True).test.targets.items.tolist() == [0, 2]
    assert leave_one_out(dataset, repeats=True).protocol.repeats


def test_the_split_of_the_files_is_followed_where_it_is_a_leave_one_out_one() -> None:
    dataset = dataset_of([[0, 1, 2], [3, 4, 5]])
    given = replace(dataset, split=np.array([0, 1, 2, 0, 0, 0], dtype=np.int8))
    assert leave_one_out(given).test.users.tolist() == [0]
    assert "as the files divide them" in leave_one_out(given).protocol.description

    for wrong in ([0, 2, 1, 0, 0, 0], [0, 0, 2, 0, 0, 0], [0, 1, 1, 0, 1, 2], [1, 1, 2, 0, 1, 2], [0, 1, 2, 0, 1, 0]):
        with pytest.raises(InvalidInput, match="not a leave-one-out one"):
            leave_one_out(replace(dataset, split=np.array(wrong, dtype=np.int8)))


def test_nobody_to_ask_about_is_an_error() -> None:
    with pytest.raises(InvalidInput, match="nobody"):
        leave_one_out(dataset_of([[0, 1], [2]]))


def test_the_leak_is_measured_against_the_rows_of_train() -> None:
    # Person 0 is asked at 20; person 1's train rows are at 15, 25 and 40, the target (item 3, at 60) after all of them.
    # Item 2, the first target, is in train at 25 only: known from the future.
    times = [[0, 10, 20], [15, 25, 40, 50, 60]]
    leak = leave_one_out(dataset_of([[0, 1, 2], [5, 2, 6, 7, 3]], times)).leak

    assert leak.known
    assert leak.train_after_target == 0.5
    assert leak.rows_after_median == 0.0  # median target at 40; train at 0, 15, 25, 40
    assert leak.unborn_targets == 0.5

    older = leave_one_out(dataset_of([[2, 1, 0], [5, 0, 6, 7, 3]], [[0, 10, 20], [5, 8, 40, 50, 60]])).leak
    assert older.unborn_targets == 0.0


def test_beauty_is_a_leave_one_out_set() -> None:
    if not BEAUTY.is_dir():
        pytest.skip(f"{BEAUTY} is missing")
    dataset = read_amazon(BEAUTY)
    split = leave_one_out(dataset)
    check_split(split, dataset)
    assert len(split.test) == len(split.valid) == len(dataset.user_ids)
    assert len(split.train) + len(split.test) + len(split.valid) == len(dataset.interactions)
    by_rule = leave_one_out(replace(dataset, split=None))
    assert np.array_equal(by_rule.test.targets.rows, split.test.targets.rows)
