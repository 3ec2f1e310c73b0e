"""The written requests: well-formed, answerable in the demo shop's own words, and enough of every sort."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from eval.demo_shop import products
from eval.understanding import REQUESTS, Request, load
from tasteline.errors import InvalidInput
from tasteline.types import Product

SMALL_TALK = {"greeting", "thanks", "help", "off_topic"}
AT_LEAST: Mapping[str, tuple[int, Callable[[Request], bool]]] = {
    "price": (60, lambda r: r.price_min is not None or r.price_max is not None),
    "price in words": (20, lambda r: r.style == "number_words"),
    "negation": (40, lambda r: bool(r.exclude)),
    "attributes": (40, lambda r: bool(r.attributes)),
    "brand": (30, lambda r: r.brand is not None),
    "rating, stock or order": (20, lambda r: r.rating_min is not None or r.in_stock or r.sort != "relevance"),
    "within a conversation": (60, lambda r: bool(r.shown)),
    "indirect": (40, lambda r: r.style == "indirect"),
    "typos": (30, lambda r: r.style == "typo"),
    "rambling, two limits or more": (30, lambda r: r.style == "rambling" and limits(r) >= 2),
    "made by a program": (50, lambda r: r.style == "template"),
    "written by hand": (450, lambda r: r.style != "template"),
    "small talk": (20, lambda r: r.intent in SMALL_TALK),
    "looks like a limit": (20, lambda r: r.note.startswith("no limit:")),
}
LINE: Mapping[str, Any] = json.loads(REQUESTS.read_text(encoding="utf-8").splitlines()[0])


@cache
def requests() -> tuple[Request, ...]:
    return tuple(load())


@cache
def catalogue() -> Mapping[str, Product]:
    return {product.id: product for product in products()}


def limits(request: Request) -> int:
    """How many slots of a request leave products out."""
    return (
        (request.category is not None)
        + (request.price_min is not None or request.price_max is not None)
        + (request.brand is not None)
        + len(request.attributes)
        + len(request.exclude)
        + (request.rating_min is not None)
        + request.in_stock
    )


def fits(product: Product, request: Request) -> bool:
    """Category, brand and attributes alone: the slots whose words come from the catalogue."""
    values = {name: {value.lower() for value in given} for name, given in product.attributes.items()}
    return (
        (request.category is None or request.category in product.categories)
        and (request.brand is None or request.brand == product.brand)
        and all(value in values.get(name, set()) for name, value in request.attributes.items())
    )


def test_there_are_enough_requests() -> None:
    assert len(requests()) >= 500


@pytest.mark.parametrize("kind", AT_LEAST)
def test_there_are_enough_requests_of_each_kind(kind: str) -> None:
    least, belongs = AT_LEAST[kind]
    assert sum(belongs(request) for request in requests()) >= least


def test_ids_count_the_lines() -> None:
    assert [request.id for request in requests()] == [f"r{line:03d}" for line in range(1, len(requests()) + 1)]


def test_every_fourth_request_is_for_development() -> None:
    assert all((request.split == "dev") == (line % 4 == 0) for line, request in enumerate(requests(), start=1))


def test_no_text_stands_twice_whatever_its_case_and_punctuation() -> None:
    words = [" ".join("".join(c if c.isalnum() else " " for c in r.text.lower()).split()) for r in requests()]
    assert len(set(words)) == len(words)


def test_categories_brands_and_attribute_values_are_the_catalogues() -> None:
    categories = {name for product in catalogue().values() for name in product.categories}
    brands = {product.brand for product in catalogue().values()}
    pairs = {
        (name, value.lower())
        for product in catalogue().values()
        for name, values in product.attributes.items()
        for value in values
    }
    assert {r.category for r in requests()} - {None} <= categories
    assert {r.brand for r in requests()} - {None} <= brands
    assert {pair for r in requests() for pair in r.attributes.items()} <= pairs


def test_shown_and_meant_products_exist() -> None:
    assert {product for r in requests() for product in r.shown} <= catalogue().keys()


def test_a_first_message_has_no_history_and_a_later_one_has() -> None:
    assert all(bool(request.shown) == bool(request.before) for request in requests())


def test_an_attribute_is_one_that_its_category_has() -> None:
    named: defaultdict[str, set[str]] = defaultdict(set)
    for product in catalogue().values():
        for category in product.categories:
            named[category] |= product.attributes.keys()
    assert all(r.attributes.keys() <= named[r.category] for r in requests() if r.category)


def test_the_shop_has_most_of_what_is_asked_for_but_not_all_as_in_life() -> None:
    met = [any(fits(p, r) for p in catalogue().values()) for r in requests() if not r.shown and r.limited]
    assert 0.9 < sum(met) / len(met) < 1


def test_small_talk_limits_nothing() -> None:
    assert not any(request.limited for request in requests() if request.intent in SMALL_TALK)


def test_what_looks_like_a_limit_limits_no_more_than_the_kind_of_thing() -> None:
    looks = [request for request in requests() if request.note.startswith("no limit:")]
    assert all(limits(request) == (request.category is not None) and request.sort == "relevance" for request in looks)


def test_limits_of_a_request_are_seen() -> None:
    by_text = {request.text: request for request in requests()}
    assert by_text["sandals, nothing leather"].limited
    assert not by_text["surprise me"].limited


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"intent": "buy"}, "intent"),
        ({"sort": "newest"}, "sort"),
        ({"price_max": "80"}, "price_max"),
        ({"colour": "red"}, "colour"),
        ({"text": "  "}, "text is empty"),
        ({"price_min": 90, "price_max": 80}, "price_min is above"),
        ({"price_max": -1}, "negative"),
        ({"rating_min": 6}, "rating_min"),
        ({"references": ["kettle-01"]}, "not shown"),
        ({"exclude": ["Wool"]}, "lower case"),
        ({"id": LINE["id"]}, "id stood"),
        ({"text": LINE["text"].upper()}, "same text"),
    ],
)
def test_bad_line_is_named(tmp_path: Path, change: Mapping[str, object], says: str) -> None:
    second = {**LINE, "id": "r002", "text": "something else", **change}
    path = tmp_path / "requests.jsonl"
    path.write_text(f"{json.dumps(LINE)}\n{json.dumps(second)}\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match="line 2") as caught:
        load(path)
    assert says in str(caught.value)


def test_line_that_is_no_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    path.write_text(f"{json.dumps(LINE)}\n{{\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match="line 2"):
        load(path)


def test_missing_slot_is_named(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    path.write_text(json.dumps({name: value for name, value in LINE.items() if name != "soft"}), encoding="utf-8")
    with pytest.raises(InvalidInput, match="line 1: soft"):
        load(path)


def test_readme_gives_the_sizes() -> None:
    page = REQUESTS.with_name("README.md").read_text(encoding="utf-8")
    tests = [request for request in requests() if request.split == "test"]
    assert f"{len(requests())} messages" in page
    assert f"`test` ({len(tests)})" in page
    for intent in {request.intent for request in requests()}:
        numbers = (sum(request.intent == intent for request in split) for split in (requests(), tests))
        assert f"| {intent} | {' | '.join(map(str, numbers))} |" in page
