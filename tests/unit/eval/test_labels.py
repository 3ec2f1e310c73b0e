"""Labels at size: every path of the look-up against a plain loop, in one piece and in chunks."""

from __future__ import annotations

import numpy as np
import pytest

from eval.metrics import mrr_at_k, ndcg_at_k, recall_at_k
from eval.metrics.labels import labels_of, over_chunks

QUERIES = 3_000  # more than one chunk of 100 ranks


def rankings(rng: np.random.Generator, ranks: int, items: int = 997) -> np.ndarray:
    """Different items in each row, -1 past a random end; arithmetic in a prime field repeats nothing."""
    first, step = rng.integers(0, items, (QUERIES, 1)), rng.integers(1, items, (QUERIES, 1))
    rows = (first + step * np.arange(ranks)) % items
    rows[np.arange(ranks) >= rng.integers(0, ranks + 1, (QUERIES, 1))] = -1
    return rows


def by_loop(ranked: np.ndarray, items: np.ndarray, labels: np.ndarray) -> np.ndarray:
    found = np.full(ranked.shape, np.nan)
    for query, row in enumerate(ranked):
        known = dict(zip(items[query].tolist(), labels[query].tolist(), strict=True))
        found[query] = [-np.inf if item == -1 else known.get(item, np.nan) for item in row.tolist()]
    return found


@pytest.mark.parametrize("judgements", [0, 1, 2, 60])
@pytest.mark.parametrize(("kind", "scale"), [(np.int32, 1), (np.int64, 1), (np.int64, 2**25), (np.int64, 2**52)])
def test_labels_are_those_of_a_loop(judgements: int, kind: type, scale: int) -> None:
    rng = np.random.default_rng(judgements)
    ranked, items = rankings(rng, 100), rankings(rng, judgements)
    labels = rng.integers(0, 4, items.shape).astype(float)
    ranked, items = (np.where(each >= 0, each * scale, -1).astype(kind) for each in (ranked, items))
    np.testing.assert_array_equal(labels_of(ranked, items, labels), by_loop(ranked, items, labels))


@pytest.mark.parametrize("judgements", [1, 3])
def test_a_repeat_is_refused_wherever_it_stands(judgements: int) -> None:
    rng = np.random.default_rng(1)
    ranked = rng.permuted(np.tile(np.arange(100), (QUERIES, 1)), axis=1)
    items = np.full((QUERIES, judgements), 500)
    ranked[2_777, 90] = ranked[2_777, 3]  # an item that nobody judged
    with pytest.raises(ValueError, match="ranking 2777 has an item twice"):
        labels_of(ranked, items, np.ones(items.shape))


def test_of_two_judgements_of_an_item_the_first_counts() -> None:
    found = labels_of(np.array([[8, 4, 6]]), np.array([[4, 6, 4]]), np.array([[3.0, 1.0, 0.0]]))
    np.testing.assert_array_equal(found, [[np.nan, 3.0, 1.0]])


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="give"):
        labels_of(np.zeros((2, 3), dtype=int), np.zeros((1, 1), dtype=int), np.zeros((1, 1)))


@pytest.mark.parametrize("judgements", [1, 7])
def test_metrics_are_the_same_over_chunks(judgements: int) -> None:
    rng = np.random.default_rng(judgements)
    ranked, items = rankings(rng, 100), rankings(rng, judgements)
    labels = np.where(items == -1, -np.inf, rng.integers(0, 4, items.shape))

    def metrics(found: np.ndarray, judged: np.ndarray) -> dict[str, np.ndarray]:
        return {
            "ndcg": ndcg_at_k(found, judged, 10),
            "recall": recall_at_k(found, judged, 10),
            "mrr": mrr_at_k(found, 100),
        }

    chunked = over_chunks(metrics, ranked.astype(np.int32), items.astype(np.int32), labels)
    for name, values in metrics(labels_of(ranked, items, labels), labels).items():
        np.testing.assert_array_equal(chunked[name], values)


def test_over_chunks_does_not_count_an_empty_place_as_a_judgement() -> None:
    def relevant(_: np.ndarray, judged: np.ndarray) -> dict[str, np.ndarray]:
        return {"relevant": (judged >= 1).sum(axis=1)}

    found = over_chunks(relevant, np.array([[1, 2]]), np.array([[2, -1]]), np.ones((1, 2)))
    assert found["relevant"].tolist() == [1.0]
