"""Queries made from a catalogue: repeatable, answerable, and not won by matching words alone."""

from __future__ import annotations

import pytest

from eval.known_item import (
    FORMS,
    KnownItemQuery,
    evaluate_known_items,
    known_item_queries,
)
from finetune.splitting import product_part
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


def test_a_form_that_the_catalogue_does_not_allow_is_left_out() -> None:
    bare = [Product(str(number), f"thing number {number} of many") for number in range(5)]
    assert {query.form for query in known_item_queries(bare, each=3)} == {"fragment"}
    assert known_item_queries([], each=3) == ()


def test_a_part_is_asked_about_its_own_products_alone(products: list[Product]) -> None:
    valid = {product.id for product in products if product_part(product.id) == "valid"}
    made = known_item_queries(products, each=10, seed=3, part="valid")
    assert made
    for query in made:
        assert query.relevant & valid
    assert {query.text for query in made if query.form == "fragment"} != {
        query.text for query in known_item_queries(products, each=10, seed=3) if query.form == "fragment"
    }
    assert known_item_queries([product for product in products if product.id not in valid], part="valid") == ()


def test_other_parts_are_neither_right_nor_wrong_and_known_texts_are_not_asked(products: list[Product]) -> None:
    made = known_item_queries(products, each=20, part="test")
    assert made
    for query in made:
        assert {product_part(key) for key in query.relevant} == {"test"}
        assert "test" not in {product_part(key) for key in query.passed_over}
    assert any(query.passed_over for query in made)
    known = {f" {made[0].text.upper()}"}
    assert made[0].text not in [each.text for each in known_item_queries(products, each=20, part="test", without=known)]


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
