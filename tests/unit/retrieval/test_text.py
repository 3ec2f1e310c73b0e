"""The text of a product: what comes first, what is left out, how long it gets."""

from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.text import MAX_CHARACTERS, plain, product_text, well_formed
from tasteline.types import Product

texts = st.text(max_size=300)
products = st.builds(
    Product,
    id=st.just("p"),
    title=texts,
    description=st.text(max_size=3000),
    brand=st.none() | texts,
    categories=st.lists(texts, max_size=4).map(tuple),
    attributes=st.dictionaries(
        st.sampled_from(["colour", "product_type", "weight"]), st.lists(texts, max_size=6).map(tuple)
    ),
)


def test_order_is_title_brand_category_attributes_description() -> None:
    product = Product(
        "1",
        "Pour-over kettle",
        "Holds one litre.",
        brand="Acme",
        categories=("Kitchen", "Coffee_and_Tea"),
        attributes={"colour": ("matt black", "copper")},
    )
    assert product_text(product) == (
        "Pour-over kettle. Acme. Kitchen, Coffee and Tea. colour: matt black, copper. Holds one litre."
    )


def test_only_attributes_that_shoppers_speak_of() -> None:
    attributes = {
        "fsb_parity": ("odd",),
        "product_type": ("Notebook",),
        "Product Colour": ("Silver", "N/A"),
        "material": ("4711",),
        "style": ("x" * 33,),
    }
    assert product_text(Product("1", "dv7", attributes=attributes)) == "dv7. type: Notebook; colour: Silver"


def test_what_the_title_says_is_not_repeated() -> None:
    product = Product("1", "Acme kettle in red", brand="ACME", attributes={"colour": ("Red",)})
    assert product_text(product) == "Acme kettle in red"


@pytest.mark.parametrize(
    ("title", "description", "expected"),
    [
        ("Red kettle", "Red kettle", "Red kettle"),
        ("Red kettle", "red kettle - holds a litre", "Red kettle. holds a litre"),
        ("Red kettle | Great gift", "## Red kettle\n\nHolds a litre.", "Red kettle | Great gift. Holds a litre."),
        ("Red kettle", "## Features\nHolds a litre.", "Red kettle. Features Holds a litre."),
        ("Red", "Redwood bench", "Red. Redwood bench"),
        ("", "Only this", "Only this"),
        ("Why?", "Because.", "Why? Because."),
        ("", "", ""),
    ],
)
def test_title_repeated_in_the_description_is_dropped(title: str, description: str, expected: str) -> None:
    assert product_text(Product("1", title, description)) == expected


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("<p>Holds <b>one</b>&nbsp;litre</p>", "Holds one litre"),
        ("&lt;br&gt;Fish &amp; chips", "Fish & chips"),
        ("a<script>alert('x')</script>b", "a b"),
        ("**Bold** and __strong__ and `code`", "Bold and strong and code"),
        ("# Heading\n- one\n* two\n> three", "Heading one two three"),
        ("see [the manual](http://example.test/a) ![](b.png)", "see the manual"),
        ("zero\u200bwidth\x00and\tcontrol\ufeff", "zerowidth and control"),
        ("5 < 6 and 7 > 3", "5 < 6 and 7 > 3"),
        ("snake_case and 2*3*4", "snake_case and 2*3*4"),
    ],
)
def test_markup_is_stripped_and_words_are_kept(markup: str, expected: str) -> None:
    assert plain(markup) == expected


def test_long_text_is_cut_at_a_word() -> None:
    text = product_text(Product("1", "Kettle", "water " * 1000))
    assert MAX_CHARACTERS - 6 <= len(text) <= MAX_CHARACTERS
    assert text.endswith("water")


def test_a_long_word_without_spaces_is_cut_too() -> None:
    assert len(product_text(Product("1", "水" * 5000))) == MAX_CHARACTERS


@pytest.mark.parametrize("hostile", ["[", "<!--", "<script>", "**a", "<a", "&lt;"])
def test_hostile_markup_is_cheap(hostile: str) -> None:
    started = perf_counter()
    product_text(Product("1", "Kettle", hostile * 100_000))
    assert perf_counter() - started < 2


@given(products)
def test_any_product_gives_one_bounded_printable_line(product: Product) -> None:
    text = product_text(product)
    assert len(text) <= MAX_CHARACTERS
    assert text == " ".join(text.split())
    assert text.isprintable()
    assert product_text(product) == text


def test_lone_surrogates_are_replaced() -> None:
    assert well_formed("a\ud800b") == "a?b"
    assert well_formed("naïve 水 🫖") == "naïve 水 🫖"
