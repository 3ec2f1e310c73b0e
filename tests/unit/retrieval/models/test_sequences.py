"""Histories as arrays: cutting, merging, renumbering, and how long after one another steps came."""

import numpy as np
import pytest

from retrieval.models.sequences import DAY, GAP_COUNT, GAP_EDGES, Sequences


def timed(items: list[int], moments: list[float], kinds: list[int] | None = None) -> Sequences:
    return Sequences(
        np.array([0, len(items)]),
        np.array(items, dtype=np.int64),
        np.array(kinds or [0] * len(items), dtype=np.int8),
        np.array(moments, dtype=np.float64),
    )


def test_a_view_a_cart_and_a_purchase_of_one_item_are_one_step() -> None:
    merged = timed([5, 5, 5, 6, 5], [0, 10, 20, 30, 40], [0, 2, 1, 0, 3]).merged()
    assert merged.items.tolist() == [5, 6, 5]
    assert merged.kinds.tolist() == [2, 0, 3]  # the strongest of what was merged
    assert merged.moments.tolist() == [20, 30, 40]  # the last of them


def test_merging_stays_within_a_person() -> None:
    merged = Sequences.of([[1, 1], [1], [], [1, 2, 2]]).merged()
    assert merged.items.tolist() == [1, 1, 1, 2]
    assert merged.lengths.tolist() == [1, 1, 0, 2]


def test_gaps_are_coded_from_the_second_step_on_and_only_where_the_clock_is_known() -> None:
    codes = timed([1, 2, 3, 4], [0, 59, 59 + 400 * DAY, np.nan]).gap_codes()
    assert codes.tolist() == [0, 1, 1 + len(GAP_EDGES), 0]
    assert codes.max() < GAP_COUNT
    two = Sequences.of([[1, 2], [3]])
    assert Sequences(two.starts, two.items, two.kinds, np.array([0.0, 5.0, 9.0])).gap_codes().tolist() == [0, 1, 0]


def test_cutting_and_leaving_out_the_last() -> None:
    three = Sequences.of([[1, 2, 3], [], [4]])
    assert three.last(2).items.tolist() == [2, 3, 4]
    assert three.without_last().lengths.tolist() == [2, 0, 0]
    assert three.take(np.array([2, 0])).items.tolist() == [4, 1, 2, 3]
    assert three.steps_from_end.tolist() == [2, 1, 0, 0]


def test_renumbering_leaves_out_what_has_no_number() -> None:
    renamed = Sequences.of([[0, 1, 2], [1]]).numbered(np.array([7, -1, 9]))
    assert renamed.items.tolist() == [7, 9]
    assert renamed.lengths.tolist() == [2, 0]


@pytest.mark.parametrize("empty", [Sequences.of([]), Sequences.of([[], []])])
def test_nothing_is_fine_everywhere(empty: Sequences) -> None:
    for each in (empty.merged(), empty.last(3), empty.without_last(), empty.numbered(np.zeros(0, dtype=np.int64))):
        assert not len(each.items)
        assert len(each) == len(empty)
    assert empty.gap_codes().tolist() == []
