"""Golden values worked by hand, and the short formulas against all pairs looked at one by one."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.metrics import (
    average_popularity,
    beyond,
    catalogue_coverage,
    category_diversity,
    gini,
    novelty,
    padded,
    personalisation,
    serendipity,
    vector_diversity,
)

NAN, END = np.nan, -np.inf
LISTS = st.lists(st.lists(st.integers(0, 7), unique=True, max_size=5), min_size=1, max_size=6)
CATEGORIES = np.array([0, 1, 1, 2, 0, 2, 2, 5])
VECTORS = np.random.default_rng(0).normal(size=(8, 3))
VECTORS[6] = 0.0  # an item of which nothing is known


def test_coverage_and_gini_by_hand() -> None:
    rankings = padded([[0, 1], [0], [0, 3]])  # shown 3, 1, 0, 1 times
    assert catalogue_coverage(rankings, items=4) == pytest.approx(3 / 4)
    # sorted 0 1 1 3, weights 2i - 5 = -3 -1 1 3: (-1 + 1 + 9) / (4 * 5)
    assert gini(rankings, items=4) == pytest.approx(9 / 20)


def test_popularity_and_novelty_by_hand() -> None:
    rankings, counts = padded([[0, 2], [1], []]), np.array([8, 2, 0])
    assert average_popularity(rankings, counts) == pytest.approx([4, 2, NAN], nan_ok=True)
    # -log2(8/16) = 1, -log2(2/16) = 3, never met counts as once: 4
    assert novelty(rankings, counts, total=16) == pytest.approx([2.5, 3, NAN], nan_ok=True)


def test_serendipity_by_hand() -> None:
    # counts 5 5 2 0 of 4 items: popularity ranks 1 1 2 -, so p_any = 1, 1, 3/4, 0; p_user = 1, 3/4, 2/4 by rank
    rankings, counts = padded([[2, 3, 0], [3], [2, 3], []]), np.array([5, 5, 2, 0])
    labels = np.array([[1, 1, 1], [1, END, END], [0, NAN, END], [END, END, END]], dtype=np.float64)
    expected = [(1 / 4 + 3 / 4 + 0) / 3, 1, 0, NAN]
    assert serendipity(rankings, labels, counts) == pytest.approx(expected, nan_ok=True)


def test_diversity_by_hand() -> None:
    rankings = padded([[0, 1, 2], [0, 4], [3], []])  # categories 0 1 1: 2 of 3 pairs differ; 0 0: none
    assert category_diversity(rankings, CATEGORIES) == pytest.approx([2 / 3, 0, NAN, NAN], nan_ok=True)
    vectors = np.array([[1, 0], [0, 5], [-2, 0]], dtype=np.float32)  # cosines 0, -1, 0
    found = vector_diversity(padded([[0, 1, 2], [0, 2], [1]]), vectors)
    assert found == pytest.approx([4 / 3, 2, NAN], nan_ok=True)


def test_personalisation_by_hand() -> None:
    # {0 1} and {1 2} share 1 of 2 items; each overlaps with {1} by 1/sqrt(2 * 1); an empty list is no list
    expected = 1 - (1 / 2 + 2 / math.sqrt(2)) / 3
    assert personalisation(padded([[0, 1], [1, 2], [1], []])) == pytest.approx(expected)
    assert personalisation(padded([[0, 1], [1, 0]])) == pytest.approx(0)
    assert personalisation(padded([[0], [1]])) == 1


def test_nothing_shown() -> None:
    empty = np.full((2, 3), -1)
    assert catalogue_coverage(empty, items=5) == 0
    for value in (gini(empty, items=5), personalisation(empty), catalogue_coverage(empty, items=0)):
        assert math.isnan(value)


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="item 7 is ranked"):
        catalogue_coverage(np.array([[7]]), items=7)
    with pytest.raises(ValueError, match="label of each place"):
        serendipity(np.array([[1, 2]]), np.array([[1.0]]), np.ones(3))


@given(LISTS)
def test_the_short_formulas_give_what_all_pairs_give(lists: list[list[int]]) -> None:
    rankings = padded(lists, width=5)
    unit = VECTORS / np.maximum(np.linalg.norm(VECTORS, axis=1, keepdims=True), 1e-300)
    by_category, by_vector = [], []
    for each in lists:
        pairs = list(itertools.combinations(each, 2))
        different = [CATEGORIES[a] != CATEGORIES[b] for a, b in pairs]
        by_category.append(np.mean(different) if pairs else NAN)
        by_vector.append(np.mean([1 - unit[a] @ unit[b] for a, b in pairs]) if pairs else NAN)
    assert category_diversity(rankings, CATEGORIES) == pytest.approx(by_category, abs=1e-12, nan_ok=True)
    assert vector_diversity(rankings, VECTORS) == pytest.approx(by_vector, abs=1e-12, nan_ok=True)

    shown = [set(each) for each in lists if each]
    overlaps = [len(a & b) / math.sqrt(len(a) * len(b)) for a, b in itertools.combinations(shown, 2)]
    expected = 1 - np.mean(overlaps) if overlaps else NAN
    assert personalisation(rankings) == pytest.approx(expected, abs=1e-12, nan_ok=True)

    counts = [sum(item in each for each in lists) for item in range(8)]
    differences = [abs(a - b) for a, b in itertools.product(counts, counts)]
    expected = sum(differences) / (2 * 8 * sum(counts)) if sum(counts) else NAN
    assert gini(rankings, items=8) == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_vectors_in_many_chunks_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rankings = padded([[0, 1, 2], [5, 7], [3], [], [6, 4, 2, 0], [1, 6]])
    at_once = vector_diversity(rankings, VECTORS)
    monkeypatch.setattr(beyond, "CHUNK_BYTES", 200)
    np.testing.assert_array_equal(vector_diversity(rankings, VECTORS), at_once)


@given(LISTS, st.randoms(use_true_random=False))
def test_the_order_within_a_list_does_not_matter(lists: list[list[int]], chance) -> None:  # type: ignore[no-untyped-def]
    shuffled = [chance.sample(each, len(each)) for each in lists]
    one, other = padded(lists), padded(shuffled)
    for metric in (lambda r: category_diversity(r, CATEGORIES), lambda r: novelty(r, CATEGORIES, 9)):
        assert metric(one) == pytest.approx(metric(other), nan_ok=True)
