"""The k best and the ranks of given items, against a stable sort of every row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.metrics.topk import Scores, Ties, ranks_of, top_k

KINDS = ["continuous", "few values", "mostly zero", "mostly not ranked", "constant", "nothing ranked", "ascending"]
INF = np.inf


def scores_of(kind: str, rows: int, items: int, seed: int) -> Scores:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((rows, items))
    match kind:
        case "few values":
            values = np.round(values)  # with -0.0 among them, which equals 0.0
        case "mostly zero":
            values[rng.random((rows, items)) < 0.98] = 0.0
        case "mostly not ranked":
            values[rng.random((rows, items)) < 0.98] = -INF
        case "constant":
            values[:] = 0.25
        case "nothing ranked":
            values[:] = -INF
        case "ascending":
            values.sort(axis=1)
    return values.astype(np.float32)


def by_sorting(scores: Scores, k: int) -> tuple[np.ndarray, np.ndarray]:
    items = np.full((len(scores), k), -1, dtype=np.int32)
    best = np.full((len(scores), k), -INF, dtype=np.float32)
    for row, values in enumerate(scores):
        order = np.argsort(-values, kind="stable")[:k]
        order = order[values[order] > -INF]
        items[row, : len(order)], best[row, : len(order)] = order, values[order]
    return items, best


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("rows", "items", "k"), [(300, 3_000, 100), (5, 3_000, 1), (40, 700, 10), (7, 30, 50)])
def test_the_best_are_those_of_a_stable_sort(kind: str, rows: int, items: int, k: int) -> None:
    scores = scores_of(kind, rows, items, seed=rows + k)
    for found, wanted in zip(top_k(scores, k), by_sorting(scores, k), strict=True):
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)


def test_a_sample_that_misleads_costs_time_and_not_the_result() -> None:
    scores = np.zeros((20, 3_000), dtype=np.float32)
    scores[:, ::16] = 1 + np.random.default_rng(1).random((20, 188))  # all that is sampled is better than all the rest
    np.testing.assert_array_equal(top_k(scores, 100)[0], by_sorting(scores, 100)[0])


@given(st.lists(st.lists(st.sampled_from([-INF, -1.0, -0.0, 0.0, 0.5, INF]), min_size=4, max_size=4), max_size=3))
def test_small_rows_with_every_tie(rows: list[list[float]]) -> None:
    scores = np.array(rows, dtype=np.float32).reshape(-1, 4)
    for k in (1, 3, 6):
        np.testing.assert_array_equal(top_k(scores, k)[0], by_sorting(scores, k)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_the_rank_is_the_place_in_the_sorted_row(kind: str) -> None:
    scores = scores_of(kind, rows=60, items=500, seed=2)
    targets = np.random.default_rng(3).integers(0, 500, size=(60, 3))
    order = np.argsort(-scores, axis=1, kind="stable")
    places = np.argsort(order, axis=1) + 1.0
    wanted = np.where(np.isinf(scores), INF, places)
    np.testing.assert_array_equal(ranks_of(scores, targets), np.take_along_axis(wanted, targets, axis=1))


def test_ties_under_each_convention_by_hand() -> None:
    scores = np.array([[2.0, 1.0, 1.0, 1.0, 1.0, 0.0]], dtype=np.float32)
    expected: dict[Ties, float] = {"item": 4.0, "optimistic": 2.0, "pessimistic": 5.0, "mean": 3.5}
    assert {ties: ranks_of(scores, np.array([3]), ties=ties)[0] for ties in expected} == expected


def test_a_target_that_is_not_ranked_or_not_there() -> None:
    scores = np.array([[-INF, 1.0], [0.0, 1.0]], dtype=np.float32)
    assert ranks_of(scores, np.array([0, 0])).tolist() == [INF, 2.0]
    np.testing.assert_array_equal(ranks_of(scores, np.array([-1, 1]), ties="mean"), [np.nan, 1.0])


def test_a_score_that_is_not_a_number_is_refused() -> None:
    scores = scores_of("continuous", 300, 3_000, seed=4)
    scores[290, 5] = np.nan
    with pytest.raises(ValueError, match="row 290"):
        top_k(scores, 10)
    with pytest.raises(ValueError, match="row 290"):
        ranks_of(scores, np.zeros(300, dtype=np.int64))


def test_wrong_arguments_are_refused() -> None:
    scores = scores_of("continuous", 2, 5, seed=5)
    with pytest.raises(ValueError, match="float32"):
        top_k(scores.astype(np.float64), 2)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="cut-off"):
        top_k(scores, 0)
    with pytest.raises(ValueError, match="items 0 to 4"):
        ranks_of(scores, np.array([1, 5]))
    with pytest.raises(ValueError, match=r"\(n, t\)"):
        ranks_of(scores, np.array([1]))


def test_no_rows_and_no_items() -> None:
    assert top_k(np.empty((0, 5), dtype=np.float32), 2)[0].shape == (0, 2)
    assert top_k(np.empty((1, 0), dtype=np.float32), 2)[0].tolist() == [[-1, -1]]
    assert ranks_of(np.empty((0, 5), dtype=np.float32), np.empty(0, dtype=np.int64)).shape == (0,)
