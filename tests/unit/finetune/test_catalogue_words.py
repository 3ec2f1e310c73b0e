"""What a catalogue's titles say that a product is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from finetune.catalogue_words import KIND_PRODUCTS, CatalogueWords, kinds_of
from tasteline.types import Product
from tests.unit.finetune.small_catalogue import KINDS, catalogue


@pytest.fixture(scope="module")
def products() -> list[Product]:
    return catalogue()


def test_kinds_are_the_phrases_that_brands_share(products: list[Product]) -> None:
    assert set(kinds_of(products)) == set(KINDS)
    assert kinds_of(products[: KIND_PRODUCTS - 1]) == [None] * (KIND_PRODUCTS - 1)
    assert set(kinds_of([replace(product, brand="Acme", title="Acme X1 desk lamp") for product in products])) == {None}


def test_a_feed_without_brands_names_the_kind_at_the_end_of_the_first_segment() -> None:
    feed = [Product(str(number), f"Vintage {number} Oak Wall Clock | Gift, large") for number in range(KIND_PRODUCTS)]
    assert set(kinds_of(feed)) == {"wall clock"}


def test_a_product_is_found_by_its_words_and_department(products: list[Product]) -> None:
    words = CatalogueWords(products)
    assert words.in_title["x7"] == {7}
    assert words.of_category["Desk Lamps"] == {place for place in range(120) if place % 3 == 1}


def test_a_kind_of_one_word_is_a_thing_that_is_counted() -> None:
    feed = [
        Product(f"{kind}{number}", f"Maker{number} {kind}", brand=f"Maker{number}")
        for kind in ("universal", "grinder")
        for number in range(KIND_PRODUCTS)
    ]
    told = [*feed, *(Product(f"m{number}", "Cleaner", "For grinders of all sizes") for number in range(2))]
    assert {*CatalogueWords(told).kinds} == {"universal", "grinder", None}
    assert {*CatalogueWords(told, sure=True).kinds} == {"grinder", None}
    assert {*CatalogueWords(told[:-1], sure=True).kinds} == {None}
    assert CatalogueWords(catalogue(), sure=True).kinds == CatalogueWords(catalogue()).kinds


def test_a_kind_that_stands_elsewhere_in_the_title_counts_where_one_is_sure(products: list[Product]) -> None:
    odd = [Product("o1", "Acme X9 Trend 5 m desk lamp arm", brand="Acme"), Product("o2", "Lamp", brand="Acme")]
    assert CatalogueWords([*products, *odd]).kinds[-2:] == [None, None]
    words = CatalogueWords([*products, *odd], sure=True)
    assert words.kinds[-2:] == ["desk lamp", None]
    assert 120 in words.of_kind["desk lamp"]
