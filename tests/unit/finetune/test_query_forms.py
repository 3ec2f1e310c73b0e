"""Every form makes queries that their product answers, and says who else does."""

from __future__ import annotations

import random

import pytest

from finetune.catalogue_words import CatalogueWords
from finetune.query_forms import FORMS, MAKERS, Form
from tasteline.types import Product
from tests.unit.finetune.small_catalogue import catalogue


@pytest.fixture(scope="module")
def words() -> CatalogueWords:
    return CatalogueWords(catalogue())


def drawn(words: CatalogueWords, form: Form, place: int) -> list[tuple[list[str], set[int]]]:
    made = [MAKERS[form](words, place, random.Random(seed)) for seed in range(30)]
    return [each for each in made if each is not None]


@pytest.mark.parametrize("form", FORMS)
def test_the_product_answers_its_own_query(words: CatalogueWords, form: Form) -> None:
    for place in (0, 1, 2, 50):
        for typed, places in drawn(words, form, place):
            assert typed
            assert place in places


def test_a_combination_says_what_the_kind_does_not(words: CatalogueWords) -> None:
    for typed, places in drawn(words, "combination", 1):
        assert typed[-2:] in (["desk", "lamp"], ["desk", "lamps"])
        assert set(typed[:-2]) & {"white", "edition"}
        assert places <= words.of_kind["desk lamp"]


def test_a_department_is_answered_by_all_that_is_in_it(words: CatalogueWords) -> None:
    assert drawn(words, "category", 2)[0] == (["travel", "mugs"], words.of_category["Travel Mugs"])
    typed, places = drawn(words, "brand_category", 2)[0]
    assert typed == ["cobalt", "travel", "mugs"]
    assert places == {place for place in words.of_category["Travel Mugs"] if words.products[place].brand == "Cobalt"}


def test_a_department_above_the_narrowest_is_asked_for_too() -> None:
    path = ("Home_and_Garden", "Kitchen", "Grinders")
    words = CatalogueWords([Product("p", "Grinder", categories=path), Product("q", "Pan", categories=path[:2])])
    made = {" ".join(typed): places for typed, places in drawn(words, "category", 0)}
    assert made == {"grinders": {0}, "kitchen": {0, 1}}


def test_a_model_is_asked_for_by_brand_and_code(words: CatalogueWords) -> None:
    assert drawn(words, "model", 12) == []  # "x12" has three characters
    assert drawn(words, "model", 112)[0] == (["acme", "x112"], {112})


def test_a_title_is_typed_as_it_begins(words: CatalogueWords) -> None:
    for typed, places in drawn(words, "title", 5):
        assert typed == words.titles[5][: len(typed)]
        assert places == {5}
