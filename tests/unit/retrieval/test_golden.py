"""What is broken is found before it gets traffic; what works passes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from retrieval.adapters.embedder_hashing import HashingEmbedder
from retrieval.golden import GoldenPairs, check_encoder, check_reranker, golden_pairs
from tasteline.errors import InvalidInput
from tasteline.types import Scores, Vectors
from tests.unit.retrieval.small_shop import product

PRODUCTS = [product(f"p{i}", f"{name} {i}", "Home") for i, name in enumerate(["Kettle", "Lamp", "Tent", "Bag"] * 5)]
PAIRS = golden_pairs(PRODUCTS)


@dataclass
class Encoder:
    """Gives what it was told to, for any text."""

    rows: Vectors
    name: str = "fake/encoder"
    dimension: int = 4

    def encode(self, texts: Sequence[str], kind: str) -> Vectors:
        return np.resize(self.rows, (len(texts), self.rows.shape[1])).astype(np.float32)


@dataclass
class Judge:
    scores: Scores
    name: str = "fake/reranker"

    def score(self, queries: Sequence[str], documents: Sequence[str], *, timeout: float | None = None) -> Scores:
        return self.scores


def test_pairs_come_from_the_catalogue_right_and_wrong_in_turn() -> None:
    assert len(PAIRS) == 16
    assert (PAIRS.queries[:2], PAIRS.documents[:2]) == (("Kettle 0",) * 2, ("Kettle 0. Home", "Lamp 1. Home"))
    assert PAIRS.documents[-1] == "Kettle 0. Home"
    assert golden_pairs(PRODUCTS) == PAIRS


@pytest.mark.parametrize("products", [[], [product("p", "Lamp")], [product("p", "")] * 9])
def test_a_shop_without_products_has_pairs_of_its_own(products: list[object]) -> None:
    pairs = golden_pairs(products)  # type: ignore[arg-type]
    assert len(pairs) == 8
    check_encoder(HashingEmbedder(), pairs)


def test_what_works_passes() -> None:
    check_encoder(HashingEmbedder(), PAIRS)
    check_reranker(Judge(np.tile([1.0, -1.0], 8).astype(np.float32)), PAIRS)


ONE, TWO = np.eye(4)[:1], np.eye(4)[:2]


@pytest.mark.parametrize(
    ("encoder", "said"),
    [
        (Encoder(ONE), "everything the same score: 16 golden pairs differ by 0,"),
        (Encoder(ONE + np.array([[0, 0.001, 0, 0]])), "the same score"),
        (Encoder(ONE * np.nan), "not all numbers"),
        (Encoder(ONE * 3), "not of unit length"),
        (Encoder(ONE * 0), "not of unit length"),
        (Encoder(np.eye(5)), r"shape \(16, 5\) and not \(16, 4\)"),
    ],
)
def test_a_broken_encoder_is_refused(encoder: Encoder, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        check_encoder(encoder, PAIRS)


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        (np.full(16, 0.7), "the same score"),
        (np.full(16, 3.0) + np.linspace(0, 0.01, 16), "differ by 0.01,"),
        (np.full(16, np.nan), "not all numbers"),
        (np.array([np.inf, *np.zeros(15)]), "not all numbers"),
        (np.zeros((16, 2)), r"shape \(16, 2\) and not \(16,\)"),
        (np.zeros(3), "shape"),
    ],
)
def test_a_broken_reranker_is_refused(scores: Scores, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        check_reranker(Judge(scores), PAIRS)


def test_pairs_have_equal_sides() -> None:
    assert isinstance(PAIRS, GoldenPairs)
    assert len(PAIRS.queries) == len(PAIRS.documents)
