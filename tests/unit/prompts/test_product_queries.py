"""What a model is asked about a product, and what of its answer is taken."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompts.product_queries import (
    FENCE_CLOSE,
    FENCE_OPEN,
    MOST_WORDS,
    read_product_queries,
    render_product_queries,
)
from tasteline.types import Product
from tests.unit.prompts.attacks import ATTACKS

TEAPOT = Product(
    "t",
    "Willow Teapot",
    "Keeps tea warm for an hour and pours without a drop.",
    brand="Willow",
    categories=("Kitchen", "Teapots"),
)


def test_a_product_is_told_by_title_brand_kind_and_what_it_does() -> None:
    assert render_product_queries(TEAPOT).messages[-1].content.splitlines() == [
        FENCE_OPEN,
        "Willow Teapot",
        "brand: Willow",
        "kind: Teapots",
        "about: Keeps tea warm for an hour and pours without a drop",
        FENCE_CLOSE,
    ]
    assert render_product_queries(Product("1", " ")).messages[-1].content.splitlines()[1] == "a product without a name"


def test_only_the_last_message_changes_so_that_a_prefix_cache_hits() -> None:
    one, other = render_product_queries(TEAPOT), render_product_queries(Product("2", "Mug"))
    assert one.messages[:-1] == other.messages[:-1]
    assert one.schema == other.schema


@pytest.mark.parametrize("count", [1, 3, 5])
def test_the_schema_asks_for_as_many_as_are_wanted_and_examples_follow_it(count: int) -> None:
    prompt = render_product_queries(TEAPOT, count)
    searches = json.loads(prompt.schema or "")["properties"]["searches"]
    assert searches["minItems"] == searches["maxItems"] == count
    answers = [json.loads(each.content)["searches"] for each in prompt.messages if each.role == "assistant"]
    assert all(len(answer) == min(count, 3) for answer in answers)
    assert all(read_product_queries(json.dumps({"searches": answer})).value == tuple(answer) for answer in answers)


@given(st.sampled_from(ATTACKS) | st.text(max_size=300), st.text(max_size=300) | st.sampled_from(ATTACKS))
def test_a_stranger_adds_no_line_and_closes_no_fence(title: str, description: str) -> None:
    product = Product("1", title, description, brand=title, categories=(title,))
    content = render_product_queries(product).messages[-1].content
    assert content.count("\n") <= 5
    assert content.count(FENCE_CLOSE) == content.count(FENCE_OPEN) == 1
    assert "<|" not in content


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("", "missing"),
        ("teapot", "wrong_format"),
        ('{"searches": []}', "wrong_format"),
        ('{"searches": "teapot"}', "wrong_format"),
        ('{"searches": ["", "!!", "a"]}', "missing"),
        (json.dumps({"searches": [" ".join(["word"] * (MOST_WORDS + 1))]}), "missing"),
    ],
)
def test_what_is_no_search_is_not_taken(text: str, outcome: str) -> None:
    assert read_product_queries(text).outcome == outcome


def test_queries_are_taken_as_somebody_types_them() -> None:
    reading = read_product_queries('Sure! {"searches": ["Steel Teapot.", "steel teapot", "<b>tea</b> for two"]}')
    assert reading.value == ("steel teapot", "tea for two")


@given(st.text(max_size=200) | st.lists(st.text(max_size=40)).map(lambda texts: json.dumps({"searches": texts})))
def test_reading_never_raises(text: str) -> None:
    reading = read_product_queries(text)
    assert (reading.value is not None) == (reading.outcome == "ok")
