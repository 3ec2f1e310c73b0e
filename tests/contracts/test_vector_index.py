"""Every vector index answers as the exact product does, under every mask."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.adapters.vectors_faiss import FaissVectorIndex
from retrieval.adapters.vectors_numpy import NumpyVectorIndex
from tasteline.ports import VectorIndex
from tasteline.types import Vectors

DIMENSION = 16
Make = Callable[[], VectorIndex]
ADAPTERS: dict[str, Make] = {
    "numpy": lambda: NumpyVectorIndex(DIMENSION),
    "faiss-exact": lambda: FaissVectorIndex(DIMENSION),
    "faiss-graph": lambda: FaissVectorIndex(DIMENSION, exact_up_to=100),
}


def unit(count: int, seed: int) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(params=ADAPTERS)
def make(request: pytest.FixtureRequest) -> Make:
    return ADAPTERS[request.param]


def filled(make: Make, vectors: Vectors) -> VectorIndex:
    index = make()
    index.add(vectors)
    return index


def test_nearest_first(make: Make) -> None:
    vectors = unit(400, 1)
    rows, scores = filled(make, vectors).search(vectors[:5], 3)
    assert rows[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert np.allclose(scores[:, 0], 1.0, atol=1e-5)
    assert (np.diff(scores, axis=1) <= 1e-6).all()


@pytest.mark.parametrize("share", [0.5, 0.1, 0.01, 0.0])
def test_a_mask_costs_no_recall(make: Make, share: float) -> None:
    vectors, queries = unit(2_000, 2), unit(20, 3)
    allowed = np.random.default_rng(4).random(2_000) < share
    rows, scores = filled(make, vectors).search(queries, 10, allowed)
    truth, _ = filled(ADAPTERS["numpy"], vectors).search(queries, 10, allowed)
    assert rows.shape == scores.shape == (20, 10)
    assert all(allowed[row] for row in rows.ravel() if row >= 0)
    assert rows.tolist() == truth.tolist()


def test_padding_where_there_is_too_little(make: Make) -> None:
    rows, scores = filled(make, unit(2, 5)).search(unit(1, 6), 4)
    assert sorted(rows[0].tolist()) == [-1, -1, 0, 1]
    assert np.isneginf(scores[0, 2:]).all()


def test_empty(make: Make) -> None:
    rows, _ = make().search(unit(3, 7), 2)
    assert rows.tolist() == [[-1, -1]] * 3
    assert len(make()) == 0


def test_grows_and_gives_back_its_vectors(make: Make) -> None:
    first, second = unit(90, 8), unit(60, 9)
    index = filled(make, first)
    index.add(second)
    assert len(index) == 150
    assert np.allclose(index.vectors(np.array([0, 149])), np.stack([first[0], second[-1]]), atol=1e-6)
    assert index.search(second[-1:], 1)[0][0, 0] == 149


@pytest.mark.parametrize("queries", [0, 1, 3, 50])
def test_products_with_every_row(make: Make, queries: int) -> None:
    vectors, asked = unit(150, 12), unit(queries, 13) if queries else np.zeros((0, DIMENSION), dtype=np.float32)
    products = filled(make, vectors).products(asked)
    assert products.dtype == np.float32
    np.testing.assert_allclose(products, asked @ vectors.T, atol=1e-6)
    assert make().products(asked).shape == (queries, 0)


def test_survives_the_disk(make: Make, tmp_path: Path) -> None:
    vectors = unit(300, 10)
    filled(make, vectors).save(tmp_path)
    loaded = make()
    loaded.load(tmp_path)
    loaded.add(unit(1, 11))
    assert len(loaded) == 301
    assert loaded.search(vectors[7:8], 1)[0][0, 0] == 7


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 12), st.integers(0, 2**16))
def test_exact_faiss_equals_the_reference(count: int, k: int, seed: int) -> None:
    vectors, queries = unit(count, seed), unit(3, seed + 1)
    allowed = np.random.default_rng(seed).random(count) < 0.5
    expected, _ = filled(ADAPTERS["numpy"], vectors).search(queries, k, allowed)
    assert filled(ADAPTERS["faiss-exact"], vectors).search(queries, k, allowed)[0].tolist() == expected.tolist()
