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
