"""What every index of words must do; tantivy is the only adapter so far."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.adapters.lexical_tantivy import SELECTIVE_ROWS, TantivyLexicalIndex
from tasteline.ports import LexicalIndex
from tasteline.types import Product

PRODUCTS = [
    Product("a", "Leather hiking boots", brand="Fernhollow", categories=("Shoes", "Boots")),
    Product("b", "Canvas sneakers", description="Light shoes for summer", attributes={"material": ("cotton",)}),
    Product("c", "Crème brûlée torch", categories=("Kitchen",)),
]


@pytest.fixture(params=["tantivy"])
def index() -> LexicalIndex:
    made = TantivyLexicalIndex()
    made.add(PRODUCTS)
    return made


def rows(index: LexicalIndex, query: str, k: int = 10, allowed: np.ndarray | None = None) -> list[int]:
    return index.search(query, k, allowed)[0].tolist()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("hiking", [0]),
        ("boot", [0]),
        ("BOOTS", [0]),
        ("fernhollow", [0]),
        ("summer", [1]),
        ("cotton", [1]),
        ("creme brulee", [2]),
        ("kitchen", [2]),
        ("submarine", []),
        ("", []),
        ("!?", []),
        ("title:leather AND NOT (", [0]),
    ],
)
def test_words_find_products(index: LexicalIndex, query: str, expected: list[int]) -> None:
    assert rows(index, query) == expected


def test_any_word_may_match_and_more_matches_rank_higher(index: LexicalIndex) -> None:
    assert rows(index, "canvas summer boots") == [1, 0]


def test_added_is_found_at_once_and_none_is_a_row(index: LexicalIndex) -> None:
    index.add([None, Product("d", "Submarine")])
    assert len(index) == 5
    assert rows(index, "submarine") == [4]


@pytest.mark.parametrize("kept", [1, SELECTIVE_ROWS + 500])
def test_masks_are_exact_at_any_selectivity(kept: int) -> None:
    index = TantivyLexicalIndex()
    index.add([Product(str(i), "red shoe " + "filler " * (i % 7)) for i in range(6_000)])
    allowed = np.zeros(6_000, dtype=bool)
    allowed[np.random.default_rng(0).choice(6_000, kept, replace=False)] = True
    everything, _ = index.search("shoe", 6_000)
    found, scores = index.search("shoe", 10, allowed)
    assert found.tolist() == [row for row in everything if allowed[row]][:10]
    assert (np.diff(scores) <= 0).all()


def test_containing(index: LexicalIndex) -> None:
    assert index.containing("boot").tolist() == [0]
    assert sorted(index.containing("shoes").tolist()) == [0, 1]
    assert index.containing("light summer").tolist() == [1]
    assert index.containing("").tolist() == []


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80))
def test_no_text_is_an_error(text: str) -> None:
    index = TantivyLexicalIndex()
    index.add(PRODUCTS)
    found, scores = index.search(text, 5)
    assert len(found) == len(scores) <= 3
