"""Known propensities come back out of simulated clicks."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from finetune.position_bias import MOST_WEIGHT, POSITIONS, click_weights, propensities

TRUE = 1.0 / (1.0 + np.arange(10)) ** 0.8


def clicked(
    seed: int, chances: NDArray[np.float64], queries: int = 400, showings: int = 60
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Ten products of a query, the better ones higher on the whole, in an order that wavers from showing to showing."""
    rng = np.random.default_rng(seed)
    liked = np.sort(rng.uniform(0.05, 0.9, size=(queries, 10)), axis=1)[:, ::-1]
    wavering = rng.normal(scale=2.0, size=(queries, showings, 10))
    order = np.argsort(np.arange(10) + wavering, axis=2)
    pairs = order + 10 * np.arange(queries)[:, None, None]
    shown = np.take_along_axis(np.broadcast_to(liked[:, None], order.shape), order, axis=2)
    clicks = rng.random(order.shape) < shown * chances
    positions = np.broadcast_to(np.arange(10), order.shape)
    return pairs.ravel(), positions.ravel().astype(np.int64), clicks.ravel()


@pytest.mark.parametrize("seed", [0, 1])
def test_known_propensities_are_recovered(seed: int) -> None:
    pairs, positions, clicks = clicked(seed, TRUE)
    found = propensities(pairs, positions, clicks)
    assert found is not None
    np.testing.assert_allclose(found[:10], TRUE, atol=0.03)
    raw = np.array([clicks[positions == place].mean() for place in range(10)])
    assert np.abs(raw / raw[0] - TRUE).max() > 0.08  # what clicks alone say, since better products stand higher


def test_where_every_place_is_looked_at_alike_nothing_is_corrected() -> None:
    found = propensities(*clicked(2, np.full(10, 0.6)))
    assert found is not None
    np.testing.assert_allclose(found[:10], 1.0, atol=0.05)


def test_rare_queries_do_as_well_as_frequent_ones() -> None:
    """Three showings of each pair tell nothing of its liking, and 12,000 such pairs tell enough of the places."""
    found = propensities(*clicked(3, TRUE, queries=4_000, showings=3))
    assert found is not None
    np.testing.assert_allclose(found[:10], TRUE, atol=0.08)


def test_what_never_moved_gives_no_estimate() -> None:
    pairs = np.repeat(np.arange(100), 20)
    assert propensities(pairs, pairs % 10, np.ones(len(pairs), dtype=np.bool_)) is None
    empty = np.zeros(0, dtype=np.int64)
    assert propensities(empty, empty, empty.astype(np.bool_)) is None


def test_too_few_clicks_correct_nothing() -> None:
    pairs, positions, clicks = clicked(0, TRUE, queries=40, showings=5)
    assert propensities(pairs, positions, clicks & (np.arange(len(clicks)) < 100)) is None


def test_unknown_places_take_the_value_of_the_one_before() -> None:
    pairs, positions, clicks = clicked(1, TRUE)
    found = propensities(pairs, np.where(positions >= 5, positions + 3, positions), clicks)
    assert found is not None
    assert found[5] == found[6] == found[7] == found[4]
    assert len(found) == POSITIONS
    assert found[-1] == found[12]


def test_weights_are_clipped_and_one_without_an_estimate() -> None:
    assert click_weights(np.array([1.0, 0.25, 0.001, 0.0])).tolist() == [1.0, 4.0, MOST_WEIGHT, MOST_WEIGHT]
    assert click_weights(None, 3).tolist() == [1.0, 1.0, 1.0]


def test_weighted_clicks_say_how_much_a_product_is_liked() -> None:
    """A product at the top and its equal far down are clicked unequally; weighted, they come out alike."""
    rng = np.random.default_rng(5)
    weights = click_weights(TRUE)
    totals = [(weights[place] * (rng.random(40_000) < 0.5 * TRUE[place])).mean() for place in (0, 6)]
    assert totals == pytest.approx([0.5, 0.5], abs=0.02)
