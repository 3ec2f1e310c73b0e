"""Queries made from a catalogue: repeatable, answerable, and not won by matching words alone."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.known_item import (
    FORMS,
    KIND_PRODUCTS,
    KnownItemQuery,
    _kinds,
    _misspelt,
    evaluate_known_items,
    known_item_queries,
)
from tasteline.types import Product

BRANDS = ("Acme", "Borealis", "Cobalt", "Dune")
KINDS = ("coffee grinder", "desk lamp", "travel mug")
COLOURS = ("Black", "White", "Red", "Blue", "Green")


def catalogue() -> list[Product]:
    products = []
    for number in range(120):
        brand, kind, colour = BRANDS[number % 4], KINDS[number % 3], COLOURS[number % 5]
        material = ("Steel", "Copper", "Bamboo")[number // 3 % 3]
        products.append(
            Product(
                id=f"p{number}",
                title=f"{brand} X{number} {kind} {colour} edition {number}",
                description=f"Quiet {material.lower()} housing, {kind} of lasting comfort",
                brand=brand,
                attributes={"Material": (material,)},
            )
        )
    return products


@pytest.fixture(scope="module")
def products() -> list[Product]:
    return catalogue()


@pytest.fixture(scope="module")
def queries(products: list[Product]) -> tuple[KnownItemQuery, ...]:
    return known_item_queries(products, each=10, seed=3)


def test_every_form_is_made_and_no_text_twice_within_one(queries: tuple[KnownItemQuery, ...]) -> None:
    assert {query.form for query in queries} == set(FORMS)
    for form in FORMS:
        texts = [query.text for query in queries if query.form == form]
        assert len(texts) == len(set(texts)) <= 10


def test_the_same_seed_gives_the_same_queries(products: list[Product], queries: tuple[KnownItemQuery, ...]) -> None:
    assert known_item_queries(products, each=10, seed=3) == queries
    assert known_item_queries(products, each=10, seed=4) != queries


def test_the_answers_fit(products: list[Product], queries: tuple[KnownItemQuery, ...]) -> None:
    by_id = {product.id: product for product in products}
    for query in queries:
        assert query.relevant
        answers = [by_id[each] for each in query.relevant]
        if query.form == "brand_kind":
            (brand,) = {answer.brand for answer in answers}
            assert brand.casefold() in query.text  # type: ignore[union-attr]
        if query.form == "attribute":
            (material,) = {answer.attributes["Material"] for answer in answers}
            assert material[0].casefold() in query.text
        if query.form == "synonym":
            assert any("lamp" in answer.title or "mug" in answer.title for answer in answers)


def test_kinds_are_the_phrases_that_brands_share(products: list[Product]) -> None:
    assert set(_kinds(products)) == set(KINDS)
    assert _kinds(products[: KIND_PRODUCTS - 1]) == [None] * (KIND_PRODUCTS - 1)
    assert set(_kinds([replace(product, brand="Acme", title="Acme X1 desk lamp") for product in products])) == {None}


def test_a_feed_without_brands_names_the_kind_at_the_end_of_the_first_segment() -> None:
    feed = [Product(str(number), f"Vintage {number} Oak Wall Clock | Gift, large") for number in range(KIND_PRODUCTS)]
    assert set(_kinds(feed)) == {"wall clock"}


def test_a_form_that_the_catalogue_does_not_allow_is_left_out() -> None:
    bare = [Product(str(number), f"thing number {number} of many") for number in range(5)]
    assert {query.form for query in known_item_queries(bare, each=3)} == {"fragment"}
    assert known_item_queries([], each=3) == ()


def test_perfect_and_useless_systems(queries: tuple[KnownItemQuery, ...]) -> None:
    class Knowing:
        name = "knowing"

        def rank(self, texts: list[str], k: int) -> list[list[str]]:
            return [sorted(query.relevant)[:k] for query in queries]

    class Empty:
        name = "empty"

        def rank(self, texts: list[str], k: int) -> list[list[str]]:
            return [[] for _ in texts]

    results = evaluate_known_items(queries, [Knowing(), Empty()])
    assert set(results["knowing"]) == {"all", *FORMS}
    assert all(value == 1.0 for row in results["knowing"].values() for value in row.values())
    assert all(value == 0.0 for row in results["empty"].values() for value in row.values())


def test_all_weighs_the_forms_equally() -> None:
    made = (
        KnownItemQuery("one", "kind", frozenset({"a"})),
        KnownItemQuery("two", "kind", frozenset({"a"})),
        KnownItemQuery("three", "synonym", frozenset({"b"})),
    )

    class AlwaysA:
        name = "a"

        def rank(self, texts: list[str], k: int) -> list[list[str]]:
            return [["c", "a"] for _ in texts]

    row = evaluate_known_items(made, [AlwaysA()])["a"]
    assert row["kind"]["mrr@10"] == 0.5
    assert row["all"]["mrr@10"] == pytest.approx(0.25)


@given(st.text(alphabet="abcdefgh", min_size=5, max_size=12), st.integers(0, 2**16))
def test_a_slip_of_the_finger_is_small(word: str, seed: int) -> None:
    slipped = _misspelt(word, random.Random(seed))
    assert slipped[0] == word[0]
    assert abs(len(slipped) - len(word)) <= 1
    if len(slipped) == len(word):
        assert sum(left != right for left, right in zip(slipped, word, strict=True)) in (0, 2)
